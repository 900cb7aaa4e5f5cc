/** Incidents of the PostgreSQL store, added up from their alerts: two statements for a whole batch. */
import type { PostgresQueries } from '../../platform/postgres.ts'
import {
  type Action,
  type ActionRecord,
  INCIDENT_COLUMNS,
  type IncidentKey,
  type IncidentSum,
  incidentRow,
  severityOfRank,
} from './incident.ts'
import {
  type ActionTarget,
  actionStatements,
  putStatement,
  sumStatement,
  targetStatement,
} from './incident-sql.ts'
import { POSTGRES_TABLES, queryNumbered } from './postgres-reads.ts'
import { rowsOf } from './postgres-rows.ts'

const WANTED = rowsOf('host_id bigint, incident text')
const TEXTS: ReadonlySet<string> = new Set([
  ...['site', 'host', 'incident', 'kind', 'name', 'behaves', 'words'],
])
const ROWS = rowsOf(
  INCIDENT_COLUMNS.map((name) => `${name} ${TEXTS.has(name) ? 'text' : 'bigint'}`).join(', '),
)

export interface TouchedIncident {
  readonly host_id: number
  readonly incident: string
}

/** Call with the hosts locked. Incidents without alerts go. */
export async function addUpIncidents(
  tx: PostgresQueries,
  touched: Iterable<TouchedIncident>,
): Promise<void> {
  const wanted = [...new Map(Array.from(touched, (one) => [keyOf(one), one])).values()]
  if (wanted.length === 0) return
  const sums = await tx.query<IncidentSum>(sumStatement(POSTGRES_TABLES, WANTED), [
    JSON.stringify(wanted),
  ])
  if (sums.length > 0)
    await tx.query(putStatement(POSTGRES_TABLES, ROWS), [JSON.stringify(sums.map(incidentRow))])
  if (sums.length === wanted.length) return
  const left = new Set(sums.map(keyOf))
  const gone = wanted.filter((one) => !left.has(keyOf(one)))
  await tx.query(
    `DELETE FROM callsign.incidents WHERE (host_id, incident) IN
       (SELECT host_id, incident FROM ${WANTED})`,
    [JSON.stringify(gone)],
  )
}

export async function takeAction(
  tx: PostgresQueries,
  key: IncidentKey,
  action: Action,
  actor: string,
  time: number,
): Promise<ActionRecord | undefined> {
  const where = [key.incident, key.site, key.host]
  const [target] = await queryNumbered<ActionTarget>(tx, targetStatement(POSTGRES_TABLES), where)
  if (target === undefined) return undefined
  const by = { actor, time }
  for (const { text, values } of actionStatements(POSTGRES_TABLES, target, key, action, by))
    await queryNumbered(tx, text, values)
  const [last] = await tx.query<{ row: number }>(
    `SELECT currval(pg_get_serial_sequence('callsign.actions', 'row'))::float8 AS row`,
  )
  return { ...key, ...action, row: last!.row, ...by, severity: severityOfRank(target.severity) }
}

function keyOf({ host_id, incident }: TouchedIncident): string {
  return `${host_id} ${incident}`
}
