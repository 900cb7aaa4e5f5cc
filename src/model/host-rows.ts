/**
 * What a host's own trees see of a window (host-trees.ts): the mean and the deviation of each
 * number of the net's rows over the active seconds, the share of the seconds that were active, and
 * how many calls they had (mean and deviation of ln(1 + calls)). Order within the window is lost;
 * the net is there for that.
 *
 * One function makes these rows on a running host, from the buffer while adapting, and for the rows
 * that come with a model (references.ts), so that a threshold means the same everywhere.
 */

/** Divides ln(1 + calls), so that a million calls a second are about 1. */
const CALLS_SCALE = 14

/** Numbers in a row over a model's `width`. */
export function hostRowWidth(width: number): number {
  return 2 * width + 3
}

/**
 * Writes the row of window `n` of a batch to out[0, hostRowWidth(width)).
 * @param rows [windows × frames × width]; a silent second is a row of zeros
 * @param calls [windows × frames]
 */
export function writeHostRow(
  { rows, calls }: { readonly rows: Float32Array; readonly calls: Float32Array },
  n: number,
  frames: number,
  width: number,
  out: Float32Array,
): void {
  out.fill(0)
  let active = 0
  let sum = 0
  let squares = 0
  for (let t = 0; t < frames; t++) {
    const count = calls[n * frames + t]!
    if (count === 0) continue
    active++
    const rate = Math.log1p(count) / CALLS_SCALE
    sum += rate
    squares += rate * rate
    const from = (n * frames + t) * width
    for (let c = 0; c < width; c++) {
      const value = rows[from + c]!
      if (value === 0) continue
      out[c]! += value
      out[width + c]! += value * value
    }
  }
  if (active === 0) return
  for (let c = 0; c < width; c++) {
    if (out[c] === 0) continue
    const mean = out[c]! / active
    out[c] = mean
    out[width + c] = deviation(out[width + c]! / active, mean)
  }
  const mean = sum / active
  out[2 * width] = active / frames
  out[2 * width + 1] = mean
  out[2 * width + 2] = deviation(squares / active, mean)
}

/** What rounding leaves of a steady value is no deviation. */
function deviation(meanSquare: number, mean: number): number {
  const variance = meanSquare - mean * mean
  return variance < 1e-6 ? 0 : Math.sqrt(variance)
}
