/**
 * The paper's Tables I and II on any frames: three baselines on single seconds with a majority
 * vote, three nets on sequences, several runs each, macro precision and recall with their
 * deviation.
 *
 * Blocks are ten wall-clock seconds that do not overlap, as the paper's; the split is by time with
 * a gap, or at random as the paper's (neighbouring blocks on both sides, so its figures flatter),
 * or by file: train on one host's, test on another's. Rows are `frequency` unless another recipe is
 * given. The nets have the paper's 64 units, Adam, and the L2 of its authors' code; batches of 128
 * and a rate of 0.003 that falls along a cosine instead of their 512 and 0.001, because there are
 * fewer blocks. No augmentation, smoothing or class balance here.
 *
 * Runs differ by the seed alone, as in the paper. Logistic regression and SVM converge to a unique
 * optimum, so one training is used for all runs (the paper's deviation for them is 1e-16).
 */
import { ALIAS_RULES } from '../model/aliases.ts'
import { Normaliser } from '../model/normalise.ts'
import type { Recipe } from '../model/recipe.ts'
import { Batches } from '../train/data/batches.ts'
import { chooseClasses } from '../train/data/classes.ts'
import {
  type ComponentVectors,
  componentVectors,
  makeWindows,
  vocabularyOf,
  type Windows,
} from '../train/data/dataset.ts'
import type { Recording } from '../train/data/recording.ts'
import { type Split, splitAtRandom, splitByTime } from '../train/data/split.ts'
import { argmaxRows, figuresOf } from '../train/evaluate/metrics.ts'
import { FOREST_DEFAULTS, fitForest } from '../train/forest/random-forest.ts'
import {
  type RowClassifier,
  type Rows,
  testRows,
  trainingRows,
  vote,
} from '../train/forest/rows.ts'
import { exportNet } from '../train/net/export.ts'
import { FIT_DEFAULTS, fit } from '../train/net/fit.ts'
import type { Arch, NetShape } from '../train/net/nets.ts'
import { runNet } from '../train/net/run-net.ts'
import { type DataFigures, dataFiguresOf } from './compare-data.ts'
import { fitSvm } from './linear-svm.ts'
import { fitSoftmax } from './softmax-regression.ts'

export type SplitKind = 'time' | 'random' | 'file'

/** The paper's six models, in its order: their names for `--models` and in its tables. */
export const MODELS = [
  { key: 'lr', model: 'Logistic Regression' },
  { key: 'svm', model: 'Linear SVM' },
  { key: 'rf', model: 'Random Forest' },
  { key: 'simple', model: 'Simple net' },
  { key: 'bidirectional', model: 'Bidirectional net' },
  { key: 'inception', model: 'Inception-like net' },
] as const
export type ModelKey = (typeof MODELS)[number]['key']

export interface CompareOptions {
  /** Which tables; the first is the headline. */
  readonly splits: readonly SplitKind[]
  readonly models: readonly ModelKey[]
  readonly runs: number
  readonly recipe: Recipe
  /** How many of the most frequent names are classes [Paper V-A: 28]. */
  readonly classes: number
  readonly windowsMin: number
  readonly epochs: number
  readonly stride: number
}

export const COMPARE_DEFAULTS = {
  runs: 3,
  classes: 28,
  windowsMin: 30,
  epochs: 12,
  stride: 10,
} as const

export interface MeanAndDeviation {
  readonly mean: number
  readonly sd: number
}

export interface CompareRow {
  readonly model: string
  readonly precision: MeanAndDeviation
  readonly recall: MeanAndDeviation
  /** CPU of one training, mean over the trainings. */
  readonly seconds: number
  /** How often it was trained: once if training is deterministic. */
  readonly trainings: number
}

/** One table. */
export interface ComparisonTable {
  readonly rows: readonly CompareRow[]
  readonly classes: number
  readonly split: SplitKind
  readonly trainBlocks: number
  readonly testBlocks: number
}

