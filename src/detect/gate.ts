/**
 * Whether evidence that has reached its level becomes an alert: facts about the process are asked
 * for and weighed (weigh.ts), and what no fact proves has to pass this host's own level, too
 * (host-level.ts).
 */
import type { FactJudge } from '../domain/finding.ts'
import type { Candidate } from './candidates.ts'
import type { HostLevel } from './host-level.ts'
import { claimsNothing } from './names.ts'
import { type Outcome, weigh } from './weigh.ts'

export class Gate {
  readonly #facts: FactJudge | undefined
  readonly #hostLevel: HostLevel
  /** Highest share of a level in this second that no fact refuted. */
  #highest = 0

  constructor(facts: FactJudge | undefined, hostLevel: HostLevel) {
    this.#facts = facts
    this.#hostLevel = hostLevel
  }

  /**
   * @param share of its level that the evidence has reached, 1 and more where it crosses
   * @param warm the memory knows the process's name well
   */
  weighed(
    { question, stream, confidence, named, accusation: { process } }: Candidate,
    share: number,
    warm: boolean,
    frameIndex: number,
  ): Outcome {
    const facts = this.#facts
    if (question !== undefined) facts?.want(process, question)
    if (share < 1) {
      this.#highest = Math.max(this.#highest, share)
      return { kind: 'wait' }
    }
    const outcome = weigh({
      question: question ?? 'masquerade',
      confidence,
      named,
      isAnyProgram: claimsNothing(process.name),
      seconds: frameIndex - stream.from,
      warm,
      findings: question === undefined ? undefined : facts?.findings(process, question),
      hasFacts: facts !== undefined && question !== undefined,
      isAsking: question !== undefined && facts?.isAsking(process, question) === true,
    })
    if (outcome.kind !== 'alert') return outcome
    this.#highest = Math.max(this.#highest, share)
    // Facts that prove need no statistics; all else is held to what this host's ordinary life
    // reaches.
    return outcome.isProven || share >= this.#hostLevel.factor ? outcome : { kind: 'wait' }
  }

  /** The host's level learns from the highest share of the second. */
  endSecond(frameIndex: number): void {
    this.#hostLevel.push(frameIndex, this.#highest)
    this.#highest = 0
  }
}
