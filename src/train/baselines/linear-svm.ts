/**
 * Linear SVM, one class against the rest, squared hinge loss, by dual coordinate descent as in LIBLINEAR
 * [Paper V-A, 18] (Hsieh et al. 2008, algorithm 1). A row that stands for several seconds has so many times
 * the cost C. The intercept is one more column of ones, regularised like the others, as there.
 */
import { Random } from '../random.ts'
import type { RowClassifier, Rows } from './rows.ts'

export interface SvmOptions {
  readonly c: number
  readonly passesMax: number
  /** Stops when the largest violation in a pass is below this. */
  readonly tolerance: number
  readonly seed: number
}

export const SVM_DEFAULTS: SvmOptions = { c: 1, passesMax: 200, tolerance: 0.01, seed: 1 }

export class LinearSvm implements RowClassifier {
  /** [classes × (width + 1)], the last of each being the intercept. */
  readonly weights: Float64Array
  readonly #classes: number

  constructor(weights: Float64Array, classes: number) {
    this.weights = weights
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
  const stride = rows.width + 1
  const weights = new Float64Array(rows.classes * stride)
  const squares = new Float64Array(rows.size)
  for (let r = 0; r < rows.size; r++) {
    let sum = 1
    for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++) sum += rows.values[k]! ** 2
    squares[r] = sum
  }
  for (let c = 0; c < rows.classes; c++) fitOne(rows, c, weights, c * stride, squares, options)
  return new LinearSvm(weights, rows.classes)
}

function fitOne(
  rows: Rows,
  positive: number,
  weights: Float64Array,
  at: number,
  squares: Float64Array,
  { c, passesMax, tolerance, seed }: SvmOptions,
): void {
  const random = new Random(seed + positive)
  const alphas = new Float64Array(rows.size)
  const order = Int32Array.from({ length: rows.size }, (_, r) => r)
  let active = rows.size
  let bound = Number.POSITIVE_INFINITY
  for (let pass = 0; pass < passesMax; pass++) {
    for (let i = 0; i < active; i++) {
      const j = i + random.below(active - i)
      const held = order[i]!
      order[i] = order[j]!
      order[j] = held
    }
    let worst = 0
    for (let i = 0; i < active; i++) {
      const r = order[i]!
      const sign = rows.labels[r] === positive ? 1 : -1
      const diagonal = 1 / (2 * c * rows.weights[r]!)
      const alpha = alphas[r]!
      const gradient = sign * product(weights, at, rows, r) - 1 + diagonal * alpha
      if (alpha === 0 && gradient > bound) {
        // Far on the right side and likely to stay there: out of the passes until the end.
        active--
        order[i] = order[active]!
        order[active] = r
        i--
        continue
      }
      const violation = alpha === 0 ? Math.min(gradient, 0) : gradient
      worst = Math.max(worst, Math.abs(violation))
      if (Math.abs(violation) < 1e-12) continue
      const moved = Math.max(alpha - gradient / (squares[r]! + diagonal), 0)
      alphas[r] = moved
      const by = (moved - alpha) * sign
      for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
        weights[at + rows.columns[k]!]! += by * rows.values[k]!
      weights[at + rows.width]! += by
    }
    if (worst < tolerance) {
      if (active === rows.size) return
      // Everyone is looked at once more before it counts as done.
      active = rows.size
      bound = Number.POSITIVE_INFINITY
    } else bound = Math.max(worst, tolerance)
  }
}

function product(weights: Float64Array, at: number, rows: Rows, r: number): number {
  let sum = weights[at + rows.width]!
  for (let k = rows.offsets[r]!; k < rows.offsets[r + 1]!; k++)
    sum += weights[at + rows.columns[k]!]! * rows.values[k]!
  return sum
}
