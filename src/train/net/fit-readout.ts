/**
 * New classes for a net whose LSTM is frozen: only the readout is trained, on states of new windows
 * and, against catastrophic forgetting, on states of the old classes drawn from the model's
 * prototypes (`replay.ts`), for which its old output is the target.
 *
 * Measured on eight programs left out of a base's training (`bun run bench extend`): precision /
 * recall of the old classes stay at 0.989 / 0.988 of 0.990 / 0.993. Without the replay they fall to
 * 0.54 / 0.40; with the whole net trained on new windows and distilled from its old outputs there,
 * to 0.98 / 0.74.
 */
import { softmax } from '../../model/classifier.ts'
import { argmaxRows } from '../evaluate/metrics.ts'
import { Random } from '../random.ts'
import { drawEpoch, type EpochReport, FIT_DEFAULTS, type FitOptions, type Fitted } from './fit.ts'
import { type NetShape, type Parameters, stateSizeOf } from './nets.ts'
import { StepRunner } from './step.ts'

/** States of each old class in an epoch. */
const REPLAYED_PER_CLASS = 300
/**
 * Weight of the label for a new window of an old class; the rest of the target is the base's
 * output.
 */
const LABEL_SHARE = 0.5

export const READOUT_FIT: FitOptions = { ...FIT_DEFAULTS, epochs: 6, learningRate: 0.03, l2: 0 }

export interface ReadoutData {
  /** [n × stateSize] of windows, and the class of each. */
  readonly states: Float32Array
  readonly labels: Int32Array
  /** Which recording each window is of. */
  readonly sources: Int32Array
  /** Windows for early stopping, not trained on. */
  readonly heldOut: { readonly states: Float32Array; readonly labels: Int32Array }
  /** States of the old classes, redrawn for each epoch. */
  replay(perClass: number, random: Random): { states: Float32Array; labels: Int32Array }
}

/**
 * @param base the old readout's parameters and number of classes: the first of the new ones
 * @param net the new shape, its classes the old ones and after them the new
 */
export async function fitReadout(
  net: NetShape,
  base: { readonly parameters: Parameters; readonly classes: number },
  data: ReadoutData,
  options: FitOptions,
  now: () => number,
  report: (epoch: EpochReport) => void = () => {},
  signal?: AbortSignal,
): Promise<Fitted> {
  const random = new Random(options.seed)
  const start = grownReadout(base.parameters, base.classes, net)
  const runner = await StepRunner.open(
    net,
    { batch: options.batch, l2: options.l2, trains: 'readout' },
    start,
  )
  const began = now()
  let last = 0
  let step = 0
  try {
    for (let epoch = 1; epoch <= options.epochs; epoch++) {
      const draw = drawEpoch(
        {
          labels: data.labels,
          sources: data.sources,
          training: Int32Array.from(data.labels.keys()),
        },
        options,
        random,
      )
      const replayed = data.replay(REPLAYED_PER_CLASS, random)
      // A replayed state has a number after those of the windows.
      const order = new Int32Array(draw.length + replayed.labels.length)
      order.set(draw)
      for (let i = 0; i < replayed.labels.length; i++)
        order[draw.length + i] = data.labels.length + i
      random.shuffle(order)
      const fillBatch = batchFiller(net, base, data, replayed, options.labelSmoothing)
      const steps = Math.ceil(order.length / options.batch)
      let lossSum = 0
      let right = 0
      for (let from = 0; from < order.length && !signal?.aborted; from += options.batch) {
        const labels = fillBatch(runner, order.subarray(from, from + options.batch))
        const progress = step++ / (options.epochs * steps)
        const rate = options.learningRate * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)))
        lossSum += (await runner.run(rate)) * labels.length
        const top = argmaxRows(runner.logits.subarray(0, labels.length * net.classes), net.classes)
        for (const [n, label] of labels.entries()) if (top[n] === label) right++
      }
      last = epoch
      if (signal?.aborted) break
      const held = heldOutFigures(runner.parameters(), data.heldOut, net.classes)
      report({
        epoch,
        epochs: options.epochs,
        loss: lossSum / order.length,
        accuracy: right / order.length,
        ...held,
        secondsLeft: ((now() - began) / epoch / 1000) * (options.epochs - epoch),
      })
    }
    return {
      parameters: { ...base.parameters, ...runner.parameters() },
      epoch: last,
      seconds: (now() - began) / 1000,
    }
  } finally {
    await runner.close()
  }
}

