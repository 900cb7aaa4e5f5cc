/**
 * Cholesky's factor of a symmetric positive definite matrix and the solution of a system by it: the
 * inner step of Newton's method in both linear baselines, a few hundred columns wide. Matrices are
 * row-major, only their lower half is read and written. Sums use four accumulators, because a
 * single chain of additions is latency-bound.
 */

/** Replaces the lower half of the n × n matrix at `at` by its factor L, where A = L·Lᵀ. */
export function factorise(matrix: Float64Array, n: number, at = 0): void {
  for (let i = 0; i < n; i++) {
    const rowI = at + i * n
    for (let j = 0; j < i; j++) {
      const rowJ = at + j * n
      matrix[rowI + j] =
        (matrix[rowI + j]! - dot(matrix, rowI, matrix, rowJ, j)) / matrix[rowJ + j]!
    }
    const left = matrix[rowI + i]! - dot(matrix, rowI, matrix, rowI, i)
    // Rounding may make a pivot zero or negative; a tiny one keeps the step finite.
    matrix[rowI + i] = Math.sqrt(Math.max(left, 1e-12))
  }
}

/** Solves A·x = b by A's factor; `x` holds b before and x after. */
export function solve(
  factor: Float64Array,
  n: number,
  x: Float64Array,
  factorAt = 0,
  xAt = 0,
): void {
  for (let i = 0; i < n; i++) {
    const row = factorAt + i * n
    x[xAt + i] = (x[xAt + i]! - dot(factor, row, x, xAt, i)) / factor[row + i]!
  }
  for (let i = n - 1; i >= 0; i--) {
    const row = factorAt + i * n
    const value = x[xAt + i]! / factor[row + i]!
    x[xAt + i] = value
    for (let k = 0; k < i; k++) x[xAt + k]! -= value * factor[row + k]!
  }
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum0 = 0
  let sum1 = 0
  let sum2 = 0
  let sum3 = 0
  let k = 0
  for (; k + 3 < length; k += 4) {
    sum0 += a[i + k]! * b[j + k]!
    sum1 += a[i + k + 1]! * b[j + k + 1]!
    sum2 += a[i + k + 2]! * b[j + k + 2]!
    sum3 += a[i + k + 3]! * b[j + k + 3]!
  }
  for (; k < length; k++) sum0 += a[i + k]! * b[j + k]!
  return sum0 + sum1 + (sum2 + sum3)
}
