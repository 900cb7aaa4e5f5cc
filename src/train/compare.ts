/**
 * The paper's Tables I and II on any frames: three baselines on single seconds with a majority vote, three
 * nets on sequences, several runs each, macro precision and recall with their deviation.
 *
 * Blocks are ten wall-clock seconds that do not overlap, as the paper's; the split is by time with a gap, or
 * at random as the paper's (neighbouring blocks on both sides, so its figures flatter), or by file: train on one
 * host's, test on another's. Rows are `frequency` unless another recipe is asked for. The nets have the paper's
 * 64 units, Adam, and the L2 of its authors' code; batches of 128 and a rate of 0.003 that falls along a cosine
 * instead of their 512 and 0.001, because there are fewer blocks. No augmentation, smoothing or class balance here.
 */
import { ALIAS_RULES } from '../model/aliases.ts'
import { Normaliser } from '../model/normalise.ts'
import type { Recipe } from '../model/recipe.ts'
import { fitSvm, SVM_DEFAULTS } from './baselines/linear-svm.ts'
import { FOREST_DEFAULTS, fitForest } from './baselines/random-forest.ts'
import { type RowClassifier, type Rows, testRows, trainingRows, vote } from './baselines/rows.ts'
import { fitSoftmax, SOFTMAX_DEFAULTS } from './baselines/softmax-regression.ts'
import { Batches } from './batches.ts'
import { chooseClasses } from './classes.ts'
import {
  type ComponentVectors,
  componentVectors,
  makeWindows,
  vocabularyOf,
  type Windows,
} from './dataset.ts'
import { exportNet } from './export.ts'
import { FIT_DEFAULTS, fit } from './fit.ts'
import { argmaxRows, figuresOf } from './metrics.ts'
import { ARCHS, type Arch, type NetShape } from './nets.ts'
import type { Recording } from './recording.ts'
import { runNet } from './run-net.ts'
import { type Split, splitAtRandom, splitByTime } from './split.ts'

export type SplitKind = 'time' | 'random' | 'file'

export interface CompareOptions {
  readonly split: SplitKind
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
  epochs: 40,
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
  /** CPU of one training, mean over the runs. */
  readonly seconds: number
}

export interface Comparison {
  readonly rows: readonly CompareRow[]
  readonly classes: number
  readonly split: SplitKind
  readonly recipe: string
  readonly runs: number
  readonly trainBlocks: number
  readonly testBlocks: number
  /** Vectors of each class in the training recordings, most first [Paper Fig. 5]. */
  readonly histogram: readonly { readonly name: string; readonly vectors: number }[]
}

/** What a run of one model needs. */
interface Task {
  readonly windows: Windows
  readonly vectors: ComponentVectors
  readonly normaliser: Normaliser
  readonly labels: Int32Array
  readonly training: Int32Array
  readonly test: Int32Array
  readonly names: readonly string[]
}

const GAP_SECONDS = 30

/** @param cpuSeconds of this process so far */
export async function compare(
  train: readonly Recording[],
  test: readonly Recording[],
  options: CompareOptions,
  cpuSeconds: () => number,
  report: (line: string) => void = () => {},
  signal?: AbortSignal,
): Promise<Comparison> {
  const task = taskOf(train, test, options)
  const baselineRows = trainingRows(
    task.windows,
    task.vectors,
    task.normaliser,
    task.training,
    task.labels,
    task.names.length,
  )
  const rows: CompareRow[] = []
  for (const { model, fit: fitBaseline } of BASELINES)
    rows.push(
      await runs(model, options, signal, cpuSeconds, report, async (seed) => {
        const classifier = fitBaseline(baselineRows, seed)
        const seen = testRows(
          task.windows,
          task.vectors,
          task.normaliser,
          task.test,
          task.names.length,
        )
        return { predicted: () => vote(classifier, task.windows, task.test, seen), task }
      }),
    )
  for (const arch of ARCHS)
    rows.push(
      await runs(NET_NAMES[arch], options, signal, cpuSeconds, report, async (seed) => {
        const predicted = await runArch(arch, task, options, seed, signal)
        return { predicted: () => predicted, task }
      }),
    )
  return {
    rows,
    classes: task.names.length,
    split: options.split,
    recipe: options.recipe.name,
    runs: options.runs,
    trainBlocks: task.training.length,
    testBlocks: task.test.length,
    histogram: histogramOf(train),
  }
}

