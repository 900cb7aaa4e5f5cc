/**
 * The tail of evidence in benign activity: the peaks of a host's names on recordings that the model
 * was not trained on. Above a threshold they follow a generalised Pareto distribution (peaks over
 * threshold), which gives levels for rarer alerts than the recordings are long; below it they are
 * read off as they were seen.
 *
 * Names whose claim the model contradicts for good reach the ceiling of evidence. They are not in
 * the tail of that question, and not forgotten: each has a level of its own (`OwnLevel`), and a
 * line in the model's card. There is no exception for malicious evidence.
 */
import { assert } from '../domain/assert.ts'
import { EVIDENCE, TAIL } from './thresholds.ts'

export interface Tail {
  /** Peaks above it follow the distribution, `rate` of them a host-day. */
  readonly threshold: number
  readonly rate: number
  readonly scale: number
  /** 0 is exponential, above it the tail is heavier. */
  readonly shape: number
  /** Levels that were passed 1, 2, 4, 8 … times as often as the threshold, falling. */
  readonly body: readonly number[]
}

/** Budgets below this are the same for all purposes. */
const LEAST_PER_DAY = 1e-6

/** Level that ordinary life is expected to pass `perDay` times a host-day. */
export function levelFor(tail: Tail, perDay: number): number {
  const { threshold, rate, scale, shape, body } = tail
  const wanted = Math.max(perDay, LEAST_PER_DAY)
  if (wanted < rate) {
    const often = rate / wanted
    const excess =
      Math.abs(shape) < 1e-6 ? scale * Math.log(often) : (scale / shape) * (often ** shape - 1)
    return Math.max(EVIDENCE.lowestLevel, threshold + excess)
  }
  const at = Math.log2(wanted / Math.max(rate, LEAST_PER_DAY))
  const i = Math.min(Math.floor(at), body.length - 1)
  if (i < 0) return Math.max(EVIDENCE.lowestLevel, threshold)
  const next = body[i + 1] ?? body[i]!
  return Math.max(EVIDENCE.lowestLevel, body[i]! + Math.min(1, at - i) * (next - body[i]!))
}

/** Times a host-day that ordinary life is expected to pass a level. */
export function rateAt(tail: Tail, level: number): number {
  const { threshold, rate, scale, shape, body } = tail
  if (level >= threshold) {
    const x = (level - threshold) / scale
    if (Math.abs(shape) < 1e-6) return rate * Math.exp(-x)
    return rate * Math.max(0, 1 + shape * x) ** (-1 / shape)
  }
  const below = body.findIndex((of) => of <= level)
  return rate * 2 ** (below < 0 ? body.length : below)
}

/**
 * Peaks of ordinary life to a tail: threshold at the highest tenth (at least ten), scale and shape
 * by probability-weighted moments (Hosking and Wallis 1987), which stand few peaks and one odd one.
 * @param scaleMin no tail is taken to fall faster: recordings of an hour have not seen the odd
 *   seconds of a week
 */
export function fitTail(peaks: readonly number[], days: number, scaleMin: number): Tail {
  assert(days > 0, 'a tail is fitted to some time')
  const sorted = peaks.toSorted((a, b) => b - a)
  const used = Math.min(sorted.length - 1, Math.max(10, Math.ceil(sorted.length / 10)))
  if (used < 1) return { threshold: 0, rate: 0, scale: scaleMin, shape: 0, body: [] }
  const threshold = sorted[used]!
  const body: number[] = []
  for (let k = used; k < sorted.length; k *= 2) body.push(sorted[k]!)
  // Where most names show nothing the threshold is 0, and only what lies above it is in the tail.
  const excesses = sorted.filter((peak) => peak > threshold).map((peak) => peak - threshold)
  const rest = { threshold, rate: excesses.length / days, body }
  if (excesses.length < TAIL.excessesLeast)
    return { ...rest, rate: used / days, scale: scaleMin, shape: 0 }
  // The k-th smallest of n excesses weighs (n − k + ½) / n.
  let mean = 0
  let weighted = 0
  for (const [i, excess] of excesses.entries()) {
    mean += excess / excesses.length
    weighted += (excess * (i + 0.5)) / excesses.length ** 2
  }
  const denominator = mean - 2 * weighted
  if (denominator <= 0) return { ...rest, scale: Math.max(scaleMin, mean), shape: 0 }
  const shape = Math.min(TAIL.shapeHighest, Math.max(0, 2 - mean / denominator))
  // With a shape that was held, the scale is what keeps the mean excess.
  return { ...rest, scale: Math.max(scaleMin, mean * (1 - shape)), shape }
}
