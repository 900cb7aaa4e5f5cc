/**
 * Alerts over a restart of the agent, however it ended: each alert keeps its id and its state, is
 * opened once and closed once, and what was decided but not yet queued for the broker is queued.
 *
 * A second's messages and the detector's state go to the local store in one transaction, then the
 * messages to the outbox in another. After a kill between the two the store holds messages with
 * numbers that the outbox never got.
 */
import type { LocalStore } from '../buffer/local-store.ts'
import { type BookCounts, readKeptCauses } from '../detect/book-state.ts'
import type { Detector } from '../detect/detector.ts'
import { isObservation } from '../domain/alert.ts'
import { ALERTS_REMEMBERED_MAX } from '../domain/limits.ts'
import { type ProcessKey, START_TOLERANCE_SECONDS } from '../domain/process.ts'
import type { Numbered } from '../outputs/outputs.ts'
import type { AlertMessage } from '../wire/alert-message.ts'

interface Parts {
  readonly local: LocalStore
  readonly stages: { readonly detector: Detector }
}

/**
 * Writes messages and state. @returns false if the write failed: the changes are then part of the
 * next call
 */
export function keepAlerts({ local, stages }: Parts, alerts: readonly AlertMessage[]): boolean {
  const { detector } = stages
  const changes = detector.alertChanges()
  const kept = local.alerts.put(alerts, changes)
  if (!kept && changes !== undefined) detector.alertsNotKept(changes)
  return kept
}

/**
 * Alerts and this host's own level, before the first frame.
 * @param onlyOpen of what is closed nothing is known: another recording, or the same again, is no
 *   return of it
 */
export function restoreDetection({ local, stages }: Parts, onlyOpen: boolean): void {
  stages.detector.hostLevel.restore(local.hostLevel.get())
  const { causes, counts } = local.alerts.book()
  const kept = readKeptCauses(causes).filter(({ open }) => open || !onlyOpen)
  stages.detector.restoreAlerts(kept, counts as BookCounts | undefined)
}

/**
 * Messages that the store has and the outbox never got, oldest first. Observations are the store's
 * alone.
 * @param last number that the outbox got
 */
export function untold(
  { local }: Pick<Parts, 'local'>,
  last: Numbered | undefined,
): AlertMessage[] {
  if (last === undefined) return []
  return local.alerts
    .list({ limit: ALERTS_REMEMBERED_MAX })
    .map((alert) => alert as AlertMessage)
    .filter((alert) => alert.boot === last.boot && alert.seq > last.seq && !isObservation(alert))
    .reverse()
}

/**
 * Whether none of these processes is there any more. Groups of short-lived processes have no
 * process that could be looked for: they are left to be closed when nothing more is seen of them.
 * @param startOf Unix seconds; undefined where there is no such process
 */
export function areGone(
  owners: Iterable<ProcessKey>,
  startOf: (pid: number) => number | undefined,
): boolean {
  for (const owner of owners) {
    const [pid, start] = owner.split('@').map(Number) as [number, number]
    if (pid < 0) return false
    const found = startOf(pid)
    // A later start is another process. Where no source told the start, the key holds the second of
    // first sight.
    if (found !== undefined && found <= start + START_TOLERANCE_SECONDS) return false
  }
  return true
}
