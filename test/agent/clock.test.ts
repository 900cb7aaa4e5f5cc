/**
 * The clock of a live host is stepped while the agent runs, between two runs of one state
 * directory, and both. Nothing ends the agent, every call is counted under the time that the clock
 * then showed, and judging goes on within a sequence.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { runAgent } from '../../src/agent/run.ts'
import type { Source } from '../../src/domain/source.ts'
import type { Model } from '../../src/model/model.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { openTestAgent } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

setDefaultTimeout(60_000)
const directory = temporaryDirectories()
const T = 1_800_000_000
const PROCESSES = 5
let model: Model

beforeAll(async () => {
  model = await openModelInUse(undefined, directory())
})
afterAll(() => model.close())

/** A live host's seconds: so many under each time that the clock shows. */
function host(
  clock: ManualClock,
  spans: readonly (readonly [from: number, count: number])[],
): Source {
  const line = (t: number, pid: number) =>
    `{"t":${t},"pid":${pid},"start":${T - 999},"name":"init","counts":{"read":3,"openat":1}}`
  return {
    ...{ name: 'kernel', format: 'frames', live: true, wholeSeconds: true },
    async *read() {
      for (const [from, count] of spans)
        for (let t = from; t < from + count; t++) {
          clock.set(t * 1000)
          clock.advance(1000)
          const lines = Array.from({ length: PROCESSES }, (_, i) => line(t, 10 + i))
          yield new TextEncoder().encode(`${lines.join('\n')}\n`)
        }
    },
  }
}

const SECONDS = 40

async function run(state: string, spans: readonly (readonly [number, number])[]) {
  const clock = manualClock(spans[0]![0] * 1000)
  const counter = { latenessMs: 0, followsClock: true }
  const agent = openTestAgent(model, state, { clock, counter })
  const { status, error } = await runAgent(
    agent,
    [host(clock, spans)],
    {},
    new AbortController().signal,
  )
  const span = agent.stages.buffer.span()
  await agent.close()
  const calls = spans.reduce((sum, [, count]) => sum + count, 0) * PROCESSES * 4
  expect(error).toBeUndefined()
  expect(status.unjudged.error).toBeUndefined()
  expect(status.observed.calls).toBe(calls)
  expect(status.counted).toBe(calls)
  return { status, span }
}

const steps = [
  ['ten minutes back', -600],
  ['ten minutes ahead', 600],
  ['a day back', -86_400],
  ['a day ahead', 86_400],
] as const

describe.each(steps)('a clock that is set %s', (_, by) => {
  test('while the agent runs', async () => {
    const { status, span } = await run(directory(), [
      [T, SECONDS],
      [T + SECONDS + by, SECONDS],
    ])
    expect(status.observed.frames).toBe(2 * SECONDS)
    expect(status.lastFrame).toBe(T + SECONDS + by + SECONDS - 1)
    expect(status.unjudged).toEqual({ 'clock-set': 9 })
    // Each span has its first nine seconds without a whole sequence.
    expect(status.detection.judged).toBe(2 * (SECONDS - 9) * PROCESSES)
    expect(span?.to).toBe(status.lastFrame)
  })

  test('and put right again', async () => {
    const { status, span } = await run(directory(), [
      [T, SECONDS],
      [T + SECONDS + by, SECONDS],
      [T + 2 * SECONDS, SECONDS],
    ])
    expect(status.lastFrame).toBe(T + 3 * SECONDS - 1)
    expect(status.unjudged).toEqual({ 'clock-set': 18 })
    expect(status.detection.judged).toBe(3 * (SECONDS - 9) * PROCESSES)
    expect(span?.to).toBe(status.lastFrame)
  })

  test('between two runs, and during the first of them', async () => {
    const state = directory()
    await run(state, [
      [T, SECONDS],
      [T + SECONDS + by, SECONDS],
    ])
    const { status, span } = await run(state, [[T + 2 * SECONDS, SECONDS]])
    expect(status.observed.frames).toBe(SECONDS)
    expect(status.detection.judged).toBe((SECONDS - 9) * PROCESSES)
    expect(status.detection.memory.names).toBe(1)
    expect(span?.to).toBe(status.lastFrame)
    // A third run, after a short restart, takes its first sequence from the buffer.
    const third = await run(state, [[T + 3 * SECONDS, SECONDS]])
    expect(third.status.detection.judged).toBe(SECONDS * PROCESSES)
  })
})

test.each([5, 30, 59])('a clock that is set %d seconds back is followed, and told', async (by) => {
  const state = directory()
  const back = T + SECONDS - by
  const { status } = await run(state, [
    [T, SECONDS],
    [back, SECONDS],
  ])
  expect(status.lastFrame).toBe(back + SECONDS - 1)
  expect(status.unjudged).toEqual({ 'clock-set': 9 })
  expect(status.detection.judged).toBe(2 * (SECONDS - 9) * PROCESSES)
  // The next run goes on where the clock is, in seconds that the first one had, too.
  const next = await run(state, [[back + SECONDS, SECONDS]])
  expect(next.status.lastFrame).toBe(back + 2 * SECONDS - 1)
  expect(next.status.detection.judged).toBe(SECONDS * PROCESSES)
})

test('what was learnt while the clock was ahead is not from the future when it is put right', async () => {
  const state = directory()
  await run(state, [[T + 86_400, SECONDS]])
  const { status } = await run(state, [[T, SECONDS]])
  expect(status.detection.memory.since).toBeLessThanOrEqual(T)
  expect(status.detection.learningUntil).toBeLessThanOrEqual(T)
})
