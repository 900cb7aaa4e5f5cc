/**
 * The training loop: epochs over a balanced sample of windows, a cosine learning rate, the best
 * epoch by calibration loss is kept, early stopping. All randomness comes from one seed, so the
 * same seed, data and type of CPU give the same weights (the library has other sums for AVX-512).
 */
import type { Model } from '../../model/model.ts'
import { type Augmentation, Batches } from '../data/batches.ts'
import type { ComponentVectors, Windows } from '../data/dataset.ts'
import { Random } from '../random.ts'
import { exportNet } from './export.ts'
import { initialParameters, type NetShape, type Parameters } from './nets.ts'
import { runNet } from './run-net.ts'
import { StepRunner } from './step.ts'

export interface FitOptions {
  readonly epochs: number
  readonly batch: number
  readonly learningRate: number
  readonly l2: number
  readonly seed: number
  readonly labelSmoothing: number
  readonly augmentation: Augmentation | undefined
  /**
   * Windows of one class in an epoch: fewer are drawn several times (at most `repeatMax`), more are
   * sampled.
   */
  readonly perClassMin: number
  readonly perClassMax: number
  readonly repeatMax: number
  /** Epochs without a better calibration loss before it stops; 0 never stops. */
  readonly patience: number
}

export const FIT_DEFAULTS: FitOptions = {
  epochs: 12,
  batch: 128,
  learningRate: 0.003,
  l2: 5e-4,
  seed: 1,
  labelSmoothing: 0.02,
  augmentation: { share: 0.5, scaleSpread: 0.7, dropCall: 0.03, quietMax: 8 },
  perClassMin: 300,
  perClassMax: 1_000,
  repeatMax: 8,
  patience: 4,
}

export interface EpochReport {
  readonly epoch: number
  readonly epochs: number
  readonly loss: number
  readonly accuracy: number
  readonly heldOutLoss: number | undefined
  readonly heldOutAccuracy: number | undefined
  readonly secondsLeft: number
}

export interface FitData {
  readonly windows: Windows
  readonly vectors: ComponentVectors
  readonly normaliser: Model['normaliser']
  /** Class of each window, −1 for none. */
  readonly labels: Int32Array
  /**
   * What each window is drawn evenly by, its recording or its process; without it, all are of one.
   */
  readonly sources?: Int32Array
  /** Classes that stand for many programs: so many times as many windows of them are drawn. */
  readonly many?: ReadonlySet<number>
  readonly training: Int32Array
  readonly heldOut: Int32Array
}

/** A class of many programs is drawn as if it were so many classes. */
const MANY = 4

export interface Fitted {
  readonly parameters: Parameters
  readonly epoch: number
  readonly seconds: number
}

/** @param now a monotonic clock in ms, for the time left */
export async function fit(
  net: NetShape,
  data: FitData,
  options: FitOptions,
  now: () => number,
  report: (epoch: EpochReport) => void = () => {},
  signal?: AbortSignal,
): Promise<Fitted> {
  const random = new Random(options.seed)
  const start = initialParameters(net, options.seed)
  const batches = new Batches(data.windows, data.vectors, data.normaliser)
  const runner = await StepRunner.open(net, { batch: options.batch, l2: options.l2 }, start)
  const began = now()
  let best = { parameters: start, epoch: 0, loss: Number.POSITIVE_INFINITY }
  let step = 0
  try {
    for (let epoch = 1; epoch <= options.epochs; epoch++) {
      const draw = drawEpoch(data, options, random)
      const steps = Math.ceil(draw.length / options.batch)
      let lossSum = 0
      let right = 0
      for (let from = 0; from < draw.length; from += options.batch) {
        if (signal?.aborted) break
        const ids = draw.subarray(from, from + options.batch)
        batches.timeMajor(ids, options.batch, runner.rows, options.augmentation, random)
        fillTargets(runner.targets, ids, data.labels, net.classes, options.labelSmoothing)
        const progress = step++ / (options.epochs * steps)
        const rate = options.learningRate * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)))
        lossSum += (await runner.run(rate)) * ids.length
        right += countRight(runner.logits, ids, data.labels, net.classes)
      }
      if (signal?.aborted) {
        if (best.epoch === 0) best = { parameters: runner.parameters(), epoch, loss: 0 }
        break
      }
      const parameters = runner.parameters()
      const held = await heldOutLoss(net, parameters, data, batches)
      if (held === undefined || held.loss < best.loss)
        best = { parameters, epoch, loss: held?.loss ?? Number.POSITIVE_INFINITY }
      const perEpoch = (now() - began) / epoch / 1000
      report({
        epoch,
        epochs: options.epochs,
        loss: lossSum / draw.length,
        accuracy: right / draw.length,
        heldOutLoss: held?.loss,
        heldOutAccuracy: held?.accuracy,
        secondsLeft: perEpoch * (options.epochs - epoch),
      })
      if (options.patience > 0 && epoch - best.epoch >= options.patience) break
    }
  } finally {
    await runner.close()
  }
  return { parameters: best.parameters, epoch: best.epoch, seconds: (now() - began) / 1000 }
}

