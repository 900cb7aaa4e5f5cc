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
import type { Summariser } from '../publish/summariser.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import type { Delivery } from './delivery.ts'
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
  readonly delivery: Delivery
  readonly governor: Governor
  readonly live: LiveView
}

/** @returns the alerts of this second, with their reasons; what is to be sent is in the outbox by then */
export async function walk(stages: Stages, frame: Frame): Promise<readonly AlertMessage[]> {
  const { buffer, shortLives, sequencer, classifier, detector, explainer, summariser } = stages
  buffer.append(frame)
  const selection = stages.governor.selection(frame.index)
  const grouped = shortLives.push(frame)
  const sequences = sequencer.push(grouped, selection)
  const predictions = await classifier.predict(sequences)
  const raised = detector.push(predictions)
  const alerts = await explainer.explain(raised, sequences)
  stages.live.push(grouped, predictions)
  return stages.delivery.put(alerts, summariser.push(frame, predictions))
}

/** The input is over: what is open is closed, what is begun is summed up. */
export function finish(stages: Stages): readonly AlertMessage[] {
  return stages.delivery.put(stages.detector.end(), stages.summariser.end())
}

/** After a restart: the last sequence is taken from the buffer, so there are no blind ten seconds. */
export function warm({ buffer, shortLives, sequencer }: Stages, frameCount: number): void {
  sequencer.warm(buffer.readLast(frameCount).map((frame) => shortLives.push(frame)))
}
