/** What the alert book (dedup.ts) counts, tells, and keeps over a restart. */
import type { Alert, Certainty } from '../domain/alert.ts'
import type { Severity } from '../domain/behaviour.ts'
import type { ProcessKey } from '../domain/process.ts'
import { RANK } from './crossing.ts'

/** A cause as it is kept over a restart. */
export interface KeptCause {
  readonly alert: Alert
  readonly likeness: string
  readonly open: boolean
  /** Processes under it, by their keys; the latest ALERT_OWNERS_KEPT_MAX. */
  readonly owners: readonly ProcessKey[]
}

export interface BookCounts {
  /** Alerts, each once, however often it was reopened. */
  readonly opened: number
  /** Times that a closed alert was opened again. */
  readonly reopened: number
  readonly updated: number
  /** Crossings that joined an alert of the same cause raised for another process. */
  readonly merged: number
  /** Crossings that could not open an alert because the minute was full. */
  readonly held: number
  /** Of those opened, how many began as observations. */
  readonly observed: number
  /** Alerts that stayed provisional because the day's notifications were used up. */
  readonly withheld: number
}

/** Open alerts, by severity and certainty. */
export type OpenAlerts = Readonly<
  Partial<Record<Severity, Readonly<Partial<Record<Certainty, number>>>>>
>

export interface BookStatus extends BookCounts {
  /** Alerts that are closed now, forgotten ones included: opened = open + closed. */
  readonly closed: number
  readonly open: number
}

/** What changed since the last call. */
export interface BookChanges {
  readonly causes: readonly KeptCause[]
  /** Ids of causes that were forgotten. */
  readonly forgotten: readonly string[]
  readonly counts: BookCounts
}

/** Our own writing, from a file that only we can write; what is not whole is left out. */
export function readKeptCauses(values: readonly unknown[]): KeptCause[] {
  return values.filter((value): value is KeptCause => {
    const { alert, likeness, open, owners } = (value ?? {}) as Partial<KeptCause>
    return (
      typeof alert?.id === 'string' &&
      Object.hasOwn(RANK, alert.kind) &&
      [alert.first, alert.last, alert.time, alert.count].every(Number.isFinite) &&
      typeof likeness === 'string' &&
      typeof open === 'boolean' &&
      Array.isArray(owners) &&
      owners.every((owner) => /^-?\d+@-?\d+$/.test(owner))
    )
  })
}
