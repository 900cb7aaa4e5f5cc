import { describe, expect, test } from 'bun:test'
import type { Frame } from '../../../src/domain/frame.ts'
import { JUDGED_AGE_FRAMES } from '../../../src/domain/limits.ts'
import { Normaliser } from '../../../src/model/normalise.ts'
import { RECIPES } from '../../../src/model/recipe.ts'
import { Sequencer } from '../../../src/model/sequencer.ts'
import { Batches } from '../../../src/train/data/batches.ts'
import { chooseClasses, growClasses } from '../../../src/train/data/classes.ts'
import { componentVectors, makeWindows, vocabularyOf } from '../../../src/train/data/dataset.ts'
import type { Recording } from '../../../src/train/data/recording.ts'
import type { Happening } from '../../../src/train/data/scenarios.ts'
import {
  ALL_TRAIN,
  splitAtRandom,
  splitByTime,
  splitRecordings,
} from '../../../src/train/data/split.ts'
import { Random } from '../../../src/train/random.ts'
import { type Calls, frameOf } from '../../support/hand-frames.ts'

/** A process keeps its Process value over frames, as readers make it. */
function recordingOf(frames: readonly Frame[], host = 'h'): Recording {
  const known = new Map<string, Frame['processes'][number]>()
  const shared = frames.map((frame) => ({
    ...frame,
    processes: frame.processes.map((process) => {
      const key = `${process.pid}@${process.startMs} ${process.name}`
      if (!known.has(key)) known.set(key, process)
      return known.get(key)!
    }),
  }))
  return { file: 'f', sha256: '', host, frames: shared, vectors: 0, refusedLines: 0 }
}

const seconds = (from: number, to: number, vectors: (second: number) => Calls[]) =>
  Array.from({ length: to - from + 1 }, (_, i) => frameOf(from + i, vectors(from + i)))

describe('makeWindows()', () => {
  test.each([
    [10, 1],
    [10, 3],
    [4, 2],
  ])(
    'makes of a recording the very rows that the live sequencer makes: %d of %d s',
    (rowCount, frameSeconds) => {
      const random = new Random(4)
      const calls = ['read', 'write', 'openat', 'close', 'futex', 'mmap']
      const frames = seconds(1_000, 1_060, (t) =>
        [1, 2, 3, 4, 5]
          .filter(() => random.next() < 0.6)
          .map((pid) => ({
            pid,
            name: pid === 3 && t > 1_030 ? 'renamed' : `p${pid}`,
            startMs: pid === 5 && t > 1_040 ? 1_041_000 : 0,
            counts: Object.fromEntries(
              calls.filter(() => random.next() < 0.5).map((name) => [name, 1 + random.below(50)]),
            ),
          }))
          .filter(({ counts }) => Object.keys(counts).length > 0),
      )
      const windows = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [], {
        ageMin: JUDGED_AGE_FRAMES,
        frames: rowCount,
        frameSeconds,
      })
      const normaliser = new Normaliser(['other', ...calls], RECIPES.families!)
      const batches = new Batches(windows, componentVectors(windows, normaliser), normaliser)
      const sequencer = new Sequencer(normaliser, { sequenceFrames: rowCount, frameSeconds })
      const width = rowCount * normaliser.width
      let compared = 0
      for (const frame of frames) {
        const batch = sequencer.push(frame)
        for (const [row, { pid }] of batch.processes.entries()) {
          const id = windows.list.findIndex(
            (window) => window.second === frame.index && window.pid === pid,
          )
          expect(id).toBeGreaterThanOrEqual(0)
          const rows = new Float32Array(width)
          batches.sequences([id], rows)
          expect([...rows]).toEqual([...batch.rows.subarray(row * width, (row + 1) * width)])
          compared++
        }
      }
      expect(compared).toBe(windows.list.length)
      expect(compared).toBeGreaterThan(50)
    },
  )

  test('leaves out a name that its process bears for one second only', () => {
    const frames = seconds(0, 20, (t) => [
      { pid: 1, name: t === 12 ? 'sh' : 'nginx', counts: { read: 1 } },
    ])
    const windows = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [])
    expect(windows.list.map(({ second }) => second)).not.toContain(12)
    expect(new Set(windows.list.map(({ name }) => name))).toEqual(new Set(['nginx']))
  })

  test('makes malicious windows of a non-grata program itself, and none of what ran beside it', () => {
    const happening = (more: Partial<Happening>): Happening => ({
      from: 30,
      to: 50,
      host: 'h',
      kind: 'non-grata',
      scenario: 's',
      claimed: undefined,
      program: 'miner',
      names: new Set(['xmrig', 'idle']),
      pids: new Set([7, 8, 10]),
      ...more,
    })
    const frames = seconds(0, 80, () => [
      { pid: 1, name: 'nginx', counts: { read: 1 } },
      { pid: 7, name: 'xmrig', counts: { futex: 3 } },
      { pid: 8, name: 'timeout', counts: { wait4: 3 } },
      { pid: 9, name: 'masked', counts: { futex: 3 } },
      // Waits for something to do, as any program does: nothing to learn malice from.
      { pid: 10, name: 'idle', counts: { poll: 2 } },
    ])
    const masquerade = happening({
      kind: 'masquerade',
      pids: new Set([9]),
      names: new Set(['masked']),
    })
    const { list } = makeWindows([recordingOf(frames)], [happening({}), masquerade], ALL_TRAIN, [])
    const during = list.filter(({ second }) => second >= 30 && second <= 60)
    expect(new Set(during.map(({ name, malicious }) => `${name} ${malicious}`))).toEqual(
      new Set(['nginx false', 'miner true']),
    )
    expect(during.filter(({ malicious }) => malicious).map(({ second }) => second)).toEqual(
      Array.from({ length: 21 }, (_, i) => 30 + i),
    )
    expect(list.some(({ pid, second }) => pid === 9 && second === 70)).toBe(true) // 10 s after, it is itself again
  })

  test('adds up short-lived processes of one name where it is asked to', () => {
    const frames = seconds(0, 60, (t) => [
      { pid: 1, name: 'sh', counts: { read: 1 } },
      ...(t > 0
        ? [{ pid: 100 + t, name: 'jq', startMs: t * 1000, counts: { read: 2, write: 1 } }]
        : []),
    ])
    const alone = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [])
    expect(alone.list.filter(({ name }) => name === 'jq')).toEqual([])
    const grouped = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [], { groups: true })
    expect(grouped.list.filter(({ name, pid }) => name === 'jq' && pid < 0).length).toBeGreaterThan(
      30,
    )
  })
})

