/**
 * Multinomial logistic regression [Paper V-A, 19]: the weighted sum of the losses plus half the
 * squared norm of the weights (scikit-learn's objective at C = 1; intercepts are not regularised).
 *
 * Solved to its unique optimum by Newton's method: each step's system is solved by conjugate
 * gradients, which need only products with the Hessian, preconditioned by the block of each class.
 * Columns (shares of calls) differ by orders of magnitude, so first-order methods converge slowly:
 * Adam, used before, stopped short, and scikit-learn's L-BFGS takes thousands of passes.
 * Deterministic.
 */

import type { RowClassifier, Rows } from '../train/forest/rows.ts'
import { factorise, solve } from './cholesky.ts'

export interface SoftmaxOptions {
  /** Inverse strength of the regularisation, as scikit-learn's C. */
  readonly c: number
  /** Gradient norm relative to the first one at which it is finished. */
  readonly tolerance: number
  readonly stepsMax: number
}

export const SOFTMAX_DEFAULTS: SoftmaxOptions = { c: 1, tolerance: 1e-5, stepsMax: 100 }

export class SoftmaxRegression implements RowClassifier {
  /** [(width + 1) × classes], the last row being the intercepts. */
  readonly weights: Float64Array
  /** False where it ran out of steps. */
  readonly converged: boolean
  readonly #classes: number
  readonly #scores: Float64Array

  constructor(weights: Float64Array, classes: number, converged: boolean) {
    this.weights = weights
    this.converged = converged
    this.#classes = classes
    this.#scores = new Float64Array(classes)
  }

