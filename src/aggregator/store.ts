/**
 * What the aggregator keeps: hosts, alerts with their history, the last summaries; one SQLite file.
 *
 * `commit` takes a batch and is one transaction, synced to the disk: a receipt lets an agent delete the
 * only other copy, so here `synchronous` is FULL, and the group commit shares the price of it. The newest
 * state of an alert is decided by (boot, seq) of its agent, in whatever order messages arrive, and the same
 * message twice changes nothing. Hosts are kept in memory, too (50,000 are 15 MB): each message asks for one.
 *
 * Every table is bounded (domain/limits.ts); what goes is counted. Does not promise that a host is who it
 * says: that is the broker's business (access.ts).
 */
import { existsSync, statSync } from 'node:fs'
import type { AlertKind, AlertState } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import {
  ALERT_CHANGES_MAX,
  ALERTS_PER_HOST_MAX,
  ALERTS_STORED_MAX,
  HOSTS_MAX,
  STORE_CHECK_BYTES_MAX,
  SUMMARIES_PER_HOST_MAX,
  SUMMARIES_STORED_MAX,
} from '../domain/limits.ts'
import { type Database, openDatabase, sqliteProblem } from '../platform/sqlite.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import { compareOrigin } from '../wire/origin.ts'
import type { StatusMessage } from '../wire/status-message.ts'
import { decodeSummary, type SummaryMessage } from '../wire/summary-message.ts'
import { SCHEMA } from './schema.ts'

export type Arrival =
  | { readonly kind: 'alert'; readonly message: AlertMessage }
  | { readonly kind: 'summary'; readonly message: SummaryMessage; readonly payload: Uint8Array }
  | { readonly kind: 'status'; readonly message: StatusMessage }

/** What a commit changed, for those who watch live. */
export type StoreChange =
  | { readonly kind: 'alert'; readonly message: AlertMessage }
  | { readonly kind: 'host'; readonly host: HostRecord }
  | { readonly kind: 'summary'; readonly message: SummaryMessage }

export interface HostRecord {
  readonly site: string
  readonly host: string
  readonly state: 'online' | 'offline'
  /** Why it is offline: it said good-bye, the broker lost it, or nothing was heard since the aggregator began. */
  readonly reason?: string
  /** Unix seconds: of the last change of state, of the first and the last message. */
  readonly since: number
  readonly firstSeen: number
  readonly lastSeen: number
  readonly boot: number
  readonly version: string
  readonly model: string
  readonly source: string
}

export interface AlertChange {
  readonly time: number
  readonly state: AlertState
  readonly count: number
  readonly class: string
  readonly confidence: number
  /** Unix seconds, by the aggregator's clock. */
  readonly received: number
}

export interface AlertQuery {
  readonly limit: number
  /** Cursor of the page before; newer alerts come first. */
  readonly after?: number
  readonly site?: string
  readonly host?: string
  readonly kinds?: readonly AlertKind[]
  readonly states?: readonly AlertState[]
}

export interface StoreBounds {
  readonly hostsMax: number
  readonly alertsMax: number
  readonly alertsPerHostMax: number
  readonly changesMax: number
  readonly summariesMax: number
  readonly summariesPerHostMax: number
  /** Of 4 KiB: a file that may not grow is a full disk. */
  readonly pagesMax?: number
}

const BOUNDS: StoreBounds = {
  hostsMax: HOSTS_MAX,
  alertsMax: ALERTS_STORED_MAX,
  alertsPerHostMax: ALERTS_PER_HOST_MAX,
  changesMax: ALERT_CHANGES_MAX,
  summariesMax: SUMMARIES_STORED_MAX,
  summariesPerHostMax: SUMMARIES_PER_HOST_MAX,
}

interface HostRow {
  readonly id: number
  readonly site: string
  readonly host: string
  online: number
  reason: string
  boot: number
  /** ms */
  since: number
  readonly firstSeen: number
  lastSeen: number
  version: string
  model: string
  source: string
  alerts: number
  summaries: number
}

export class Store {
  readonly #path: string
  readonly #bounds: StoreBounds
  readonly #hosts = new Map<string, HostRow>()
  #db!: Database
  #sql!: ReturnType<typeof prepareStatements>
  #alerts = 0
  /** Where damaged files were put aside. */
  readonly setAside: string[] = []
  /** Rows that a bound has pushed out, and repeats that were recognised, since the store was opened. */
  readonly evicted = { hosts: 0, alerts: 0, summaries: 0 }
  duplicates = 0

