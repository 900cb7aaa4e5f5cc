/**
 * The paper's tables and its Fig. 5: figures worked by hand, and a small made-up laboratory through
 * all six models.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CompareOptions,
  type CompareProgress,
  type Comparison,
  type ComparisonTable,
  compare,
  MODELS,
  meanAndDeviation,
} from '../../src/compare/compare.ts'
import { dataFiguresOf } from '../../src/compare/compare-data.ts'
import {
  comparisonJson,
  comparisonMarkdown,
  comparisonSvg,
  histogramSvg,
} from '../../src/compare/comparison-report.ts'
import { RECIPES } from '../../src/model/recipe.ts'
import { type Recording, readRecordings } from '../../src/train/data/recording.ts'
import { Random } from '../../src/train/random.ts'

/** Some seconds of CPU each, and a busy machine has little of it. */
setDefaultTimeout(120_000)

const directory = await mkdtemp(join(tmpdir(), 'compare-'))
afterAll(() => rm(directory, { recursive: true }))

async function recordingsOf(name: string, lines: readonly object[]): Promise<Recording[]> {
  const path = join(directory, name)
  await writeFile(path, `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`)
  return readRecordings([path])
}

/** Four programs with habits of their own on one host. */
function laboratory(name: string, seconds: number, seed: number): Promise<Recording[]> {
  const random = new Random(seed)
  const habits = [
    ['nginx', ['epoll_wait', 'accept4', 'read', 'write', 'close']],
    ['redis', ['epoll_wait', 'read', 'write']],
    ['cron', ['clock_nanosleep', 'newfstatat']],
    ['postgres', ['epoll_wait', 'pread64', 'lseek', 'recvfrom', 'sendto']],
  ] as const
  const lines: object[] = []
  for (let t = 0; t < seconds; t++)
    for (const [i, [program, calls]] of habits.entries()) {
      if (random.next() < 0.2) continue
      const counts = Object.fromEntries(calls.map((call) => [call, 1 + random.below(20)]))
      lines.push({ t: 1_000 + t, host: 'h', pid: 10 + i, start: 900, name: program, counts })
    }
  return recordingsOf(name, lines)
}

const options: CompareOptions = {
  splits: ['time', 'random'],
  models: MODELS.map(({ key }) => key),
  runs: 2,
  recipe: RECIPES.frequency!,
  classes: 4,
  windowsMin: 2,
  epochs: 6,
  stride: 3,
}

