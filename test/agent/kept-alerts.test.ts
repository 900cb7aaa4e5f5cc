/**
 * Alerts over restarts of the agent, through the real stages and stores: the recorded host is cut
 * into runs, and each cut is an end by kill -9 (the files are closed, nothing is finished) or a
 * clean stop.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Agent } from '../../src/agent/agent.ts'
import { areGone, untold } from '../../src/agent/kept-alerts.ts'
import { finish, walk } from '../../src/agent/pipeline.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { defined } from '../../src/domain/defined.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Model } from '../../src/model/model.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { manualClock } from '../support/clock.ts'
import { labFrames, openTestAgent, recordingOutput } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

setDefaultTimeout(60_000)
const directory = temporaryDirectories()
let model: Model
let frames: Frame[]

beforeAll(async () => {
  model = await openModelInUse(undefined, directory())
  frames = await labFrames()
})
afterAll(() => model.close())

/** Begins at the frame with number `at`. */
function open(state: string, told: AlertMessage[] = [], broker?: string, at = 0): Agent {
  const clock = manualClock(frames[at]!.index * 1000)
  const outputs = [recordingOutput(told)]
  return openTestAgent(model, state, { clock, outputs, ...defined({ broker }) })
}

const byId = (told: readonly Alert[]) => {
  const states = new Map<string, string[]>()
  for (const { id, state } of told) states.set(id, [...(states.get(id) ?? []), state])
  return states
}

describe('alerts over restarts', () => {
  test.each([
    ['killed', false],
    ['stopped', true],
  ])('an agent that is %s every four seconds: one id, one opening, one close', async (_, clean) => {
    const state = directory()
    const told: AlertMessage[] = []
    for (let at = 0; at < frames.length; at += 4) {
      const agent = open(state, told, undefined, at)
      for (const frame of frames.slice(at, at + 4)) await walk(agent.stages, frame)
      const isLast = at + 4 >= frames.length
      if (clean || isLast) await finish(agent.stages, isLast)
      await agent.close()
    }
    expect(told.length).toBeGreaterThan(2)
    for (const [id, states] of byId(told)) {
      expect(
        states.filter((each) => each === 'open'),
        id,
      ).toHaveLength(1)
      expect(
        states.filter((each) => each === 'closed'),
        id,
      ).toHaveLength(1)
      expect([states[0], states.at(-1)]).toEqual(['open', 'closed'])
    }
    const subjects = told.filter(({ state }) => state === 'open')
    const causes = subjects.map(({ kind, process }) => `${kind} ${process.pid}@${process.start}`)
    expect(new Set(causes).size).toBe(causes.length)
    const last = open(state)
    const { opened, open: stillOpen, closed } = last.stages.detector.status().alerts
    expect({ opened, stillOpen, closed }).toEqual({
      ...{ opened: subjects.length, stillOpen: 0, closed: subjects.length },
    })
    const kept = last.local.alerts.list().map(({ id, state: of }) => `${id} ${of}`)
    expect(kept.sort()).toEqual(subjects.map(({ id }) => `${id} closed`).sort())
    await last.close()
  })

  test('what the store has and the outbox never got is queued at the next start', async () => {
    const state = directory()
    const told: AlertMessage[] = []
    const one = open(state, told, 'mqtt://127.0.0.1:1')
    // The kill comes between the two transactions.
    one.outbox.put = () => []
    for (const frame of frames) await walk(one.stages, frame)
    expect(told.length).toBeGreaterThan(0)
    await one.close()
    const two = open(state, [], 'mqtt://127.0.0.1:1')
    const missed = untold(two, two.outbox.before)
    expect(new Set(missed.map(({ id }) => id))).toEqual(new Set(told.map(({ id }) => id)))
    await two.stages.outputs.put(missed, undefined)
    await two.close()
    const three = open(state)
    expect(untold(three, three.outbox.before)).toEqual([])
    await three.close()
    expect(Outbox.open(join(state, 'outbox.db'), { site: 's', host: 'h' }).queued).toBe(
      missed.length,
    )
  })

  test('ids are of this state directory alone, and the secret is readable by its owner only', async () => {
    const ids = async (state: string) => {
      const told: AlertMessage[] = []
      const agent = open(state, told)
      for (const frame of frames) await walk(agent.stages, frame)
      await agent.close()
      return told.filter((alert) => alert.state === 'open').map(({ id }) => id)
    }
    const [here, there] = [directory(), directory()]
    const [one, two] = [await ids(here), await ids(there)]
    expect(one.length).toBeGreaterThan(0)
    expect(one.length).toBe(two.length)
    for (const id of one) expect(two).not.toContain(id)
    expect(statSync(join(here, 'alert-ids.secret')).mode & 0o777).toBe(0o600)
  })
})

describe('areGone()', () => {
  const startOf = (pid: number) => (pid === 7 ? 1_000 : undefined)
  test.each([
    ['a process that is there', ['7@1000'], false],
    ['one whose start was rounded', ['7@999'], false],
    ['one that was there before it was first seen', ['7@5000'], false],
    ['another process under its pid', ['7@500'], true],
    ['no process', ['8@1000'], true],
    ['one of two', ['8@1000', '7@1000'], false],
    ['a group of short-lived processes', ['-8@1000'], false],
  ] as const)('%s', (_, owners, gone) => expect(areGone(owners, startOf)).toBe(gone))
})
