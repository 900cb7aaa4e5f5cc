/**
 * The increments of one window for the two questions of evidence.ts. The shared model says what a
 * process behaves like, the host's baseline says what its name usually does on this host. If the
 * baseline of a name is filled, evidence against the name counts only as far as the behaviour
 * deviates from the baseline, too; before that the model decides alone, with a higher threshold.
 */
import type { ModelClasses, Predictions } from '../domain/prediction.ts'
import type { DetectionCalibration } from './calibration.ts'
import { nearest } from './geometry.ts'
import { JUDGE, WINDOW } from './thresholds.ts'

/** What one window shows of one process. */
export interface Signs {
  /** ln p(best class that is not claimed) / p(claimed class); 0 where nothing is claimed. */
  readonly against: number
  /**
   * The same without the class of other programs, which says no more than that it is not known, and
   * on a young host without interpreters, as which every program written for one passes.
   */
  readonly againstNamed: number
  /** ln p(malicious) / p(not malicious). */
  readonly malice: number
  /** Index of the most probable malicious class; −1 where the model has none. */
  readonly worst: number
  /**
   * Distance to the nearest prototype of the best malicious class, in units of that class's radius.
   */
  readonly toMalicious: number
  /** Distance to what the name usually does here; Infinity where the memory holds nothing of it. */
  readonly toUsual: number
  /**
   * The model has been measured on this host, and takes the window for another program that was
   * seen here: distance to what that one usually does. Undefined otherwise.
   */
  readonly toOther: number | undefined
  /**
   * Share of ordinary windows of the claimed class that the net takes for the one that speaks
   * against it.
   */
  readonly unsure: number
  /** Share of them that it takes for something malicious; 0 where nothing is claimed. */
  readonly suspect: number
  /** How likely the name is to show something new in any second, as its past here goes. */
  readonly surprise: number
  /** Share of its seconds here in which the model spoke against the name. */
  readonly contradicted: number
  /** It did nothing but wait, as every program does that has nothing to do. */
  readonly isWaiting: boolean
  /** The name matches a malicious class. */
  readonly maliciousName: boolean
  /**
   * 1 where the host behaves as it usually does, 0 where so many of its programs do not that none
   * stands out.
   */
  readonly calm: number
}

/** What the presented name stands for. */
export interface Name {
  /** Index of the class that it claims. */
  readonly claimed: number | undefined
  /** It is a malicious program's. */
  readonly maliciousName: boolean
  /**
   * The host is too young to hold it against a name that its program looks like the interpreter it
   * may be written for.
   */
  readonly spareInterpreters: boolean
}

/** What the host's memory says of the name. */
export interface Usual {
  readonly distance: number
  /** Distance to what this class's name usually does here; Infinity where nothing is known of it. */
  readonly distanceOf?: (of: number) => number
  readonly surprise: number
  readonly contradicted: number
  readonly calm: number
}

export function signsOf(
  predictions: Predictions,
  row: number,
  name: Name,
  usual: Usual,
  { malicious, generic, background }: Pick<ModelClasses, 'malicious' | 'generic' | 'background'>,
  calibration: DetectionCalibration,
  whitened: Float32Array,
): Signs {
  const { probabilities, classCount } = predictions
  const { claimed } = name
  const from = row * classCount
  let other = 0
  let top = -1
  let named = 0
  let against = -1
  let malice = 0
  let worst = -1
  for (let c = 0; c < classCount; c++) {
    const p = probabilities[from + c]!
    if (c !== claimed && p > other) {
      other = p
      top = c
    }
    if (
      c !== claimed &&
      c !== background &&
      !(name.spareInterpreters && generic?.[c]) &&
      p > named
    ) {
      named = p
      against = c
    }
    if (!malicious[c]) continue
    malice += p
    if (worst < 0 || p > probabilities[from + worst]!) worst = c
  }
  const own = claimed === undefined ? 0 : probabilities[from + claimed]!
  const isDenied =
    claimed !== undefined &&
    other > own &&
    calibration.measuredHere?.has(claimed) === true &&
    // Of a class from elsewhere, whose program may live for moments here, this is no denial.
    (top !== background || isAdded(claimed, calibration))
  return {
    toOther: isDenied ? (usual.distanceOf?.(top) ?? Number.POSITIVE_INFINITY) : undefined,
    against: claimed === undefined ? 0 : Math.log((other + WINDOW.floor) / (own + WINDOW.floor)),
    againstNamed:
      claimed === undefined ? 0 : Math.log((named + WINDOW.floor) / (own + WINDOW.floor)),
    malice: Math.log((malice + WINDOW.floor) / (1 - malice + WINDOW.floor)),
    worst,
    toMalicious:
      worst < 0 || malice < WINDOW.maliceFrom
        ? Number.POSITIVE_INFINITY
        : classDistance(calibration, worst, whitened),
    unsure:
      claimed === undefined
        ? 1
        : (calibration.confusions[claimed]!.get(against) ?? calibration.unsure[claimed]!),
    suspect: claimed === undefined ? 0 : calibration.suspect[claimed]!,
    toUsual: usual.distance,
    surprise: usual.surprise,
    contradicted: usual.contradicted,
    calm: usual.calm,
    isWaiting: predictions.waiting?.[row] === 1,
    maliciousName: name.maliciousName,
  }
}

