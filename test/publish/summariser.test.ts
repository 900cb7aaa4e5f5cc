import { describe, expect, test } from 'bun:test'
import { SUMMARY_BYTES_MAX, SUMMARY_PROCESSES_MAX } from '../../src/domain/limits.ts'
import { NOT_KNOWN, type Predictions } from '../../src/domain/prediction.ts'
import type { Summary } from '../../src/domain/summary.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'
import { encodeWithin, mergeSummaries } from '../../src/publish/fit-summary.ts'
import { type Gauges, phaseOf, Summariser } from '../../src/publish/summariser.ts'
import { readSummaryHead } from '../../src/wire/summary-head.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { madeFrame } from '../support/frames.ts'
import { sampleOrigin, sampleSummary } from '../wire/samples.ts'

const quiet: Gauges = {
  dropped: {},
  alertsOpen: 0,
  cpuSeconds: 0,
  rssBytes: 0,
  lagMs: 0,
  outboxRows: 0,
}
const read = syscallIndexOf('read')!
const write = syscallIndexOf('write')!

function summariser(options: Partial<ConstructorParameters<typeof Summariser>[0]> = {}) {
  return new Summariser({ site: 'lab', host: 'h', gauges: () => quiet, ...options })
}

/** One process, some reads and writes. */
function frameOf(index: number, name: string, reads: number, writes = 0, pid = 7) {
  const calls = [[read, reads] as const, [write, writes] as const].filter(([, count]) => count > 0)
  return {
    index,
    processes: [{ pid, startMs: 5_000, name }],
    offsets: Uint32Array.of(0, calls.length),
    syscalls: Uint16Array.from(calls, ([syscall]) => syscall),
    counts: Uint32Array.from(calls, ([, count]) => count),
    lost: 0,
  }
}

function predictionOf(index: number, classIndex: number, confidence: number): Predictions {
  const probabilities = new Float32Array(3).fill((1 - confidence) / 2)
  probabilities[classIndex] = confidence
  return {
    frameIndex: index,
    processes: [{ pid: 7, startMs: 5_000, name: 'x' }],
    probabilities,
    states: new Float32Array(0),
    classCount: 3,
    stateSize: 0,
    activeFrames: Uint8Array.of(10),
    incomplete: Uint8Array.of(0),
  }
}

