/**
 * The ledger: observed = counted + dropped(reason); created = acknowledged + queued + merged +
 * dropped(reason). `agent status` prints it; a difference is a bug.
 */
export interface InputLedger {
  /** Calls that the source showed (or said it lost). */
  readonly observed: number
  readonly counted: number
  readonly dropped: Readonly<Record<string, number>>
  /** First refused input per reason, made safe and cut. */
  readonly samples: Readonly<Record<string, string>>
}

export interface OutboxLedger {
  readonly created: number
  readonly acknowledged: number
  readonly queued: number
  readonly merged: number
  readonly dropped: Readonly<Record<string, number>>
}
