/**
 * What a fact about a process says on one question, apart from any statistics of its calls.
 *
 * Facts come from the kernel (open files, executable, sockets, CPU time) and are read when evidence begins to
 * rise; `findings` of them are weighed beside the model and the host's memory. A finding that proves is enough
 * for an alert by itself, one that supports lowers what the model must show, one that refutes keeps the model's
 * suspicion from becoming an alert.
 */
import type { BehaviourId } from './behaviour.ts'

/** A behaviour, or that a process is not what its name says. */
export type Question = BehaviourId | 'masquerade'

export interface Finding {
  readonly question: Question
  readonly says: 'proves' | 'supports' | 'refutes'
  /** For people, in one clause: "standard input and output are one TCP connection to 10.0.0.5:4444". */
  readonly because: string
}
