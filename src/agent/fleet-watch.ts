/**
 * Whether a document of the fleet does harm here: in the first hour of its use more alerts are opened
 * than twice those of the worst hour of the day before, plus three. Alerts of low severity, and those
 * that a person labelled "bad", do not count.
 */
import type { AlertStore } from '../buffer/alert-store.ts'
import type { AlertLabel } from '../domain/alert-label.ts'
import {
  ALERTS_KEPT_MAX,
  FLEET_ROLLBACK_ALERTS,
  FLEET_ROLLBACK_FACTOR,
  FLEET_WATCH_SECONDS,
} from '../domain/limits.ts'

export interface FleetWatchParts {
  readonly alerts: Pick<AlertStore, 'list'>
  readonly labels: { list(): readonly AlertLabel[] }
}

const HOUR_S = 3_600
const DAY_HOURS = 24

export interface Harm {
  readonly alerts: number
  /** That would have been borne. */
  readonly most: number
}

/** @returns undefined where there is none, or the first hour is over; seconds */
export function harmSince(
  parts: FleetWatchParts,
  { appliedAt, usual }: { readonly appliedAt: number; readonly usual: number },
  now: number,
): Harm | undefined {
  if (now - appliedAt > FLEET_WATCH_SECONDS) return undefined
  const alerts = opened(parts, appliedAt, now + 1).length
  const most = FLEET_ROLLBACK_FACTOR * usual + FLEET_ROLLBACK_ALERTS
  return alerts > most ? { alerts, most } : undefined
}

/** Alerts of the worst hour of the day before. */
export function worstHour(parts: FleetWatchParts, now: number): number {
  const hours = new Array<number>(DAY_HOURS).fill(0)
  for (const first of opened(parts, now - DAY_HOURS * HOUR_S, now))
    hours[Math.min(DAY_HOURS - 1, Math.floor((now - first - 1) / HOUR_S))]!++
  return Math.max(...hours)
}

/** When alerts were opened that are not known to be true. */
function opened({ alerts, labels }: FleetWatchParts, from: number, until: number): number[] {
  const labelled = new Set<string>()
  for (const { id, label } of labels.list()) if (label !== 'fine') labelled.add(id)
  return alerts
    .list({ limit: ALERTS_KEPT_MAX })
    .filter(({ id, severity, first }) => {
      return first >= from && first < until && severity !== 'low' && !labelled.has(id)
    })
    .map(({ first }) => first)
}