describe('Summariser.push()', () => {
  test('gives one summary a minute, at a phase of the host, with nothing missing and nothing twice', () => {
    const phases = new Set<number>()
    for (const host of ['a', 'b', 'c', 'd', 'e']) {
      const one = summariser({ host })
      const made: Summary[] = []
      for (let t = 1_000; t < 1_400; t++) {
        const summary = one.push(frameOf(t, 'x', 1))
        if (summary !== undefined) made.push(summary)
      }
      made.push(one.end()!)
      expect(made[0]?.from).toBe(1_000)
      for (const [i, { from, to, calls }] of made.entries()) {
        expect(calls).toBe(to - from + 1)
        if (i > 0) expect(from).toBe(made[i - 1]!.to + 1)
        if (i > 0 && i < made.length - 1) expect(to - from).toBe(59)
      }
      expect(made[1]!.from % 60).toBe(phaseOf('lab', host, 60))
      phases.add(made[1]!.from % 60)
    }
    expect(phases.size).toBeGreaterThan(2)
  })

  test('counts seconds, calls and the most frequent calls of each process', () => {
    const one = summariser()
    one.push(frameOf(60, 'x', 90, 20))
    one.push(frameOf(61, 'x', 10))
    const { syscalls, processes, calls } = one.end()!
    expect(calls).toBe(120)
    expect(processes).toEqual([
      {
        pid: 7,
        start: 5,
        name: 'x',
        active: 2,
        calls: 120,
        top: [
          [0, 100],
          [1, 20],
        ],
      },
    ])
    expect(syscalls).toEqual(['read', 'write'])
  })

  test('leaves out calls that are less than a tenth', () => {
    const one = summariser()
    one.push(frameOf(60, 'x', 1_000, 20))
    expect(one.end()!.processes[0]!.top).toEqual([[0, 1_000]])
  })

  test('keeps the names of a process that renames itself apart', () => {
    const one = summariser()
    one.push(frameOf(60, 'bash', 3))
    one.push(frameOf(61, 'nginx', 5))
    expect(one.end()!.processes.map(({ name, calls }) => [name, calls])).toEqual([
      ['nginx', 5],
      ['bash', 3],
    ])
  })

  test('a process that goes back to a former name has one row for it, in each span anew', () => {
    const one = summariser()
    const rows = (summary: Summary | undefined) =>
      summary!.processes.map(({ name, calls, active }) => [name, calls, active])
    const names = ['bash', 'nginx', 'bash', 'nginx']
    for (const [i, name] of names.entries()) one.push(frameOf(60 + i, name, 1 + i))
    expect(rows(one.end())).toEqual([
      ['nginx', 6, 2],
      ['bash', 4, 2],
    ])
    one.push(frameOf(120, 'nginx', 9))
    one.push(frameOf(121, 'bash', 1))
    expect(rows(one.end())).toEqual([
      ['nginx', 9, 1],
      ['bash', 1, 1],
    ])
  })

  test('of more processes than a message could hold the busiest are kept, the rest counted', () => {
    const one = summariser()
    const most = SUMMARY_PROCESSES_MAX
    one.push(madeFrame(60, { processes: most + 64 }))
    const summary = one.end()!
    expect(summary.processes).toHaveLength(most)
    expect(summary.processesOmitted).toBe(64)
    const calls = summary.processes.map((process) => process.calls)
    expect(calls).toEqual([...calls].sort((a, b) => b - a))
  })

  test('says which class a process was most often, and how surely', () => {
    const one = summariser({ classNames: ['a', 'b', 'c'] })
    one.push(frameOf(60, 'x', 1), predictionOf(60, 1, 0.5))
    one.push(frameOf(61, 'x', 1), predictionOf(61, 2, 0.9))
    one.push(frameOf(62, 'x', 1), predictionOf(62, 2, 0.7))
    const [process] = one.end()!.processes
    expect(process?.class).toBe('c')
    expect(process?.confidence).toBeCloseTo(0.8)
  })

  test('names no class where most windows are like none', () => {
    const one = summariser({ classNames: ['a', 'b', 'c'] })
    const unknown = { known: Uint8Array.of(0) }
    one.push(frameOf(60, 'x', 1), { ...predictionOf(60, 1, 0.9), ...unknown })
    one.push(frameOf(61, 'x', 1), { ...predictionOf(61, 2, 0.9), ...unknown })
    one.push(frameOf(62, 'x', 1), predictionOf(62, 2, 0.7))
    const [process] = one.end()!.processes
    expect(process?.class).toBe(NOT_KNOWN)
    expect(process?.confidence).toBeUndefined()
  })

  test('gives what was dropped and spent within the span, not since the start', () => {
    let gauges: Gauges = { ...quiet, dropped: { late: 5 }, cpuSeconds: 2 }
    const one = summariser({ gauges: () => gauges })
    one.push(frameOf(60, 'x', 1))
    expect(one.end()).toMatchObject({ dropped: { late: 5 }, agent: { cpuSeconds: 2 } })
    gauges = { ...quiet, dropped: { late: 5, malformed: 1 }, cpuSeconds: 3 }
    one.push(frameOf(120, 'x', 1))
    expect(one.end()).toMatchObject({ dropped: { malformed: 1 }, agent: { cpuSeconds: 1 } })
  })

  test('says which seconds of the span were not judged, and nothing where all were', () => {
    let gauges: Gauges = { ...quiet, unjudged: {} }
    const one = summariser({ gauges: () => gauges })
    one.push(frameOf(60, 'x', 1))
    const quietOne = one.end()!
    expect(quietOne).not.toHaveProperty('unjudged')
    gauges = { ...quiet, unjudged: { error: 2 } }
    one.push(frameOf(120, 'x', 1))
    const first = one.end()!
    expect(first.unjudged).toEqual({ error: 2 })
    gauges = { ...quiet, unjudged: { error: 3, 'clock-set': 9 } }
    one.push(frameOf(180, 'x', 1))
    const second = one.end()!
    expect(second.unjudged).toEqual({ error: 1, 'clock-set': 9 })
    expect(mergeSummaries(first, second).unjudged).toEqual({ error: 3, 'clock-set': 9 })
    expect(mergeSummaries(quietOne, first).unjudged).toEqual({ error: 2 })
    const decoded = decodeSummary(encodeSummary(second, sampleOrigin))
    expect(decoded).toMatchObject({ ok: true, value: { unjudged: second.unjudged } })
  })

  test('says what is not told: alerts that were held, and windows that were blind', () => {
    let gauges: Gauges = { ...quiet, missed: { 'alerts-held': 0, 'windows-blind': 0 } }
    const one = summariser({ gauges: () => gauges })
    one.push(frameOf(60, 'x', 1))
    expect(one.end()!).not.toHaveProperty('missed')
    gauges = { ...quiet, missed: { 'alerts-held': 75, 'windows-blind': 0 } }
    one.push(frameOf(120, 'x', 1))
    const first = one.end()!
    expect(first.missed).toEqual({ 'alerts-held': 75 })
    gauges = { ...quiet, missed: { 'alerts-held': 80, 'windows-blind': 300 } }
    one.push(frameOf(180, 'x', 1))
    const second = one.end()!
    expect(mergeSummaries(first, second).missed).toEqual({
      'alerts-held': 80,
      'windows-blind': 300,
    })
    const payload = encodeSummary(second, sampleOrigin)
    for (const decoded of [decodeSummary(payload), readSummaryHead(payload)])
      expect(decoded).toMatchObject({ ok: true, value: { missed: second.missed } })
  })

  test('a clock that is set back begins a span anew', () => {
    const one = summariser()
    one.push(frameOf(100, 'x', 1))
    const before = one.push(frameOf(70, 'x', 1))
    expect(before).toMatchObject({ from: 100, to: 100 })
    expect(one.end()).toMatchObject({ from: 70, to: 70 })
  })

  test('says for how long less was judged in the span, and nothing where all was', () => {
    let gauges: Gauges = { ...quiet, reduced: { seconds: [0, 0, 0], windows: 0 } }
    const one = summariser({ gauges: () => gauges })
    one.push(frameOf(60, 'x', 1))
    expect(one.end()!.agent).not.toHaveProperty('reduced')
    gauges = { ...quiet, reduced: { seconds: [7, 3, 0], windows: 40 } }
    one.push(frameOf(120, 'x', 1))
    const first = one.end()!
    expect(first.agent.reduced).toEqual({ seconds: [7, 3, 0], windows: 40 })
    gauges = { ...quiet, reduced: { seconds: [7, 5, 0], windows: 50 } }
    one.push(frameOf(180, 'x', 1))
    const second = one.end()!
    expect(second.agent.reduced).toEqual({ seconds: [0, 2, 0], windows: 10 })
    expect(mergeSummaries(first, second).agent.reduced).toEqual({ seconds: [7, 5, 0], windows: 50 })
    one.push(frameOf(240, 'x', 1))
    expect(one.end()!.agent).not.toHaveProperty('reduced')
  })

  test('follows a clock that jumps a day, forward and back', () => {
    const one = summariser()
    expect(one.push(frameOf(1_000_000, 'x', 1))).toBeUndefined()
    expect(one.push(frameOf(1_086_400, 'x', 1))).toMatchObject({ from: 1_000_000, to: 1_000_000 })
    expect(one.push(frameOf(1_000_000, 'x', 1))).toMatchObject({ from: 1_086_400, to: 1_086_400 })
  })

  test('holds no more processes than its bound, and says how many vectors it left out', () => {
    const one = summariser({ processesMax: 2 })
    one.push(madeFrame(60, { processes: 5 }))
    const summary = one.end()!
    expect(summary.processes).toHaveLength(2)
    expect(summary.processesOmitted).toBe(3)
  })

  test('end() gives nothing where nothing came', () => {
    expect(summariser().end()).toBeUndefined()
  })
})

