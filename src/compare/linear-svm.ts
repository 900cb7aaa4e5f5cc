/**
 * Linear SVM, one class against the rest, squared hinge loss: the optimum that LIBLINEAR and
 * scikit-learn's LinearSVC seek [Paper V-A, 18]. The intercept is one more column of ones,
 * regularised like the others, as there; a row that stands for several seconds has its cost C
 * multiplied accordingly.
 *
 * Solved in the primal by Newton steps with an exact line search (Keerthi and DeCoste 2005): with
 * squared hinges the loss is quadratic while the same rows are within the margin, so a step solves
 * one system as wide as a row, and when the set of rows does not change, the optimum is exact. Dual
 * coordinate descent, LIBLINEAR's default, was used before: with one row for 7,000 equal seconds it
 * had not converged after 200 passes. Deterministic.
 */

import type { RowClassifier, Rows } from '../train/forest/rows.ts'
import { factorise, solve } from './cholesky.ts'

export interface SvmOptions {
  /** What an error costs, as scikit-learn's C. */
  readonly c: number
  /** Newton steps of one class; it takes 5 to 25. */
  readonly stepsMax: number
}

export const SVM_DEFAULTS: SvmOptions = { c: 1, stepsMax: 200 }

/**
 * Gradient norm relative to the first one at which a class is finished although rows still change
 * sides.
 */
const TOLERANCE = 1e-10

export class LinearSvm implements RowClassifier {
  /** [classes × (width + 1)], the last of each being the intercept. */
  readonly weights: Float64Array
  /** False where a class ran out of steps. */
  readonly converged: boolean
  readonly #classes: number

  constructor(weights: Float64Array, classes: number, converged: boolean) {
    this.weights = weights
    this.converged = converged
    this.#classes = classes
  }

  predict(rows: Rows, r: number): number {
    let top = 0
    let best = Number.NEGATIVE_INFINITY
    for (let c = 0; c < this.#classes; c++) {
      const score = product(this.weights, c * (rows.width + 1), rows, r)
      if (score > best) {
        best = score
        top = c
      }
    }
    return top
  }
}

export function fitSvm(rows: Rows, options: SvmOptions = SVM_DEFAULTS): LinearSvm {
  const weights = new Float64Array(rows.classes * (rows.width + 1))
  const solver = new Solver(rows, options)
  let converged = true
  for (let c = 0; c < rows.classes; c++) converged = solver.solve(c, weights) && converged
  return new LinearSvm(weights, rows.classes, converged)
}

class Solver {
  readonly #rows: Rows
  readonly #options: SvmOptions
  readonly #stride: number
  /** With every row within the margin: the start of each class. */
  readonly #everyRow: Float64Array
  readonly #hessian: Float64Array
  readonly #factor: Float64Array
  readonly #within: Uint8Array
  readonly #margins: Float64Array
  readonly #changes: Float64Array
  readonly #signs: Int8Array

