/** The calibration of detection that a model brings. */
import { type DetectionCalibration, readDetectionCalibration } from '../detect/calibration.ts'
import { AgentError } from '../domain/error.ts'
import { ENOUGH_FOR_ALERTS } from '../model/manifest.ts'
import type { Model } from '../model/model.ts'

/** @throws AgentError where the model brings none */
export function calibrationOf(model: Model): DetectionCalibration {
  const { detection, classes, stateSize } = model.manifest
  if (detection === undefined) {
    throw new AgentError(
      'ERR_MODEL',
      `Cannot watch with model "${model.directory}": its manifest has no "detection"`,
      { hint: ENOUGH_FOR_ALERTS },
    )
  }
  return readDetectionCalibration(detection, classes.length, stateSize)
}