describe('encodeWithin()', () => {
  const crowd = (processCount: number): Summary => {
    const one = summariser()
    one.push(madeFrame(60, { processes: processCount, calls: 3 }))
    return one.end()!
  }

  test('drops the least busy until the message fits, and counts them', () => {
    const summary = crowd(3_000)
    const payload = encodeWithin(summary, sampleOrigin)
    expect(payload.byteLength).toBeLessThanOrEqual(SUMMARY_BYTES_MAX)
    expect(payload.byteLength).toBeGreaterThan(SUMMARY_BYTES_MAX * 0.95)
    const decoded = decodeSummary(payload)
    if (!decoded.ok) throw new Error(decoded.reason)
    const { processes, processesOmitted, calls } = decoded.value
    expect(processes.length + processesOmitted).toBe(3_000)
    expect(calls).toBe(summary.calls)
    const busiest = summary.processes.slice(0, processes.length).map(({ pid }) => pid)
    expect(processes.map(({ pid }) => pid)).toEqual(busiest)
  })

  test('among equally busy ones the higher pids go first, whatever their order', () => {
    const summary = crowd(3_000)
    const even = summary.processes.map((process) => ({ ...process, calls: 5 }))
    const pidsOf = (processes: Summary['processes']) => {
      const decoded = decodeSummary(encodeWithin({ ...summary, processes }, sampleOrigin))
      if (!decoded.ok) throw new Error(decoded.reason)
      return decoded.value.processes.map(({ pid }) => pid)
    }
    const kept = pidsOf(even)
    expect(pidsOf(even.toReversed())).toEqual(kept)
    const pids = even.map(({ pid }) => pid).sort((a, b) => a - b)
    expect(kept).toEqual(pids.slice(0, kept.length))
  })

  test('leaves a small summary whole', () => {
    const decoded = decodeSummary(encodeWithin(crowd(20), sampleOrigin))
    expect(decoded).toMatchObject({ ok: true, value: { processesOmitted: 0 } })
  })

  test('fits even where drop reasons are without number', () => {
    const dropped = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`reason-${i}`, 1]))
    const payload = encodeWithin({ ...sampleSummary, dropped }, sampleOrigin)
    const decoded = decodeSummary(payload)
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(Object.values(decoded.value.dropped).reduce((a, b) => a + b, 0)).toBe(5_000)
  })
})

test('mergeSummaries() adds what is a count, keeps what is a state', () => {
  const first = { ...sampleSummary, syscalls: ['read', 'write', 'poll'] }
  const second = { ...sampleSummary, from: 1_700_000_060, to: 1_700_000_119, alertsOpen: 0 }
  const merged = mergeSummaries(first, second)
  expect(merged).toMatchObject({
    from: 1_700_000_000,
    to: 1_700_000_119,
    calls: 24_800,
    alertsOpen: 0,
    dropped: { late: 4, 'lost(sysdig)': 20 },
    agent: { cpuSeconds: 0.5, rssBytes: 90_000_000 },
  })
  const [nginx] = merged.processes
  expect(nginx).toMatchObject({ pid: 812, active: 116, calls: 24_690, class: 'nginx' })
  // The same index meant `poll` in the first and `epoll_wait` in the second.
  expect(nginx?.top.map(([at, count]) => [merged.syscalls[at], count])).toEqual([
    ['read', 8_000],
    ['poll', 8_000],
    ['epoll_wait', 8_000],
  ])
})
