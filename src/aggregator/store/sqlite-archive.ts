/** A host of the SQLite store with all that is kept of it, out. */
import type { Database } from '../../platform/sqlite.ts'
import type { ArchivedAlert, HostArchive } from './archive.ts'
import type { HostRow, HourPart } from './host-row.ts'
import type { ArchivedAction, ArchivedTriage } from './incident.ts'
import { hostActionsStatement, triageStatement } from './incident-sql.ts'
import { SQLITE_TABLES } from './sqlite-reads.ts'

export function readArchive(
  db: Database,
  { id, active: _, alerts: __, ...host }: HostRow,
): HostArchive {
  const alerts = db
    .prepare<ArchivedAlert & { row: number }>(
      'SELECT row, body, received, changed FROM alerts WHERE hostId = ? ORDER BY row',
    )
    .all(id)
  const changes = db.prepare<ArchivedAlert['changes'][number]>(
    `SELECT boot, seq, time, state, count, class, confidence, received FROM changes
     WHERE alertRow = ? ORDER BY boot, seq`,
  )
  return {
    host,
    alerts: alerts.map(({ row, ...alert }) => ({ ...alert, changes: changes.all(row) })),
    latest: db
      .prepare<NonNullable<HostArchive['latest']>>(
        'SELECT received, body FROM latest WHERE hostId = ?',
      )
      .get(id),
    hours: db
      .prepare<HourPart>(
        `SELECT hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen FROM hours
         WHERE hostId = ? ORDER BY hour`,
      )
      .all(id),
    triage: db.prepare<ArchivedTriage>(triageStatement(SQLITE_TABLES)).all(id),
    actions: db
      .prepare<ArchivedAction>(hostActionsStatement(SQLITE_TABLES))
      .all(host.site, host.host),
    known: db.prepare<{ body: Uint8Array }>('SELECT body FROM known WHERE hostId = ?').get(id)
      ?.body,
  }
}
