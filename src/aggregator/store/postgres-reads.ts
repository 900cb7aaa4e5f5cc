/**
 * The questions of the API, put to PostgreSQL: the same lists from the same indexes as
 * `sqlite-reads.ts`.
 */
import type { PostgresQueries, PostgresValue } from '../../platform/postgres.ts'
import { decodeSummary } from '../../wire/summary-message.ts'
import {
  FIRST_ALERT,
  FIRST_HOST,
  likePattern,
  readAlertCursor,
  readHostCursor,
  showAlertCursor,
  showHostCursor,
} from './cursor.ts'
import { runsStatement } from './fleet-sql.ts'
import { conditionSql } from './host-condition.ts'
import { type StoredHost, toRecord } from './host-row.ts'
import { IncidentSql, type SqlParameter, type TableNames } from './incident-sql.ts'
import { ProgramsSql } from './programs-sql.ts'
import { type AlertChange, FLEET_HOST, isActive, toSeconds } from './records.ts'
import type {
  AlertPage,
  AlertQuery,
  Counts,
  FleetRun,
  HostCondition,
  HostHour,
  HostPage,
  HostQuery,
  Reads,
  StoredDocument,
  Usage,
  Where,
} from './store.ts'

export const HOST_COLUMNS = `id::float8 AS id, site, host, online, reason, boot::float8 AS boot,
  since::float8 AS since, first_seen::float8 AS "firstSeen", last_seen::float8 AS "lastSeen",
  version, model, source, active, alerts, session::float8 AS session,
  blind_since::float8 AS "blindSince", noisy_since::float8 AS "noisySince", fleet, key, key_since::float8 AS "keySince",
  other_key AS "otherKey", other_key_since::float8 AS "otherKeySince", accepted_key AS "acceptedKey"`

export const WINDOW_COLUMNS = `summary_boot::float8 AS "summaryBoot",
  summary_seq::float8 AS "summarySeq", summary_seen::float8 AS "summarySeen"`

const RANK = 'CASE WHEN active > 0 THEN 0 WHEN online = 1 THEN 1 ELSE 2 END'

/** Conditions and their values, numbered as they come. */
class Conditions {
  readonly values: PostgresValue[] = []
  readonly #parts: string[] = []

  /** @param text with a `?` for each value */
  add(text: string, ...values: readonly PostgresValue[]): this {
    let at = 0
    this.#parts.push(
      text.replace(/\?/g, () => {
        this.values.push(values[at++]!)
        return `$${this.values.length}`
      }),
    )
    return this
  }

  anyOf(column: string, values: readonly string[] | undefined): this {
    if (values === undefined) return this
    return this.add(`${column} IN (${values.map(() => '?').join(',')})`, ...values)
  }

  get text(): string {
    return this.#parts.length === 0 ? 'true' : this.#parts.join(' AND ')
  }
}

const HOUR_COLUMNS = {
  lastSeen: 'last_seen',
  hours: 'callsign.hours',
  hourHost: 'host_id',
} as const

export const POSTGRES_TABLES: TableNames = {
  incidents: 'callsign.incidents',
  actions: 'callsign.actions',
  alerts: 'callsign.alerts',
  alertHost: 'host_id',
}

/** Runs a text with a `?` for each value: PostgreSQL has numbers there. */
export function queryNumbered<Row>(
  db: PostgresQueries,
  text: string,
  values: readonly SqlParameter[],
): Promise<Row[]> {
  let at = 0
  return db.query<Row>(
    text.replace(/\?/g, () => `$${++at}`),
    values,
  )
}

export class PostgresReads implements Reads {
  readonly programs: ProgramsSql
  readonly incidents: IncidentSql
  readonly #db: PostgresQueries

  constructor(db: PostgresQueries) {
    this.#db = db
    this.programs = new ProgramsSql((text, values) => queryNumbered(db, text, values), 'callsign.')
    this.incidents = new IncidentSql(
      (text, values) => queryNumbered(db, text, values),
      POSTGRES_TABLES,
    )
  }

