/**
 * A model over a run of one host's frames: what evaluation, calibration and replays need beside the live
 * tick. Frames go in as they were recorded, one Predictions comes out for each.
 */
import type { Frame } from '../domain/frame.ts'
import type { Predictions } from '../domain/prediction.ts'
import { Classifier } from './classifier.ts'
import type { Model } from './model.ts'
import { sequencerOf } from './sequencer.ts'

/** @param frames of one host, by time; a jump back in time starts a new past */
export async function* predictFrames(
  model: Model,
  frames: Iterable<Frame> | AsyncIterable<Frame>,
): AsyncGenerator<Predictions> {
  const classifier = new Classifier(model)
  let sequencer = sequencerOf(model)
  let last = Number.NEGATIVE_INFINITY
  for await (const frame of frames) {
    if (frame.index <= last) sequencer = sequencerOf(model)
    last = frame.index
    yield await classifier.predict(sequencer.push(frame))
  }
}
