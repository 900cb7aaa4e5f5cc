/**
 * What a fact about a process says on one question, apart from any statistics of its calls.
 *
 * Facts come from the kernel (open files, executable, sockets, CPU time) and are read when evidence
 * begins to rise; `findings` of them are weighed beside the model and the host's memory. A finding
 * that proves is enough for an alert by itself, one that supports lowers what the model must show,
 * one that refutes keeps the model's suspicion from becoming an alert.
 */
import type { KnownContext } from './alert.ts'
import type { BehaviourId } from './behaviour.ts'
import type { Process } from './process.ts'

/** A behaviour, or that a process is not what its name says. */
export type Question = BehaviourId | 'masquerade'

export interface Finding {
  readonly question: Question
  readonly says: 'proves' | 'supports' | 'refutes'
  /**
   * For people, in one clause: "standard input and output are one TCP connection to 10.0.0.5:4444".
   */
  readonly because: string
}

/** A finding that is enough by itself, found without any evidence of the model. */
export interface Proof {
  readonly process: Process
  readonly finding: Finding
}

/**
 * What reads facts, as the detector sees it. Reading takes time: what is wanted now is known a
 * second or two later, and stays known after the process has ended.
 */
export interface FactJudge {
  /** Evidence on this question begins to rise. Cheap to repeat. */
  want(process: Process, question: Question): void
  /** Undefined where this question was not answered for the process (yet), or cannot be. */
  findings(process: Process, question: Question): readonly Finding[] | undefined
  /** Whether an answer to this question is under way. */
  isAsking(process: Process, question: Question): boolean
  /** What is known of the process beside its calls. */
  context(process: Process): KnownContext | undefined
  /** Proofs found since the last call. */
  proofs(): readonly Proof[]
}
