/** What both stores keep to by default, and what they count. */
import {
  ALERT_CHANGES_MAX,
  ALERTS_PER_HOST_MAX,
  HOSTS_MAX,
  TIDY_ROWS_MAX,
} from '../../domain/limits.ts'
import { RETENTION } from './retention.ts'
import type { StoreBounds } from './store.ts'

export const DAY_MS = 86_400_000

export const STORE_BOUNDS: StoreBounds = {
  hostsMax: HOSTS_MAX,
  alertsPerHostMax: ALERTS_PER_HOST_MAX,
  changesMax: ALERT_CHANGES_MAX,
  retention: RETENTION,
  tidyRows: TIDY_ROWS_MAX,
}

/** Rows that went, and messages that changed nothing. */
export interface StoreCounts {
  hosts: number
  alerts: number
  hours: number
  duplicates: number
  late: number
}

export const NO_COUNTS: Readonly<StoreCounts> = {
  hosts: 0,
  alerts: 0,
  hours: 0,
  duplicates: 0,
  late: 0,
}

/** Adds one transaction's counts to those of all. */
export function addCounts(sum: StoreCounts, staged: Readonly<StoreCounts>): void {
  for (const key of Object.keys(NO_COUNTS) as (keyof StoreCounts)[]) sum[key] += staged[key]
}