/** The headline's table, and all of them. */
export interface Comparison extends ComparisonTable {
  readonly splits: readonly ComparisonTable[]
  readonly recipe: string
  /** How many there were: fewer than requested if it was stopped. */
  readonly runs: number
  readonly epochs: number
  /** Of what trains. */
  readonly data: DataFigures
}

/** One training is done. */
export interface CompareProgress extends Run {
  readonly split: SplitKind
  readonly model: string
  readonly run: number
  readonly done: number
  readonly of: number
}

/** Figures of one training. */
interface Run {
  readonly precision: number
  readonly recall: number
  readonly seconds: number
}

/** What every training of one table needs. */
interface Task {
  readonly windows: Windows
  readonly vectors: ComponentVectors
  readonly normaliser: Normaliser
  readonly labels: Int32Array
  readonly training: Int32Array
  readonly test: Int32Array
  readonly names: readonly string[]
  /** Single seconds, for the baselines. */
  readonly baselines: {
    readonly training: Rows
    readonly test: { readonly rows: Rows; readonly rowOf: Int32Array }
  }
}

const GAP_SECONDS = 30

/** @param cpuSeconds of this process so far */
export async function compare(
  train: readonly Recording[],
  test: readonly Recording[],
  options: CompareOptions,
  cpuSeconds: () => number,
  report: (progress: CompareProgress) => void = () => {},
  signal?: AbortSignal,
): Promise<Comparison> {
  const trainings = MODELS.filter(({ key }) => options.models.includes(key)).map((entry) => ({
    ...entry,
    count: entry.key === 'lr' || entry.key === 'svm' ? 1 : options.runs,
  }))
  const of = options.splits.length * trainings.reduce((sum, { count }) => sum + count, 0)
  let done = 0
  const tables = options.splits.map((split) => {
    const task = taskOf(train, test, split, options)
    const truth = Int32Array.from(task.test, (id) => task.labels[id]!)
    return { split, task, truth, runs: trainings.map((): Run[] => []) }
  })
  // Run by run through all models and splits: stopping early gives a complete table of fewer runs.
  for (let run = 1; run <= options.runs; run++)
    for (const { split, task, truth, runs } of tables)
      for (const [m, { key, model, count }] of trainings.entries()) {
        if (run > count || signal?.aborted) continue
        const { predicted, seconds } = await trainOnce(key, task, run, options, cpuSeconds, signal)
        // An interrupted training does not count as a run.
        if (signal?.aborted) continue
        const { macroPrecision: precision, macroRecall: recall } = figuresOf(
          task.names,
          truth,
          predicted,
        )
        runs[m]!.push({ precision, recall, seconds })
        report({ split, model, run, done: ++done, of, precision, recall, seconds })
      }
  const splits = tables.map(
    ({ split, task, runs }): ComparisonTable => ({
      rows: trainings.flatMap(({ model }, m) => rowOf(model, runs[m]!) ?? []),
      classes: task.names.length,
      split,
      trainBlocks: task.training.length,
      testBlocks: task.test.length,
    }),
  )
  return {
    ...splits[0]!,
    splits,
    recipe: options.recipe.name,
    runs: Math.max(0, ...splits.flatMap(({ rows }) => rows.map((row) => row.trainings))),
    epochs: options.epochs,
    data: dataFiguresOf(train),
  }
}

function rowOf(model: string, runs: readonly Run[]): CompareRow | undefined {
  if (runs.length === 0) return undefined
  return {
    model,
    precision: meanAndDeviation(runs.map(({ precision }) => precision)),
    recall: meanAndDeviation(runs.map(({ recall }) => recall)),
    seconds: Math.round(100 * meanAndDeviation(runs.map(({ seconds }) => seconds)).mean) / 100,
    trainings: runs.length,
  }
}

