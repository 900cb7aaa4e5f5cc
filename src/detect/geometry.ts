/**
 * Distances between states of the net, in units of how much one program differs from itself.
 *
 * A state is whitened by the training data's within-class covariance: a direction in which every
 * program varies counts little, one in which programs are constant counts much. The distance is the
 * root mean square over the whitened components, so that it does not grow with the size of the net
 * and 1.4 is what two states of one program differ by on average. Flat arrays, no object per row:
 * 300 processes a second pass through here.
 */
/**
 * Whitened components are cut here: far is far, no single component decides alone, and a byte holds
 * one.
 */
export const COMPONENT_MAX = 127 / 8

export interface Whitening {
  readonly stateSize: number
  /** Components kept. */
  readonly size: number
  /** [size × stateSize], row-major. */
  readonly matrix: Float32Array
}

/** Writes row `row` of `states`, whitened, to `out` at `at`. */
export function whiten(
  { stateSize, size, matrix }: Whitening,
  states: Float32Array,
  row: number,
  out: Float32Array,
  at = 0,
): void {
  const from = row * stateSize
  for (let i = 0, m = 0; i < size; i++) {
    let sum = 0
    for (let j = 0; j < stateSize; j++) sum += matrix[m++]! * states[from + j]!
    out[at + i] = sum > COMPONENT_MAX ? COMPONENT_MAX : Math.max(sum, -COMPONENT_MAX)
  }
}

/** Root mean square difference of two whitened states. */
export function distance(
  a: Float32Array,
  aAt: number,
  b: Float32Array,
  bAt: number,
  size: number,
): number {
  let sum = 0
  for (let i = 0; i < size; i++) {
    const difference = a[aAt + i]! - b[bAt + i]!
    sum += difference * difference
  }
  return Math.sqrt(sum / size)
}

/**
 * Nearest of the first `count` rows of `points` to the whitened state `state`; index -1 and
 * Infinity when there is none.
 */
export function nearest(
  state: Float32Array,
  points: Float32Array,
  count: number,
  size: number,
): { readonly index: number; readonly distance: number } {
  let index = -1
  let best = Number.POSITIVE_INFINITY
  for (let p = 0, at = 0; p < count; p++, at += size) {
    let sum = 0
    // Left early once it cannot win: most prototypes are far away.
    for (let i = 0; i < size && sum < best; i++) {
      const difference = state[i]! - points[at + i]!
      sum += difference * difference
    }
    if (sum < best) {
      best = sum
      index = p
    }
  }
  return { index, distance: index < 0 ? Number.POSITIVE_INFINITY : Math.sqrt(best / size) }
}
