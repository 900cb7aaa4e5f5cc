/**
 * The control plane on one page: how one closed second walks down the street, for all processes together. One
 * transaction, one inference batch, one pass of decisions. (The data plane, bytes to tallies, is `ingest.ts`.)
 *
 * Walks never overlap (`run.ts` sees to it), so no step needs a lock, and frames come in ascending order.
 */
import type { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { Detector } from '../detect/detector.ts'
import type { ShortLives } from '../detect/short-lives.ts'
import type { Frame } from '../domain/frame.ts'
import type { Classifier } from '../model/classifier.ts'
import type { Sequencer } from '../model/sequencer.ts'
import type { Outputs } from '../outputs/outputs.ts'
import type { Summariser } from '../publish/summariser.ts'
import type { Explainer } from './explainer.ts'
import type { Governor } from './governor.ts'
import type { LiveView } from './live-view.ts'

export interface Stages {
  readonly buffer: RollingBuffer
  readonly shortLives: ShortLives
  readonly sequencer: Sequencer
  readonly classifier: Classifier
  readonly detector: Detector
  readonly explainer: Explainer
  readonly summariser: Summariser
  readonly outputs: Outputs
  readonly governor: Governor
  readonly live: LiveView
}

/** Resolves when each output has what this second gave. */
export async function walk(stages: Stages, frame: Frame): Promise<void> {
  const { buffer, shortLives, sequencer, classifier, detector, explainer, summariser } = stages
  buffer.append(frame)
  const selection = stages.governor.selection(frame.index)
  const grouped = shortLives.push(frame)
  const sequences = sequencer.push(grouped, selection)
  const predictions = await classifier.predict(sequences)
  const raised = detector.push(predictions)
  const alerts = await explainer.explain(raised, sequences)
  stages.live.push(grouped, predictions)
  await stages.outputs.put(alerts, summariser.push(frame, predictions))
}

/**
 * The input is over: what is begun is summed up.
 * @param closes open alerts are closed, as those of a recording are; an agent that is stopped leaves them open for its next start
 */
export async function finish(
  { detector, outputs, summariser }: Stages,
  closes: boolean,
): Promise<void> {
  await outputs.put(closes ? detector.end() : [], summariser.end())
}

/** After a restart: the last sequence is taken from the buffer, so there are no blind ten seconds. */
export function warm({ buffer, shortLives, sequencer }: Stages, frameCount: number): void {
  sequencer.warm(buffer.readLast(frameCount).map((frame) => shortLives.push(frame)))
}