/** @returns the class of each test block, and the CPU that training took */
async function trainOnce(
  key: ModelKey,
  task: Task,
  seed: number,
  options: CompareOptions,
  cpuSeconds: () => number,
  signal: AbortSignal | undefined,
): Promise<{ predicted: Int32Array; seconds: number }> {
  const began = cpuSeconds()
  if (key === 'lr' || key === 'svm' || key === 'rf') {
    const classifier = BASELINES[key](task.baselines.training, seed)
    const seconds = cpuSeconds() - began
    return { predicted: vote(classifier, task.windows, task.test, task.baselines.test), seconds }
  }
  const net: NetShape = {
    arch: key,
    width: task.normaliser.width,
    frames: task.windows.frames,
    hidden: 64,
    classes: task.names.length,
  }
  const fitted = await fit(
    net,
    { ...task, heldOut: new Int32Array(0) },
    {
      ...FIT_DEFAULTS,
      epochs: options.epochs,
      seed,
      learningRate: 0.003,
      labelSmoothing: 0,
      augmentation: undefined,
      perClassMin: 0,
      perClassMax: Number.POSITIVE_INFINITY,
      repeatMax: 1,
      patience: 0,
    },
    () => 0,
    undefined,
    signal,
  )
  const seconds = cpuSeconds() - began
  const batches = new Batches(task.windows, task.vectors, task.normaliser)
  const { logits } = await runNet(exportNet(net, fitted.parameters), net, batches, task.test)
  return { predicted: argmaxRows(logits, net.classes), seconds }
}

const BASELINES: Readonly<
  Record<Exclude<ModelKey, Arch>, (rows: Rows, seed: number) => RowClassifier>
> = {
  lr: (rows) => fitSoftmax(rows),
  svm: (rows) => fitSvm(rows),
  rf: (rows, seed) => fitForest(rows, { ...FOREST_DEFAULTS, seed }),
}

function taskOf(
  train: readonly Recording[],
  test: readonly Recording[],
  split: SplitKind,
  options: CompareOptions,
): Task {
  const windows = makeWindows(
    [...train, ...test],
    [],
    splitOf(split, new Set(train)),
    ALIAS_RULES,
    {
      stride: options.stride,
    },
  )
  const idsOf = (part: string) =>
    Int32Array.from(windows.list.flatMap((window, id) => (window.part === part ? [id] : [])))
  const training = idsOf('train')
  const testing = idsOf('test')
  const inTest = new Set(Array.from(testing, (id) => windows.list[id]!.name))
  // Only names that occur on both sides can be classified correctly.
  const both = Array.from(training, (id) => windows.list[id]!).filter(({ name }) =>
    inTest.has(name),
  )
  const classes = chooseClasses(both, {
    windowsMin: options.windowsMin,
    most: options.classes,
    background: false,
  })
  const labels = Int32Array.from(windows.list, (window) => classes.of(window))
  const known = (ids: Int32Array) => ids.filter((id) => labels[id]! >= 0)
  const normaliser = new Normaliser(vocabularyOf(windows, new Set(['train'])), options.recipe)
  const vectors = componentVectors(windows, normaliser)
  const names = classes.list.map(({ name }) => name)
  const [trains, tests] = [known(training), known(testing)]
  return {
    windows,
    vectors,
    normaliser,
    labels,
    training: trains,
    test: tests,
    names,
    baselines: {
      training: trainingRows(windows, vectors, normaliser, trains, labels, names.length),
      test: testRows(windows, vectors, normaliser, tests, names.length),
    },
  }
}

function splitOf(kind: SplitKind, train: ReadonlySet<Recording>): Split {
  if (kind === 'random') return splitAtRandom(0.8, 1)
  if (kind === 'time') return splitByTime({ train: 0.8, calibration: 0 }, GAP_SECONDS)
  return {
    partOf: (recording) => (train.has(recording) ? 'train' : 'test'),
    partOfHappening: () => undefined,
  }
}

/** Sample standard deviation; 0 for one run. */
export function meanAndDeviation(values: readonly number[]): MeanAndDeviation {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, sd: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}
