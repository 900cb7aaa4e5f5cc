/**
 * The questions of the API, put to the SQLite file. Every list is answered from an index in the
 * order it is shown, so that the thousandth page of ten million alerts costs what the first does.
 *
 * Runs on a thread of its own (`reader-worker.ts`), so that no question keeps the broker waiting.
 */
import type { Database, SqlValue } from '../../platform/sqlite.ts'
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
import { IncidentSql, type TableNames } from './incident-sql.ts'
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

const RANK = 'CASE WHEN active > 0 THEN 0 WHEN online = 1 THEN 1 ELSE 2 END'

const HOUR_COLUMNS = { lastSeen: 'lastSeen', hours: 'hours', hourHost: 'hostId' } as const

export const SQLITE_TABLES: TableNames = {
  incidents: 'incidents',
  actions: 'actions',
  alerts: 'alerts',
  alertHost: 'hostId',
}

export class SqliteReads implements Reads {
  readonly programs: ProgramsSql
  readonly incidents: IncidentSql
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
    this.programs = new ProgramsSql(
      async <Row>(text: string, values: readonly SqlValue[]) =>
        db.prepare<Row>(text).all(...values),
      '',
    )
    this.incidents = new IncidentSql(
      async <Row>(text: string, values: readonly SqlValue[]) =>
        db.prepare<Row>(text).all(...values),
      SQLITE_TABLES,
    )
  }

  async alerts(query: AlertQuery): Promise<AlertPage> {
    const after = query.after === undefined ? FIRST_ALERT : readAlertCursor(query.after)
    if (after === undefined) return { bodies: [], next: null }
    const where = ['(active, changed, row) < (?, ?, ?)']
    const values: SqlValue[] = [after.active, after.changed, after.row]
    if (query.host !== undefined) {
      const ids = this.#hostsNamed(query).map(({ id }) => id)
      where.push(`hostId IN (${ids.join(',')})`)
    } else if (query.site !== undefined) {
      where.push('site = ?')
      values.push(query.site)
    }
    if (query.kinds !== undefined) {
      where.push(`kind IN (${query.kinds.map(() => '?').join(',')})`)
      values.push(...query.kinds)
    }
    if (query.states !== undefined) {
      const active = new Set(query.states.map((state) => (isActive(state) ? 1 : 0)))
      if (active.size === 1) where.push(`active = ${[...active][0]}`)
      where.push(`state IN (${query.states.map(() => '?').join(',')})`)
      values.push(...query.states)
    }
    const rows = this.#db
      .prepare<{ row: number; active: number; changed: number; body: string }>(
        `SELECT row, active, changed, body FROM alerts WHERE ${where.join(' AND ')}
         ORDER BY active DESC, changed DESC, row DESC LIMIT ${query.limit + 1}`,
      )
      .all(...values)
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    return {
      bodies: page.map((row) => row.body),
      next: rows.length > query.limit && last !== undefined ? showAlertCursor(last) : null,
    }
  }

  async alert(
    id: string,
    at: Where = {},
  ): Promise<{ body: string; received: number; history: AlertChange[] } | undefined> {
    const rows = this.#db
      .prepare<{ row: number; hostId: number; body: string; received: number }>(
        'SELECT row, hostId, body, received FROM alerts WHERE id = ? ORDER BY row',
      )
      .all(id)
    const given = at.host !== undefined || at.site !== undefined
    const ids = given ? new Set(this.#hostsNamed(at).map((host) => host.id)) : undefined
    const found = rows.find((row) => ids === undefined || ids.has(row.hostId))
    if (found === undefined) return undefined
    const history = this.#db
      .prepare<AlertChange>(
        `SELECT time, state, count, class, confidence, received FROM changes
         WHERE alertRow = ? ORDER BY boot, seq`,
      )
      .all(found.row)
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
    const where = [
      byRank ? `(${RANK}, site, host) > (?, ?, ?)` : '(site, host) > (?, ?)',
      `host <> '${FLEET_HOST}'`,
    ]
    const values: SqlValue[] = [...(byRank ? [after.rank] : []), after.site, after.host]
    if (query.site !== undefined) {
      where.push('site = ?')
      values.push(query.site)
    }
    if (query.state !== undefined) where.push(`online = ${query.state === 'online' ? 1 : 0}`)
    if (query.condition !== undefined) {
      const { text, values: given } = conditionSql(query.condition, HOUR_COLUMNS)
      where.push(text)
      values.push(...given)
    }
    if (query.search !== undefined) {
      where.push(`(site || '/' || host) LIKE ? ESCAPE '\\'`)
      values.push(likePattern(query.search))
    }
    const rows = this.#db
      .prepare<StoredHost & { rank: number }>(
        `SELECT *, ${byRank ? RANK : 0} AS rank FROM hosts WHERE ${where.join(' AND ')}
         ORDER BY ${byRank ? 'rank, ' : ''}site, host LIMIT ${query.limit + 1}`,
      )
      .all(...values)
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
    const host = this.#heardLast(hostName, site)
    if (host === undefined) return undefined
    const row = this.#db
      .prepare<{ body: Uint8Array }>('SELECT body FROM latest WHERE hostId = ?')
      .get(host.id)
    const decoded = row && decodeSummary(row.body)
    return { host: toRecord(host), summary: decoded?.ok ? decoded.value : undefined }
  }

  async hours(
    hostName: string,
    site: string | undefined,
    limit: number,
  ): Promise<HostHour[] | undefined> {
    const host = this.#heardLast(hostName, site)
    if (host === undefined) return undefined
    const rows = this.#db
      .prepare<HostHour & { cpuMs: number }>(
        `SELECT hour * 3600 AS hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen FROM hours
         WHERE hostId = ? ORDER BY hours.hour DESC LIMIT ?`,
      )
      .all(host.id, limit)
    return rows.reverse().map(({ cpuMs, ...hour }) => ({ ...hour, cpuSeconds: cpuMs / 1000 }))
  }

  async countHosts(condition: HostCondition): Promise<number> {
    const { text, values } = conditionSql(condition, HOUR_COLUMNS)
    return this.#db
      .prepare<{ count: number }>(`SELECT count(*) AS count FROM hosts WHERE ${text}`)
      .get(...values)!.count
  }

  async latestSummaries(limit: number): ReturnType<Reads['latestSummaries']> {
    const rows = this.#db
      .prepare<StoredHost & { body: Uint8Array }>(
        `SELECT hosts.*, body FROM latest JOIN hosts ON hosts.id = hostId
         ORDER BY received DESC LIMIT ?`,
      )
      .all(limit)
    return rows.flatMap(({ body, ...host }) => {
      const decoded = decodeSummary(body)
      return decoded.ok ? [{ host: toRecord(host), summary: decoded.value }] : []
    })
  }

  async counts(): Promise<Counts> {
    const found = this.#db
      .prepare<Record<'online' | 'hosts' | 'keyChanged' | 'active' | 'total', number>>(
        `SELECT coalesce(sum(online), 0) AS online,
           coalesce(sum(host <> '${FLEET_HOST}'), 0) AS hosts,
           coalesce(sum(otherKey <> ''), 0) AS keyChanged,
           coalesce(sum(active), 0) AS active, coalesce(sum(alerts), 0) AS total FROM hosts`,
      )
      .get()!
    const { online, hosts, keyChanged, active, total } = found
    return { hosts: { online, offline: hosts - online, keyChanged }, alerts: { active, total } }
  }

  async usage(): Promise<Usage> {
    const oldest = [0, 1].map(
      (active) =>
        this.#db
          .prepare<{ changed: number | null }>(
            'SELECT min(changed) AS changed FROM alerts WHERE active = ?',
          )
          .get(active)?.changed ?? Number.POSITIVE_INFINITY,
    )
    const first = Math.min(...oldest)
    return {
      bytes: bytesUsed(this.#db),
      oldestAlert: Number.isFinite(first) ? toSeconds(first) : null,
    }
  }

  async documents(): Promise<StoredDocument[]> {
    return this.#db
      .prepare<StoredDocument>(
        'SELECT site, what, version, body FROM documents ORDER BY site, what',
      )
      .all()
  }

  async documentParts({
    site,
    what,
    version,
  }: Omit<StoredDocument, 'body'>): Promise<Uint8Array[]> {
    return this.#db
      .prepare<{ body: Uint8Array }>(
        'SELECT body FROM documentParts WHERE site = ? AND what = ? AND version = ? ORDER BY part',
      )
      .all(site, what, version)
      .map(({ body }) => body)
  }

  async fleetRuns(): Promise<FleetRun[]> {
    return this.#db.prepare<FleetRun>(runsStatement('hosts', (text) => text)).all()
  }

  #hostsNamed({ host, site }: Where): StoredHost[] {
    const where = [
      ...(host === undefined ? [] : ['host = ?']),
      ...(site === undefined ? [] : ['site = ?']),
    ]
    const values = [host, site].filter((value) => value !== undefined)
    return this.#db
      .prepare<StoredHost>(`SELECT * FROM hosts WHERE ${where.join(' AND ')}`)
      .all(...values)
  }

  #heardLast(host: string, site: string | undefined): StoredHost | undefined {
    return this.#hostsNamed({ host, site }).sort((a, b) => b.lastSeen - a.lastSeen)[0]
  }
}

/**
 * Pages that hold something; the file does not shrink, but pages that became free are used again.
 */
export function bytesUsed(db: Database): number {
  const value = (pragma: string): number =>
    Object.values(db.prepare<Record<string, number>>(`PRAGMA ${pragma}`).get() ?? {})[0] ?? 0
  return (value('page_count') - value('freelist_count')) * value('page_size')
}
