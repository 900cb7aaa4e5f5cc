/**
 * Multinomial logistic regression [Paper V-A, 19]: the weighted sum of the losses plus half the squared
 * length of the weights (scikit-learn's objective at C = 1), by Adam over shuffled batches with a rate that
 * falls to nothing.
 */
import { Random } from '../random.ts'
import type { RowClassifier, Rows } from './rows.ts'

export interface SoftmaxOptions {
  readonly epochs: number
  readonly batch: number
  readonly learningRate: number
  readonly seed: number
  /** Inverse strength of the regularisation, as scikit-learn's C. */
  readonly c: number
}

export const SOFTMAX_DEFAULTS: SoftmaxOptions = {
  epochs: 30,
  batch: 128,
  learningRate: 0.05,
  seed: 1,
  c: 1,
}

export class SoftmaxRegression implements RowClassifier {
  /** [(width + 1) × classes], the last row being the intercepts. */
  readonly weights: Float32Array
  readonly #classes: number
  readonly #scores: Float64Array

  constructor(weights: Float32Array, classes: number) {
    this.weights = weights
    this.#classes = classes
    this.#scores = new Float64Array(classes)
  }

  predict(rows: Rows, r: number): number {
    const scores = scoresOf(this.weights, this.#classes, rows, r, this.#scores)
    let top = 0
    for (let c = 1; c < this.#classes; c++) if (scores[c]! > scores[top]!) top = c
    return top
  }
}

export function fitSoftmax(
  rows: Rows,
  options: SoftmaxOptions = SOFTMAX_DEFAULTS,
): SoftmaxRegression {
  const { classes, width, size } = rows
  const random = new Random(options.seed)
  const weights = new Float32Array((width + 1) * classes)
  const mean = new Float64Array(weights.length)
  const square = new Float64Array(weights.length)
  const gradient = new Float64Array(weights.length)
  const scores = new Float64Array(classes)
  const total = rows.weights.reduce((sum, weight) => sum + weight, 0)
  const meanWeight = total / size
  const order = Int32Array.from({ length: size }, (_, r) => r)
  const steps = Math.ceil(size / options.batch) * options.epochs
  let step = 0
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    random.shuffle(order)
    for (let from = 0; from < size; from += options.batch) {
      const to = Math.min(size, from + options.batch)
      gradient.fill(0)
      for (let at = from; at < to; at++) {
        const r = order[at]!
        scoresOf(weights, classes, rows, r, scores)
        softmaxInPlace(scores)
        scores[rows.labels[r]!]! -= 1
        const weight = rows.weights[r]! / meanWeight / (to - from)
        for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) {
          const base = rows.columns[k]! * classes
          const value = rows.values[k]! * weight
          for (let c = 0; c < classes; c++) gradient[base + c]! += value * scores[c]!
        }
        for (let c = 0; c < classes; c++) gradient[width * classes + c]! += weight * scores[c]!
      }
      step++
      const rate = options.learningRate * 0.5 * (1 + Math.cos((Math.PI * step) / steps))
      const scale = (rate * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step)
      for (let i = 0; i < weights.length; i++) {
        const g = gradient[i]! + (i < width * classes ? weights[i]! / (options.c * total) : 0)
        mean[i] = 0.9 * mean[i]! + 0.1 * g
        square[i] = 0.999 * square[i]! + 0.001 * g * g
        weights[i]! -= (scale * mean[i]!) / (Math.sqrt(square[i]!) + 1e-8)
      }
    }
  }
  return new SoftmaxRegression(weights, classes)
}

function scoresOf(
  weights: Float32Array,
  classes: number,
  rows: Rows,
  r: number,
  out: Float64Array,
): Float64Array {
  const intercepts = rows.width * classes
  for (let c = 0; c < classes; c++) out[c] = weights[intercepts + c]!
  for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) {
    const base = rows.columns[k]! * classes
    const value = rows.values[k]!
    for (let c = 0; c < classes; c++) out[c]! += value * weights[base + c]!
  }
  return out
}

function softmaxInPlace(scores: Float64Array): void {
  let max = Number.NEGATIVE_INFINITY
  for (const score of scores) if (score > max) max = score
  let sum = 0
  for (let c = 0; c < scores.length; c++) {
    scores[c] = Math.exp(scores[c]! - max)
    sum += scores[c]!
  }
  for (let c = 0; c < scores.length; c++) scores[c]! /= sum
}
