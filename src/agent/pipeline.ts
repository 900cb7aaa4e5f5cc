/**
 * The control plane on one page: how one closed second is processed, for all processes together.
 * One transaction, one inference batch, one pass of decisions. (The data plane, bytes to tallies,
 * is `ingest.ts`.)
 *
 * Walks never overlap (`run.ts` sees to it), so no step needs a lock, and frames come in ascending
 * order.
 */
import type { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { Explainer } from '../classify/explainer.ts'
import type { Detector } from '../detect/detector.ts'
import type { ShortLives } from '../detect/short-lives.ts'
import type { Alert } from '../domain/alert.ts'
import type { Frame } from '../domain/frame.ts'
import type { Predictions } from '../domain/prediction.ts'
import { type SightName, seenBy } from '../domain/sight.ts'
import type { Classifier } from '../model/classifier.ts'
import type { SequenceBatch, Sequencer } from '../model/sequencer.ts'
import type { Outputs } from '../outputs/outputs.ts'
import { log } from '../platform/log.ts'
import type { Summariser } from '../publish/summariser.ts'
import type { FactKeeper } from './fact-keeper.ts'
import type { Governor } from './governor.ts'
import type { HostAdaptation } from './host-adaptation.ts'
import type { LiveView } from './live-view.ts'
import type { CpuMeter } from './own-cost.ts'
import type { Sight } from './sight.ts'

export interface Stages {
  readonly buffer: RollingBuffer
  readonly shortLives: ShortLives
  readonly facts: FactKeeper
  readonly sequencer: Sequencer
  readonly classifier: Classifier
  readonly adaptation: HostAdaptation
  readonly detector: Detector
  readonly explainer: Explainer
  readonly summariser: Summariser
  readonly outputs: Outputs
  readonly governor: Governor
  /** What judging costs. */
  readonly judging: CpuMeter
  readonly live: LiveView
  readonly sight: Sight
}

/**
 * Resolves when each output has what this second gave. Where a stage throws, so does this, after
 * what was raised has been told and what was counted is in the summary; no stage is left with half
 * a second.
 * @param sight which calls the source can show; the others are kept, and not judged by
 */
export async function walk(stages: Stages, frame: Frame, sight?: SightName): Promise<void> {
  const { buffer, explainer, live, outputs, summariser } = stages
  let alerts: readonly Alert[] = []
  let predictions: Predictions | undefined
  try {
    buffer.append(frame)
    const judgedFrame = sight === undefined ? frame : seenBy(frame, sight)
    const { grouped, sequences } = takeFrame(stages, judgedFrame)
    stages.facts.push(grouped)
    const judged = await stages.judging.measure(() => judge(stages, sequences))
    predictions = judged.predictions
    alerts = judged.raised
    alerts = await explainer.explain(alerts, sequences)
    live.push(grouped, predictions)
  } finally {
    stages.sight.push(frame, predictions)
    await outputs.put(alerts, undefined)
    await outputs.put([], summariser.push(frame, predictions))
  }
}

/** What fails half way begins anew: there are no sequences then until one is whole again. */
function takeFrame({ governor, shortLives, sequencer }: Stages, frame: Frame) {
  try {
    const selection = governor.selection(frame.index)
    const grouped = shortLives.push(frame)
    return { grouped, sequences: sequencer.push(grouped, selection) }
  } catch (error) {
    shortLives.reset()
    sequencer.reset()
    throw error
  }
}

/**
 * Where it fails, evidence on these processes neither grows nor fades; alerts raised before are in
 * the next second's.
 */
async function judge({ classifier, adaptation, detector }: Stages, sequences: SequenceBatch) {
  try {
    const predictions = adaptation.mix(await classifier.predict(sequences), sequences)
    const raised = detector.push(predictions)
    return { predictions: { ...predictions, known: detector.known }, raised }
  } catch (error) {
    detector.hold(sequences.processes)
    throw error
  }
}

/**
 * The input is over: what is begun is summed up.
 * @param closes open alerts are closed, as those of a recording are; an agent that is stopped
 *   leaves them open for its next start
 */
export async function finish(
  { detector, outputs, summariser }: Stages,
  closes: boolean,
): Promise<void> {
  await outputs.put(closes ? detector.end() : [], summariser.end())
}

/**
 * After a restart: the last sequence is taken from the buffer, so there are no blind ten seconds.
 * Frames that are older than a sequence, or from a future that the clock had then, are no past of
 * what comes.
 */
export function warm(
  { buffer, shortLives, sequencer }: Stages,
  frameCount: number,
  nowSeconds: number,
): void {
  const frames = buffer
    .readLast(frameCount)
    .filter(({ index }) => index <= nowSeconds && index >= nowSeconds - frameCount)
  try {
    sequencer.warm(frames.map((frame) => shortLives.push(frame)))
  } catch (error) {
    log.error('Cannot restore the last seconds from the buffer', { error: String(error) })
    shortLives.reset()
    sequencer.reset()
  }
}
