/**
 * The store as one SQLite file, written by one thread and read by another.
 *
 * A commit is one transaction with `synchronous` FULL; the group commit shares the price of it.
 * Hosts and the numbers of their alerts are kept in memory, too (sqlite-hosts.ts); what goes at a
 * bound is decided in sqlite-eviction.ts. Does not promise that a host is who it says: that is the
 * broker's business (`access.ts`).
 */

import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import type { AlertKind, AlertState } from '../../domain/alert.ts'
import { defined } from '../../domain/defined.ts'
import { STORE_CHECK_BYTES_MAX } from '../../domain/limits.ts'
import { type Database, openDatabase, sqliteProblem } from '../../platform/sqlite.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import { compareOrigin } from '../../wire/origin.ts'
import type { StatusMessage } from '../../wire/status-message.ts'
import type { ArchivedAlert, HostArchive } from './archive.ts'
import { addCounts, DAY_MS, NO_COUNTS, STORE_BOUNDS, type StoreCounts } from './bounds.ts'
import { EnrolmentSql } from './enrolment-sql.ts'
import { checkKey } from './host-key.ts'
import {
  applyStatus,
  type HostRow,
  hourOf,
  noteSummary,
  noteTrouble,
  toRecord,
} from './host-row.ts'
import {
  ACTION_COLUMNS,
  type Action,
  type ActionRecord,
  type IncidentKey,
  incidentColumns,
  severityOfRank,
  TRIAGE_COLUMNS,
} from './incident.ts'
import { type ActionTarget, actionStatements, type SqlParameter } from './incident-sql.ts'
import type { ProgramsSql } from './programs-sql.ts'
import { FLEET_HOST, isActive, toSeconds } from './records.ts'
import { RequestsSql } from './requests-sql.ts'
import { readArchive } from './sqlite-archive.ts'
import { SqliteEviction } from './sqlite-eviction.ts'
import { SqliteHosts } from './sqlite-hosts.ts'
import { TouchedIncidents } from './sqlite-incidents.ts'
import { bytesUsed, SQLITE_TABLES, SqliteReads } from './sqlite-reads.ts'
import { SCHEMA } from './sqlite-schema.ts'
import { prepareStatements, type SqliteStatements } from './sqlite-statements.ts'
import type {
  AbsenceBounds,
  Absences,
  Arrival,
  HostKnown,
  Named,
  Reads,
  Received,
  Retention,
  Store,
  StoreBounds,
  StoreChange,
  StoredDocument,
  Suspect,
  Tallies,
} from './store.ts'

export class SqliteStore implements Store {
  readonly kind = 'sqlite'
  readonly setAside: string[] = []
  readonly #path: string
  readonly #bounds: StoreBounds
  readonly #hosts = new SqliteHosts()
  readonly #incidents = new TouchedIncidents()
  readonly #tallies: StoreCounts = { ...NO_COUNTS }
  /** Of the transaction that runs. */
  readonly #staged: StoreCounts = { ...NO_COUNTS }
  #db!: Database
  #sql!: SqliteStatements
  #eviction!: SqliteEviction
  #reads!: Reads

  /**
   * @param path a file, made with its directory if needed; a damaged one is set aside and a new one
   *   begun.
   */
  constructor(path: string, bounds: Partial<StoreBounds> = {}) {
    this.#path = path
    this.#bounds = { ...STORE_BOUNDS, ...bounds }
    this.#open()
  }

