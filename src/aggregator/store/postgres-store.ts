/**
 * The store as a PostgreSQL database, which several aggregators may share.
 *
 * A commit is one transaction of a few statements, each for the whole batch: it locks the hosts of
 * the batch in one order, reads what is known of their alerts, decides as the SQLite store does,
 * and writes what changed. The server has it on disk when `commit` resolves (`synchronous_commit`).
 * What other aggregators store is seen by `follow`.
 *
 * Bounds are kept by `tidy`, by one aggregator at a time, and not by each commit: between two looks
 * there may be some more than they say. `size` of the retention is not used: deleted rows give no
 * space back before a vacuum.
 */
import { randomBytes } from 'node:crypto'
import type { AlertKind, AlertState } from '../../domain/alert.ts'
import {
  ACTIONS_STORED_MAX,
  ALERT_CHANGES_MAX,
  ALERTS_PER_HOST_MAX,
  FOLLOWED_ALERTS_MAX,
  HOSTS_MAX,
  TIDY_ROWS_MAX,
} from '../../domain/limits.ts'
import {
  isDuplicate,
  openPostgres,
  type Postgres,
  type PostgresQueries,
} from '../../platform/postgres.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import { compareOrigin } from '../../wire/origin.ts'
import type { HostArchive } from './archive.ts'
import { checkKey } from './host-key.ts'
import { applyStatus, type HostRow, hostKey, hourOf, noteSummary, toRecord } from './host-row.ts'
import { type Action, type ActionRecord, type IncidentKey, incidentColumns } from './incident.ts'
import { dropActionsStatement } from './incident-sql.ts'
import { levelFor } from './levels.ts'
import { readArchives, restoreArchive } from './postgres-archive.ts'
import { addUpIncidents, type TouchedIncident, takeAction } from './postgres-incidents.ts'
import { HOST_COLUMNS, POSTGRES_TABLES, PostgresReads, WINDOW_COLUMNS } from './postgres-reads.ts'
import { DAY_MS, dayOf, HOURS_A_DAY, rowsOf, SUM_COLUMNS } from './postgres-rows.ts'
import { POSTGRES_SCHEMA } from './postgres-schema.ts'
import { isActive, toSeconds } from './records.ts'
import { RETENTION } from './retention.ts'
import type {
  Arrival,
  Named,
  Retention,
  Store,
  StoreBounds,
  StoreChange,
  Tallies,
} from './store.ts'

const BOUNDS: StoreBounds = {
  hostsMax: HOSTS_MAX,
  alertsPerHostMax: ALERTS_PER_HOST_MAX,
  changesMax: ALERT_CHANGES_MAX,
  retention: RETENTION,
  tidyRows: TIDY_ROWS_MAX,
}
const KINDS: readonly AlertKind[] = ['masquerade', 'non-grata', 'novelty']
/** Numbers of our advisory locks: "calls" and what they are for. */
const SCHEMA_LOCK = 0x63616c01
const TIDY_LOCK = 0x63616c02
/** Commits of others become visible some time after the clock that they were stamped with. */
const FOLLOW_BACK_MS = 5_000

const NONE = { hosts: 0, alerts: 0, hours: 0, duplicates: 0, late: 0 }
type Staged = { -readonly [K in keyof typeof NONE]: number }

/** An alert in hand: as the database has it, and as it will be. */
interface AlertRow {
  row: number | undefined
  readonly hostId: number
  readonly site: string
  readonly id: string
  readonly day: number
  active: number
  boot: number
  seq: number
  changes: number
  /** As the database has it; undefined for one that is new. */
  readonly incident: string | undefined
  /** Of the changes that are kept; read for those in the batch only. */
  readonly seen: Set<string>
  /** To be written. */
  message: AlertMessage | undefined
  readonly added: AlertMessage[]
}

export class PostgresStore extends PostgresReads implements Store {
  readonly kind = 'postgres'
  readonly setAside: readonly string[] = []
  readonly #db: Postgres
  readonly #bounds: StoreBounds
  readonly #tallies: Staged = { ...NONE }
  /** Partitions that are known to be there. */
  readonly #partitions = new Set<string>()
  readonly #told = new Set<string>()

  /** @throws AgentError where the database cannot be used; ERR_BROKER where waiting may help */
  static async open(url: string, bounds: Partial<StoreBounds> = {}): Promise<PostgresStore> {
    const db = await openPostgres(url)
    try {
      await migrate(db)
    } catch (error) {
      await db.close()
      throw error
    }
    return new PostgresStore(db, { ...BOUNDS, ...bounds })
  }

