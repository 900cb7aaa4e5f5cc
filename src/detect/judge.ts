/**
 * One window's numbers for the two questions of evidence.ts. Two judges: the shared model says what a process
 * behaves like, the host's memory says what its name usually does here. Where the memory knows a name well,
 * evidence against the name counts only as far as the memory finds the behaviour strange, too; before that the
 * model speaks alone, against a level that allows for it.
 */
import type { Predictions } from '../domain/prediction.ts'
import type { DetectionCalibration } from './calibration.ts'
import { nearest } from './geometry.ts'

/** A probability is never taken to be surer than this. */
const FLOOR = 0.005

/** What one window shows of one process. */
export interface Signs {
  /** ln p(best class that is not claimed) / p(claimed class); 0 where nothing is claimed. */
  readonly against: number
  /** ln p(malicious) / p(not malicious). */
  readonly malice: number
  /** Distance to the nearest prototype of the best malicious class, in units of that class's radius. */
  readonly toMalicious: number
  /** Distance to what the name usually does here; Infinity where the memory holds nothing of it. */
  readonly toUsual: number
}

/** Numbers that were set by hand on calibration recordings; what each trades is in the tests and in ARCHITECTURE.md. */
export const JUDGE = {
  /** Ordinary windows of a class that is at home elsewhere stay below this. */
  coldDrift: 0.5,
  /** Nearer than this to what is usual here, a window speaks for the process whatever the model says. */
  usual: 1,
  /** Distance to what is usual that speaks neither way. */
  strangeDrift: 1.2,
  strangeWeight: 1,
  againstWeight: 0.5,
  /** A window further than this from the malicious class's own is no window of it. */
  maliciousGate: 2,
  maliceDrift: 0,
  near: 0.6,
  awayWeight: 8,
} as const

export function signsOf(
  predictions: Predictions,
  row: number,
  claimed: number | undefined,
  malicious: readonly boolean[],
  calibration: DetectionCalibration,
  whitened: Float32Array,
  toUsual: number,
): Signs {
  const { probabilities, classCount } = predictions
  const from = row * classCount
  let other = 0
  let malice = 0
  let worst = -1
  for (let c = 0; c < classCount; c++) {
    const p = probabilities[from + c]!
    if (c !== claimed && p > other) other = p
    if (!malicious[c]) continue
    malice += p
    if (worst < 0 || p > probabilities[from + worst]!) worst = c
  }
  const own = claimed === undefined ? 0 : probabilities[from + claimed]!
  return {
    against: claimed === undefined ? 0 : Math.log((other + FLOOR) / (own + FLOOR)),
    malice: Math.log((malice + FLOOR) / (1 - malice + FLOOR)),
    toMalicious:
      worst < 0 || malice < 0.05
        ? Number.POSITIVE_INFINITY
        : classDistance(calibration, worst, whitened),
    toUsual,
  }
}

/** Distance to a class's nearest prototype, in units of its radius. */
export function classDistance(
  { prototypes, offsets, radii, whitening: { size } }: DetectionCalibration,
  of: number,
  whitened: Float32Array,
): number {
  const from = offsets[of]!
  const count = offsets[of + 1]! - from
  const points = prototypes.subarray(from * size, (from + count) * size)
  return nearest(whitened, points, count, size).distance / Math.max(radii[of]!, 0.25)
}

/** @param warm the memory knows the name well */
export function claimIncrement(signs: Signs, warm: boolean): number {
  if (!warm) return clamp(signs.against - JUDGE.coldDrift, -2, 4)
  if (signs.toUsual < JUDGE.usual) return -1
  return clamp(
    JUDGE.againstWeight * signs.against +
      JUDGE.strangeWeight * (signs.toUsual - JUDGE.strangeDrift),
    -2,
    4,
  )
}

export function maliceIncrement(signs: Signs, warm: boolean): number {
  if (signs.toMalicious > JUDGE.maliciousGate) return -1
  const away = JUDGE.awayWeight * Math.max(0, signs.toMalicious - JUDGE.near)
  const odds = clamp(signs.malice - JUDGE.maliceDrift, -2, 4) - away
  return warm && signs.toUsual < JUDGE.usual ? Math.min(odds, -1) : odds
}

function clamp(value: number, min: number, max: number): number {
  return value < min ? min : value > max ? max : value
}
