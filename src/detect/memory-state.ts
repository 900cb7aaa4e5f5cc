/** The state of the baseline in one word, for people; no decision is made by it. */
import { MEMORY_STATE } from './thresholds.ts'

export type MemoryState =
  /** New programs are only remembered, not alerted. */
  | 'learning'
  | 'active'
  /** Nothing has been added for a day: an incident, losses, or nothing to be judged. */
  | 'stale'
  /** So many programs do what they never did here that the baseline is in doubt, not they. */
  | 'drifted'
  /** A process that was proven malicious had been remembered, and its alert is open. */
  | 'poisoned'
  /** The same after the alert: what is remembered under its name is forgotten when due. */
  | 'reset pending'

export function memoryStateOf(of: {
  readonly isLearning: boolean
  /** Seconds since a window was last added. */
  readonly idleSeconds: number
  /** Share of well-known processes that deviate, 0…1. */
  readonly unrest: number
  /** Names with a malicious past in the baseline. */
  readonly poisoned: number
  readonly openAlerts: number
}): MemoryState {
  if (of.poisoned > 0) return of.openAlerts > 0 ? 'poisoned' : 'reset pending'
  if (of.isLearning) return 'learning'
  if (of.unrest > MEMORY_STATE.driftedFrom) return 'drifted'
  return of.idleSeconds > MEMORY_STATE.staleAfter ? 'stale' : 'active'
}