  private constructor(db: Postgres, bounds: StoreBounds) {
    super(db)
    this.#db = db
    this.#bounds = bounds
  }

  get retention(): Retention {
    return this.#bounds.retention
  }

  tallies(): Tallies {
    const { duplicates, late, ...evicted } = this.#tallies
    return { evicted, duplicates, late }
  }

  async sites(): Promise<string[]> {
    const rows = await this.#db.query<{ site: string }>(
      'SELECT DISTINCT site FROM callsign.hosts ORDER BY site',
    )
    return rows.map(({ site }) => site)
  }

  alertGroups(): Promise<{ kind: AlertKind; state: AlertState; count: number }[]> {
    return this.#db.query(
      'SELECT kind, state, count(*)::float8 AS count FROM callsign.alerts GROUP BY kind, state',
    )
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  // --- Writing -----------------------------------------------------------------------------------

  async commit(batch: readonly Arrival[], nowMs: number): Promise<StoreChange[]> {
    if (batch.length === 0) return []
    await this.#makePartitions(partitionsOf(batch, nowMs))
    const { changes, staged } = await this.#db.transaction(async (tx) => {
      const commit = new Commit(tx, this.#bounds, nowMs)
      await commit.run(batch)
      return commit
    })
    this.#add(staged)
    for (const change of changes) if (change.kind === 'alert') this.#note(change.message)
    return changes
  }

  act(
    key: IncidentKey,
    action: Action,
    actor: string,
    nowMs: number,
  ): Promise<ActionRecord | undefined> {
    return this.#db.transaction((tx) => takeAction(tx, key, action, actor, toSeconds(nowMs)))
  }

  async known(hosts: readonly Named[]): Promise<(Uint8Array | undefined)[]> {
    const names = hosts.map(({ site, host }) => ({ site, host }))
    const rows = await this.#db.query<{ site: string; host: string; body: Uint8Array }>(
      `SELECT site, host, body FROM callsign.known JOIN callsign.hosts ON id = host_id
       WHERE (site, host) IN (SELECT site, host FROM ${rowsOf('site text, host text')})`,
      [JSON.stringify(names)],
    )
    const bodies = new Map(rows.map((row) => [hostKey(row), row.body]))
    return hosts.map((host) => bodies.get(hostKey(host)))
  }

  async forgetConnections(nowMs: number): Promise<void> {
    await this.#db.query(
      `UPDATE callsign.hosts SET online = 0, reason = 'unknown', since = $1 WHERE online = 1`,
      [nowMs],
    )
  }

  async identity(first = randomBytes(32).toString('hex')): Promise<string> {
    await this.#db.query('INSERT INTO callsign.identity VALUES (1, $1) ON CONFLICT DO NOTHING', [
      first,
    ])
    const [found] = await this.#db.query<{ secret: string }>('SELECT secret FROM callsign.identity')
    return found!.secret
  }

  async acceptKey({ site, host }: Named, key: string): Promise<boolean> {
    const found = await this.#db.query(
      'UPDATE callsign.hosts SET accepted_key = $1 WHERE site = $2 AND host = $3 RETURNING id',
      [key, site, host],
    )
    return found.length > 0
  }

  async keysOf(hosts: readonly Named[]): Promise<string[]> {
    const rows = await this.#db.query<Named & { key: string }>(
      `SELECT site, host, key FROM callsign.hosts
       WHERE (site, host) IN (SELECT site, host FROM ${rowsOf('site text, host text')})`,
      [JSON.stringify(hosts)],
    )
    const keys = new Map(rows.map((row) => [hostKey(row), row.key]))
    return hosts.map((host) => keys.get(hostKey(host)) ?? '')
  }

  #add(staged: Staged): void {
    for (const key of Object.keys(NONE) as (keyof Staged)[]) this.#tallies[key] += staged[key]
  }

  archives(): AsyncGenerator<HostArchive> {
    return readArchives(this.#db)
  }

  async restore(archive: HostArchive): Promise<boolean> {
    await this.#makePartitions([
      ...archive.alerts.map(({ received }) => `changes ${dayOf(received)}`),
      ...archive.hours.map(({ hour }) => `hours ${Math.floor(hour / HOURS_A_DAY)}`),
    ])
    return this.#db.transaction((tx) => restoreArchive(tx, archive))
  }

  /**
   * Outside of the commit: a partition is made once a day, and two aggregators may try at a time.
   */
  async #makePartitions(wanted: Iterable<string>): Promise<void> {
    for (const one of new Set(wanted)) {
      if (this.#partitions.has(one)) continue
      const [table, day] = one.split(' ') as [string, string]
      try {
        await this.#db.query(
          `CREATE TABLE IF NOT EXISTS callsign.${table}_${day} PARTITION OF callsign.${table}
           FOR VALUES FROM (${day}) TO (${Number(day) + 1})`,
        )
      } catch (error) {
        if (!isDuplicate(error)) throw error
      }
      this.#partitions.add(one)
    }
  }

  // --- What others store -------------------------------------------------------------------------

  /** Alerts that another aggregator stored since a while ago, each once. Ask again and again. */
  async follow(nowMs: number): Promise<StoreChange[]> {
    const rows = await this.#db.query<{ body: string }>(
      `SELECT body FROM callsign.alerts WHERE changed > $1 ORDER BY changed, row
       LIMIT ${FOLLOWED_ALERTS_MAX}`,
      [nowMs - FOLLOW_BACK_MS],
    )
    const changes: StoreChange[] = []
    for (const { body } of rows) {
      const message = JSON.parse(body) as AlertMessage
      if (this.#note(message)) changes.push({ kind: 'alert', message })
    }
    return changes
  }

  /** @returns whether it was not told before */
  #note({ site, host, id, boot, seq }: AlertMessage): boolean {
    const key = `${site}/${host}/${id}/${boot}-${seq}`
    if (this.#told.has(key)) return false
    this.#told.add(key)
    if (this.#told.size > 4 * FOLLOWED_ALERTS_MAX)
      this.#told.delete(this.#told.keys().next().value!)
    return true
  }

  // --- Bounds ------------------------------------------------------------------------------------

  async tidy(nowMs: number): Promise<void> {
    const staged: Staged = { ...NONE }
    await this.#db.transaction(async (tx) => {
      Object.assign(staged, NONE)
      const [lock] = await tx.query<{ mine: boolean }>(
        `SELECT pg_try_advisory_xact_lock(${TIDY_LOCK}) AS mine`,
      )
      if (lock?.mine !== true) return
      await this.#dropOldAlerts(tx, nowMs, staged)
      await this.#dropNoise(tx, staged)
      await this.#dropHosts(tx, nowMs, staged)
      await tx.query(dropActionsStatement(POSTGRES_TABLES, ACTIONS_STORED_MAX))
    })
    staged.hours += await this.#dropPartitions(nowMs)
    this.#add(staged)
  }

  async #dropOldAlerts(tx: PostgresQueries, nowMs: number, staged: Staged): Promise<void> {
    for (const kind of KINDS) {
      const before = nowMs - this.retention.days[kind] * DAY_MS
      const rows = await tx.query<Victim>(
        `SELECT row::float8 AS row, host_id::float8 AS "hostId" FROM callsign.alerts
         WHERE kind = $1 AND active = 0 AND changed < $2 LIMIT ${this.#bounds.tidyRows}`,
        [kind, before],
      )
      await dropAlerts(tx, rows, staged)
    }
  }

  /**
   * Closed alerts of the noisiest hosts go first, oldest first; only where these have none, active
   * ones.
   */
  async #dropNoise(tx: PostgresQueries, staged: Staged): Promise<void> {
    const hosts = await tx.query<{ id: number; alerts: number }>(
      'SELECT id::float8 AS id, alerts FROM callsign.hosts WHERE alerts > 0',
    )
    const { alertsPerHostMax, tidyRows } = this.#bounds
    const over = hosts.reduce((sum, { alerts }) => sum + alerts, 0) - this.retention.alerts
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

  async #dropHosts(tx: PostgresQueries, nowMs: number, staged: Staged): Promise<void> {
    const { hostsMax, tidyRows } = this.#bounds
    const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(
      'SELECT count(*)::float8 AS count FROM callsign.hosts',
    )
    const tooMany = Math.min(tidyRows, Math.max(0, count - hostsMax))
    const rows = await tx.query<{ id: number; alerts: number }>(
      `(SELECT id::float8 AS id, alerts FROM callsign.hosts
         WHERE online = 0 AND active = 0 AND last_seen < $1 LIMIT ${tidyRows})
       UNION (SELECT id::float8 AS id, alerts FROM callsign.hosts
         ORDER BY online, hosts.alerts, last_seen LIMIT ${tooMany})`,
      [nowMs - this.retention.hostDays * DAY_MS],
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

  /** Days that hold nothing which is to be kept. @returns hourly rows that went */
  async #dropPartitions(nowMs: number): Promise<number> {
    const oldestDay = dayOf(nowMs - this.retention.hourlyDays * DAY_MS)
    const partitions = await this.#db.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
       WHERE relnamespace = 'callsign'::regnamespace AND relkind = 'r'`,
    )
    let hours = 0
    for (const { name } of partitions) {
      const [table, text] = name.split('_') as [string, string]
      const day = Number(text)
      if (table === 'hours' && day < oldestDay) {
        const [{ count } = { count: 0 }] = await this.#db.query<{ count: number }>(
          `SELECT count(*)::float8 AS count FROM callsign.${name}`,
        )
        hours += count
      } else if (table === 'changes' && day < dayOf(nowMs)) {
        const left = await this.#db.query('SELECT 1 FROM callsign.alerts WHERE day = $1 LIMIT 1', [
          day,
        ])
        if (left.length > 0) continue
      } else continue
      await this.#db.query(`DROP TABLE IF EXISTS callsign.${name}`)
      this.#partitions.delete(`${table} ${day}`)
    }
    return hours
  }
}

interface Victim {
  readonly row: number
  readonly hostId: number
}

/** With their history, and counted off their hosts. */
async function dropAlerts(
  tx: PostgresQueries,
  victims: readonly Victim[],
  staged: Staged,
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

function partitionsOf(batch: readonly Arrival[], nowMs: number): string[] {
  return [
    `changes ${dayOf(nowMs)}`,
    ...batch.flatMap((arrival) =>
      arrival.kind === 'summary'
        ? [`hours ${Math.floor(hourOf(arrival.message, nowMs).hour / HOURS_A_DAY)}`]
        : [],
    ),
  ]
}

/**
 * Brings the database to the newest schema; of several aggregators that start at a time one does
 * it.
 */
async function migrate(db: Postgres): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`)
    await tx.query('CREATE SCHEMA IF NOT EXISTS callsign')
    await tx.query('CREATE TABLE IF NOT EXISTS callsign.version (version integer NOT NULL)')
    const [found] = await tx.query<{ version: number }>('SELECT version FROM callsign.version')
    const version = found?.version ?? 0
    if (version > POSTGRES_SCHEMA.length)
      throw new Error(
        `the database was written by a newer aggregator (format ${version}, this one knows ${POSTGRES_SCHEMA.length})`,
      )
    for (const step of POSTGRES_SCHEMA.slice(version))
      for (const statement of step.split(';').filter((one) => one.trim() !== ''))
        await tx.query(statement)
    if (found === undefined)
      await tx.query(`INSERT INTO callsign.version VALUES (${POSTGRES_SCHEMA.length})`)
    else await tx.query(`UPDATE callsign.version SET version = ${POSTGRES_SCHEMA.length}`)
  })
}

