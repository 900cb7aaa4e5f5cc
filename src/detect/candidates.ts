/**
 * What an alert about a process would say: the paper's table (decide.ts) applied to the mean of a
 * run of windows, or a fact that is enough by itself. Whether it is said is decided afterwards,
 * by facts and levels (gate.ts), allow rules and the alert book.
 */
import type { Alert, AlertKind } from '../domain/alert.ts'
import { BEHAVIOURS, type Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { Proof, Question } from '../domain/finding.ts'
import { ALERT_ALTERNATIVES_MAX } from '../domain/limits.ts'
import type { Policy } from '../domain/policy.ts'
import type { ModelClasses } from '../domain/prediction.ts'
import type { Verdict } from '../domain/verdict.ts'
import type { ClaimedClasses } from './claimed-classes.ts'
import type { Crossing } from './crossing.ts'
import { decide, mostProbable } from './decide.ts'
import type { ProcessEvidence, Stream } from './evidence.ts'
import { memoryName } from './names.ts'
import { CONFIDENCE_MIN, NOT_KNOWN_FROM, SHOWN } from './thresholds.ts'
import type { Outcome } from './weigh.ts'

/** What is held against a process, before allow rules and the alert book. */
export interface Accusation
  extends Omit<Crossing, 'severity' | 'certainty' | 'because' | 'context'> {
  readonly outcome: Exclude<Outcome, { kind: 'wait' }>
  /** Of the alert; an observation is low whatever it is about. */
  readonly severity: Severity
}

/** An accusation that has not been weighed yet. */
export interface Candidate {
  /** Undefined for a malicious class without a behaviour: no fact answers it. */
  readonly question: Question | undefined
  /** The accumulated evidence behind it. */
  readonly stream: Stream
  /** Mean probability, 0…1, of what the alert would say. */
  readonly confidence: number
  /** That of the one class that it would name. */
  readonly named: number
  readonly accusation: Omit<Accusation, 'outcome'>
}

export const NO_CLASS = { class: '', confidence: 0 } as const

const KINDS: Readonly<Record<Verdict['kind'], AlertKind>> = {
  nonGrata: 'non-grata',
  masquerade: 'masquerade',
  novelty: 'novelty',
  expected: 'novelty',
  undecided: 'novelty',
}

export class Candidates {
  readonly #classes: ModelClasses
  readonly #claims: ClaimedClasses
  /** What the operator changed about severities; may be changed while it runs. */
  policy: Policy

  constructor(classes: ModelClasses, claims: ClaimedClasses, policy: Policy) {
    this.#classes = classes
    this.#claims = claims
    this.policy = policy
  }

  /** It behaves like a malicious class. */
  malicious(evidence: ProcessEvidence, claimed: number | undefined): Candidate {
    const mean = evidence.mean!
    const { malicious, names } = this.#claims.accusing
    const best = mostProbable(mean, 0, mean.length, (c) => malicious[c]!)
    const behaviour = this.#classes.behaviours?.[best.class]
    return {
      question: behaviour,
      stream: evidence.malice,
      // That it is malicious is surer than which of the malicious behaviours it is.
      confidence: sumOf(mean, malicious),
      named: best.confidence,
      accusation: {
        kind: 'non-grata',
        process: evidence.process,
        predicted: { class: names[best.class]!, confidence: best.confidence },
        ...this.#alternatives(mean, best.class, claimed),
        claimed: this.#claimedIn(mean, claimed),
        from: evidence.malice.from,
        windows: evidence.malice.windows,
        severity: behaviour === undefined ? 'high' : this.policy.severityOf(behaviour),
        ...defined({ behaviour }),
        techniques: behaviour === undefined ? [] : BEHAVIOURS[behaviour].techniques,
      },
    }
  }

  /**
   * It is not what its name says: another program, or none that is known. Undefined where only the
   * memory could say so, and it does not know the name well.
   */
  contradicting(
    evidence: ProcessEvidence,
    claimed: number | undefined,
    warm: boolean,
  ): Candidate | undefined {
    const mean = evidence.mean!
    const best = mostProbable(mean, 0, mean.length, (c) => c !== claimed)
    const verdict = decide(best, claimed, this.#claims.accusing, CONFIDENCE_MIN)
    // That a behaviour is none of the named ones is for the memory to say: without one the model
    // just does not know it.
    const isUnknown =
      verdict.kind === 'novelty' ||
      best.class === this.#classes.background ||
      evidence.unknown > NOT_KNOWN_FROM
    if (isUnknown && !warm) return undefined
    const kind = KINDS[verdict.kind]
    const behaviour = kind === 'non-grata' ? this.#classes.behaviours?.[best.class] : undefined
    return {
      question: 'masquerade',
      stream: evidence.claim,
      confidence: best.confidence,
      named: best.confidence,
      accusation: {
        kind,
        process: evidence.process,
        predicted: { class: this.#classes.names[best.class]!, confidence: best.confidence },
        ...this.#alternatives(mean, best.class, claimed),
        claimed: this.#claimedIn(mean, claimed),
        from: evidence.claim.from,
        windows: evidence.claim.windows,
        severity:
          behaviour !== undefined
            ? this.policy.severityOf(behaviour)
            : kind === 'novelty'
              ? 'medium'
              : 'high',
        ...defined({ behaviour }),
        techniques: [
          ...(kind === 'masquerade' ? ['T1036'] : []),
          ...(behaviour === undefined ? [] : BEHAVIOURS[behaviour].techniques),
        ],
      },
    }
  }

  /**
   * A fact that is enough by itself, whatever the calls look like.
   * @param mean of the process's windows, if it has any
   */
  proven(
    { process, finding }: Proof,
    mean: Float32Array | undefined,
    frameIndex: number,
  ): Accusation {
    const { question, says, because } = finding
    const name = memoryName(process.name)
    const claimed = this.#claims.of(process.name)
    const isMasquerade = question === 'masquerade'
    const best =
      isMasquerade && mean !== undefined
        ? mostProbable(mean, 0, mean.length, (c) => c !== claimed)
        : undefined
    return {
      kind: isMasquerade ? 'masquerade' : 'non-grata',
      process,
      predicted: isMasquerade
        ? best === undefined
          ? NO_CLASS
          : { class: this.#classes.names[best.class]!, confidence: best.confidence }
        : { class: BEHAVIOURS[question].name, confidence: 1 },
      claimed:
        claimed === undefined
          ? { class: isMasquerade ? name : '', confidence: 0 }
          : this.#claimedIn(mean ?? new Float32Array(this.#classes.names.length), claimed),
      from: frameIndex,
      windows: 1,
      outcome: {
        ...{ kind: 'alert', because: [because], isProven: true },
        // A fact that only supports is listed, without a notification.
        certainty: says === 'proves' ? 'confirmed' : 'provisional',
      },
      severity: isMasquerade ? 'high' : this.policy.severityOf(question),
      ...(isMasquerade ? {} : { behaviour: question }),
      // Whoever blinds does it with new processes under new names.
      ...(question === 'blinding' && process.uid !== undefined
        ? { partOf: `blinding by user ${process.uid}` }
        : {}),
      techniques: isMasquerade ? ['T1036'] : BEHAVIOURS[question].techniques,
    }
  }

  /** The next most probable classes that say something: a guess below a twentieth does not. */
  #alternatives(mean: Float32Array, best: number, claimed: number | undefined) {
    const alternatives = Array.from(mean, (confidence, c) => ({ c, confidence }))
      .filter(
        ({ c, confidence }) => c !== best && c !== claimed && confidence >= SHOWN.alternativeFrom,
      )
      .sort((a, b) => b.confidence - a.confidence)
      .slice(0, ALERT_ALTERNATIVES_MAX)
      .map(({ c, confidence }) => ({ class: this.#classes.names[c]!, confidence }))
    return alternatives.length === 0 ? {} : { alternatives }
  }

  #claimedIn(mean: Float32Array, claimed: number | undefined): Alert['claimed'] {
    if (claimed === undefined) return NO_CLASS
    return { class: this.#classes.names[claimed]!, confidence: mean[claimed]! }
  }
}

function sumOf(mean: Float32Array, counts: readonly boolean[]): number {
  let sum = 0
  for (let c = 0; c < mean.length; c++) if (counts[c]) sum += mean[c]!
  return sum
}