  /** @param path a file, made with its directory if needed; a damaged one is set aside and a new one begun. */
  constructor(path: string, bounds: Partial<StoreBounds> = {}) {
    this.#path = path
    this.#bounds = { ...BOUNDS, ...bounds }
    this.#open()
  }

  #open(): void {
    const bytes = existsSync(this.#path) ? statSync(this.#path).size : 0
    this.#db = openDatabase(this.#path, {
      schema: SCHEMA,
      synchronous: 'full',
      check: bytes <= STORE_CHECK_BYTES_MAX,
      ...defined({ pagesMax: this.#bounds.pagesMax }),
    })
    if (this.#db.setAside !== undefined) this.setAside.push(this.#db.setAside)
    this.#sql = prepareStatements(this.#db)
    this.#loadHosts()
  }

  get hostCount(): number {
    return this.#hosts.size
  }

  get alertCount(): number {
    return this.#alerts
  }

  hostCounts(): { online: number; offline: number } {
    let online = 0
    for (const host of this.#hosts.values()) online += host.online
    return { online, offline: this.#hosts.size - online }
  }

  sites(): string[] {
    return [...new Set(Array.from(this.#hosts.values(), (host) => host.site))].sort()
  }

  /**
   * All or nothing: when it throws (disk full), nothing of the batch is stored and nothing may be receipted.
   * @returns what changed, in order; repeats change nothing
   */
  commit(batch: readonly Arrival[], nowMs: number): StoreChange[] {
    const changes: StoreChange[] = []
    const touched = new Set<HostRow>()
    try {
      this.#db.transaction(() => {
        for (const arrival of batch) {
          const host = this.#host(arrival.message, nowMs)
          host.lastSeen = nowMs
          touched.add(host)
          if (arrival.kind === 'alert') this.#putAlert(host, arrival.message, nowMs, changes)
          else if (arrival.kind === 'summary') this.#putSummary(host, arrival, nowMs, changes)
          else this.#putStatus(host, arrival.message, nowMs, changes)
        }
        for (const host of touched) this.#writeHost(host)
      })
    } catch (error) {
      if (sqliteProblem(error, this.#path) === 'damaged') {
        this.#db.close()
        this.#open() // looks through the file, and sets it aside
      } else this.#loadHosts() // the transaction is undone; memory must not remember it
      throw error
    }
    return changes
  }

  /** With an embedded broker that has just begun, nobody is connected, whatever the file says. */
  forgetConnections(nowMs: number): void {
    this.#db.transaction(() => {
      for (const host of this.#hosts.values()) {
        if (host.online === 0) continue
        Object.assign(host, { online: 0, reason: 'unknown', since: nowMs })
        this.#writeHost(host)
      }
    })
  }

  /** Newest first, by first arrival. `bodies` are JSON objects as on the wire. */
  alerts(query: AlertQuery): { bodies: string[]; next: number | null } {
    const where = ['row < ?']
    const values: (string | number)[] = [query.after ?? Number.MAX_SAFE_INTEGER]
    if (query.host !== undefined || query.site !== undefined) {
      const ids = this.#hostsNamed(query.host, query.site).map((host) => host.id)
      where.push(`hostId IN (${ids.join(',')})`)
    }
    for (const [column, wanted] of [
      ['kind', query.kinds],
      ['state', query.states],
    ] as const) {
      if (wanted === undefined) continue
      where.push(`${column} IN (${wanted.map(() => '?').join(',')})`)
      values.push(...wanted)
    }
    const rows = this.#db
      .prepare(
        `SELECT row, body FROM alerts WHERE ${where.join(' AND ')} ORDER BY row DESC LIMIT ${query.limit + 1}`,
      )
      .all(...values) as { row: number; body: string }[]
    const page = rows.slice(0, query.limit)
    return {
      bodies: page.map((row) => row.body),
      next: rows.length > query.limit ? (page.at(-1)?.row ?? null) : null,
    }
  }

  /** The alert with this id; where two hosts claim it, the one heard first unless `site` and `host` say. */
  alert(
    id: string,
    at: { site?: string | undefined; host?: string | undefined } = {},
  ): { body: string; received: number; history: AlertChange[] } | undefined {
    const rows = this.#sql.alertsById.all(id) as (AlertRow & { hostId: number; body: string })[]
    const ids = new Set(this.#hostsNamed(at.host, at.site).map((host) => host.id))
    const found = rows.find((row) => ids.has(row.hostId))
    if (found === undefined) return undefined
    const history = this.#sql.changes.all(found.row) as AlertChange[]
    return {
      body: found.body,
      received: toSeconds(found.received),
      history: history.map((change) => ({ ...change, received: toSeconds(change.received) })),
    }
  }

  /** Ordered by site and host. `after` is the last `site/host` of the page before. */
  hosts(query: { limit: number; after?: string; site?: string; state?: HostRecord['state'] }): {
    items: (HostRecord & { alerts: { active: number; total: number } })[]
    next: string | null
  } {
    const { limit, after = '' } = query
    const keys = [...this.#hosts.keys()].sort()
    const items: (HostRecord & { alerts: { active: number; total: number } })[] = []
    let last = ''
    for (const key of keys) {
      if (key <= after) continue
      const host = this.#hosts.get(key)!
      if (query.site !== undefined && host.site !== query.site) continue
      if (query.state !== undefined && (host.online === 1) !== (query.state === 'online')) continue
      if (items.length === limit) return { items, next: last }
      const { active } = this.#sql.activeOf.get(host.id) as { active: number }
      items.push({ ...toRecord(host), alerts: { active, total: host.alerts } })
      last = key
    }
    return { items, next: null }
  }

  /** The newest summary of a host; where two sites have the host, of the one heard last. */
  latestSummary(
    hostName: string,
    site?: string,
  ): { host: HostRecord; summary: SummaryMessage | undefined } | undefined {
    const hosts = this.#hostsNamed(hostName, site).sort((a, b) => b.lastSeen - a.lastSeen)
    const host = hosts[0]
    if (host === undefined) return undefined
    const row = this.#sql.latestSummary.get(host.id) as { body: Uint8Array } | undefined
    const decoded = row && decodeSummary(row.body)
    return { host: toRecord(host), summary: decoded?.ok ? decoded.value : undefined }
  }

  /** Once a minute: what a bound has left over since the share of each host became smaller. */
  tidy(): void {
    this.#db.transaction(() => {
      const most = this.#summariesMost()
      for (const host of this.#hosts.values()) {
        while (host.summaries > most) this.#dropOldestSummary(host)
      }
    })
  }

  /** Alerts by kind and state, for the metrics. */
  alertGroups(): { kind: AlertKind; state: AlertState; count: number }[] {
    return this.#sql.groups.all() as { kind: AlertKind; state: AlertState; count: number }[]
  }

  close(): void {
    this.#db.close()
  }

  // --- One arrival ---------------------------------------------------------------------------------

  #putAlert(host: HostRow, message: AlertMessage, nowMs: number, changes: StoreChange[]): void {
    const known = this.#sql.alertOf.get(host.id, message.id) as AlertRow | undefined
    const body = JSON.stringify(message)
    let row: number
    if (known === undefined) {
      this.#sql.insertAlert.run(
        host.id,
        message.id,
        message.kind,
        message.state,
        message.boot,
        message.seq,
        nowMs,
        body,
      )
      row = (this.#sql.alertOf.get(host.id, message.id) as AlertRow).row
      host.alerts++
      this.#alerts++
    } else {
      row = known.row
    }
    const { time, state, count, predicted, boot, seq } = message
    const inserted = this.#sql.insertChange.run(
      row,
      boot,
      seq,
      time,
      state,
      count,
      predicted.class,
      predicted.confidence,
      nowMs,
    )
    if (Number(inserted.changes) === 0) {
      this.duplicates++
      return
    }
    if (known !== undefined) {
      const kept = known.changes + 1
      if (kept > this.#bounds.changesMax) this.#sql.dropSecondChange.run(row, row)
      this.#sql.countChanges.run(Math.min(kept, this.#bounds.changesMax), row)
      if (compareOrigin(message, known) < 0) return // an older state, arrived late: history only
      this.#sql.updateAlert.run(message.kind, state, boot, seq, body, row)
    }
    changes.push({ kind: 'alert', message })
    while (host.alerts > this.#bounds.alertsPerHostMax) this.#dropOldestAlert(host)
    while (this.#alerts > this.#bounds.alertsMax) this.#dropOldestAlert(undefined)
  }

  #putSummary(
    host: HostRow,
    arrival: Arrival & { kind: 'summary' },
    nowMs: number,
    changes: StoreChange[],
  ): void {
    const { boot, seq } = arrival.message
    const inserted = this.#sql.insertSummary.run(host.id, boot, seq, nowMs, arrival.payload)
    if (Number(inserted.changes) === 0) {
      this.duplicates++
      return
    }
    changes.push({ kind: 'summary', message: arrival.message })
    host.summaries++
    while (host.summaries > this.#summariesMost()) this.#dropOldestSummary(host)
  }

  #putStatus(host: HostRow, message: StatusMessage, nowMs: number, changes: StoreChange[]): void {
    const online = message.state === 'online' ? 1 : 0
    // A will that comes after the same agent is back belongs to its earlier life.
    if (online === 0 && message.boot < host.boot) return
    const { version, model, source, boot } = message
    const reason = online === 1 ? '' : (message.reason ?? 'lost')
    const same = host.online === online && host.boot === boot && host.reason === reason
    if (same && host.version === version && host.model === model && host.source === source) return
    if (host.online !== online || (online === 1 && host.boot !== boot)) host.since = nowMs
    Object.assign(host, { online, reason, boot, version, model, source })
    changes.push({ kind: 'host', host: toRecord(host) })
  }

  // --- Hosts ---------------------------------------------------------------------------------------

  #host({ site, host: name }: { site: string; host: string }, nowMs: number): HostRow {
    const key = `${site}/${name}`
    const known = this.#hosts.get(key)
    if (known !== undefined) return known
    if (this.#hosts.size >= this.#bounds.hostsMax) this.#dropSilentHosts()
    this.#sql.insertHost.run(site, name, nowMs, nowMs, nowMs)
    const host = this.#sql.hostOf.get(site, name) as Omit<HostRow, 'alerts' | 'summaries'>
    const row: HostRow = { ...host, alerts: 0, summaries: 0 }
    this.#hosts.set(key, row)
    return row
  }

  #hostsNamed(host: string | undefined, site: string | undefined): HostRow[] {
    if (host !== undefined && site !== undefined) {
      const found = this.#hosts.get(`${site}/${host}`)
      return found === undefined ? [] : [found]
    }
    return [...this.#hosts.values()].filter(
      (row) => (host ?? row.host) === row.host && (site ?? row.site) === row.site,
    )
  }

  #writeHost(host: HostRow): void {
    this.#sql.updateHost.run(
      host.online,
      host.reason,
      host.boot,
      host.since,
      host.lastSeen,
      host.version,
      host.model,
      host.source,
      host.id,
    )
  }