// --- One commit ----------------------------------------------------------------------------------

class Commit {
  readonly changes: StoreChange[] = []
  readonly staged: Staged = { ...NONE }
  readonly #tx: PostgresQueries
  readonly #bounds: StoreBounds
  readonly #nowMs: number
  readonly #hosts = new Map<string, HostRow>()
  readonly #alerts = new Map<string, AlertRow>()
  readonly #latest = new Map<number, Uint8Array>()
  readonly #hours: object[] = []
  readonly #known = new Map<number, Uint8Array>()

  constructor(tx: PostgresQueries, bounds: StoreBounds, nowMs: number) {
    this.#tx = tx
    this.#bounds = bounds
    this.#nowMs = nowMs
  }

  async run(batch: readonly Arrival[]): Promise<void> {
    await this.#lockHosts(batch)
    await this.#readAlerts(batch)
    for (const arrival of batch) {
      const host = this.#hosts.get(hostKey(arrival.message))!
      if (this.#isRefused(host, arrival)) continue
      host.lastSeen = this.#nowMs
      if (arrival.kind === 'alert') this.#putAlert(host, arrival.message)
      else if (arrival.kind === 'summary') this.#putSummary(host, arrival)
      else if (arrival.kind === 'known') this.#known.set(host.id, arrival.body)
      else if (applyStatus(host, arrival.message, this.#nowMs))
        this.changes.push({ kind: 'host', host: toRecord(host) })
    }
    await this.#writeAlerts()
    await this.#writeSummaries()
    await this.#writeKnown()
    await this.#writeHosts()
  }

  /** Whether its key is not the host's; notes the key. */
  #isRefused(host: HostRow, arrival: Arrival): boolean {
    if (arrival.kind === 'known') return false
    const before = host.otherKey
    const reason = checkKey(host, arrival.key, () => host.acceptedKey, this.#nowMs)
    if (host.otherKey !== before) this.changes.push({ kind: 'host', host: toRecord(host) })
    if (reason === undefined) return false
    this.changes.push({ kind: 'refused', arrival, reason })
    return true
  }

  /** Makes the hosts that are new; all are locked in the order of their numbers. */
  async #lockHosts(batch: readonly Arrival[]): Promise<void> {
    const wanted = new Map(batch.map(({ message }) => [hostKey(message), message]))
    const names = JSON.stringify(Array.from(wanted.values(), ({ site, host }) => ({ site, host })))
    const lock = () =>
      this.#tx.query<HostRow>(
        `SELECT ${HOST_COLUMNS}, ${WINDOW_COLUMNS} FROM callsign.hosts
         WHERE (site, host) IN (SELECT site, host FROM ${rowsOf('site text, host text')})
         ORDER BY hosts.id FOR UPDATE`,
        [names],
      )
    let rows = await lock()
    if (rows.length < wanted.size) {
      await this.#tx.query(
        `INSERT INTO callsign.hosts (site, host, since, first_seen, last_seen)
         SELECT site, host, $2, $2, $2 FROM ${rowsOf('site text, host text')} ORDER BY 1, 2
         ON CONFLICT DO NOTHING`,
        [names, this.#nowMs],
      )
      rows = await lock()
    }
    for (const row of rows) this.#hosts.set(hostKey(row), { ...row })
  }

  async #readAlerts(batch: readonly Arrival[]): Promise<void> {
    const asked = batch.flatMap(({ kind, message }) =>
      kind === 'alert' ? [{ host: this.#hosts.get(hostKey(message))!.id, id: message.id }] : [],
    )
    if (asked.length === 0) return
    const rows = await this.#tx.query<Omit<AlertRow, 'seen' | 'added' | 'message'>>(
      `SELECT row::float8 AS row, host_id::float8 AS "hostId", site, id, day, active,
         boot::float8 AS boot, seq::float8 AS seq, changes, incident
       FROM callsign.alerts WHERE (host_id, id) IN
         (SELECT host, id FROM ${rowsOf('host bigint, id text')})`,
      [JSON.stringify(asked)],
    )
    const byRow = new Map<number, AlertRow>()
    for (const row of rows) {
      const alert: AlertRow = { ...row, seen: new Set(), added: [], message: undefined }
      this.#alerts.set(alertKey(alert.hostId, alert.id), alert)
      byRow.set(row.row!, alert)
    }
    await this.#readChanges(byRow, batch)
  }

  /** Which of the messages are stored already. */
  async #readChanges(byRow: Map<number, AlertRow>, batch: readonly Arrival[]): Promise<void> {
    if (byRow.size === 0) return
    const asked = batch.flatMap(({ kind, message }) => {
      if (kind !== 'alert') return []
      const known = this.#alerts.get(alertKey(this.#hosts.get(hostKey(message))!.id, message.id))
      if (known === undefined) return []
      return [{ day: known.day, row: known.row, boot: message.boot, seq: message.seq }]
    })
    const found = await this.#tx.query<{ row: number; boot: number; seq: number }>(
      `SELECT alert_row::float8 AS row, boot::float8 AS boot, seq::float8 AS seq
       FROM callsign.changes WHERE (day, alert_row, boot, seq) IN
         (SELECT day, row, boot, seq FROM ${rowsOf('day int, row bigint, boot bigint, seq bigint')})`,
      [JSON.stringify(asked)],
    )
    for (const { row, boot, seq } of found) byRow.get(row)?.seen.add(`${boot}-${seq}`)
  }

  #putAlert(host: HostRow, message: AlertMessage): void {
    const { boot, seq, state } = message
    const active = isActive(state) ? 1 : 0
    const key = alertKey(host.id, message.id)
    let alert = this.#alerts.get(key)
    if (alert === undefined) {
      alert = {
        ...{ row: undefined, hostId: host.id, site: host.site, id: message.id },
        ...{ day: dayOf(this.#nowMs), active, boot: -1, seq: 0, changes: 0 },
        ...{ incident: undefined, seen: new Set(), added: [], message: undefined },
      }
      this.#alerts.set(key, alert)
      host.alerts++
      host.active += active
    }
    if (alert.seen.has(`${boot}-${seq}`)) {
      this.staged.duplicates++
      return
    }
    alert.seen.add(`${boot}-${seq}`)
    alert.added.push(message)
    alert.changes++
    if (compareOrigin(message, alert) < 0) return // an older state, arrived late: history only
    host.active += active - alert.active
    Object.assign(alert, { active, boot, seq, message })
    this.changes.push({ kind: 'alert', message })
  }

  #putSummary(host: HostRow, { message, payload }: Arrival & { kind: 'summary' }): void {
    const place = noteSummary(host, message)
    if (place === 'duplicate') this.staged.duplicates++
    else if (place === 'late') this.staged.late++
    else {
      if (place === 'newest') this.#latest.set(host.id, payload)
      const part = hourOf(message, this.#nowMs)
      this.#hours.push({ ...part, host: host.id, day: Math.floor(part.hour / HOURS_A_DAY) })
      this.changes.push({ kind: 'summary', message })
    }
  }

  // --- Writing -----------------------------------------------------------------------------------

  async #writeAlerts(): Promise<void> {
    const touched = [...this.#alerts.values()].filter(({ added }) => added.length > 0)
    if (touched.length === 0) return
    const changed = touched.filter(({ message }) => message !== undefined)
    const rows = changed.map(({ day, hostId, site, id, active, boot, seq, message }) => ({
      ...{ day, host: hostId, site, id, active, boot, seq },
      ...{ kind: message!.kind, state: message!.state, body: JSON.stringify(message) },
      ...incidentColumns(message!),
    }))
    if (rows.length > 0) {
      const written = await this.#tx.query<{ row: number; hostId: number; id: string }>(
        `INSERT INTO callsign.alerts AS alerts
           (day, host_id, site, id, kind, state, active, boot, seq, received, changed, changes, body,
            incident, severity, confirmed, first, last)
         SELECT day, host, site, id, kind, state, active, boot, seq, $2, $2, 0, body,
           incident, severity, confirmed, first, last
         FROM ${rowsOf(`day int, host bigint, site text, id text, kind text, state text, active smallint, boot bigint, seq bigint, body text, ${SUM_COLUMNS}`)}
         ON CONFLICT (host_id, id) DO UPDATE SET kind = excluded.kind, state = excluded.state,
           active = excluded.active, boot = excluded.boot, seq = excluded.seq,
           changed = excluded.changed, body = excluded.body, incident = excluded.incident,
           severity = excluded.severity, confirmed = excluded.confirmed, first = excluded.first,
           last = excluded.last
         RETURNING row::float8 AS row, host_id::float8 AS "hostId", id`,
        [JSON.stringify(rows), this.#nowMs],
      )
      for (const { row, hostId, id } of written) this.#alerts.get(alertKey(hostId, id))!.row = row
    }
    await this.#writeChanges(touched)
    await addUpIncidents(
      this.#tx,
      changed.flatMap(({ hostId, incident, message }) =>
        [incident ?? message!.incident, message!.incident].map((one) => ({
          host_id: hostId,
          incident: one,
        })),
      ),
    )
  }

  async #writeChanges(touched: readonly AlertRow[]): Promise<void> {
    const rows = touched.flatMap(({ row, day, added }) =>
      added.map(({ boot, seq, time, state, count, predicted }) => ({
        ...{ day, row, boot, seq, time, state, count },
        ...{ class: predicted.class, confidence: predicted.confidence },
      })),
    )
    await this.#tx.query(
      `INSERT INTO callsign.changes
         (day, alert_row, boot, seq, time, state, count, class, confidence, received)
       SELECT day, row, boot, seq, time, state, count, class, confidence, $2
       FROM ${rowsOf('day int, row bigint, boot bigint, seq bigint, time bigint, state text, count bigint, class text, confidence float8')}`,
      [JSON.stringify(rows), this.#nowMs],
    )
    const { changesMax } = this.#bounds
    const long = touched.filter(({ changes }) => changes > changesMax)
    for (const alert of long) alert.changes = changesMax
    await this.#tx.query(
      `UPDATE callsign.alerts SET changes = x.changes
       FROM ${rowsOf('row bigint, changes int')} WHERE alerts.row = x.row`,
      [JSON.stringify(touched.map(({ row, changes }) => ({ row, changes })))],
    )
    if (long.length === 0) return
    // How it began stays; of the rest the oldest go.
    await this.#tx.query(
      `DELETE FROM callsign.changes WHERE (day, alert_row, boot, seq) IN (
         SELECT day, alert_row, boot, seq FROM (
           SELECT changes.*, row_number() OVER one AS place, count(*) OVER (PARTITION BY alert_row) AS all
           FROM callsign.changes JOIN ${rowsOf('day int, row bigint')}
             ON changes.day = x.day AND alert_row = x.row
           WINDOW one AS (PARTITION BY alert_row ORDER BY boot, seq)
         ) AS listed WHERE place > 1 AND place <= "all" - ${changesMax} + 1)`,
      [JSON.stringify(long.map(({ day, row }) => ({ day, row })))],
    )
  }

  async #writeKnown(): Promise<void> {
    if (this.#known.size === 0) return
    await this.#tx.query(
      `INSERT INTO callsign.known SELECT host, decode(body, 'base64')
       FROM ${rowsOf('host bigint, body text')}
       ON CONFLICT (host_id) DO UPDATE SET body = excluded.body`,
      [JSON.stringify(bodiesOf(this.#known))],
    )
  }

  async #writeSummaries(): Promise<void> {
    if (this.#latest.size > 0) {
      await this.#tx.query(
        `INSERT INTO callsign.latest SELECT host, $2, decode(body, 'base64')
         FROM ${rowsOf('host bigint, body text')}
         ON CONFLICT (host_id) DO UPDATE SET received = excluded.received, body = excluded.body`,
        [JSON.stringify(bodiesOf(this.#latest)), this.#nowMs],
      )
    }
    if (this.#hours.length === 0) return
    await this.#tx.query(
      `INSERT INTO callsign.hours AS hours
         (day, host_id, hour, seconds, calls, dropped, cpu_ms, rss_bytes, alerts_open)
       SELECT day, host, hour, sum(seconds), sum(calls), sum(dropped), sum("cpuMs"),
         max("rssBytes"), max("alertsOpen")
       FROM ${rowsOf('day int, host bigint, hour int, seconds bigint, calls bigint, dropped bigint, "cpuMs" bigint, "rssBytes" bigint, "alertsOpen" bigint')}
       GROUP BY day, host, hour
       ON CONFLICT (day, host_id, hour) DO UPDATE SET
         seconds = hours.seconds + excluded.seconds, calls = hours.calls + excluded.calls,
         dropped = hours.dropped + excluded.dropped, cpu_ms = hours.cpu_ms + excluded.cpu_ms,
         rss_bytes = greatest(hours.rss_bytes, excluded.rss_bytes),
         alerts_open = greatest(hours.alerts_open, excluded.alerts_open)`,
      [JSON.stringify(this.#hours)],
    )
  }

  async #writeHosts(): Promise<void> {
    await this.#tx.query(
      `UPDATE callsign.hosts SET online = x.online, reason = x.reason, boot = x.boot, since = x.since,
         last_seen = x."lastSeen", version = x.version, model = x.model, source = x.source,
         active = x.active, alerts = x.alerts, summary_boot = x."summaryBoot",
         summary_seq = x."summarySeq", summary_seen = x."summarySeen", key = x.key,
         key_since = x."keySince", other_key = x."otherKey", other_key_since = x."otherKeySince"
       FROM ${rowsOf('id bigint, online smallint, reason text, boot bigint, since bigint, "lastSeen" bigint, version text, model text, source text, active int, alerts int, "summaryBoot" bigint, "summarySeq" bigint, "summarySeen" bigint, key text, "keySince" bigint, "otherKey" text, "otherKeySince" bigint')}
       WHERE hosts.id = x.id`,
      [JSON.stringify([...this.#hosts.values()])],
    )
  }
}

/** Bytes by host, as JSON can carry them. */
function bodiesOf(bodies: ReadonlyMap<number, Uint8Array>): { host: number; body: string }[] {
  return Array.from(bodies, ([host, body]) => ({
    host,
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
  }))
}

function alertKey(hostId: number, id: string): string {
  return `${hostId} ${id}`
}
