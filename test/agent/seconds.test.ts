/**
 * A second is the unit of failure: the queue alone, then the whole pipeline with a fault in each
 * stage in turn.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Agent } from '../../src/agent/agent.ts'
import { runAgent } from '../../src/agent/run.ts'
import { Seconds, type SecondsLedger } from '../../src/agent/seconds.ts'
import { memorySource } from '../../src/collect/memory.ts'
import type { AgentError } from '../../src/domain/error.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { FRAME_PROCESSES_MAX } from '../../src/domain/limits.ts'
import type { Source } from '../../src/domain/source.ts'
import type { Model } from '../../src/model/model.ts'
import { openModelInUse } from '../../src/operate/models.ts'
import { createLog, type Log } from '../../src/platform/log.ts'
import { decodeSummary } from '../../src/wire/summary-message.ts'
import { manualClock } from '../support/clock.ts'
import { frameOf } from '../support/hand-frames.ts'
import { LAB, openTestAgent } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

setDefaultTimeout(60_000)
const directory = temporaryDirectories()
const T = 1_800_000_000

function queue(handle: (frame: Frame) => Promise<void>, failedMax = 3) {
  const process = async (frame: Frame) => {
    await handle(frame)
    return undefined
  }
  const ledger: SecondsLedger = { frames: 0, lastFrame: 0, unjudged: {} }
  const lines: string[] = []
  const log: Log = createLog({ write: (line) => lines.push(line) })
  const clock = manualClock()
  const givenUp: AgentError[] = []
  const onGivenUp = (error: AgentError) => void givenUp.push(error)
  const seconds = new Seconds({ process, ledger, clock, log, failedMax, onGivenUp })
  return { seconds, ledger, lines, clock, givenUp }
}

const frames = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => frameOf(from + i, []))

describe('Seconds', () => {
  test('of an interrupted replay are counted and not judged', async () => {
    const ledger: SecondsLedger = { frames: 0, lastFrame: 0, unjudged: {} }
    let interrupted = false
    const seconds = new Seconds({
      process: async ({ index }) => {
        interrupted = index === T + 1
        return undefined
      },
      ledger,
      clock: manualClock(),
      isInterrupted: () => interrupted,
    })
    await seconds.add(frames(T, 5))
    expect(ledger).toEqual({ frames: 5, lastFrame: T + 1, unjudged: { interrupted: 3 } })
  })

  test('are processed one after the other, whoever closed them', async () => {
    const begun: number[] = []
    let under = 0
    const { seconds, ledger } = queue(async ({ index }) => {
      expect(++under).toBe(1)
      begun.push(index)
      await Bun.sleep(1)
      under--
    })
    const first = seconds.add(frames(1, 3))
    expect(seconds.isIdle).toBe(false)
    const second = seconds.add(frames(4, 2))
    await Promise.all([first, second])
    expect(begun).toEqual([1, 2, 3, 4, 5])
    expect(seconds.isIdle).toBe(true)
    expect(ledger).toEqual({ frames: 5, lastFrame: 5, unjudged: {} })
  })

  test('one that throws is counted and told, and the next is processed', async () => {
    const done: number[] = []
    const { seconds, ledger, lines, clock, givenUp } = queue(async ({ index }) => {
      if (index % 2 === 0) throw new TypeError('mean.length')
      done.push(index)
    })
    await seconds.add(frames(1, 10))
    expect(done).toEqual([1, 3, 5, 7, 9])
    expect(ledger).toEqual({ frames: 10, lastFrame: 10, unjudged: { error: 5 } })
    expect(givenUp).toEqual([])
    // Once a minute, with the place.
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('mean.length')
    expect(lines[0]).toContain('seconds.test.ts')
    clock.advance(60_000)
    await seconds.add(frames(12, 1))
    expect(lines).toHaveLength(2)
  })

  test('only many in a row are too many, and that is said once', async () => {
    let fails = true
    const { seconds, ledger, givenUp } = queue(async () => {
      if (fails) throw new Error('always')
    })
    await seconds.add(frames(1, 2))
    fails = false
    await seconds.add(frames(3, 1))
    fails = true
    await seconds.add(frames(4, 2))
    expect(givenUp).toEqual([])
    await seconds.add(frames(6, 2))
    expect(givenUp).toMatchObject([{ code: 'ERR_PIPELINE', exitCode: 12 }])
    expect(ledger.unjudged).toEqual({ error: 6 })
  })

  test('those without a whole sequence since the clock was set are counted and told', async () => {
    const { seconds, ledger, lines } = queue(async () => {})
    await seconds.add([...frames(100, 5), { ...frameOf(50, []), clockSetSeconds: -55 }])
    await seconds.add(frames(51, 20))
    expect(ledger.unjudged).toEqual({ 'clock-set': 9 })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('seconds=-55')
  })
})

describe('a fault in one stage', () => {
  let model: Model
  let recording: Uint8Array
  beforeAll(async () => {
    model = await openModelInUse(undefined, directory())
    recording = Bun.zstdDecompressSync(await Bun.file(LAB).bytes())
  })
  afterAll(() => model.close())

  /** Runs the recording; `inject` changes a stage before. */
  async function run(inject: (agent: Agent) => void, source?: Source) {
    const state = directory()
    const agent = openTestAgent(model, state, { resume: false, broker: 'mqtt://127.0.0.1:1' })
    Object.assign(agent, { publisher: undefined })
    inject(agent)
    const from = source ?? memorySource(recording, 'frames', 16_384)
    const { status, error } = await runAgent(agent, [from], {}, new AbortController().signal)
    const summaries = agent.outbox.take(999, ['summary']).map(({ payload }) => {
      const decoded = decodeSummary(payload)
      if (!decoded.ok) throw new Error(decoded.reason)
      return decoded.value
    })
    const alerts = agent.local.alerts.list()
    await agent.close()
    return { status, error, summaries, alerts }
  }

  /** The k-th call of a method of a stage throws. */
  function throwing(stage: keyof Agent['stages'], method: string, k: number, forGood = false) {
    return ({ stages }: Agent) => {
      const target = stages[stage] as unknown as Record<string, (...args: unknown[]) => unknown>
      const real = target[method]!.bind(target)
      let calls = 0
      target[method] = (...args) => {
        calls++
        if (calls === k || (forGood && calls > k)) throw new Error(`seeded in ${stage}`)
        return real(...args)
      }
    }
  }

  const expectBooksToClose = ({ status, summaries, alerts }: Awaited<ReturnType<typeof run>>) => {
    const dropped = Object.values(status.dropped).reduce((sum, count) => sum + count, 0)
    expect(status.observed.calls).toBe(status.counted + dropped)
    expect(status.observed.frames).toBe(99)
    const { opened, open, closed } = status.detection.alerts
    expect({ opened, open }).toEqual({ opened: closed, open: 0 })
    expect(alerts.map(({ state }) => state)).toEqual(alerts.map(() => 'closed'))
    expect(alerts.length).toBe(opened)
    const told = summaries.reduce((sum, { unjudged }) => sum + (unjudged?.error ?? 0), 0)
    expect(told).toBe(status.unjudged.error ?? 0)
  }

  const SECOND = 31
  test.each([
    ['buffer', 'append'],
    ['governor', 'selection'],
    ['shortLives', 'push'],
    ['sequencer', 'push'],
    ['classifier', 'predict'],
    ['detector', 'push'],
    ['explainer', 'explain'],
    ['live', 'push'],
    ['summariser', 'push'],
  ] as const)(
    'of %s costs one second: the agent goes on, and its ledger balances',
    async (stage, method) => {
      const outcome = await run(throwing(stage, method, SECOND))
      expect(outcome.error).toBeUndefined()
      expect(outcome.status.unjudged).toEqual({ error: 1 })
      expectBooksToClose(outcome)
      // What comes after the second is judged: the masquerade is found.
      const names = outcome.alerts.map(({ process }) => process.name)
      expect(names).toContain('nginx')
      const calls = outcome.summaries.reduce((sum, summary) => sum + summary.calls, 0)
      if (stage !== 'summariser') expect(calls).toBe(outcome.status.counted)
    },
  )

  test('an output that fails costs its messages, and not the second', async () => {
    const agent = (of: Agent) => {
      of.outbox.put = () => {
        throw new Error('seeded in outbox')
      }
    }
    const { status, alerts } = await run(agent)
    expect(status.unjudged).toEqual({})
    expect(status.outputs.outbox!.refused.error).toBeGreaterThan(0)
    expect(alerts.length).toBe(status.detection.alerts.opened)
  })

  test('an alert that was raised before the fault is told all the same', async () => {
    const whole = await run(() => {})
    for (const [stage, method] of [
      ['explainer', 'explain'],
      ['live', 'push'],
    ] as const) {
      const outcome = await run((agent) => {
        const { detector } = agent.stages
        const real = detector.push.bind(detector)
        let raised = false
        detector.push = (predictions) => {
          const alerts = real(predictions)
          raised ||= alerts.length > 0
          return alerts
        }
        const target = agent.stages[stage] as unknown as Record<
          string,
          (...a: unknown[]) => unknown
        >
        const push = target[method]!.bind(target)
        let thrown = false
        target[method] = (...args) => {
          if (raised && !thrown) {
            thrown = true
            throw new Error('seeded')
          }
          return push(...args)
        }
      })
      const causes = ({ alerts }: typeof whole) =>
        alerts.map(({ kind, process }) => `${kind} ${process.pid}`).sort()
      expect(causes(outcome)).toEqual(causes(whole))
      expect(outcome.status.unjudged).toEqual({ error: 1 })
    }
  })

  test('that does not go away ends the agent with a code of its own', async () => {
    const { status, error } = await run(throwing('classifier', 'predict', 12, true))
    expect(error).toMatchObject({ code: 'ERR_PIPELINE', exitCode: 12 })
    expect(status.unjudged.error).toBeGreaterThanOrEqual(30)
    const { malformed = 0 } = status.dropped
    expect(status.observed.calls).toBe(status.counted + malformed)
  })

  test.each([FRAME_PROCESSES_MAX, FRAME_PROCESSES_MAX + 616])(
    '%d processes in each of three seconds go through the whole pipeline',
    async (processes) => {
      const lines: string[] = []
      const line = (t: number, pid: number, name: string) =>
        `{"t":${t},"pid":${pid},"name":"${name}","counts":{"read":3}}`
      for (let i = 0; i < 5; i++) lines.push(line(T, 10 + i, 'init'))
      for (let t = T + 1; t < T + 4; t++)
        for (let p = 0; p < processes; p++) lines.push(line(t, 100 + p, 'bomb'))
      for (let t = T + 4; t < T + 20; t++) lines.push(line(t, 10, 'init'))
      const bytes = new TextEncoder().encode(`${lines.join('\n')}\n`)
      const { status, error } = await run(() => {}, memorySource(bytes, 'frames'))
      expect(error).toBeUndefined()
      expect(status.unjudged).toEqual({})
      expect(status.observed.frames).toBe(20)
      const cut = 3 * 3 * Math.max(0, processes - FRAME_PROCESSES_MAX)
      expect(status.dropped).toEqual(cut === 0 ? {} : { processes: cut })
      expect(status.observed.calls).toBe(status.counted + cut)
    },
  )
})