test('splitByTime() leaves a gap, and no window reaches over it', () => {
  const recording = recordingOf(seconds(0, 399, () => [{ pid: 1, counts: { read: 1 } }]))
  const split = splitByTime({ train: 0.5, calibration: 0.2 }, 10)
  expect(split.partOf(recording, 190, 199)).toBe('train')
  expect(split.partOf(recording, 191, 200)).toBeUndefined()
  expect(split.partOf(recording, 209, 218)).toBeUndefined()
  expect(split.partOf(recording, 210, 219)).toBe('calibration')
  expect(split.partOf(recording, 280, 289)).toBeUndefined()
  expect(split.partOf(recording, 290, 299)).toBe('test')
})

test('splitRecordings() divides long recordings by time, and gives short ones whole', () => {
  const of = (name: string, length: number) =>
    recordingOf(seconds(0, length - 1, () => [{ pid: 1, name, counts: { read: 1 } }]))
  const long = of('nginx', 1000)
  const traces = Array.from({ length: 8 }, () => of('jq', 40))
  const pair = [of('tar', 30), of('tar', 30)]
  const lone = of('sed', 40)
  const shares = { train: 0.85, calibration: 0.15 }
  const split = splitRecordings([long, ...traces, ...pair, lone], shares, 30)
  expect(split.partOf(long, 0, 9)).toBe('train')
  expect(split.partOf(long, 900, 909)).toBe('calibration')
  const parts = (recordings: readonly Recording[]) =>
    recordings.map((recording) => split.partOf(recording, 0, 9))
  expect(parts(traces)).toEqual([...Array(6).fill('train'), 'calibration', 'train'])
  expect(parts(pair)).toEqual(['train', 'calibration'])
  // By time alone every one of them would train, and nothing calibrate.
  expect(parts([lone])).toEqual(['train'])
  const byTime = splitByTime(shares, 30)
  const ends = [...traces, ...pair].map((trace) => {
    const end = trace.frames.length - 1
    return byTime.partOf(trace, end - 9, end)
  })
  expect(ends).not.toContain('calibration')
})

test('splitAtRandom() is the same for the same seed and near its share', () => {
  const recording = recordingOf(seconds(0, 9, () => []))
  const draw = (seed: number) => {
    const split = splitAtRandom(0.8, seed)
    return Array.from({ length: 1000 }, (_, i) => split.partOf(recording, i, i))
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(Math.abs(draw(3).filter((part) => part === 'train').length - 800)).toBeLessThan(50)
})

test('vocabularyOf() holds "other" and what occurs in the windows of those parts', () => {
  const frames = seconds(0, 12, () => [{ pid: 1, counts: { read: 1, close: 2 } }])
  const windows = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [])
  expect(vocabularyOf(windows, new Set(['train']))).toEqual(['other', 'read', 'close'])
  expect(vocabularyOf(windows, new Set(['test']))).toEqual(['other'])
})

const windowsOf = (name: string, count: number, malicious = false) =>
  Array.from({ length: count }, () => ({ name, malicious }) as never)

