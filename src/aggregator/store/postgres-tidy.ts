/**
 * Keeps the PostgreSQL store within its bounds, and drops what is older than the retention says.
 * One aggregator at a time does it.
 */
import { ALERT_KINDS } from '../../domain/alert.ts'
import { ACTIONS_STORED_MAX } from '../../domain/limits.ts'
import type { PostgresQueries } from '../../platform/postgres.ts'
import { DAY_MS, NO_COUNTS, type StoreCounts } from './bounds.ts'
import { dropActionsStatement } from './incident-sql.ts'
import { levelFor } from './levels.ts'
import { addUpIncidents, type TouchedIncident } from './postgres-incidents.ts'
import { POSTGRES_TABLES } from './postgres-reads.ts'
import { dayOf } from './postgres-rows.ts'
import type { StoreBounds } from './store.ts'

/** Number of our advisory lock: "calls" and what it is for. */
const TIDY_LOCK = 0x63616c02

/** Within a transaction. @returns what went; nothing where another aggregator is at it */
export async function dropRows(
  tx: PostgresQueries,
  bounds: StoreBounds,
  nowMs: number,
): Promise<StoreCounts> {
  const staged: StoreCounts = { ...NO_COUNTS }
  const [lock] = await tx.query<{ mine: boolean }>(
    `SELECT pg_try_advisory_xact_lock(${TIDY_LOCK}) AS mine`,
  )
  if (lock?.mine !== true) return staged
  await dropOldAlerts(tx, bounds, nowMs, staged)
  await dropNoise(tx, bounds, staged)
  await dropHosts(tx, bounds, nowMs, staged)
  await tx.query(dropActionsStatement(POSTGRES_TABLES, ACTIONS_STORED_MAX))
  return staged
}

/**
 * Days that hold nothing which is to be kept, outside of a transaction.
 *
 * @param gone called with the name of each
 * @returns hourly rows that went
 */