describe('compare()', () => {
  test('gives both splits their six rows; what has one optimum is trained once', async () => {
    const progress: CompareProgress[] = []
    let clock = 0
    const comparison = await compare(
      await laboratory('a.ndjson', 300, 1),
      [],
      options,
      () => clock++,
      (line) => progress.push(line),
    )
    expect(comparison.splits.map(({ split }) => split)).toEqual(['time', 'random'])
    for (const { rows, classes, trainBlocks, testBlocks } of comparison.splits) {
      expect(rows.map(({ model }) => model)).toEqual(MODELS.map(({ model }) => model))
      expect(rows.map(({ trainings }) => trainings)).toEqual([1, 1, 2, 2, 2, 2])
      for (const { precision, recall, seconds } of rows) {
        expect(precision.mean).toBeGreaterThan(0.8)
        expect(recall.mean).toBeGreaterThan(0.8)
        // The clock is read before and after a training, not around its test.
        expect(seconds).toBe(1)
      }
      expect(classes).toBe(4)
      // A fifth tests; by time, a gap and the blocks that reach over it are nobody's.
      expect(Math.abs(trainBlocks / (trainBlocks + testBlocks) - 0.8)).toBeLessThan(0.1)
    }
    expect(comparison.rows).toEqual(comparison.splits[0]!.rows)
    expect(progress.map(({ done }) => done)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(new Set(progress.map(({ of }) => of))).toEqual(new Set([20]))
  })

  test('tests on other recordings where they are given, on the names that both have', async () => {
    const other = await laboratory('b.ndjson', 120, 2)
    const comparison = await compare(
      await laboratory('c.ndjson', 120, 3),
      other.map((recording) => ({
        ...recording,
        frames: recording.frames.map((frame) => ({
          ...frame,
          processes: frame.processes.map((process) =>
            process.name === 'cron' ? { ...process, name: 'never seen' } : process,
          ),
        })),
      })),
      { ...options, splits: ['file'], models: ['svm'] },
      () => 0,
    )
    expect(comparison.split).toBe('file')
    expect(comparison.classes).toBe(3)
    expect(comparison.rows.map(({ model }) => model)).toEqual(['Linear SVM'])
  })

  test('goes run by run, so that who stops early has a whole table of fewer runs', async () => {
    const stop = new AbortController()
    const comparison = await compare(
      await laboratory('d.ndjson', 120, 4),
      [],
      { ...options, models: ['lr', 'rf'], runs: 5 },
      () => 0,
      // LR and forest on both splits, and a second forest on the first.
      ({ done }) => done === 5 && stop.abort(),
      stop.signal,
    )
    const trainings = comparison.splits.map(({ rows }) => rows.map((row) => row.trainings))
    expect(comparison.runs).toBe(2)
    expect(trainings).toEqual([
      [1, 2],
      [1, 1],
    ])
  })

  test('a training that was cut short is no run', async () => {
    const stop = new AbortController()
    let reads = 0
    const comparison = await compare(
      await laboratory('e.ndjson', 120, 5),
      [],
      { ...options, splits: ['time'], models: ['rf', 'simple'], runs: 5 },
      // The third reading is the beginning of the net's training.
      () => {
        if (++reads === 3) stop.abort()
        return 0
      },
      () => {},
      stop.signal,
    )
    expect(comparison.rows.map(({ model }) => model)).toEqual(['Random Forest'])
  })
})

test.each([
  [[0.5], 0.5, 0],
  [[1, 2, 3, 4], 2.5, Math.sqrt(5 / 3)],
  [[0.9, 0.9], 0.9, 0],
])('meanAndDeviation() of %p', (values, mean, sd) => {
  expect(meanAndDeviation(values).mean).toBeCloseTo(mean, 12)
  expect(meanAndDeviation(values).sd).toBeCloseTo(sd, 12)
})

test('dataFiguresOf() counts vectors by program, calls in a vector, seconds and calls, as by hand', async () => {
  const line = (t: number, pid: number, name: string, counts: object) => ({
    ...{ t, host: 'h', pid, start: 1, name, counts },
  })
  const recordings = await recordingsOf('figures.ndjson', [
    line(10, 1, 'nginx', { read: 900, write: 1, close: 1 }),
    line(10, 2, 'php-fpm8.2', { read: 1 }),
    line(11, 1, 'nginx', { read: 2 }),
    line(11, 2, 'php-fpm8.4', { read: 1, openat: 1, close: 4, futex: 1 }),
    line(13, 1, 'nginx', { epoll_wait: 1 }),
  ])
  expect(dataFiguresOf(recordings)).toEqual({
    hosts: ['h'],
    frames: 3,
    vectors: 5,
    syscalls: 6,
    // 3, 1, 1, 4, 1
    nonZero: { mean: 2, median: 1, max: 4 },
    histogram: [
      { name: 'nginx', vectors: 3 },
      { name: 'php-fpm', vectors: 2 },
    ],
  })
})

const table = (split: 'time' | 'random', mean: number): ComparisonTable => ({
  split,
  classes: 28,
  trainBlocks: 800,
  testBlocks: 200,
  rows: [
    {
      model: 'Random Forest',
      precision: { mean, sd: 0.0123 },
      recall: { mean: mean - 0.1, sd: 0 },
      seconds: 2,
      trainings: 10,
    },
  ],
})
const made: Comparison = {
  ...table('time', 0.9),
  splits: [table('time', 0.9), table('random', 1)],
  recipe: 'frequency',
  runs: 10,
  epochs: 12,
  data: {
    hosts: ['a|b'],
    frames: 60,
    vectors: 1_111,
    syscalls: 30,
    nonZero: { mean: 9.5, median: 8, max: 40 },
    histogram: [
      { name: 'x<y', vectors: 1_000 },
      { name: 'b', vectors: 100 },
      { name: 'c', vectors: 10 },
      { name: 'd', vectors: 1 },
    ],
  },
}

test('comparisonMarkdown() names both splits and puts them side by side, the paper beside', () => {
  const text = comparisonMarkdown(made)
  expect(text).toContain('| Model | Precision, by time | Recall, by time | Precision, at random |')
  expect(text).toContain(
    '| Random Forest | 0.900 (0.012) | 0.800 (0) | 1.000 (0.012) | 0.900 (0) | 2.0 | 0.860 (0.006) | 0.838 (9e-5) |',
  )
  expect(text).toContain("**at random**: a random fifth of the blocks is the test: the paper's")
  expect(text).toContain('9.5 different calls in the mean')
  expect(text).toContain('| x\\<y | 1000 |')
  expect(text).toContain('Hosts a\\|b')
})

test("comparisonJson() has the headline's rows on top, each with the paper's figures beside it", () => {
  const json = comparisonJson(made)
  expect(json).toMatchObject({ split: 'time', classes: 28, runs: 10, data: { vectors: 1_111 } })
  expect(json.rows[0]).toMatchObject({
    model: 'Random Forest',
    precision: { mean: 0.9, sd: 0.0123 },
    seconds: 2,
    paper: { precision: { mean: 0.86, sd: 0.006 }, recall: { mean: 0.838, sd: 9e-5 } },
  })
  expect(json.splits.map(({ split }) => split)).toEqual(['time', 'random'])
  const other = comparisonJson({
    ...made,
    splits: [{ ...table('time', 0.9), split: 'file' }],
    split: 'file',
  })
  expect(other.rows[0]!.paper.precision.mean).toBe(0.85)
})

/** Numbers of one attribute of the bars, in order. */
const bars = (svg: string, attribute: string) =>
  [...svg.matchAll(new RegExp(`<rect [^>]*${attribute}="([\\d.]+)"[^>]*fill="#(?!fff)`, 'g'))].map(
    ([, value]) => Number(value),
  )

test("comparisonSvg() draws bars as long as their figures and the paper's line where it belongs", () => {
  const svg = comparisonSvg(made)
  // Two squares of the key for each split; then 0.9, 0.8, 1.0, 0.9 on an axis from 0.7 to 1 of 510
  // pixels.
  const widths = bars(svg, ' width').slice(4)
  expect(widths).toEqual([340, 170, 510, 340])
  expect(svg).toContain(`x1="${130 + Math.round(5100 * (0.16 / 0.3)) / 10}"`)
  expect(svg).toContain('at random, 28 classes')
})

test("histogramSvg() is logarithmic and ordered, as the paper's Fig. 5, and no name gets out of its text", () => {
  const svg = histogramSvg(made)
  const heights = bars(svg, ' height')
  expect(heights).toEqual([260, 173.3, 86.7, 1])
  expect(svg).not.toContain('x<y')
  expect(svg).toContain('x&#60;y: 1000')
})