  #open(): void {
    const bytes = existsSync(this.#path) ? statSync(this.#path).size : 0
    this.#db = openDatabase(this.#path, {
      schema: SCHEMA,
      synchronous: 'full',
      check: bytes <= STORE_CHECK_BYTES_MAX,
      cacheKib: 16_384,
      ...defined({ pagesMax: this.#bounds.pagesMax }),
    })
    if (this.#db.setAside !== undefined) this.setAside.push(this.#db.setAside)
    this.#sql = prepareStatements(this.#db)
    this.#reads = new SqliteReads(this.#db)
    this.#hosts.load(this.#sql.allHosts.all() as HostRow[])
    this.#eviction = new SqliteEviction(
      ...([this.#sql, this.#hosts, this.#incidents, this.#bounds, this.#staged] as const),
    )
  }

  get path(): string {
    return this.#path
  }

  get retention(): Retention {
    return this.#bounds.retention
  }

  tallies(): Tallies {
    const { duplicates, late, ...evicted } = this.#tallies
    return { evicted, duplicates, late }
  }

  // --- Questions ---------------------------------------------------------------------------------

  alerts: Reads['alerts'] = (query) => this.#reads.alerts(query)
  alert: Reads['alert'] = (id, at) => this.#reads.alert(id, at)
  hosts: Reads['hosts'] = (query) => this.#reads.hosts(query)
  latestSummary: Reads['latestSummary'] = (host, site) => this.#reads.latestSummary(host, site)
  get incidents(): Reads['incidents'] {
    return this.#reads.incidents
  }

  hours: Reads['hours'] = (host, site, limit) => this.#reads.hours(host, site, limit)
  countHosts: Reads['countHosts'] = (condition) => this.#reads.countHosts(condition)
  latestSummaries: Reads['latestSummaries'] = (limit) => this.#reads.latestSummaries(limit)
  usage: Reads['usage'] = () => this.#reads.usage()
  get programs(): ProgramsSql {
    return this.#reads.programs
  }

  documents: Reads['documents'] = () => this.#reads.documents()
  documentParts: Reads['documentParts'] = (document) => this.#reads.documentParts(document)
  fleetRuns: Reads['fleetRuns'] = () => this.#reads.fleetRuns()

  async counts(): ReturnType<Reads['counts']> {
    const { hosts, online, active, keyChanged } = this.#hosts.counts()
    return {
      hosts: { online, offline: hosts - online, keyChanged },
      alerts: { active, total: this.#hosts.alerts },
    }
  }

  async sites(): Promise<string[]> {
    return [...new Set(Array.from(this.#hosts.all(), (host) => host.site))].sort()
  }

  async alertGroups(): Promise<{ kind: AlertKind; state: AlertState; count: number }[]> {
    return this.#sql.groups.all() as { kind: AlertKind; state: AlertState; count: number }[]
  }

  // --- Writing -----------------------------------------------------------------------------------

  async commit(batch: readonly Arrival[], nowMs: number): Promise<StoreChange[]> {
    const changes: StoreChange[] = []
    this.#transaction(() => {
      for (const arrival of batch) {
        const host = this.#host(arrival.message, nowMs)
        if (arrival.kind === 'absence') {
          if (host.host === FLEET_HOST) host.lastSeen = nowMs
          this.#putAlert(host, arrival.message, nowMs, changes)
          continue
        }
        if (this.#isRefused(host, arrival, nowMs, changes)) continue
        const { lastSeen } = host
        const repeated = this.#repeated
        if (arrival.kind !== 'status') host.lastSeen = nowMs
        if (arrival.kind === 'alert') this.#putAlert(host, arrival.message, nowMs, changes)
        else if (arrival.kind === 'summary') this.#putSummary(host, arrival, nowMs, changes)
        else if (arrival.kind === 'status') this.#putStatus(host, arrival.message, nowMs, changes)
        else this.#sql.putKnown.run(host.id, arrival.body)
        // A repeated message is no sign of life: it can be recorded and sent again.
        if (this.#repeated > repeated) host.lastSeen = lastSeen
      }
    })
    return changes
  }

  /** Messages of this commit that had come before. */
  get #repeated(): number {
    return this.#staged.duplicates + this.#staged.late
  }

  async known(hosts: readonly Named[]): Promise<(Uint8Array | undefined)[]> {
    return hosts.map((one) => {
      const host = this.#hosts.of(one)
      if (host === undefined) return undefined
      return (this.#sql.knownOf.get(host.id) as { body: Uint8Array } | undefined)?.body
    })
  }

  async forgetConnections(nowMs: number): Promise<void> {
    this.#transaction(() => {
      for (const host of this.#hosts.all()) {
        if (host.online === 0) continue
        this.#hosts.change(host)
        Object.assign(host, { online: 0, reason: 'unknown', since: nowMs })
      }
    })
  }

  async tidy(nowMs: number): Promise<void> {
    this.#transaction(() => {
      let left = this.#bounds.tidyRows
      left -= this.#eviction.dropOldAlerts(nowMs, left)
      const { hourlyDays, hostDays, bytes } = this.#bounds.retention
      const hour = Math.floor((nowMs - hourlyDays * DAY_MS) / 3_600_000)
      const hours = this.#sql.dropOldHours.run(hour, left).changes
      this.#staged.hours += hours
      left -= hours
      for (const host of this.#hosts.all()) {
        if (left <= 0) break
        if (host.online === 1 || host.active > 0) continue
        if (host.lastSeen >= nowMs - hostDays * DAY_MS) continue
        left -= host.alerts + 1
        this.#eviction.dropHost(host)
      }
      if (bytesUsed(this.#db) > bytes) this.#eviction.dropFromNoisiest(this.#bounds.tidyRows)
      this.#sql.dropActions.run()
    })
  }

  async act(
    key: IncidentKey,
    action: Action,
    actor: string,
    nowMs: number,
  ): Promise<ActionRecord | undefined> {
    let record: ActionRecord | undefined
    this.#transaction(() => {
      const target = this.#sql.target.get(key.incident, key.site, key.host) as
        | ActionTarget
        | undefined
      if (target === undefined) return
      const time = toSeconds(nowMs)
      for (const { text, values } of actionStatements(SQLITE_TABLES, target, key, action, {
        actor,
        time,
      }))
        this.#db.prepare(text).run(...values)
      const { row } = this.#sql.lastAction.get() as { row: number }
      record = { ...key, ...action, row, time, actor, severity: severityOfRank(target.severity) }
    })
    return record
  }

  async close(): Promise<void> {
    this.#db.close()
  }

  async *archives(): AsyncGenerator<HostArchive> {
    for (const host of [...this.#hosts.all()]) yield readArchive(this.#db, host)
  }

  async restore(archive: HostArchive): Promise<boolean> {
    const { host } = archive
    if (this.#hosts.of(host) !== undefined) return false
    this.#transaction(() => {
      const row = this.#sql.insertHost.get(host.site, host.host, host.since, 0, 0) as HostRow
      this.#hosts.add(row)
      Object.assign(row, host)
      this.#sql.setFirstSeen.run(host.firstSeen, row.id)
      for (const alert of archive.alerts) this.#restoreAlert(row, alert)
      if (archive.latest !== undefined)
        this.#sql.putLatest.run(row.id, archive.latest.received, archive.latest.body)
      if (archive.known !== undefined) this.#sql.putKnown.run(row.id, archive.known)
      for (const { hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen } of archive.hours)
        this.#sql.addHour.run(
          ...[row.id, hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen],
        )
      this.#incidents.addUp(this.#sql)
      for (const one of archive.triage)
        this.#sql.putTriage.run(...TRIAGE_COLUMNS.map((name) => one[name]), row.id, one.incident)
      for (const one of archive.actions)
        this.#sql.putAction.run(...ACTION_COLUMNS.map((name) => one[name]))
    })
    return true
  }

  #restoreAlert(host: HostRow, { body, received, changed, changes }: ArchivedAlert): void {
    const message = JSON.parse(body) as AlertMessage
    const { id, kind, state, boot, seq } = message
    const active = isActive(state) ? 1 : 0
    const sums = incidentColumns(message)
    const { row } = this.#sql.insertAlert.get(
      ...[host.id, host.site, id, kind, state, active],
      ...[boot, seq, received, changed, body],
      ...[sums.incident, sums.severity, sums.confirmed, sums.first, sums.last],
    ) as { row: number }
    this.#incidents.touch(host.id, sums.incident)
    this.#hosts.countAlerts(host, 1, active)
    for (const one of changes)
      this.#sql.insertChange.run(
        ...[row, one.boot, one.seq, one.time, one.state, one.count],
        ...[one.class, one.confidence, one.received],
      )
    this.#sql.countChanges.run(changes.length, row)
  }

  /** All or nothing, in memory as on disk. */
  #transaction(body: () => void): void {
    this.#hosts.begin()
    this.#incidents.clear()
    Object.assign(this.#staged, NO_COUNTS)
    try {
      this.#db.transaction(() => {
        body()
        this.#incidents.addUp(this.#sql)
        for (const host of this.#hosts.changed()) this.#writeHost(host)
      })
    } catch (error) {
      if (sqliteProblem(error, this.#path) === 'damaged') {
        this.#db.close()
        this.#open() // looks through the file, and sets it aside
      } else this.#hosts.undo()
      throw error
    }
    addCounts(this.#tallies, this.#staged)
  }

  // --- Keys ----------------------------------------------------------------------------------------

  async identity(first = randomBytes(32).toString('hex')): Promise<string> {
    this.#sql.makeIdentity.run(first)
    return (this.#sql.identity.get() as { secret: string }).secret
  }

  async acceptKey({ site, host }: Named, key: string): Promise<boolean> {
    return Number(this.#sql.acceptKey.run(key, site, host).changes) > 0
  }

  async putDocument(
    { site, what, version, body }: StoredDocument,
    parts: readonly Uint8Array[] = [],
  ): Promise<boolean> {
    return this.#db.transaction(() => {
      const isNewer = Number(this.#sql.putDocument.run(site, what, version, body).changes) > 0
      if (!isNewer) return false
      this.#sql.dropDocumentParts.run(site, what)
      for (const [part, bytes] of parts.entries())
        this.#sql.putDocumentPart.run(site, what, part, version, bytes)
      return true
    })
  }

  async keysOf(hosts: readonly Named[]): Promise<string[]> {
    return hosts.map((host) => this.#hosts.of(host)?.key ?? '')
  }

  get enrolment(): EnrolmentSql {
    return new EnrolmentSql(this.#query, '')
  }

  get requests(): RequestsSql {
    return new RequestsSql(this.#query, '')
  }

  readonly #query = async <Row>(text: string, values: readonly SqlParameter[]) =>
    this.#db.prepare<Row>(text).all(...values)

  // --- Absence -------------------------------------------------------------------------------------

  async absences(bounds: AbsenceBounds): Promise<Absences> {
    const suspects: Suspect[] = []
    const sites = new Map<string, { site: string; expected: number; silent: number }>()
    for (const host of this.#hosts.all()) {
      if (host.boot === 0 || host.reason === 'ended' || host.host === FLEET_HOST) continue
      const isSilent = host.lastSeen <= bounds.silentBefore
      if (host.lastSeen >= bounds.expectedSince) {
        const site = sites.get(host.site) ?? { site: host.site, expected: 0, silent: 0 }
        sites.set(host.site, site)
        site.expected++
        if (isSilent) site.silent++
      }
      const { blindSince, noisySince } = host
      const isTroubled = [blindSince, noisySince].some(
        (since) => since > 0 && since <= bounds.troubledBefore,
      )
      if (isSilent || isTroubled) suspects.push(host)
    }
    suspects.sort((a, b) => b.lastSeen - a.lastSeen)
    const open = this.#sql.openAbsences.all() as { body: string }[]
    return {
      suspects: suspects.slice(0, bounds.limit),
      isWhole: suspects.length <= bounds.limit,
      open: open.map(({ body }) => JSON.parse(body) as AlertMessage),
      sites: [...sites.values()],
    }
  }

  /** The file is one aggregator's alone. */
  async lead(): Promise<boolean> {
    return true
  }

  /** Whether its key is not the host's; notes the key. */
  #isRefused(
    host: HostRow,
    arrival: Received | HostKnown,
    nowMs: number,
    changes: StoreChange[],
  ): boolean {
    if (arrival.kind === 'known') return false
    const acceptedNow = () => (this.#sql.acceptedKey.get(host.id) as HostRow).acceptedKey
    const before = host.otherKey
    const reason = checkKey(host, arrival.key, acceptedNow, nowMs)
    if (host.otherKey !== before) changes.push({ kind: 'host', host: toRecord(host) })
    if (reason === undefined) return false
    changes.push({ kind: 'refused', arrival, reason })
    return true
  }

  // --- One arrival -------------------------------------------------------------------------------

  #putAlert(host: HostRow, message: AlertMessage, nowMs: number, changes: StoreChange[]): void {
    const { time, kind, state, count, predicted, boot, seq } = message
    const active = isActive(state) ? 1 : 0
    const body = JSON.stringify(message)
    const { incident, severity, confirmed, first, last } = incidentColumns(message)
    const sums = [incident, severity, confirmed, first, last]
    const known = this.#sql.alertOf.get(host.id, message.id) as AlertRow | undefined
    const row =
      known?.row ??
      (
        this.#sql.insertAlert.get(
          ...[host.id, host.site, message.id, kind, state, active],
          ...[boot, seq, nowMs, nowMs, body],
          ...sums,
        ) as { row: number }
      ).row
    if (known === undefined) this.#hosts.countAlerts(host, 1, active)
    const inserted = this.#sql.insertChange.run(
      ...[row, boot, seq, time, state, count],
      ...[predicted.class, predicted.confidence, nowMs],
    )
    if (Number(inserted.changes) === 0) {
      this.#staged.duplicates++
      return
    }
    if (known !== undefined) {
      const kept = known.changes + 1
      if (kept > this.#bounds.changesMax) this.#sql.dropSecondChange.run(row, row)
      this.#sql.countChanges.run(Math.min(kept, this.#bounds.changesMax), row)
      if (compareOrigin(message, known) < 0) return // an older state, arrived late: history only
      this.#sql.updateAlert.run(kind, state, active, boot, seq, nowMs, body, ...sums, row)
      this.#hosts.countAlerts(host, 0, active - known.active)
      if (known.incident !== incident) this.#incidents.touch(host.id, known.incident)
    }
    this.#incidents.touch(host.id, incident)
    changes.push({ kind: 'alert', message })
    if (host.alerts > this.#bounds.alertsPerHostMax) this.#eviction.dropAlertsOf(host, 1)
    const { alerts } = this.#bounds.retention
    // Some more than must: whose turn it is takes a look at all hosts.
    const excess = this.#hosts.alerts - alerts
    if (excess > 0) this.#eviction.dropFromNoisiest(excess + Math.floor(alerts / 100))
  }

  #putSummary(
    host: HostRow,
    { message, payload }: Arrival & { kind: 'summary' },
    nowMs: number,
    changes: StoreChange[],
  ): void {
    const place = noteSummary(host, message)
    if (place === 'duplicate') this.#staged.duplicates++
    else if (place === 'late') this.#staged.late++
    else {
      if (place === 'newest') {
        noteTrouble(host, message, nowMs)
        this.#sql.putLatest.run(host.id, nowMs, payload)
      }
      const { hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen } = hourOf(message, nowMs)
      this.#sql.addHour.run(
        ...[host.id, hour, seconds, calls, dropped, cpuMs, rssBytes, alertsOpen],
      )
      changes.push({ kind: 'summary', message })
    }
  }

  #putStatus(host: HostRow, message: StatusMessage, nowMs: number, changes: StoreChange[]): void {
    if (applyStatus(host, message, nowMs)) changes.push({ kind: 'host', host: toRecord(host) })
  }

  // --- Hosts -------------------------------------------------------------------------------------

  /** Ready to be changed in this transaction. */
  #host({ site, host: name }: { site: string; host: string }, nowMs: number): HostRow {
    const known = this.#hosts.of({ site, host: name })
    if (known !== undefined) {
      this.#hosts.change(known)
      return known
    }
    if (this.#hosts.size >= this.#bounds.hostsMax) this.#eviction.dropSilentHosts()
    const host = this.#sql.insertHost.get(site, name, nowMs, nowMs, nowMs) as HostRow
    this.#hosts.add(host)
    return host
  }

  #writeHost(host: HostRow): void {
    this.#sql.updateHost.run(
      ...[host.online, host.reason, host.boot, host.since, host.lastSeen],
      ...[host.version, host.model, host.source, host.active, host.alerts],
      ...[host.summaryBoot, host.summarySeq, host.summarySeen],
      ...[host.key, host.keySince, host.otherKey, host.otherKeySince],
      ...[host.session, host.blindSince, host.noisySince, host.fleet, host.id],
    )
  }
}

interface AlertRow {
  readonly row: number
  readonly active: number
  readonly boot: number
  readonly seq: number
  readonly changes: number
  readonly incident: string
}