/**
 * The windows of an epoch and their order: a bounded number of each class, balanced over its
 * recordings, so that the longest recording does not dominate the class.
 */
export function drawEpoch(
  data: Pick<FitData, 'labels' | 'training' | 'sources' | 'many'>,
  options: Pick<FitOptions, 'perClassMin' | 'perClassMax' | 'repeatMax'>,
  random: Random,
): Int32Array {
  const byClass = new Map<number, Map<number, number[]>>()
  for (const id of data.training) {
    const label = data.labels[id]!
    const source = data.sources?.[id] ?? 0
    let bySource = byClass.get(label)
    if (bySource === undefined) {
      bySource = new Map()
      byClass.set(label, bySource)
    }
    const list = bySource.get(source)
    if (list === undefined) bySource.set(source, [id])
    else list.push(id)
  }
  const draw: number[] = []
  for (const [label, bySource] of [...byClass].sort((a, b) => a[0] - b[0])) {
    const pools = [...bySource.values()]
      .map((ids) => Int32Array.from(ids))
      .sort((a, b) => a.length - b.length)
    const all = pools.reduce((sum, pool) => sum + pool.length, 0)
    let wanted = Math.min(
      options.perClassMax * (data.many?.has(label) ? MANY : 1),
      Math.max(all, Math.min(options.perClassMin, all * options.repeatMax)),
    )
    // The smallest recording first: the others make up for what it lacks.
    for (const [i, pool] of pools.entries()) {
      const even = Math.ceil(wanted / (pools.length - i))
      const share =
        i === pools.length - 1 ? wanted : Math.min(even, pool.length * options.repeatMax)
      for (let taken = 0; taken < share; taken += pool.length) {
        random.shuffle(pool)
        for (const id of pool.subarray(0, share - taken)) draw.push(id)
      }
      wanted -= share
    }
  }
  const order = Int32Array.from(draw)
  random.shuffle(order)
  return order
}

function fillTargets(
  targets: Float32Array,
  ids: Int32Array,
  labels: Int32Array,
  classes: number,
  smoothing: number,
): void {
  targets.fill(0)
  for (let n = 0; n < ids.length; n++) {
    targets.fill(smoothing / classes / ids.length, n * classes, (n + 1) * classes)
    targets[n * classes + labels[ids[n]!]!]! += (1 - smoothing) / ids.length
  }
}

function countRight(
  logits: Float32Array,
  ids: Int32Array,
  labels: Int32Array,
  classes: number,
): number {
  let right = 0
  for (let n = 0; n < ids.length; n++) {
    let top = n * classes
    for (let c = top + 1; c < (n + 1) * classes; c++) if (logits[c]! > logits[top]!) top = c
    if (top - n * classes === labels[ids[n]!]!) right++
  }
  return right
}

async function heldOutLoss(net: NetShape, parameters: Parameters, data: FitData, batches: Batches) {
  if (data.heldOut.length === 0) return undefined
  const { logits } = await runNet(exportNet(net, parameters), net, batches, data.heldOut)
  let loss = 0
  for (let n = 0; n < data.heldOut.length; n++) {
    const row = logits.subarray(n * net.classes, (n + 1) * net.classes)
    const max = row.reduce((a, b) => Math.max(a, b))
    let sum = 0
    for (const value of row) sum += Math.exp(value - max)
    loss += Math.log(sum) + max - row[data.labels[data.heldOut[n]!]!]!
  }
  const right = countRight(logits, data.heldOut, data.labels, net.classes)
  return { loss: loss / data.heldOut.length, accuracy: right / data.heldOut.length }
}
