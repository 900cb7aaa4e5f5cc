/**
 * Where alerts and summaries go. An output takes what one second of the pipeline produced. A new
 * kind of output is one file here and one line in `agent/`, where the pipeline is assembled.
 *
 * An output never throws for an external failure (a full disk, an unreachable server): it counts
 * what it could not take, by reason, and `agent status` shows the counts. A network output keeps a
 * bounded queue of its own and returns at once: `take` is awaited before the next second is
 * processed.
 */
import type { Summary } from '../domain/summary.ts'
import type { AlertMessage } from '../wire/alert-message.ts'

/** What one second produced, as it is on the wire. */
export interface Told {
  readonly alerts: readonly AlertMessage[]
  /** Once a minute. */
  readonly summary: Summary | undefined
}

export interface Output {
  /** In status and log lines. */
  readonly name: string
  take(told: Told): void | Promise<void>
  /**
   * Observations (alerts of low severity) are given to it as well; the others hear of alerts alone.
   */
  readonly takesObservations?: boolean
  /**
   * What it takes leaves this host: command lines and directories only where the operator wants
   * that.
   */
  readonly leavesHost?: boolean
  /** Alerts and summaries that it could not take since its start, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** Delivers what it still holds and closes what it opened. */
  close?(): void | Promise<void>
}
