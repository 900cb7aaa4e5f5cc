/**
 * Runs a model over a series of one host's frames, for evaluation, calibration and replays: one
 * Predictions per frame.
 */
import type { Frame } from '../domain/frame.ts'
import type { Predictions } from '../domain/prediction.ts'
import { Classifier } from './classifier.ts'
import type { Model } from './model.ts'
import { type SequenceBatch, sequencerOf } from './sequencer.ts'

/** Sees each batch with what the model says of it, and gives what is said instead. */
export type Mix = (predictions: Predictions, batch: SequenceBatch) => Predictions

/** @param frames of one host, by time; a jump back in time resets the sequencer */
export async function* predictFrames(
  model: Model,
  frames: Iterable<Frame> | AsyncIterable<Frame>,
  mix: Mix = (predictions) => predictions,
): AsyncGenerator<Predictions> {
  const classifier = new Classifier(model)
  let sequencer = sequencerOf(model)
  let last = Number.NEGATIVE_INFINITY
  for await (const frame of frames) {
    if (frame.index <= last) sequencer = sequencerOf(model)
    last = frame.index
    const batch = sequencer.push(frame)
    yield mix(await classifier.predict(batch), batch)
  }
}
