/** All that a store keeps of one host, as another store takes it. */
import type { HostRow, HourPart } from './host-row.ts'
import type { ArchivedAction, ArchivedTriage } from './incident.ts'
import type { AlertChange } from './records.ts'

export interface ArchivedAlert {
  readonly body: string
  /** ms */
  readonly received: number
  readonly changed: number
  /** With the time of receipt in ms. */
  readonly changes: readonly (AlertChange & { readonly boot: number; readonly seq: number })[]
}

export interface HostArchive {
  readonly host: Omit<HostRow, 'id' | 'active' | 'alerts'>
  /** In the order of their first message. */
  readonly alerts: readonly ArchivedAlert[]
  readonly latest: { readonly received: number; readonly body: Uint8Array } | undefined
  readonly hours: readonly HourPart[]
  /** What operators decided about its incidents, and the actions themselves. */
  readonly triage: readonly ArchivedTriage[]
  readonly actions: readonly ArchivedAction[]
  /** Of a host that was classified here. */
  readonly known: Uint8Array | undefined
}
