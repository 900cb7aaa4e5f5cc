/** Hosts of the PostgreSQL store with all that is kept of them, out and in. */
import type { PostgresQueries } from '../../platform/postgres.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import type { ArchivedAlert, HostArchive } from './archive.ts'
import type { HostRow, HourPart } from './host-row.ts'
import { ACTION_COLUMNS, incidentColumns, TRIAGE_COLUMNS } from './incident.ts'
import {
  hostActionsStatement,
  putActionStatement,
  putTriageStatement,
  triageStatement,
} from './incident-sql.ts'
import { addUpIncidents } from './postgres-incidents.ts'
import { HOST_COLUMNS, POSTGRES_TABLES, queryNumbered, WINDOW_COLUMNS } from './postgres-reads.ts'
import { dayOf, HOURS_A_DAY, rowsOf, SUM_COLUMNS } from './postgres-rows.ts'
import { isActive } from './records.ts'

type StoredAlert = Omit<ArchivedAlert, 'changes'> & { readonly row: number }
type StoredChange = ArchivedAlert['changes'][number] & { readonly row: number }

export async function* readArchives(db: PostgresQueries): AsyncGenerator<HostArchive> {
  let after = 0
  for (;;) {
    const [host] = await db.query<HostRow>(
      `SELECT ${HOST_COLUMNS}, ${WINDOW_COLUMNS} FROM callsign.hosts WHERE hosts.id > $1
       ORDER BY hosts.id LIMIT 1`,
      [after],
    )
    if (host === undefined) return
    after = host.id
    yield await readArchive(db, host)
  }
}

async function readArchive(
  db: PostgresQueries,
  { id, active: _, alerts: __, ...host }: HostRow,
): Promise<HostArchive> {
  const alerts = await db.query<StoredAlert>(
    `SELECT row::float8 AS row, body, received::float8 AS received, changed::float8 AS changed
     FROM callsign.alerts WHERE host_id = $1 ORDER BY alerts.row`,
    [id],
  )
  const changes = await db.query<StoredChange>(
    `SELECT alert_row::float8 AS row, changes.boot::float8 AS boot, changes.seq::float8 AS seq,
       time::float8 AS time, changes.state, count::float8 AS count, class, confidence,
       changes.received::float8 AS received
     FROM callsign.changes JOIN callsign.alerts ON alert_row = row AND changes.day = alerts.day
     WHERE host_id = $1 ORDER BY alert_row, changes.boot, changes.seq`,
    [id],
  )
  const byRow = Map.groupBy(changes, ({ row }) => row)
  const [latest] = await db.query<NonNullable<HostArchive['latest']>>(
    'SELECT received::float8 AS received, body FROM callsign.latest WHERE host_id = $1',
    [id],
  )
  const hours = await db.query<HourPart>(
    `SELECT hour, seconds::float8 AS seconds, calls::float8 AS calls, dropped::float8 AS dropped,
       cpu_ms::float8 AS "cpuMs", rss_bytes::float8 AS "rssBytes", alerts_open::float8 AS "alertsOpen"
     FROM callsign.hours WHERE host_id = $1 ORDER BY hour`,
    [id],
  )
  const [known] = await db.query<{ body: Uint8Array }>(
    'SELECT body FROM callsign.known WHERE host_id = $1',
    [id],
  )
  return {
    host,
    alerts: alerts.map(({ row, ...alert }) => ({
      ...alert,
      changes: (byRow.get(row) ?? []).map(({ row: _row, ...change }) => change),
    })),
    latest,
    hours,
    triage: await queryNumbered(db, triageStatement(POSTGRES_TABLES), [id]),
    actions: await queryNumbered(db, hostActionsStatement(POSTGRES_TABLES), [host.site, host.host]),
    known: known?.body,
  }
}

