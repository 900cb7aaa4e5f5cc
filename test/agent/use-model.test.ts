/** A running agent goes over to another model: alerts, sequences and baselines over the change. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Agent } from '../../src/agent/agent.ts'
import { FleetModelFiles } from '../../src/agent/fleet-model-files.ts'
import { finish, walk } from '../../src/agent/pipeline.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Model } from '../../src/model/model.ts'
import { openShippedModel } from '../../src/operate/models.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { manualClock } from '../support/clock.ts'
import { labFrames, openTestAgent, recordingOutput } from '../support/open-agent.ts'
import { namedModel, offerModel } from '../support/pushed-model.ts'
import { temporaryDirectories } from '../support/temporary.ts'

setDefaultTimeout(60_000)
const directory = temporaryDirectories()
let frames: Frame[]
let store: SqliteStore
let models: string[]

beforeAll(async () => {
  frames = await labFrames()
  const folder = directory()
  store = new SqliteStore(`${folder}/aggregate.db`)
  models = [namedModel(folder, 'one'), namedModel(folder, 'two')]
})
afterAll(() => store.close())

async function open(state: string, told: AlertMessage[], openLocal = openShippedModel) {
  const clock = manualClock(frames[0]!.index * 1000)
  const model = await openLocal()
  const agent = openTestAgent(model, state, {
    ...{ clock, outputs: [recordingOutput(told)], fleetModels: { openLocal } },
  })
  return { agent, clock }
}

async function offer(agent: Agent, which: string, at: number): Promise<string> {
  const { head, parts, digest } = await offerModel(store, {
    ...{ directory: which, site: 's', canary: 100, lifeMs: 86_400_000, nowMs: at * 1000 },
  })
  expect(agent.fleetModel!.receive(head)).toBeUndefined()
  for (const part of parts) expect(agent.fleetModel!.part(part)).toBeUndefined()
  await agent.fleetModel!.settled()
  return digest
}

test('alerts go on under their ids, as if nothing had happened, and no second is without sequences', async () => {
  const plain: AlertMessage[] = []
  const { agent } = await open(directory(), plain)
  for (const frame of frames) await walk(agent.stages, frame)
  await finish(agent.stages, true)
  await agent.close()
  await agent.model.close()

  const changed: AlertMessage[] = []
  const state = directory()
  const other = await open(state, changed)
  const digests: string[] = []
  let judged = 0
  for (const [at, frame] of frames.entries()) {
    other.clock.advance(1000)
    if (at === 40 || at === 70)
      digests.push(await offer(other.agent, models[digests.length]!, frame.index))
    const before = other.agent.model
    await other.agent.changeModel()
    if (other.agent.model !== before) judged++
    await walk(other.agent.stages, frame)
  }
  expect(judged).toBe(2)
  expect(other.agent.model.digest).toBe(digests[1]!)
  expect(new FleetModelFiles(state).get()).toMatchObject({
    ...{ state: 'active', use: { digest: digests[1] }, before: { digest: digests[0] } },
  })
  await finish(other.agent.stages, true)
  const { opened, open: left, closed } = other.agent.stages.detector.status().alerts
  expect([left, opened]).toEqual([0, closed])
  await other.agent.close()
  await other.agent.model.close()
  // The same net: what is opened is opened once, and closed once.
  const ids = (all: readonly AlertMessage[]) => [...new Set(all.map(({ id }) => id))].sort()
  const causes = (all: readonly AlertMessage[]) =>
    [...new Set(all.map(({ kind, process }) => `${kind} ${process.name} ${process.pid}`))].sort()
  expect(causes(changed)).toEqual(causes(plain))
  expect(ids(changed)).toHaveLength(ids(plain).length)
  for (const id of ids(changed)) {
    const states = changed.filter((one) => one.id === id).map((one) => one.state)
    expect([id, states.filter((one) => one === 'open').length]).toEqual([id, 1])
    expect([id, states.at(-1)]).toEqual([id, 'closed'])
  }
  expect(changed.length).toBeGreaterThan(2)
})

test('the baseline of a net waits for its return, and another net begins with none', async () => {
  const state = directory()
  const { agent } = await open(state, [])
  for (const frame of frames.slice(0, 40)) await walk(agent.stages, frame)
  const names = () => agent.memory.snapshot().length
  const filled = names()
  // Of another net only its id is looked at.
  const another = withId(await openShippedModel(), 'b'.repeat(64))
  await change(agent, another)
  expect(agent.memory.since).toBe(0)
  for (const frame of frames.slice(40, 50)) await walk(agent.stages, frame)
  await change(agent, await openShippedModel())
  expect(names()).toBe(filled)
  expect(agent.memory.since).toBe(frames[0]!.index + 9)
  await agent.close()
  await agent.model.close()
})

function withId(model: Model, id: string): Model {
  return { ...model, classes: { ...model.classes, modelId: id } }
}

async function change(agent: Agent, model: Model): Promise<void> {
  agent.fleetModel!.putBack({ model, taken: () => {} })
  await agent.changeModel()
  expect(agent.model).toBe(model)
}