/** The host added the class, for its name lasts here; the host's memory holds its prototypes. */
function isAdded(of: number, { offsets }: DetectionCalibration): boolean {
  return offsets[of] === offsets[of + 1]
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
  return nearest(whitened, points, count, size).distance / Math.max(radii[of]!, WINDOW.radiusLeast)
}

/** @param warm the memory knows the name well */
export function claimIncrement(signs: Signs, warm: boolean): number {
  const increment = claimIncrementOf(signs, warm)
  return signs.isWaiting ? Math.min(0, increment) : increment
}

function claimIncrementOf(signs: Signs, warm: boolean): number {
  if (!warm) {
    const most = Math.min(
      WINDOW.most,
      -Math.log(signs.unsure + WINDOW.rateFloor) - JUDGE.surpriseDrift,
    )
    return clamp(signs.againstNamed - JUDGE.coldDrift, WINDOW.least, most)
  }
  // Where the other program usually does the same, the memory cannot tell the two apart, and a model
  // that was measured here speaks alone.
  const isSame = signs.toOther !== undefined && signs.toOther <= Math.max(JUDGE.same, signs.toUsual)
  if (signs.toUsual < JUDGE.usual && !isSame) return -1
  // Something new from a name that often shows something new says little; so does the model where
  // it often errs.
  const worth = (rate: number, drift: number) => Math.max(0, -Math.log(rate) - drift)
  const { againstWeight, strangeWeight, strangeDrift } = JUDGE
  const against = clamp(
    againstWeight * signs.against,
    WINDOW.least,
    worth(signs.contradicted, JUDGE.contradictedDrift),
  )
  if (signs.toUsual < JUDGE.usual)
    return clamp(against - JUDGE.aloneDrift, WINDOW.least, WINDOW.most)
  const strange = clamp(
    strangeWeight * (signs.toUsual - strangeDrift),
    WINDOW.least,
    worth(signs.surprise, JUDGE.surpriseDrift),
  )
  const sum = clamp(against + strange, WINDOW.least, WINDOW.most)
  return sum > 0 ? sum * signs.calm : sum
}

export function maliceIncrement(signs: Signs, warm: boolean): number {
  const most = Math.min(
    WINDOW.most,
    -Math.log(signs.suspect + WINDOW.rateFloor) - JUDGE.suspectDrift,
  )
  if (signs.maliciousName) return clamp(signs.malice + JUDGE.maliciousNameOdds, WINDOW.least, most)
  if (signs.toMalicious > JUDGE.maliciousGate) return -1
  const away = JUDGE.awayWeight * Math.max(0, signs.toMalicious - JUDGE.near)
  const odds = clamp(signs.malice, WINDOW.least, most) - away
  return warm && signs.toUsual < JUDGE.usual ? Math.min(odds, -1) : odds
}

function clamp(value: number, min: number, max: number): number {
  return value < min ? min : Math.min(value, max)
}
