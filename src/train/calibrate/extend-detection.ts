/**
 * Extends the detection calibration of a base model by a user's recordings (detect/calibration.ts).
 * The net's states are those of the base, so its measurements stay valid: whitening, prototypes,
 * radii and confusion of the old classes are kept unchanged. New classes are measured like those of
 * any new model; an old class gets further prototypes where its program behaves differently in
 * these recordings.
 *
 * Thresholds come from the base's recordings, which are longer than a user's; they are only raised,
 * to the peaks of the held-out part.
 */
import {
  CLASS_PROTOTYPES_MAX,
  type DetectionCalibration,
  quantised,
} from '../../detect/calibration.ts'
import { nearest } from '../../detect/geometry.ts'
import { memoryName } from '../../detect/names.ts'
import { levelFor, type Tail } from '../../detect/tail.ts'
import {
  classPrototypes,
  classRadii,
  type DetectionCalibrationInput,
  mistakesOf,
  tailsOf,
  whitenAll,
} from './detection-calibration.ts'

/**
 * A window of an old class nearer than this to a prototype of the base needs no prototype of its
 * own.
 */
const NEAR = 0.6

/** @param input all classes, those of the base first, and windows of the new recordings */
export function extendDetection(
  base: DetectionCalibration,
  input: DetectionCalibrationInput,
): DetectionCalibration {
  const old = base.radii.length
  const { size } = base.whitening
  const whitened = whitenAll(base.whitening, input.states, input.labels.length)
  const fresh = classPrototypes(input, whitened, size)
  const mistakes = mistakesOf(input)
  const grown = <T extends 'radii' | 'unsure' | 'suspect'>(of: T, measured: Float32Array) =>
    Float32Array.from(measured, (value, c) => (c < old ? base[of][c]! : value))
  const draft: DetectionCalibration = {
    ...base,
    ...joined(base, fresh, size),
    radii: grown('radii', new Float32Array(input.classes.names.length).fill(1)),
    confusions: mistakes.confusions.map((measured, c) => joinedConfusions(base, c, measured)),
    unsure: grown('unsure', mistakes.unsure),
    suspect: grown('suspect', mistakes.suspect),
    ordinary: new Set([...base.ordinary, ...Array.from(input.ordinary, memoryName)]),
    profiles: input.profiles.map((profile, c) => base.profiles[c] ?? profile),
  }
  const measured = { ...draft, radii: grown('radii', classRadii(input, draft, whitened)) }
  const seen = tailsOf(input, measured)
  return { ...measured, tails: raised(base.tails, seen.tails), own: [...base.own, ...seen.own] }
}

/**
 * The base's confusion of an old class, and its confusion with the new classes, which the base does
 * not have.
 */
function joinedConfusions(
  { confusions }: DetectionCalibration,
  of: number,
  measured: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  const known = confusions[of]
  if (known === undefined) return measured
  return new Map([...known, ...[...measured].filter(([other]) => other >= confusions.length)])
}

/** The base's prototypes of each class, then those of the new recordings that are far from them. */
function joined(
  base: DetectionCalibration,
  fresh: Pick<DetectionCalibration, 'prototypes' | 'offsets'>,
  size: number,
): Pick<DetectionCalibration, 'prototypes' | 'offsets'> {
  const offsets = new Uint32Array(fresh.offsets.length)
  const prototypes: number[] = []
  for (let c = 0; c + 1 < fresh.offsets.length; c++) {
    const known = base.prototypes.subarray(
      (base.offsets[c] ?? 0) * size,
      (base.offsets[c + 1] ?? base.offsets[c] ?? 0) * size,
    )
    const held = c < base.radii.length ? known.length / size : 0
    for (let i = 0; i < held * size; i++) prototypes.push(quantised(known[i]!))
    let count = held
    for (let p = fresh.offsets[c]!; p < fresh.offsets[c + 1]!; p++) {
      const point = fresh.prototypes.subarray(p * size, (p + 1) * size)
      if (count === CLASS_PROTOTYPES_MAX) break
      if (held > 0 && nearest(point, known, held, size).distance < NEAR) continue
      prototypes.push(...point)
      count++
    }
    offsets[c + 1] = prototypes.length / size
  }
  return { prototypes: Float32Array.from(prototypes), offsets }
}

function raised(
  base: DetectionCalibration['tails'],
  seen: DetectionCalibration['tails'],
): DetectionCalibration['tails'] {
  // The base's tail, moved up to what its own rate was reached at here.
  const higher = (a: Tail, b: Tail): Tail => ({
    ...a,
    threshold: Math.max(a.threshold, levelFor(b, a.rate)),
  })
  return {
    claim: {
      cold: higher(base.claim.cold, seen.claim.cold),
      warm: higher(base.claim.warm, seen.claim.warm),
    },
    malice: {
      cold: higher(base.malice.cold, seen.malice.cold),
      warm: higher(base.malice.warm, seen.malice.warm),
    },
  }
}
