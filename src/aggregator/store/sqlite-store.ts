/**
 * The store as one SQLite file, written by one thread and read by another.
 *
 * A commit is one transaction with `synchronous` FULL; the group commit shares the price of it.
 * Hosts and the numbers of alerts are kept in memory, too (50,000 hosts are 15 MB): each message
 * asks for its host. What a transaction changed in memory is undone with it.
 *
 * At a bound the noisiest host pays first: of the host with the most alerts the closed one that
 * changed longest ago goes, so that no host can push out the alerts of others. Does not promise
 * that a host is who it says: that is the broker's business (`access.ts`).
 */

import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import type { AlertKind, AlertState } from '../../domain/alert.ts'
import { ALERT_KINDS } from '../../domain/alert.ts'
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
  hostKey,
  hourOf,
  noteSummary,
  noteTrouble,
  toRecord,
} from './host-row.ts'
import {
  ACTION_COLUMNS,
  type Action,
  type ActionRecord,
  INCIDENT_COLUMNS,
  type IncidentKey,
  type IncidentSum,
  incidentColumns,
  incidentRow,
  severityOfRank,
  TRIAGE_COLUMNS,
} from './incident.ts'
import { type ActionTarget, actionStatements, type SqlParameter } from './incident-sql.ts'
import { levelFor } from './levels.ts'
import { FLEET_HOST, isActive, toSeconds } from './records.ts'
import { readArchive } from './sqlite-archive.ts'
import { bytesUsed, SQLITE_TABLES, SqliteReads } from './sqlite-reads.ts'
import { SCHEMA } from './sqlite-schema.ts'
import { prepareStatements } from './sqlite-statements.ts'
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
  readonly #hosts = new Map<string, HostRow>()
  readonly #byId = new Map<number, HostRow>()
  readonly #tallies: StoreCounts = { ...NO_COUNTS }
  /** How things were when the transaction began; undefined for a host that it made. */
  readonly #undo = new Map<HostRow, HostRow | undefined>()
  readonly #dropped: HostRow[] = []
  /** Incidents whose alerts changed in this transaction, by host. */
  readonly #touched = new Map<number, Set<string>>()
  #staged: StoreCounts = { ...NO_COUNTS }
  #alerts = 0
  #db!: Database
  #sql!: ReturnType<typeof prepareStatements>
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
    this.#hosts.clear()
    this.#byId.clear()
    this.#alerts = 0
    for (const row of this.#sql.allHosts.all() as HostRow[]) this.#remember({ ...row })
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
  documents: Reads['documents'] = () => this.#reads.documents()
  fleetRuns: Reads['fleetRuns'] = () => this.#reads.fleetRuns()

  async counts(): ReturnType<Reads['counts']> {
    let [online, active, keyChanged] = [0, 0, 0]
    let hosts = 0
    for (const host of this.#hosts.values()) {
      if (host.host !== FLEET_HOST) hosts++
      online += host.online
      active += host.active
      if (host.otherKey !== '') keyChanged++
    }
    return {
      hosts: { online, offline: hosts - online, keyChanged },
      alerts: { active, total: this.#alerts },
    }
  }

  async sites(): Promise<string[]> {
    return [...new Set(Array.from(this.#hosts.values(), (host) => host.site))].sort()
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
        // What came before is no sign of life: anybody may have kept it.
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
      const host = this.#hosts.get(hostKey(one))
      if (host === undefined) return undefined
      return (this.#sql.knownOf.get(host.id) as { body: Uint8Array } | undefined)?.body
    })
  }

  async forgetConnections(nowMs: number): Promise<void> {
    this.#transaction(() => {
      for (const host of this.#hosts.values()) {
        if (host.online === 0) continue
        this.#change(host)
        Object.assign(host, { online: 0, reason: 'unknown', since: nowMs })
      }
    })
  }

  async tidy(nowMs: number): Promise<void> {
    this.#transaction(() => {
      let left = this.#bounds.tidyRows
      left -= this.#dropOldAlerts(nowMs, left)
      const { hourlyDays, hostDays, bytes } = this.#bounds.retention
      const hour = Math.floor((nowMs - hourlyDays * DAY_MS) / 3_600_000)
      const hours = this.#sql.dropOldHours.run(hour, left).changes
      this.#staged.hours += hours
      left -= hours
      for (const host of this.#hosts.values()) {
        if (left <= 0) break
        if (host.online === 1 || host.active > 0) continue
        if (host.lastSeen >= nowMs - hostDays * DAY_MS) continue
        left -= host.alerts + 1
        this.#dropHost(host)
      }
      if (bytesUsed(this.#db) > bytes) this.#dropFromNoisiest(this.#bounds.tidyRows)
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
    for (const host of [...this.#hosts.values()]) yield readArchive(this.#db, host)
  }

  async restore(archive: HostArchive): Promise<boolean> {
    const { host } = archive
    if (this.#hosts.has(hostKey(host))) return false
    this.#transaction(() => {
      const row = this.#sql.insertHost.get(host.site, host.host, host.since, 0, 0) as HostRow
      this.#undo.set(row, undefined)
      this.#remember(row)
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
      this.#addUpIncidents()
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
    this.#touch(host.id, sums.incident)
    this.#countAlerts(host, 1, active)
    for (const one of changes)
      this.#sql.insertChange.run(
        ...[row, one.boot, one.seq, one.time, one.state, one.count],
        ...[one.class, one.confidence, one.received],
      )
    this.#sql.countChanges.run(changes.length, row)
  }

  /** All or nothing, in memory as on disk. */
  #transaction(body: () => void): void {
    this.#undo.clear()
    this.#dropped.length = 0
    this.#touched.clear()
    this.#staged = { ...NO_COUNTS }
    try {
      this.#db.transaction(() => {
        body()
        this.#addUpIncidents()
        for (const host of this.#undo.keys()) if (this.#byId.has(host.id)) this.#writeHost(host)
      })
    } catch (error) {
      if (sqliteProblem(error, this.#path) === 'damaged') {
        this.#db.close()
        this.#open() // looks through the file, and sets it aside
      } else this.#undoChanges()
      throw error
    }
    addCounts(this.#tallies, this.#staged)
  }

  #touch(hostId: number, incident: string): void {
    const known = this.#touched.get(hostId)
    if (known === undefined) this.#touched.set(hostId, new Set([incident]))
    else known.add(incident)
  }

  #addUpIncidents(): void {
    for (const [hostId, incidents] of this.#touched)
      for (const incident of incidents) {
        const sum = this.#sql.sumIncident.get(hostId, incident) as IncidentSum | undefined
        if (sum === undefined) this.#sql.dropIncident.run(hostId, incident)
        else {
          const row = incidentRow(sum)
          this.#sql.putIncident.run(...INCIDENT_COLUMNS.map((name) => row[name]))
        }
      }
    this.#touched.clear()
  }

  #undoChanges(): void {
    for (const host of this.#dropped) this.#remember(host)
    for (const [host, before] of this.#undo) {
      this.#forget(host)
      if (before !== undefined) this.#remember(Object.assign(host, before))
    }
  }

  /** Call before the first change of a host in a transaction. */
  #change(host: HostRow): void {
    if (!this.#undo.has(host)) this.#undo.set(host, { ...host })
  }

  #remember(host: HostRow): void {
    this.#hosts.set(hostKey(host), host)
    this.#byId.set(host.id, host)
    this.#alerts += host.alerts
  }

  #forget(host: HostRow): void {
    if (!this.#byId.delete(host.id)) return
    this.#hosts.delete(hostKey(host))
    this.#alerts -= host.alerts
  }

  // --- Keys ----------------------------------------------------------------------------------------

  async identity(first = randomBytes(32).toString('hex')): Promise<string> {
    this.#sql.makeIdentity.run(first)
    return (this.#sql.identity.get() as { secret: string }).secret
  }

  async acceptKey({ site, host }: Named, key: string): Promise<boolean> {
    return Number(this.#sql.acceptKey.run(key, site, host).changes) > 0
  }

  async putDocument({ site, what, version, body }: StoredDocument): Promise<boolean> {
    return Number(this.#sql.putDocument.run(site, what, version, body).changes) > 0
  }

  async keysOf(hosts: readonly Named[]): Promise<string[]> {
    return hosts.map((host) => this.#hosts.get(hostKey(host))?.key ?? '')
  }

  get enrolment(): EnrolmentSql {
    const run = async <Row>(text: string, values: readonly SqlParameter[]) =>
      this.#db.prepare<Row>(text).all(...values)
    return new EnrolmentSql(run, '')
  }

  // --- Absence -------------------------------------------------------------------------------------

  async absences(bounds: AbsenceBounds): Promise<Absences> {
    const suspects: Suspect[] = []
    const sites = new Map<string, { site: string; expected: number; silent: number }>()
    for (const host of this.#hosts.values()) {
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
    if (known === undefined) this.#countAlerts(host, 1, active)
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
      this.#countAlerts(host, 0, active - known.active)
      if (known.incident !== incident) this.#touch(host.id, known.incident)
    }
    this.#touch(host.id, incident)
    changes.push({ kind: 'alert', message })
    if (host.alerts > this.#bounds.alertsPerHostMax) this.#dropAlertsOf(host, 1)
    const { alerts } = this.#bounds.retention
    // Some more than must: whose turn it is takes a look at all hosts.
    if (this.#alerts > alerts)
      this.#dropFromNoisiest(this.#alerts - alerts + Math.floor(alerts / 100))
  }

  #countAlerts(host: HostRow, total: number, active: number): void {
    host.alerts += total
    host.active += active
    this.#alerts += total
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
    const known = this.#hosts.get(`${site}/${name}`)
    if (known !== undefined) {
      this.#change(known)
      return known
    }
    if (this.#hosts.size >= this.#bounds.hostsMax) this.#dropSilentHosts()
    const host = this.#sql.insertHost.get(site, name, nowMs, nowMs, nowMs) as HostRow
    this.#undo.set(host, undefined)
    this.#remember(host)
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

  // --- Bounds ------------------------------------------------------------------------------------

  /** @returns how many went */
  #dropOldAlerts(nowMs: number, most: number): number {
    let left = most
    for (const kind of ALERT_KINDS) {
      const before = nowMs - this.#bounds.retention.days[kind] * DAY_MS
      const old = this.#sql.oldAlerts.all(kind, before, left) as OldAlert[]
      for (const { row, hostId, incident } of old) {
        this.#touch(hostId, incident)
        this.#dropAlert(this.#byId.get(hostId), row, 0)
        left--
      }
    }
    return most - left
  }

  /**
   * The closed alerts of the noisiest hosts, oldest first; only where these have none, active ones.
   */
  #dropFromNoisiest(count: number): void {
    const level = levelFor(this.#hosts.values(), count)
    const hosts = [...this.#hosts.values()].filter((host) => host.alerts > level)
    let left = count
    for (const closedOnly of [true, false])
      for (const host of hosts) {
        if (left <= 0) return
        if (closedOnly && host.active === host.alerts) continue
        left -= this.#dropAlertsOf(host, Math.min(left, host.alerts - level), closedOnly)
      }
  }

  /** @returns how many went */
  #dropAlertsOf(host: HostRow, count: number, closedOnly = false): number {
    if (count <= 0) return 0
    const statement = closedOnly ? this.#sql.oldestClosedOf : this.#sql.oldestOf
    const rows = statement.all(host.id, count) as {
      row: number
      active: number
      incident: string
    }[]
    for (const { row, active, incident } of rows) {
      this.#touch(host.id, incident)
      this.#dropAlert(host, row, active)
    }
    return rows.length
  }

  #dropAlert(host: HostRow | undefined, row: number, active: number): void {
    this.#sql.dropAlert.run(row)
    this.#sql.dropChanges.run(row)
    this.#staged.alerts++
    if (host === undefined) return
    this.#change(host)
    this.#countAlerts(host, -1, -active)
  }

  /** A tenth at a time, so that a flood of new names does not sort all hosts for each of them. */
  #dropSilentHosts(): void {
    const byAge = [...this.#hosts.values()].sort(
      (a, b) => a.online - b.online || a.alerts - b.alerts || a.lastSeen - b.lastSeen,
    )
    for (const host of byAge.slice(0, Math.ceil(this.#bounds.hostsMax / 10))) this.#dropHost(host)
  }

  #dropHost(host: HostRow): void {
    this.#sql.dropChangesOf.run(host.id)
    this.#sql.dropAlertsOf.run(host.id)
    this.#sql.dropIncidentsOf.run(host.id)
    this.#touched.delete(host.id)
    this.#sql.dropLatestOf.run(host.id)
    this.#sql.dropHoursOf.run(host.id)
    this.#sql.dropKnownOf.run(host.id)
    this.#sql.dropHost.run(host.id)
    this.#staged.alerts += host.alerts
    this.#staged.hosts++
    const before = this.#undo.get(host)
    // One that was made in this transaction leaves no trace.
    if (!this.#undo.has(host)) this.#dropped.push(host)
    else if (before !== undefined) this.#dropped.push(before)
    this.#undo.delete(host)
    this.#forget(host)
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

interface OldAlert {
  readonly row: number
  readonly hostId: number
  readonly incident: string
}
