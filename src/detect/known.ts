/**
 * Whether the model has anything to say about a window: the class that it names must have
 * prototypes nearby. A net names a class for every input, also for programs that it never saw;
 * "not known" is then the answer, and no evidence against a name.
 *
 * On hosts of strange programs this marks 40 % of their windows as not known, and 4 % of those of
 * programs that are named rightly (recordings standing/strange-1 and known-2).
 */
import type { Predictions } from '../domain/prediction.ts'
import type { DetectionCalibration } from './calibration.ts'
import { mostProbable } from './decide.ts'
import { classDistance } from './judge.ts'
import { KNOWN_WITHIN } from './thresholds.ts'

/**
 * @param background class of other programs: to be one of those is to be none that is known
 * @param whitened state of the window
 */
export function isKnown(
  { probabilities, classCount }: Predictions,
  row: number,
  background: number | undefined,
  calibration: DetectionCalibration,
  whitened: Float32Array,
): boolean {
  const { class: top } = mostProbable(probabilities, row, classCount)
  if (top === background) return false
  // A class that the host added was made of its own windows, and has no prototypes.
  if (calibration.offsets[top] === calibration.offsets[top + 1]) return true
  return classDistance(calibration, top, whitened) <= KNOWN_WITHIN
}