/** Fills a step with windows and replayed states, by number; gives the class of each. */
function batchFiller(
  net: NetShape,
  base: { readonly parameters: Parameters; readonly classes: number },
  data: Pick<ReadoutData, 'states' | 'labels'>,
  replayed: { readonly states: Float32Array; readonly labels: Int32Array },
  labelSmoothing: number,
) {
  const size = stateSizeOf(net)
  const own = data.labels.length
  return ({ rows, targets }: StepRunner, ids: Int32Array): Int32Array => {
    const labels = ids.map((id) => (id < own ? data.labels[id]! : replayed.labels[id - own]!))
    rows.fill(0)
    for (const [n, id] of ids.entries()) {
      const [states, row] = id < own ? [data.states, id] : [replayed.states, id - own]
      rows.set(states.subarray(row * size, (row + 1) * size), n * size)
    }
    const told = readoutLogits(base.parameters, rows.subarray(0, ids.length * size), base.classes)
    softmax(told, ids.length, base.classes, 1)
    targets.fill(0)
    for (const [n, id] of ids.entries()) {
      const label = labels[n]!
      const share = id >= own ? 0 : label < base.classes ? LABEL_SHARE : 1
      const target = targets.subarray(n * net.classes, (n + 1) * net.classes)
      target.fill((share * labelSmoothing) / net.classes / ids.length)
      target[label]! += (share * (1 - labelSmoothing)) / ids.length
      for (let c = 0; c < base.classes; c++)
        target[c]! += ((1 - share) * told[n * base.classes + c]!) / ids.length
    }
    return labels
  }
}

/** The old readout with columns for the new classes: zero weights and the smallest bias. */
function grownReadout(parameters: Parameters, classes: number, net: NetShape): Parameters {
  const size = stateSizeOf(net)
  const oldBias = parameters['readout.bias']!
  const weights = new Float32Array(size * net.classes)
  for (let j = 0; j < size; j++)
    weights.set(
      parameters['readout.weights']!.subarray(j * classes, (j + 1) * classes),
      j * net.classes,
    )
  const bias = new Float32Array(net.classes).fill(Math.min(...oldBias))
  bias.set(oldBias)
  return { 'readout.weights': weights, 'readout.bias': bias }
}

/** [n × classes]: the readout's logits for states. */
export function readoutLogits(
  parameters: Parameters,
  states: Float32Array,
  classes: number,
): Float32Array {
  const weights = parameters['readout.weights']!
  const bias = parameters['readout.bias']!
  const size = weights.length / classes
  const logits = new Float32Array((states.length / size) * classes)
  for (let n = 0, at = 0; n < states.length; n += size, at += classes) {
    logits.set(bias, at)
    for (let j = 0; j < size; j++) {
      const state = states[n + j]!
      for (let c = 0, w = j * classes; c < classes; c++) logits[at + c]! += state * weights[w + c]!
    }
  }
  return logits
}

function heldOutFigures(
  parameters: Parameters,
  { states, labels }: ReadoutData['heldOut'],
  classes: number,
): Pick<EpochReport, 'heldOutLoss' | 'heldOutAccuracy'> {
  if (labels.length === 0) return { heldOutLoss: undefined, heldOutAccuracy: undefined }
  const probabilities = readoutLogits(parameters, states, classes)
  const top = argmaxRows(probabilities, classes)
  softmax(probabilities, labels.length, classes, 1)
  let loss = 0
  let right = 0
  for (const [n, label] of labels.entries()) {
    loss -= Math.log(Math.max(1e-12, probabilities[n * classes + label]!))
    if (top[n] === label) right++
  }
  return { heldOutLoss: loss / labels.length, heldOutAccuracy: right / labels.length }
}
