/**
 * A source that cannot see some calls is judged without them, through the real stages; what it
 * shows of them is counted and kept.
 */
import { expect, test } from 'bun:test'
import { walk } from '../../src/agent/pipeline.ts'
import { type Frame, vectorTotal } from '../../src/domain/frame.ts'
import { type SightName, seenBy } from '../../src/domain/sight.ts'
import type { Model } from '../../src/model/model.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { manualClock } from '../support/clock.ts'
import { labFrames, openTestAgent, recordingOutput } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()

async function judge(model: Model, frames: readonly Frame[], sight?: SightName) {
  const told: AlertMessage[] = []
  const agent = openTestAgent(model, directory(), {
    clock: manualClock(frames[0]!.index * 1000),
    outputs: [recordingOutput(told)],
    secretIds: false,
  })
  for (const frame of frames) await walk(agent.stages, frame, sight)
  const kept = agent.stages.buffer.readLast(frames.length)
  const alerts = told.map(({ id, kind, predicted, why, time }) => ({
    id,
    kind,
    predicted,
    why,
    time,
  }))
  await agent.close()
  return { alerts, kept }
}

const callsIn = (frames: readonly Frame[]) =>
  frames.reduce((sum, f) => sum + f.processes.reduce((n, _, i) => n + vectorTotal(f, i), 0), 0)

test('alerts are those of frames that never held the calls; the buffer holds them', async () => {
  const model = await openModelInUse(undefined, directory())
  // The miner's alert is in them.
  const frames = (await labFrames()).slice(0, 50)
  const thinned = frames.map((frame) => seenBy(frame, 'sysdig-0.29'))
  expect(callsIn(thinned)).toBeLessThan(callsIn(frames))
  const [whole, without] = [await judge(model, frames, 'sysdig-0.29'), await judge(model, thinned)]
  expect(without.alerts.length).toBeGreaterThan(0)
  expect(whole.alerts).toEqual(without.alerts)
  expect(callsIn(whole.kept)).toBe(callsIn(frames))
  await model.close()
}, 120_000)
