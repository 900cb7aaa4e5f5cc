/**
 * Eigenvalues and eigenvectors of a symmetric matrix, by cyclic Jacobi rotations: slow, short and
 * exact enough for the hundred-odd components of a net's state, once per training.
 *
 * @returns eigenvalues, largest first; vector i is row i of `vectors`
 */
export function symmetricEigen(
  matrix: Float64Array,
  size: number,
): { values: Float64Array; vectors: Float64Array } {
  const a = matrix.slice()
  const v = new Float64Array(size * size)
  for (let i = 0; i < size; i++) v[i * size + i] = 1
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0
    let diagonal = 0
    for (let p = 0; p < size; p++) {
      diagonal += a[p * size + p]! ** 2
      for (let q = p + 1; q < size; q++) off += a[p * size + q]! ** 2
    }
    if (off <= 1e-22 * diagonal || off === 0) break
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(a, v, p, q, size)
  }
  const order = Array.from({ length: size }, (_, i) => i).sort(
    (i, j) => a[j * size + j]! - a[i * size + i]!,
  )
  const values = Float64Array.from(order, (i) => a[i * size + i]!)
  const vectors = new Float64Array(size * size)
  for (const [row, i] of order.entries()) {
    vectors.set(v.subarray(i * size, (i + 1) * size), row * size)
  }
  return { values, vectors }
}

/** Makes a[p, q] zero; rows of v become the eigenvectors. */
function rotate(a: Float64Array, v: Float64Array, p: number, q: number, size: number): void {
  const apq = a[p * size + q]!
  if (apq === 0) return
  const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * apq)
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
  const c = 1 / Math.sqrt(t * t + 1)
  const s = t * c
  for (let k = 0; k < size; k++) {
    const akp = a[k * size + p]!
    const akq = a[k * size + q]!
    a[k * size + p] = c * akp - s * akq
    a[k * size + q] = s * akp + c * akq
  }
  for (let k = 0; k < size; k++) {
    const apk = a[p * size + k]!
    const aqk = a[q * size + k]!
    a[p * size + k] = c * apk - s * aqk
    a[q * size + k] = s * apk + c * aqk
    const vpk = v[p * size + k]!
    const vqk = v[q * size + k]!
    v[p * size + k] = c * vpk - s * vqk
    v[q * size + k] = s * vpk + c * vqk
  }
}