describe('chooseClasses()', () => {
  const of = windowsOf

  test('makes a class of each frequent name, one of the rare, one of each behaviour and unknown malicious program', () => {
    const training = [
      ...of('nginx', 9),
      ...of('cron', 5),
      ...of('tar', 2),
      ...of('xz', 1),
      ...of('bash', 3, true),
      ...of('pypty', 2, true),
      ...of('reverse-shell', 1, true),
      ...of('nc', 2, true),
      ...of('nginx', 1, true),
    ]
    const classes = chooseClasses(training, { windowsMin: 5 })
    expect(
      classes.list.map(({ name, malicious, behaviour, windows }) => [
        name,
        malicious,
        behaviour,
        windows,
      ]),
    ).toEqual([
      ['nginx', false, undefined, 9],
      ['cron', false, undefined, 5],
      ['other programs', false, undefined, 3],
      ['nginx (non-grata)', true, undefined, 1],
      ['reverse shell', true, 'reverse-shell', 6],
      ['use of a dual-use tool', false, 'tool-use', 2],
    ])
    expect(classes.of({ name: 'nginx', malicious: false })).toBe(0)
    expect(classes.of({ name: 'never seen', malicious: false })).toBe(2)
    expect(classes.of({ name: 'bash', malicious: true })).toBe(4)
    expect(classes.of({ name: 'ruby', malicious: true })).toBe(4)
    expect(classes.of({ name: 'nmap', malicious: true })).toBe(-1)
  })

  test('takes the most frequent where the paper asks for so many', () => {
    const training = [...of('a', 3), ...of('b', 9), ...of('c', 5)]
    const { list } = chooseClasses(training, { windowsMin: 1, most: 2, background: false })
    expect(list.map(({ name }) => name)).toEqual(['b', 'c'])
  })

  test('says what is missing where there are not two classes', () => {
    expect(() => chooseClasses(of('a', 300))).toThrow('here is only "a" (a class is a name with')
  })
})

describe('growClasses()', () => {
  const base = chooseClasses(
    [
      ...windowsOf('nginx', 9),
      ...windowsOf('cron', 5),
      ...windowsOf('tar', 2),
      ...windowsOf('xz', 1),
      ...windowsOf('bash', 3, true),
      ...windowsOf('worm', 3, true),
    ],
    { windowsMin: 5 },
  )

  test('keeps the classes of the base in their places and puts new ones after them', () => {
    const grown = growClasses(
      base.list,
      [
        ...windowsOf('billing', 6),
        ...windowsOf('cron', 1),
        ...windowsOf('rare', 4),
        ...windowsOf('worm', 2, true),
        ...windowsOf('ruby', 1, true),
        ...windowsOf('billing', 1, true),
        ...windowsOf('nmap', 2, true),
      ],
      { windowsMin: 5 },
    )
    expect(grown.added).toBe(3)
    expect(grown.list.map(({ name, malicious, windows }) => [name, malicious, windows])).toEqual([
      ['nginx', false, 9],
      ['cron', false, 6],
      ['other programs', false, 7],
      ['reverse shell', true, 4],
      ['worm', true, 5],
      ['billing', false, 6],
      ['network scan', true, 2],
      ['billing (non-grata)', true, 1],
    ])
    expect(grown.of({ name: 'billing', malicious: false })).toBe(5)
    expect(grown.of({ name: 'billing', malicious: true })).toBe(7)
    expect(grown.of({ name: 'bash', malicious: true })).toBe(3)
    expect(grown.of({ name: 'rare', malicious: false })).toBe(2)
    expect(grown.of({ name: 'hydra', malicious: true })).toBe(-1)
  })

  test('leaves out an ordinary program of the name of a malicious class, and says so', () => {
    const grown = growClasses(base.list, windowsOf('worm', 9), { windowsMin: 5 })
    expect(grown.clashing).toEqual(['worm'])
    expect(grown.added).toBe(0)
    expect(grown.of({ name: 'worm', malicious: false })).toBe(-1)
    expect(grown.of({ name: 'worm', malicious: true })).toBe(4)
  })
})

test('Batches.timeMajor() varies counts but keeps what was called, silent seconds silent, and shares summing to 1', () => {
  const frames = seconds(0, 9, (t) =>
    t === 4 ? [] : [{ pid: 1, counts: { read: 100, write: 50, close: 20 } }],
  )
  const windows = makeWindows([recordingOf(frames)], [], ALL_TRAIN, [])
  const normaliser = new Normaliser(['other', 'read', 'write', 'close'], RECIPES.frequency!)
  const batches = new Batches(windows, componentVectors(windows, normaliser), normaliser)
  const rows = new Float32Array(10 * 4)
  const vary = { share: 1, scaleSpread: 0.5, dropCall: 0, quietMax: 8 }
  batches.timeMajor([0], 1, rows, vary, new Random(1))
  for (let t = 0; t < 10; t++) {
    const row = rows.subarray(t * 4, t * 4 + 4)
    expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(t === 4 ? 0 : 1, 5)
    expect(row[0]).toBe(0)
  }
  expect(rows[1]).not.toBe(rows[5]) // two seconds with the same counts, drawn apart
  const bySequence = new Float32Array(10 * 4)
  batches.sequences([0], bySequence, vary, new Random(1))
  expect(bySequence).toEqual(rows)
})