export async function dropPartitions(
  db: PostgresQueries,
  { retention }: StoreBounds,
  nowMs: number,
  gone: (partition: string) => void,
): Promise<number> {
  const oldestDay = dayOf(nowMs - retention.hourlyDays * DAY_MS)
  const partitions = await db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
     WHERE relnamespace = 'callsign'::regnamespace AND relkind = 'r'`,
  )
  let hours = 0
  for (const { name } of partitions) {
    const [table, text] = name.split('_') as [string, string]
    const day = Number(text)
    if (table === 'hours' && day < oldestDay) {
      const [{ count } = { count: 0 }] = await db.query<{ count: number }>(
        `SELECT count(*)::float8 AS count FROM callsign.${name}`,
      )
      hours += count
    } else if (table === 'changes' && day < dayOf(nowMs)) {
      const left = await db.query('SELECT 1 FROM callsign.alerts WHERE day = $1 LIMIT 1', [day])
      if (left.length > 0) continue
    } else continue
    await db.query(`DROP TABLE IF EXISTS callsign.${name}`)
    gone(`${table} ${day}`)
  }
  return hours
}

async function dropOldAlerts(
  tx: PostgresQueries,
  { retention, tidyRows }: StoreBounds,
  nowMs: number,
  staged: StoreCounts,
): Promise<void> {
  for (const kind of ALERT_KINDS) {
    const before = nowMs - retention.days[kind] * DAY_MS
    const rows = await tx.query<Victim>(
      `SELECT row::float8 AS row, host_id::float8 AS "hostId" FROM callsign.alerts
       WHERE kind = $1 AND active = 0 AND changed < $2 LIMIT ${tidyRows}`,
      [kind, before],
    )
    await dropAlerts(tx, rows, staged)
  }
}

/**
 * Closed alerts of the noisiest hosts go first, oldest first; only where these have none, active
 * ones.
 */
async function dropNoise(
  tx: PostgresQueries,
  { alertsPerHostMax, retention, tidyRows }: StoreBounds,
  staged: StoreCounts,
): Promise<void> {
  const hosts = await tx.query<{ id: number; alerts: number }>(
    'SELECT id::float8 AS id, alerts FROM callsign.hosts WHERE alerts > 0',
  )
  const over = hosts.reduce((sum, { alerts }) => sum + alerts, 0) - retention.alerts
  const level = over > 0 ? levelFor(hosts, over) : Number.POSITIVE_INFINITY
  const most = Math.min(level, alertsPerHostMax)
  const noisy = hosts.filter(({ alerts }) => alerts > most)
  if (noisy.length === 0) return
  const rows = await tx.query<Victim>(
    `SELECT row::float8 AS row, host_id::float8 AS "hostId" FROM (
       SELECT row, host_id, alerts.active,
         row_number() OVER (PARTITION BY host_id ORDER BY alerts.active, changed, row) AS place
       FROM callsign.alerts WHERE host_id IN (${noisy.map(({ id }) => id).join(',')})
     ) AS listed JOIN json_to_recordset($1::text::json) AS much (id bigint, give integer)
       ON much.id = host_id AND place <= give
     ORDER BY active, place LIMIT ${tidyRows}`,
    [JSON.stringify(noisy.map(({ id, alerts }) => ({ id, give: alerts - most })))],
  )
  await dropAlerts(tx, rows, staged)
}

async function dropHosts(
  tx: PostgresQueries,
  { hostsMax, retention, tidyRows }: StoreBounds,
  nowMs: number,
  staged: StoreCounts,
): Promise<void> {
  const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(
    'SELECT count(*)::float8 AS count FROM callsign.hosts',
  )
  const tooMany = Math.min(tidyRows, Math.max(0, count - hostsMax))
  const rows = await tx.query<{ id: number; alerts: number }>(
    `(SELECT id::float8 AS id, alerts FROM callsign.hosts
       WHERE online = 0 AND active = 0 AND last_seen < $1 LIMIT ${tidyRows})
     UNION (SELECT id::float8 AS id, alerts FROM callsign.hosts
       ORDER BY online, hosts.alerts, last_seen LIMIT ${tooMany})`,
    [nowMs - retention.hostDays * DAY_MS],
  )
  if (rows.length === 0) return
  const ids = rows.map(({ id }) => id).join(',')
  // Locks the hosts first, as every commit does.
  await tx.query(`SELECT id FROM callsign.hosts WHERE id IN (${ids}) ORDER BY id FOR UPDATE`)
  await tx.query(
    `DELETE FROM callsign.changes USING callsign.alerts
     WHERE changes.day = alerts.day AND alert_row = alerts.row AND host_id IN (${ids})`,
  )
  for (const table of ['alerts', 'incidents', 'latest', 'hours', 'known'])
    await tx.query(`DELETE FROM callsign.${table} WHERE host_id IN (${ids})`)
  await tx.query(`DELETE FROM callsign.hosts WHERE id IN (${ids})`)
  staged.hosts += rows.length
  staged.alerts += rows.reduce((sum, { alerts }) => sum + alerts, 0)
}

interface Victim {
  readonly row: number
  readonly hostId: number
}

/** With their history, and counted off their hosts. */
async function dropAlerts(
  tx: PostgresQueries,
  victims: readonly Victim[],
  staged: StoreCounts,
): Promise<void> {
  if (victims.length === 0) return
  const hosts = [...new Set(victims.map(({ hostId }) => hostId))].join(',')
  const rows = victims.map(({ row }) => row).join(',')
  await tx.query(`SELECT id FROM callsign.hosts WHERE id IN (${hosts}) ORDER BY id FOR UPDATE`)
  const touched = await tx.query<TouchedIncident>(
    `SELECT DISTINCT host_id::float8 AS host_id, incident FROM callsign.alerts
     WHERE row IN (${rows})`,
  )
  await tx.query(
    `DELETE FROM callsign.changes USING callsign.alerts
     WHERE changes.day = alerts.day AND alert_row = alerts.row AND alerts.row IN (${rows})`,
  )
  const gone = await tx.query<{ count: number }>(
    `WITH gone AS (DELETE FROM callsign.alerts WHERE row IN (${rows}) RETURNING host_id, active),
       sums AS (SELECT host_id, count(*) AS total, sum(active) AS active FROM gone GROUP BY host_id)
     UPDATE callsign.hosts SET alerts = hosts.alerts - total, active = hosts.active - sums.active
     FROM sums WHERE id = host_id RETURNING total::float8 AS count`,
  )
  staged.alerts += gone.reduce((sum, { count }) => sum + count, 0)
  await addUpIncidents(tx, touched)
}