  constructor(rows: Rows, options: SvmOptions) {
    this.#rows = rows
    this.#options = options
    this.#stride = rows.width + 1
    this.#hessian = new Float64Array(this.#stride ** 2)
    this.#factor = new Float64Array(this.#stride ** 2)
    this.#within = new Uint8Array(rows.size)
    this.#margins = new Float64Array(rows.size)
    this.#changes = new Float64Array(rows.size)
    this.#signs = new Int8Array(rows.size)
    for (let i = 0; i < this.#stride; i++) this.#hessian[i * this.#stride + i] = 1
    for (let r = 0; r < rows.size; r++) this.#addToHessian(r, 1)
    this.#everyRow = this.#hessian.slice()
  }

  /** Writes the weights of one class against the rest. @returns whether it converged */
  solve(positive: number, weights: Float64Array): boolean {
    const rows = this.#rows
    const stride = this.#stride
    const at = positive * stride
    const step = new Float64Array(stride)
    const margins = this.#margins.fill(0)
    for (let r = 0; r < rows.size; r++) this.#signs[r] = rows.labels[r] === positive ? 1 : -1
    this.#within.fill(1)
    this.#hessian.set(this.#everyRow)
    let enough = 0
    for (let count = 0; count < this.#options.stepsMax; count++) {
      let length = 0
      this.#gradient(weights, at, step)
      for (let i = 0; i < stride; i++) {
        length += step[i]! ** 2
        step[i] = -step[i]!
      }
      if (count === 0) enough = length * TOLERANCE ** 2
      if (length <= enough) return true
      this.#factor.set(this.#hessian)
      factorise(this.#factor, stride)
      solve(this.#factor, stride, step)
      const far = this.#lineSearch(weights, at, step)
      for (let i = 0; i < stride; i++) weights[at + i]! += far * step[i]!
      for (let r = 0; r < rows.size; r++) margins[r]! += far * this.#changes[r]!
      const moved = this.#moveSides()
      if (moved === 0 && Math.abs(far - 1) < 1e-9) return true
    }
    return false
  }

  /** Of |w|²/2 + C Σ max(0, 1 − y·w·x)². */
  #gradient(weights: Float64Array, at: number, out: Float64Array): void {
    const rows = this.#rows
    const width = rows.width
    for (let i = 0; i <= width; i++) out[i] = weights[at + i]!
    for (let r = 0; r < rows.size; r++) {
      if (this.#within[r] === 0) continue
      const by = -2 * this.#options.c * rows.weights[r]! * (1 - this.#margins[r]!) * this.#signs[r]!
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        out[rows.columns[k]!]! += by * rows.values[k]!
      out[width]! += by
    }
  }

  /** Exact line search. The slope along the step grows monotonically and is piecewise linear. */
  #lineSearch(weights: Float64Array, at: number, step: Float64Array): number {
    const rows = this.#rows
    const stride = this.#stride
    const margins = this.#margins
    const changes = this.#changes
    for (let r = 0; r < rows.size; r++) changes[r] = this.#signs[r]! * product(step, 0, rows, r)
    let along = 0
    let square = 0
    for (let i = 0; i < stride; i++) {
      along += weights[at + i]! * step[i]!
      square += step[i]! ** 2
    }
    let low = 0
    let high = Number.POSITIVE_INFINITY
    let far = 1
    for (let tries = 0; tries < 60; tries++) {
      let slope = along + far * square
      let bend = square
      for (let r = 0; r < rows.size; r++) {
        const slack = 1 - margins[r]! - far * changes[r]!
        if (slack <= 0) continue
        const by = 2 * this.#options.c * rows.weights[r]! * changes[r]!
        slope -= by * slack
        bend += by * changes[r]!
      }
      const next = far - slope / bend
      if (Math.abs(next - far) <= 1e-12 * far) break
      if (slope > 0) high = far
      else low = far
      far = next > low && next < high ? next : (low + Math.min(high, 2 * far)) / 2
    }
    return far
  }

  /** Updates the set of rows within the margin. @returns how many rows changed sides */
  #moveSides(): number {
    let moved = 0
    for (let r = 0; r < this.#rows.size; r++) {
      const within = this.#margins[r]! < 1 ? 1 : 0
      if (within === this.#within[r]) continue
      this.#within[r] = within
      this.#addToHessian(r, within === 1 ? 1 : -1)
      moved++
    }
    return moved
  }

  /** The lower half only. */
  #addToHessian(r: number, sign: 1 | -1): void {
    const { offsets, columns, values, weights, width } = this.#rows
    const hessian = this.#hessian
    const stride = this.#stride
    const from = offsets[r]!
    const to = offsets[r + 1]!
    const weight = sign * 2 * this.#options.c * weights[r]!
    for (let k = from; k < to; k++) {
      const row = columns[k]! * stride
      const by = weight * values[k]!
      // Columns ascend within a row, so these are left of the diagonal or on it.
      for (let l = from; l <= k; l++) hessian[row + columns[l]!]! += by * values[l]!
      hessian[width * stride + columns[k]!]! += by
    }
    hessian[width * stride + width]! += weight
  }
}

function product(weights: Float64Array, at: number, rows: Rows, r: number): number {
  let sum = weights[at + rows.width]!
  for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
    sum += weights[at + rows.columns[k]!]! * rows.values[k]!
  return sum
}