/** @returns false where the host is there already */
export async function restoreArchive(
  tx: PostgresQueries,
  { host, alerts, latest, hours, triage, actions, known }: HostArchive,
): Promise<boolean> {
  const messages = alerts.map(({ body }) => JSON.parse(body) as AlertMessage)
  const active = messages.filter(({ state }) => isActive(state)).length
  const [made] = await tx.query<{ id: number }>(
    `INSERT INTO callsign.hosts (site, host, online, reason, boot, since, first_seen, last_seen, version,
       model, source, active, alerts, summary_boot, summary_seq, summary_seen,
       key, key_since, other_key, other_key_since, accepted_key, session, blind_since, noisy_since, fleet)
     SELECT * FROM ${rowsOf('site text, host text, online smallint, reason text, boot bigint, since bigint, "firstSeen" bigint, "lastSeen" bigint, version text, model text, source text, active int, alerts int, "summaryBoot" bigint, "summarySeq" bigint, "summarySeen" bigint, key text, "keySince" bigint, "otherKey" text, "otherKeySince" bigint, "acceptedKey" text, session bigint, "blindSince" bigint, "noisySince" bigint, fleet text')}
     ON CONFLICT DO NOTHING RETURNING id::float8 AS id`,
    [JSON.stringify([{ ...host, active, alerts: alerts.length }])],
  )
  if (made === undefined) return false
  await restoreAlerts(tx, made.id, host.site, alerts, messages)
  if (latest !== undefined)
    await tx.query('INSERT INTO callsign.latest VALUES ($1, $2, $3)', [
      made.id,
      latest.received,
      latest.body,
    ])
  if (known !== undefined)
    await tx.query('INSERT INTO callsign.known VALUES ($1, $2)', [made.id, known])
  await tx.query(
    `INSERT INTO callsign.hours
     SELECT hour / ${HOURS_A_DAY}, $2, hour, seconds, calls, dropped, "cpuMs", "rssBytes", "alertsOpen"
     FROM ${rowsOf('hour int, seconds bigint, calls bigint, dropped bigint, "cpuMs" bigint, "rssBytes" bigint, "alertsOpen" bigint')}`,
    [JSON.stringify(hours), made.id],
  )
  for (const one of triage)
    await queryNumbered(tx, putTriageStatement(POSTGRES_TABLES), [
      ...TRIAGE_COLUMNS.map((name) => one[name]),
      ...[made.id, one.incident],
    ])
  for (const one of actions)
    await queryNumbered(
      tx,
      putActionStatement(POSTGRES_TABLES),
      ACTION_COLUMNS.map((name) => one[name]),
    )
  return true
}

async function restoreAlerts(
  tx: PostgresQueries,
  hostId: number,
  site: string,
  alerts: readonly ArchivedAlert[],
  messages: readonly AlertMessage[],
): Promise<void> {
  const rows = alerts.map(({ body, received, changed, changes }, at) => {
    const { id, kind, state, boot, seq } = messages[at]!
    const active = isActive(state) ? 1 : 0
    return {
      ...{ day: dayOf(received), site, id, kind, state, active, boot, seq, received, changed },
      ...{ changes: changes.length, body, at },
      ...incidentColumns(messages[at]!),
    }
  })
  const written = await tx.query<{ row: number; id: string }>(
    `INSERT INTO callsign.alerts
       (day, host_id, site, id, kind, state, active, boot, seq, received, changed, changes, body,
        incident, severity, confirmed, first, last)
     SELECT day, $2, site, id, kind, state, active, boot, seq, received, changed, changes, body,
       incident, severity, confirmed, first, last
     FROM ${rowsOf(`day int, site text, id text, kind text, state text, active smallint, boot bigint, seq bigint, received bigint, changed bigint, changes int, body text, at int, ${SUM_COLUMNS}`)}
     ORDER BY at RETURNING row::float8 AS row, id`,
    [JSON.stringify(rows), hostId],
  )
  const rowOf = new Map(written.map(({ row, id }) => [id, row]))
  const changes = alerts.flatMap(({ received, changes }, at) =>
    changes.map((change) => ({
      ...change,
      day: dayOf(received),
      row: rowOf.get(messages[at]!.id),
    })),
  )
  await tx.query(
    `INSERT INTO callsign.changes
       (day, alert_row, boot, seq, time, state, count, class, confidence, received)
     SELECT day, row, boot, seq, time, state, count, class, confidence, received
     FROM ${rowsOf('day int, row bigint, boot bigint, seq bigint, time bigint, state text, count bigint, class text, confidence float8, received bigint')}`,
    [JSON.stringify(changes)],
  )
  await addUpIncidents(
    tx,
    messages.map(({ incident }) => ({ host_id: hostId, incident })),
  )
}