const NET_NAMES: Readonly<Record<Arch, string>> = {
  simple: 'Simple net',
  bidirectional: 'Bidirectional net',
  inception: 'Inception-like net',
}

const BASELINES: readonly {
  readonly model: string
  readonly fit: (rows: Rows, seed: number) => RowClassifier
}[] = [
  {
    model: 'Logistic Regression',
    fit: (rows, seed) => fitSoftmax(rows, { ...SOFTMAX_DEFAULTS, seed }),
  },
  { model: 'Linear SVM', fit: (rows, seed) => fitSvm(rows, { ...SVM_DEFAULTS, seed }) },
  { model: 'Random Forest', fit: (rows, seed) => fitForest(rows, { ...FOREST_DEFAULTS, seed }) },
]

function taskOf(
  train: readonly Recording[],
  test: readonly Recording[],
  options: CompareOptions,
): Task {
  const windows = makeWindows(
    [...train, ...test],
    [],
    splitOf(options.split, new Set(train)),
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
  // Only names that both sides have can be told right or wrong.
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
  return {
    windows,
    vectors: componentVectors(windows, normaliser),
    normaliser,
    labels,
    training: known(training),
    test: known(testing),
    names: classes.list.map(({ name }) => name),
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

async function runs(
  model: string,
  { runs: count }: CompareOptions,
  signal: AbortSignal | undefined,
  cpuSeconds: () => number,
  report: (line: string) => void,
  once: (seed: number) => Promise<{ predicted: () => Int32Array; task: Task }>,
): Promise<CompareRow> {
  const precision: number[] = []
  const recall: number[] = []
  let seconds = 0
  for (let run = 1; run <= count; run++) {
    if (signal?.aborted && run > 1) break
    const began = cpuSeconds()
    const { predicted, task } = await once(run)
    seconds += cpuSeconds() - began
    const truth = Int32Array.from(task.test, (id) => task.labels[id]!)
    const figures = figuresOf(task.names, truth, predicted())
    precision.push(figures.macroPrecision)
    recall.push(figures.macroRecall)
    report(
      `${model}, run ${run} of ${count}: precision ${figures.macroPrecision.toFixed(3)}, recall ${figures.macroRecall.toFixed(3)}`,
    )
  }
  return {
    model,
    precision: meanAndDeviation(precision),
    recall: meanAndDeviation(recall),
    seconds: Math.round((seconds / precision.length) * 100) / 100,
  }
}

async function runArch(
  arch: Arch,
  { windows, vectors, normaliser, labels, training, test, names }: Task,
  options: CompareOptions,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  const net: NetShape = {
    arch,
    width: normaliser.width,
    frames: windows.frames,
    hidden: 64,
    classes: names.length,
  }
  const fitted = await fit(
    net,
    { windows, vectors, normaliser, labels, training, heldOut: new Int32Array(0) },
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
  const batches = new Batches(windows, vectors, normaliser)
  const { logits } = await runNet(exportNet(net, fitted.parameters), net, batches, test)
  return argmaxRows(logits, names.length)
}

function histogramOf(recordings: readonly Recording[]): { name: string; vectors: number }[] {
  const counts = new Map<string, number>()
  for (const { frames } of recordings)
    for (const { processes } of frames)
      for (const { name } of processes) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, 40)
    .map(([name, vectors]) => ({ name, vectors }))
}

/** Deviation of the sample; 0 for one run. */
export function meanAndDeviation(values: readonly number[]): MeanAndDeviation {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, sd: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}