  #loadHosts(): void {
    this.#hosts.clear()
    for (const row of this.#sql.allHosts.all() as HostRow[]) {
      this.#hosts.set(`${row.site}/${row.host}`, { ...row })
    }
    this.#alerts = Array.from(this.#hosts.values()).reduce((sum, host) => sum + host.alerts, 0)
  }

  // --- Bounds --------------------------------------------------------------------------------------

  /** The summaries are shared out evenly: an hour of each host, or less of many hosts. */
  #summariesMost(): number {
    const share = Math.floor(this.#bounds.summariesMax / Math.max(1, this.#hosts.size))
    return Math.max(1, Math.min(this.#bounds.summariesPerHostMax, share))
  }

  #dropOldestSummary(host: HostRow): void {
    this.#sql.dropSummary.run(host.id)
    host.summaries--
    this.evicted.summaries++
  }

  #dropOldestAlert(host: HostRow | undefined): void {
    const oldest = (
      host === undefined ? this.#sql.oldestAlert.get() : this.#sql.oldestAlertOf.get(host.id)
    ) as { row: number; hostId: number }
    this.#sql.dropAlert.run(oldest.row)
    this.#sql.dropChanges.run(oldest.row)
    const owner = host ?? [...this.#hosts.values()].find((row) => row.id === oldest.hostId)
    if (owner !== undefined) owner.alerts--
    this.#alerts--
    this.evicted.alerts++
  }

  /** A tenth at a time, so that a flood of new names does not sort all hosts for each of them. */
  #dropSilentHosts(): void {
    const byAge = [...this.#hosts.values()].sort(
      (a, b) => a.online - b.online || a.alerts - b.alerts || a.lastSeen - b.lastSeen,
    )
    for (const host of byAge.slice(0, Math.ceil(this.#bounds.hostsMax / 10))) {
      this.#sql.dropChangesOf.run(host.id)
      this.#sql.dropAlertsOf.run(host.id)
      this.#sql.dropSummariesOf.run(host.id)
      this.#sql.dropHost.run(host.id)
      this.#hosts.delete(`${host.site}/${host.host}`)
      this.#alerts -= host.alerts
      this.evicted.alerts += host.alerts
      this.evicted.summaries += host.summaries
      this.evicted.hosts++
    }
  }
}

interface AlertRow {
  readonly row: number
  readonly boot: number
  readonly seq: number
  readonly changes: number
  readonly received: number
}

function toRecord(row: HostRow): HostRecord {
  return {
    site: row.site,
    host: row.host,
    state: row.online === 1 ? 'online' : 'offline',
    ...(row.reason === '' ? {} : { reason: row.reason }),
    since: toSeconds(row.since),
    firstSeen: toSeconds(row.firstSeen),
    lastSeen: toSeconds(row.lastSeen),
    boot: row.boot,
    version: row.version,
    model: row.model,
    source: row.source,
  }
}

function toSeconds(ms: number): number {
  return Math.floor(ms / 1000)
}

function prepareStatements(db: Database) {
  return {
    allHosts: db.prepare(
      `SELECT hosts.*,
        (SELECT count(*) FROM alerts WHERE hostId = hosts.id) AS alerts,
        (SELECT count(*) FROM summaries WHERE hostId = hosts.id) AS summaries FROM hosts`,
    ),
    hostOf: db.prepare('SELECT * FROM hosts WHERE site = ? AND host = ?'),
    insertHost: db.prepare(
      `INSERT INTO hosts (site, host, online, reason, boot, since, firstSeen, lastSeen, version, model, source)
       VALUES (?, ?, 0, 'unknown', 0, ?, ?, ?, '', '', '')`,
    ),
    updateHost: db.prepare(
      `UPDATE hosts SET online = ?, reason = ?, boot = ?, since = ?, lastSeen = ?, version = ?, model = ?, source = ?
       WHERE id = ?`,
    ),
    dropHost: db.prepare('DELETE FROM hosts WHERE id = ?'),
    alertOf: db.prepare(
      'SELECT row, boot, seq, changes, received FROM alerts WHERE hostId = ? AND id = ?',
    ),
    alertsById: db.prepare('SELECT * FROM alerts WHERE id = ? ORDER BY row'),
    insertAlert: db.prepare(
      `INSERT INTO alerts (hostId, id, kind, state, boot, seq, received, changes, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)`,
    ),
    updateAlert: db.prepare(
      'UPDATE alerts SET kind = ?, state = ?, boot = ?, seq = ?, body = ? WHERE row = ?',
    ),
    countChanges: db.prepare('UPDATE alerts SET changes = ? WHERE row = ?'),
    insertChange: db.prepare('INSERT OR IGNORE INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    changes: db.prepare(
      `SELECT time, state, count, class, confidence, received FROM changes
       WHERE alertRow = ? ORDER BY boot, seq`,
    ),
    // How it began stays; of the rest the oldest goes.
    dropSecondChange: db.prepare(
      `DELETE FROM changes WHERE alertRow = ? AND (boot, seq) IN
        (SELECT boot, seq FROM changes WHERE alertRow = ? ORDER BY boot, seq LIMIT 1 OFFSET 1)`,
    ),
    activeOf: db.prepare(
      `SELECT count(*) AS active FROM alerts WHERE state IN ('open', 'update') AND hostId = ?`,
    ),
    groups: db.prepare('SELECT kind, state, count(*) AS count FROM alerts GROUP BY kind, state'),
    oldestAlert: db.prepare('SELECT row, hostId FROM alerts ORDER BY row LIMIT 1'),
    oldestAlertOf: db.prepare(
      'SELECT row, hostId FROM alerts WHERE hostId = ? ORDER BY row LIMIT 1',
    ),
    dropAlert: db.prepare('DELETE FROM alerts WHERE row = ?'),
    dropChanges: db.prepare('DELETE FROM changes WHERE alertRow = ?'),
    dropChangesOf: db.prepare(
      'DELETE FROM changes WHERE alertRow IN (SELECT row FROM alerts WHERE hostId = ?)',
    ),
    dropAlertsOf: db.prepare('DELETE FROM alerts WHERE hostId = ?'),
    insertSummary: db.prepare(
      'INSERT OR IGNORE INTO summaries (hostId, boot, seq, received, body) VALUES (?, ?, ?, ?, ?)',
    ),
    latestSummary: db.prepare(
      'SELECT body FROM summaries WHERE hostId = ? ORDER BY boot DESC, seq DESC LIMIT 1',
    ),
    dropSummary: db.prepare(
      `DELETE FROM summaries WHERE row =
        (SELECT row FROM summaries WHERE hostId = ? ORDER BY boot, seq LIMIT 1)`,
    ),
    dropSummariesOf: db.prepare('DELETE FROM summaries WHERE hostId = ?'),
  }
}
