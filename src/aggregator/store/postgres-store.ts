/**
 * The store as a PostgreSQL database, which several aggregators may share.
 *
 * A commit is one transaction of a few statements, each for the whole batch
 * (`postgres-commit.ts`). The server has it on disk when `commit` resolves (`synchronous_commit`).
 * What other aggregators store is seen by `follow`.
 *
 * Bounds are kept by `tidy`, by one aggregator at a time, and not by each commit: between two looks
 * there may be some more than they say. `size` of the retention is not used: deleted rows give no
 * space back before a vacuum.
 */

import { randomBytes } from 'node:crypto'
import type { AlertKind, AlertState } from '../../domain/alert.ts'
import { FOLLOWED_ALERTS_MAX } from '../../domain/limits.ts'
import { isDuplicate, openPostgres, type Postgres } from '../../platform/postgres.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import type { HostArchive } from './archive.ts'
import { addCounts, NO_COUNTS, STORE_BOUNDS, type StoreCounts } from './bounds.ts'
import { EnrolmentSql } from './enrolment-sql.ts'
import { hostKey, hourOf } from './host-row.ts'
import type { Action, ActionRecord, IncidentKey } from './incident.ts'
import { readAbsences, takeLease } from './postgres-absence.ts'
import { readArchives, restoreArchive } from './postgres-archive.ts'
import { PostgresCommit } from './postgres-commit.ts'
import { takeAction } from './postgres-incidents.ts'
import { PostgresReads, queryNumbered } from './postgres-reads.ts'
import { dayOf, HOURS_A_DAY, rowsOf } from './postgres-rows.ts'
import { POSTGRES_SCHEMA } from './postgres-schema.ts'
import { dropPartitions, dropRows } from './postgres-tidy.ts'
import { toSeconds } from './records.ts'
import { RequestsSql } from './requests-sql.ts'
import type {
  AbsenceBounds,
  Absences,
  Arrival,
  Named,
  Retention,
  Store,
  StoreBounds,
  StoreChange,
  StoredDocument,
  Tallies,
} from './store.ts'

/** Number of our advisory lock: "calls" and what it is for. */
const SCHEMA_LOCK = 0x63616c01
/** Commits of others become visible some time after the clock that they were stamped with. */
const FOLLOW_BACK_MS = 5_000

export class PostgresStore extends PostgresReads implements Store {
  readonly kind = 'postgres'
  readonly setAside: readonly string[] = []
  readonly #db: Postgres
  readonly #bounds: StoreBounds
  readonly #tallies: StoreCounts = { ...NO_COUNTS }
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
    return new PostgresStore(db, { ...STORE_BOUNDS, ...bounds })
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
      const commit = new PostgresCommit(tx, this.#bounds, nowMs)
      await commit.run(batch)
      return commit
    })
    addCounts(this.#tallies, staged)
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

  get enrolment(): EnrolmentSql {
    return new EnrolmentSql((text, values) => queryNumbered(this.#db, text, values), 'callsign.')
  }

  get requests(): RequestsSql {
    return new RequestsSql((text, values) => queryNumbered(this.#db, text, values), 'callsign.')
  }

  absences(bounds: AbsenceBounds): Promise<Absences> {
    return readAbsences(this.#db, bounds)
  }

  lead(duty: string, holder: string, forMs: number): Promise<boolean> {
    return takeLease(this.#db, duty, holder, forMs)
  }

  putDocument(
    { site, what, version, body }: StoredDocument,
    parts: readonly Uint8Array[] = [],
  ): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const put = await tx.query(
        `INSERT INTO callsign.documents AS documents VALUES ($1, $2, $3, $4)
         ON CONFLICT (site, what) DO UPDATE SET version = excluded.version, body = excluded.body
         WHERE excluded.version > documents.version RETURNING version`,
        [site, what, version, body],
      )
      if (put.length === 0) return false
      await tx.query('DELETE FROM callsign.document_parts WHERE site = $1 AND what = $2', [
        site,
        what,
      ])
      for (const [part, bytes] of parts.entries())
        await tx.query('INSERT INTO callsign.document_parts VALUES ($1, $2, $3, $4, $5)', [
          ...[site, what, part, version, bytes],
        ])
      return true
    })
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
    const staged = await this.#db.transaction((tx) => dropRows(tx, this.#bounds, nowMs))
    staged.hours += await dropPartitions(this.#db, this.#bounds, nowMs, (name) =>
      this.#partitions.delete(name),
    )
    addCounts(this.#tallies, staged)
  }
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
