/**
 * One batch of messages into the PostgreSQL store, within a transaction: locks the hosts of the
 * batch in one order, reads what is known of their alerts, decides as the SQLite store does, and
 * writes what changed, each step one statement for the whole batch.
 */
import type { PostgresQueries } from '../../platform/postgres.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import { compareOrigin } from '../../wire/origin.ts'
import { NO_COUNTS, type StoreCounts } from './bounds.ts'
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
import { incidentColumns } from './incident.ts'
import { addUpIncidents } from './postgres-incidents.ts'
import { HOST_COLUMNS, WINDOW_COLUMNS } from './postgres-reads.ts'
import { dayOf, HOURS_A_DAY, rowsOf, SUM_COLUMNS } from './postgres-rows.ts'
import { FLEET_HOST, isActive } from './records.ts'
import type { Arrival, HostKnown, Received, StoreBounds, StoreChange } from './store.ts'

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

export class PostgresCommit {
  readonly changes: StoreChange[] = []
  readonly staged: StoreCounts = { ...NO_COUNTS }
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
      if (arrival.kind === 'absence') {
        if (host.host === FLEET_HOST) host.lastSeen = this.#nowMs
        this.#putAlert(host, arrival.message)
        continue
      }
      if (this.#isRefused(host, arrival)) continue
      const { lastSeen } = host
      const repeated = this.#repeated
      if (arrival.kind !== 'status') host.lastSeen = this.#nowMs
      if (arrival.kind === 'alert') this.#putAlert(host, arrival.message)
      else if (arrival.kind === 'summary') this.#putSummary(host, arrival)
      else if (arrival.kind === 'known') this.#known.set(host.id, arrival.body)
      else if (applyStatus(host, arrival.message, this.#nowMs))
        this.changes.push({ kind: 'host', host: toRecord(host) })
      // A repeated message is no sign of life: it can be recorded and sent again.
      if (this.#repeated > repeated) host.lastSeen = lastSeen
    }
    await this.#writeAlerts()
    await this.#writeSummaries()
    await this.#writeKnown()
    await this.#writeHosts()
  }

  /** Messages of this commit that had come before. */
  get #repeated(): number {
    return this.staged.duplicates + this.staged.late
  }

  /** Whether its key is not the host's; notes the key. */
  #isRefused(host: HostRow, arrival: Received | HostKnown): boolean {
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
      kind === 'alert' || kind === 'absence'
        ? [{ host: this.#hosts.get(hostKey(message))!.id, id: message.id }]
        : [],
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
      if (kind !== 'alert' && kind !== 'absence') return []
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
      if (place === 'newest') {
        noteTrouble(host, message, this.#nowMs)
        this.#latest.set(host.id, payload)
      }
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
         key_since = x."keySince", other_key = x."otherKey", other_key_since = x."otherKeySince",
         session = x.session, blind_since = x."blindSince", noisy_since = x."noisySince",
         fleet = x.fleet
       FROM ${rowsOf('id bigint, online smallint, reason text, boot bigint, since bigint, "lastSeen" bigint, version text, model text, source text, active int, alerts int, "summaryBoot" bigint, "summarySeq" bigint, "summarySeen" bigint, key text, "keySince" bigint, "otherKey" text, "otherKeySince" bigint, session bigint, "blindSince" bigint, "noisySince" bigint, fleet text')}
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