  async alerts(query: AlertQuery): Promise<AlertPage> {
    const after = query.after === undefined ? FIRST_ALERT : readAlertCursor(query.after)
    if (after === undefined) return { bodies: [], next: null }
    const where = new Conditions().add(
      '(active, changed, row) < (?, ?, ?)',
      ...[after.active, after.changed, after.row],
    )
    if (query.host !== undefined) {
      const hosts = await this.#hostsNamed(query)
      if (hosts.length === 0) return { bodies: [], next: null }
      where.add(`host_id IN (${hosts.map(() => '?').join(',')})`, ...hosts.map(({ id }) => id))
    } else if (query.site !== undefined) where.add('site = ?', query.site)
    where.anyOf('kind', query.kinds)
    if (query.states !== undefined) {
      const active = new Set(query.states.map((state) => (isActive(state) ? 1 : 0)))
      if (active.size === 1) where.add('active = ?', [...active][0]!)
      where.anyOf('state', query.states)
    }
    const rows = await this.#db.query<{
      row: number
      active: number
      changed: number
      body: string
    }>(
      `SELECT row::float8 AS row, active, changed::float8 AS changed, body FROM callsign.alerts
       WHERE ${where.text}
       ORDER BY alerts.active DESC, alerts.changed DESC, alerts.row DESC LIMIT ${query.limit + 1}`,
      where.values,
    )
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    return {
      bodies: page.map((row) => row.body),
      next: rows.length > query.limit && last !== undefined ? showAlertCursor(last) : null,
    }
  }

  async alert(id: string, at: Where = {}): ReturnType<Reads['alert']> {
    const where = new Conditions().add('alerts.id = ?', id)
    if (at.site !== undefined) where.add('hosts.site = ?', at.site)
    if (at.host !== undefined) where.add('hosts.host = ?', at.host)
    const [found] = await this.#db.query<{
      row: number
      day: number
      body: string
      received: number
    }>(
      `SELECT row::float8 AS row, day, body, received::float8 AS received
       FROM callsign.alerts JOIN callsign.hosts ON hosts.id = host_id
       WHERE ${where.text} ORDER BY alerts.row LIMIT 1`,
      where.values,
    )
    if (found === undefined) return undefined
    const history = await this.#db.query<AlertChange>(
      `SELECT time::float8 AS time, state, count::float8 AS count, class, confidence,
         received::float8 AS received
       FROM callsign.changes WHERE day = $1 AND alert_row = $2 ORDER BY boot, seq`,
      [found.day, found.row],
    )
    return {
      body: found.body,
      received: toSeconds(found.received),
      history: history.map((change) => ({ ...change, received: toSeconds(change.received) })),
    }
  }

  async hosts(query: HostQuery): Promise<HostPage> {
    const after = query.after === undefined ? FIRST_HOST : readHostCursor(query.after)
    if (after === undefined) return { items: [], next: null }
    const byRank = query.order === 'attention'
    const where = new Conditions().add('host <> ?', FLEET_HOST)
    if (byRank) where.add(`(${RANK}, site, host) > (?, ?, ?)`, after.rank, after.site, after.host)
    else where.add('(site, host) > (?, ?)', after.site, after.host)
    if (query.site !== undefined) where.add('site = ?', query.site)
    if (query.state !== undefined) where.add('online = ?', query.state === 'online' ? 1 : 0)
    if (query.condition !== undefined) {
      const { text, values } = conditionSql(query.condition, HOUR_COLUMNS)
      where.add(text, ...values)
    }
    if (query.search !== undefined)
      where.add(`(site || '/' || host) ILIKE ?`, likePattern(query.search))
    const rows = await this.#db.query<StoredHost & { rank: number }>(
      `SELECT ${HOST_COLUMNS}, ${byRank ? RANK : 0} AS rank FROM callsign.hosts
       WHERE ${where.text} ORDER BY ${byRank ? 'rank, ' : ''}site, host LIMIT ${query.limit + 1}`,
      where.values,
    )
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    return {
      items: page.map((row) => ({
        ...toRecord(row),
        alerts: { active: row.active, total: row.alerts },
      })),
      next: rows.length > query.limit && last !== undefined ? showHostCursor(last) : null,
    }
  }

  async latestSummary(hostName: string, site?: string): ReturnType<Reads['latestSummary']> {
    const host = await this.#heardLast(hostName, site)
    if (host === undefined) return undefined
    const [row] = await this.#db.query<{ body: Uint8Array }>(
      'SELECT body FROM callsign.latest WHERE host_id = $1',
      [host.id],
    )
    const decoded = row && decodeSummary(row.body)
    return { host: toRecord(host), summary: decoded?.ok ? decoded.value : undefined }
  }

  async hours(
    hostName: string,
    site: string | undefined,
    limit: number,
  ): Promise<HostHour[] | undefined> {
    const host = await this.#heardLast(hostName, site)
    if (host === undefined) return undefined
    const rows = await this.#db.query<HostHour>(
      `SELECT hour::float8 * 3600 AS hour, seconds::float8 AS seconds, calls::float8 AS calls,
         dropped::float8 AS dropped, cpu_ms::float8 / 1000 AS "cpuSeconds",
         rss_bytes::float8 AS "rssBytes", alerts_open::float8 AS "alertsOpen"
       FROM callsign.hours WHERE host_id = $1 ORDER BY hours.hour DESC LIMIT ${limit}`,
      [host.id],
    )
    return [...rows].reverse()
  }

  async countHosts(condition: HostCondition): Promise<number> {
    const { text, values } = conditionSql(condition, HOUR_COLUMNS)
    const [found] = await queryNumbered<{ count: number }>(
      this.#db,
      `SELECT count(*)::float8 AS count FROM callsign.hosts WHERE ${text}`,
      values,
    )
    return found!.count
  }

  async latestSummaries(limit: number): ReturnType<Reads['latestSummaries']> {
    const rows = await this.#db.query<StoredHost & { body: Uint8Array }>(
      `SELECT ${HOST_COLUMNS}, body FROM callsign.latest JOIN callsign.hosts ON hosts.id = host_id
       ORDER BY received DESC LIMIT $1`,
      [limit],
    )
    return rows.flatMap(({ body, ...host }) => {
      const decoded = decodeSummary(body)
      return decoded.ok ? [{ host: toRecord(host), summary: decoded.value }] : []
    })
  }

  async counts(): Promise<Counts> {
    const [found] = await this.#db.query<
      Record<'online' | 'hosts' | 'keyChanged' | 'active' | 'total', number>
    >(
      `SELECT coalesce(sum(online), 0)::float8 AS online,
         count(*) FILTER (WHERE host <> '${FLEET_HOST}')::float8 AS hosts,
         count(nullif(other_key, ''))::float8 AS "keyChanged",
         coalesce(sum(active), 0)::float8 AS active, coalesce(sum(alerts), 0)::float8 AS total
       FROM callsign.hosts`,
    )
    const { online, hosts, keyChanged, active, total } = found!
    return { hosts: { online, offline: hosts - online, keyChanged }, alerts: { active, total } }
  }

  async usage(): Promise<Usage> {
    const [found] = await this.#db.query<{ bytes: number; oldest: number | null }>(
      `SELECT (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
           WHERE relnamespace = 'callsign'::regnamespace AND relkind = 'r')::float8 AS bytes,
         (SELECT min(changed) FROM callsign.alerts)::float8 AS oldest`,
    )
    const { bytes, oldest } = found!
    return { bytes, oldestAlert: oldest === null ? null : toSeconds(oldest) }
  }

  documents(): Promise<StoredDocument[]> {
    return this.#db.query<StoredDocument>(
      `SELECT site, what, version::float8 AS version, body FROM callsign.documents
       ORDER BY site, what`,
    )
  }

  async documentParts({
    site,
    what,
    version,
  }: Omit<StoredDocument, 'body'>): Promise<Uint8Array[]> {
    const rows = await this.#db.query<{ body: Uint8Array }>(
      `SELECT body FROM callsign.document_parts WHERE site = $1 AND what = $2 AND version = $3
       ORDER BY part`,
      [site, what, version],
    )
    return rows.map(({ body }) => body)
  }

  fleetRuns(): Promise<FleetRun[]> {
    return this.#db.query<FleetRun>(runsStatement('callsign.hosts', (text) => `(${text})::float8`))
  }

  #hostsNamed({ host, site }: Where): Promise<StoredHost[]> {
    const where = new Conditions()
    if (host !== undefined) where.add('host = ?', host)
    if (site !== undefined) where.add('site = ?', site)
    return this.#db.query<StoredHost>(
      `SELECT ${HOST_COLUMNS} FROM callsign.hosts WHERE ${where.text}`,
      where.values,
    )
  }

  async #heardLast(host: string, site: string | undefined): Promise<StoredHost | undefined> {
    return (await this.#hostsNamed({ host, site })).sort((a, b) => b.lastSeen - a.lastSeen)[0]
  }
}
