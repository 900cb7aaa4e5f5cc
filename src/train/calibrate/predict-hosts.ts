/**
 * Predictions of a new model on the recordings it was made from, host by host, for calibrating
 * detection.
 */
import {
  ACTIVE_FRAMES_MIN,
  DETECTION_BEFORE_SECONDS_MAX,
  DETECTION_HELD_OUT_SECONDS_MAX,
  DETECTION_VECTORS_MAX,
} from '../../domain/limits.ts'
import type { Predictions } from '../../domain/prediction.ts'
import { sequenceSeconds } from '../../model/manifest.ts'
import type { Model } from '../../model/model.ts'
import { collectEvery } from '../../platform/heap.ts'
import type { LabelledFrame, Recording } from '../data/recording.ts'
import { type HappeningIndex, ordinaryFrames } from '../data/scenarios.ts'
import type { Part, Split } from '../data/split.ts'
import { predictHost } from '../evaluate/detection-evaluate.ts'
import type { HostPredictions } from './detection-calibration.ts'

/**
 * Predictions on each host's benign frames: some of those trained on, and all that were held out.
 */
export async function predictHosts(
  model: Model,
  recordings: readonly Recording[],
  happenings: HappeningIndex,
  split: Split,
): Promise<HostPredictions[]> {
  const length = sequenceSeconds(model.manifest)
  const framesOf = (recording: Recording, part: Part) =>
    recording.frames.filter(
      ({ index }) => split.partOf(recording, index - length + 1, index) === part,
    )
  const held = recordings.filter((recording) => framesOf(recording, 'calibration').length > 0)
  const hosts: HostPredictions[] = []
  const collect = collectEvery(256)
  for (const recording of held) {
    const predict = async (part: Part, secondsMax: number) => {
      const predictions: Predictions[] = []
      const latest = lastFrames(
        framesOf(recording, part),
        secondsMax,
        DETECTION_VECTORS_MAX / (2 * held.length),
      )
      const ordinary = ordinaryFrames(latest, recording.host, happenings)
      for await (const answer of predictHost(model, ordinary)) {
        predictions.push(judged(answer))
        collect()
      }
      return predictions
    }
    const heldOut = await predict('calibration', DETECTION_HELD_OUT_SECONDS_MAX)
    const before = await predict('train', DETECTION_BEFORE_SECONDS_MAX)
    hosts.push({ host: recording.host, before, heldOut })
  }
  return hosts
}

/**
 * Only the windows that the detector uses: it skips processes that hardly ran, whose rows take 760
 * bytes each, too.
 */
function judged(predictions: Predictions): Predictions {
  const { classCount, stateSize, activeFrames, waiting, incomplete } = predictions
  const rows = [...predictions.processes.keys()].filter(
    (row) => activeFrames[row]! >= ACTIVE_FRAMES_MIN && incomplete[row] === 0,
  )
  const probabilities = new Float32Array(rows.length * classCount)
  const states = new Float32Array(rows.length * stateSize)
  rows.forEach((row, i) => {
    const at = row * classCount
    probabilities.set(predictions.probabilities.subarray(at, at + classCount), i * classCount)
    states.set(predictions.states.subarray(row * stateSize, (row + 1) * stateSize), i * stateSize)
  })
  return {
    ...predictions,
    processes: rows.map((row) => predictions.processes[row]!),
    probabilities,
    states,
    activeFrames: Uint8Array.from(rows, (row) => activeFrames[row]!),
    ...(waiting === undefined ? {} : { waiting: Uint8Array.from(rows, (row) => waiting[row]!) }),
    incomplete: new Uint8Array(rows.length),
  }
}

/** The latest frames, limited by seconds and by vectors. */
function lastFrames(
  frames: readonly LabelledFrame[],
  secondsMax: number,
  vectorsMax: number,
): readonly LabelledFrame[] {
  let from = frames.length
  let vectors = 0
  while (from > 0 && frames.length - from < secondsMax) {
    vectors += frames[from - 1]!.processes.length
    if (vectors > vectorsMax) break
    from--
  }
  return frames.slice(from)
}