  predict(rows: Rows, r: number): number {
    const scores = this.#scores
    scoresOf(this.weights, this.#classes, rows, r, scores)
    let top = 0
    for (let c = 1; c < this.#classes; c++) if (scores[c]! > scores[top]!) top = c
    return top
  }

  /** Sums to 1; valid until the next call. */
  probabilities(rows: Rows, r: number): Float64Array {
    scoresOf(this.weights, this.#classes, rows, r, this.#scores)
    toProbabilities(this.#scores)
    return this.#scores
  }
}

export function fitSoftmax(
  rows: Rows,
  options: SoftmaxOptions = SOFTMAX_DEFAULTS,
): SoftmaxRegression {
  const solver = new Solver(rows, options.c)
  let weights: Float64Array = new Float64Array((rows.width + 1) * rows.classes)
  let here = solver.evaluate(weights)
  const first = lengthOf(here.gradient)
  let converged = false
  for (let count = 0; count < options.stepsMax; count++) {
    const length = lengthOf(here.gradient)
    converged = length <= options.tolerance * first
    if (converged) break
    const step = solver.newtonStep(here.gradient, Math.min(0.1, Math.sqrt(length / first)))
    const slope = dot(here.gradient, step)
    let far = 1
    for (;;) {
      const tried = weights.map((weight, i) => weight + far * step[i]!)
      const there = solver.evaluate(tried)
      if (there.loss <= here.loss + 1e-4 * far * slope || far < 1e-6) {
        weights = tried
        here = there
        break
      }
      far /= 2
    }
    if (far < 1e-6) break
  }
  return new SoftmaxRegression(weights, rows.classes, converged)
}

class Solver {
  readonly #rows: Rows
  readonly #ridge: number
  /** [size × classes], of the last weights evaluated. */
  readonly #probabilities: Float32Array
  readonly #scores: Float64Array
  /** [classes × stride × stride]: factors of each class's block of the second derivative. */
  readonly #blocks: Float64Array

  constructor(rows: Rows, c: number) {
    this.#rows = rows
    this.#ridge = 1 / c
    this.#probabilities = new Float32Array(rows.size * rows.classes)
    this.#scores = new Float64Array(rows.classes)
    this.#blocks = new Float64Array(rows.classes * (rows.width + 1) ** 2)
  }

  evaluate(weights: Float64Array): { loss: number; gradient: Float64Array } {
    const { size, width, classes, offsets, labels, weights: seconds } = this.#rows
    const gradient = new Float64Array(weights.length)
    const scores = this.#scores
    const penalised = width * classes
    let loss = 0
    for (let i = 0; i < penalised; i++) {
      loss += (this.#ridge / 2) * weights[i]! ** 2
      gradient[i] = this.#ridge * weights[i]!
    }
    for (let r = 0; r < size; r++) {
      scoresOf(weights, classes, this.#rows, r, scores)
      const label = labels[r]!
      const own = scores[label]!
      loss += seconds[r]! * (toProbabilities(scores) - own)
      this.#probabilities.set(scores, r * classes)
      scores[label]! -= 1
      for (let c = 0; c < classes; c++) scores[c]! *= seconds[r]!
      this.#spread(offsets[r]!, offsets[r + 1]!, scores, gradient)
    }
    return { loss, gradient }
  }

  /** Solves H·step = −gradient until the residual is at most `precision` of it. */
  newtonStep(gradient: Float64Array, precision: number): Float64Array {
    this.#makeBlocks()
    const step = new Float64Array(gradient.length)
    const left = gradient.map((value) => -value)
    let ready = this.#precondition(left)
    let direction = ready.slice()
    let product = dot(left, ready)
    const enough = product * precision ** 2
    for (let count = 0; count < 250 && product > enough; count++) {
      const curved = this.#timesHessian(direction)
      const far = product / dot(direction, curved)
      for (let i = 0; i < step.length; i++) {
        step[i]! += far * direction[i]!
        left[i]! -= far * curved[i]!
      }
      ready = this.#precondition(left)
      const next = dot(left, ready)
      const kept = next / product
      direction = direction.map((value, i) => ready[i]! + kept * value)
      product = next
    }
    return step
  }

  #timesHessian(direction: Float64Array): Float64Array {
    const { size, width, classes, offsets, weights: seconds } = this.#rows
    const out = new Float64Array(direction.length)
    for (let i = 0; i < width * classes; i++) out[i] = this.#ridge * direction[i]!
    const scores = this.#scores
    const probabilities = this.#probabilities
    for (let r = 0; r < size; r++) {
      scoresOf(direction, classes, this.#rows, r, scores)
      const at = r * classes
      let mean = 0
      for (let c = 0; c < classes; c++) mean += probabilities[at + c]! * scores[c]!
      for (let c = 0; c < classes; c++)
        scores[c] = seconds[r]! * probabilities[at + c]! * (scores[c]! - mean)
      this.#spread(offsets[r]!, offsets[r + 1]!, scores, out)
    }
    return out
  }

  /** Adds row r, times a number for each class, to an array laid out like the weights. */
  #spread(from: number, to: number, factors: Float64Array, out: Float64Array): void {
    const { width, classes, columns, values } = this.#rows
    for (let k = from; k < to; k++) {
      const base = columns[k]! * classes
      const value = values[k]!
      for (let c = 0; c < classes; c++) out[base + c]! += value * factors[c]!
    }
    const intercepts = width * classes
    for (let c = 0; c < classes; c++) out[intercepts + c]! += factors[c]!
  }

  #makeBlocks(): void {
    const { size, width, classes, offsets, columns, values, weights: seconds } = this.#rows
    const stride = width + 1
    const blocks = this.#blocks.fill(0)
    for (let c = 0; c < classes; c++) {
      const at = c * stride * stride
      const last = at + width * stride
      for (let r = 0; r < size; r++) {
        const p = this.#probabilities[r * classes + c]!
        const weight = seconds[r]! * p * (1 - p)
        // Negligible weights are skipped.
        if (weight < 1e-4) continue
        const from = offsets[r]!
        const to = offsets[r + 1]!
        for (let k = from; k < to; k++) {
          const row = at + columns[k]! * stride
          const by = weight * values[k]!
          for (let l = from; l <= k; l++) blocks[row + columns[l]!]! += by * values[l]!
          blocks[last + columns[k]!]! += by
        }
        blocks[last + width]! += weight
      }
      for (let i = 0; i < width; i++) blocks[at + i * stride + i]! += this.#ridge
      blocks[last + width]! += 1e-6
      factorise(blocks, stride, at)
    }
  }

  #precondition(vector: Float64Array): Float64Array {
    const { width, classes } = this.#rows
    const stride = width + 1
    const out = new Float64Array(vector.length)
    const column = new Float64Array(stride)
    for (let c = 0; c < classes; c++) {
      for (let i = 0; i < stride; i++) column[i] = vector[i * classes + c]!
      solve(this.#blocks, stride, column, c * stride * stride)
      for (let i = 0; i < stride; i++) out[i * classes + c] = column[i]!
    }
    return out
  }
}

function scoresOf(
  weights: Float64Array,
  classes: number,
  rows: Rows,
  r: number,
  out: Float64Array,
): void {
  const intercepts = rows.width * classes
  for (let c = 0; c < classes; c++) out[c] = weights[intercepts + c]!
  for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) {
    const base = rows.columns[k]! * classes
    const value = rows.values[k]!
    for (let c = 0; c < classes; c++) out[c]! += value * weights[base + c]!
  }
}

/** Softmax in place. @returns log-sum-exp of the scores */
function toProbabilities(scores: Float64Array): number {
  let max = Number.NEGATIVE_INFINITY
  for (let c = 0; c < scores.length; c++) if (scores[c]! > max) max = scores[c]!
  let sum = 0
  for (let c = 0; c < scores.length; c++) {
    scores[c] = Math.exp(scores[c]! - max)
    sum += scores[c]!
  }
  for (let c = 0; c < scores.length; c++) scores[c]! /= sum
  return max + Math.log(sum)
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function lengthOf(vector: Float64Array): number {
  return Math.sqrt(dot(vector, vector))
}
