/**
 * The paper's decision table [Paper III]: the verdict for one prediction of one process.
 *
 * Window-wise and without memory, so that the paper's figures stay reproducible. What a run of
 * windows means is `evidence.ts`; it asks this table once more, about the probabilities of the
 * whole run.
 */
import type { ModelClasses } from '../domain/prediction.ts'
import type { Verdict } from '../domain/verdict.ts'

export interface Prediction {
  /** Index of the most probable class, and its calibrated probability. */
  readonly class: number
  readonly confidence: number
}

/**
 * @param claimed index of the class that the presented name claims; undefined where the model knows
 *   none: such a name claims nothing that could be contradicted, so it is never a masquerade.
 */
export function decide(
  prediction: Prediction,
  claimed: number | undefined,
  classes: Pick<ModelClasses, 'names' | 'malicious'>,
  confidenceMin: number,
): Verdict {
  const { class: predicted, confidence } = prediction
  if (confidence < confidenceMin) return { kind: 'novelty', confidence }
  const className = classes.names[predicted]!
  if (classes.malicious[predicted]) return { kind: 'nonGrata', className, confidence }
  if (claimed !== undefined && predicted !== claimed) {
    return { kind: 'masquerade', className, confidence }
  }
  return { kind: 'expected' }
}

/**
 * The most probable class of row `row` among those that `counts` names; class −1 where it names
 * none.
 */
export function mostProbable(
  probabilities: Float32Array,
  row: number,
  classCount: number,
  counts: (of: number) => boolean = () => true,
): Prediction {
  let best = -1
  let confidence = -1
  for (let c = 0, at = row * classCount; c < classCount; c++, at++) {
    if (probabilities[at]! > confidence && counts(c)) {
      best = c
      confidence = probabilities[at]!
    }
  }
  return { class: best, confidence }
}
