/**
 * Alerts and summaries to be sent, kept on disk until the receipt comes: numbered, bounded,
 * counted.
 *
 * created = acknowledged + queued + merged + dropped(reason), at every moment and over kill -9: the
 * counters are written in the same transaction as the rows. They count over the whole life of the
 * state directory.
 *
 * The index of all rows is in memory and the disk is its journal: while the disk is full, rows wait
 * in memory (bounded; dropped and counted beyond) and are written when there is space. Payloads are
 * on disk only, once written.
 *
 * Invariants: a row that was handed out is never changed or merged, because it may have arrived;
 * rows of an earlier boot may have been handed out. A number (boot, seq) is never used for two
 * messages. At the limit, summaries are merged (to an hour at most), then the oldest rows are
 * dropped, alerts last. An alert update that was not handed out is replaced by the next message
 * about the same alert.
 */
import type { Alert } from '../domain/alert.ts'
import { assert } from '../domain/assert.ts'
import { defined } from '../domain/defined.ts'
import type { OutboxLedger } from '../domain/ledger.ts'
import {
  OUTBOX_BYTES_MAX,
  OUTBOX_ROW_BYTES,
  OUTBOX_UNSAVED_BYTES_MAX,
  SUMMARY_MERGE_SECONDS_MAX,
} from '../domain/limits.ts'
import type { Summary } from '../domain/summary.ts'
import type { Log } from '../platform/log.ts'
import { ResilientDatabase } from '../platform/resilient-database.ts'
import type { Database, SqliteEngine, SqliteProblem, Statement } from '../platform/sqlite.ts'
import { encodeAlert } from '../wire/alert-message.ts'
import type { EventKind } from '../wire/origin.ts'
import type { SequenceRange } from '../wire/receipt-message.ts'
import { decodeSummary } from '../wire/summary-message.ts'
import { encodeWithin, mergeSummaries } from './fit-summary.ts'

export interface OutboxOptions {
  readonly site: string
  readonly host: string
  readonly bytesMax?: number
  readonly unsavedBytesMax?: number
  readonly now?: () => number
  readonly engine?: SqliteEngine
  /** Bound of the file in pages, for tests of a full disk. */
  readonly pagesMax?: number
  readonly log?: Log
}

/** A row as the publisher gets it. */
export interface OutboxRow {
  readonly kind: EventKind
  readonly boot: number
  readonly seq: number
  /** Unix seconds of the event. */
  readonly time: number
  readonly payload: Uint8Array
}

export interface OutboxHealth {
  readonly bytes: number
  /** Rows in memory only, because they could not be written. */
  readonly unsaved: number
  readonly problem: SqliteProblem | undefined
  /** Damaged files that were put aside, over the life of this process. */
  readonly setAside: number
}

interface Row {
  readonly kind: EventKind
  readonly boot: number
  readonly seq: number
  readonly time: number
  bytes: number
  /** Set until it is written to disk. */
  payload: Uint8Array | undefined
  onDisk: boolean
  handedOut: boolean
  /** Set for an update that the next message may replace. */
  alertId: string | undefined
  /** Unix seconds that a summary spans; known for rows of this boot. */
  span: readonly [from: number, to: number] | undefined
}

// Rows have a row id: without one a message longer than a quarter of a page would take a page of
// its own.
/** Of outbox.db; step n brings it to format n + 1. */
export const OUTBOX_SCHEMA = [
  `CREATE TABLE rows(
     boot INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, time INTEGER NOT NULL,
     payload BLOB NOT NULL, PRIMARY KEY (boot, seq));
   CREATE TABLE numbers(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;`,
]
/** As rows have them: by place. */
export const KINDS: readonly EventKind[] = ['alert', 'summary']
const DROPPED = 'dropped:'

export class Outbox {
  readonly path: string
  readonly boot: number
  /** Number of the last message that the run before put; undefined where there was none. */
  readonly before: { readonly boot: number; readonly seq: number } | undefined
  readonly #options: OutboxOptions
  readonly #file: ResilientDatabase
  #insert!: Statement
  #delete!: Statement
  #setNumber!: Statement
  #readPayload!: Statement<{ payload: Uint8Array }>

  /** Both in the order (boot, seq), which a Map keeps; removal takes constant time. */
  readonly #queues = { alert: new Map<string, Row>(), summary: new Map<string, Row>() }
  readonly #handedOut = new Map<string, Row>()
  readonly #handedOutCount = { alert: 0, summary: 0 }
  readonly #updates = new Map<string, Row>()
  readonly #numbers = new Map<string, number>()
  readonly #toInsert = new Set<Row>()
  readonly #toDelete = new Set<Row>()
  readonly #changedNumbers = new Set<string>()
  #nextSeq = 1
  #bytes = 0
  #unsavedBytes = 0
  #onPut: () => void = () => {}

  /** @throws AgentError where the file cannot be opened or written at all */
  static open(path: string, options: OutboxOptions): Outbox {
    return new Outbox(path, options)
  }

  private constructor(path: string, options: OutboxOptions) {
    this.path = path
    this.#options = options
    const { engine, pagesMax, now, log } = options
    this.#file = new ResilientDatabase(path, {
      name: 'Outbox',
      trouble: 'Cannot write the outbox; rows wait in memory',
      schema: OUTBOX_SCHEMA,
      // Alerts are rare and must survive a power cut: each commit is synced.
      synchronous: 'full',
      check: true,
      prepare: (database) => this.#prepare(database),
      ...defined({ engine, pagesMax, now, log }),
    })
    const database = this.#file.open()
    for (const { name, value } of database
      .prepare<{ name: string; value: number }>('SELECT name, value FROM numbers')
      .all()) {
      this.#numbers.set(name, value)
    }
    // Numbers must not be used twice, also where the state was lost or a disk restored from a
    // snapshot: boot follows the clock, and grows where the clock was set back.
    const last = this.#numbers.get('boot')
    this.boot = Math.max((options.now ?? Date.now)(), (last ?? 0) + 1)
    this.before =
      last === undefined ? undefined : { boot: last, seq: this.#numbers.get('seq') ?? 0 }
    this.#set('boot', this.boot)
    this.#set('seq', 0)
    this.#restore()
    database.transaction(() => this.#write())
    this.#written()
  }

  /** The number that the next message gets. */
  get nextSeq(): number {
    return this.#nextSeq
  }

  /** Called after each put, so that the publisher does not poll. */
  set onPut(listener: () => void) {
    this.#onPut = listener
  }

  /**
   * On disk when this returns, or in memory if the write failed.
   * @returns the sequence numbers of the alerts
   */
  put(alerts: readonly Alert[], summary?: Summary): number[] {
    if (alerts.length === 0 && summary === undefined) return []
    const numbers = alerts.map((alert) => this.#putAlert(alert))
    if (summary !== undefined) this.#putSummary(summary)
    this.#set('seq', this.#nextSeq - 1)
    this.#shrink()
    this.flush()
    this.#onPut()
    return numbers
  }

  /** The oldest rows that are not handed out, as many as fit into bytesMax. */
  take(
    countMax: number,
    kinds: readonly EventKind[] = KINDS,
    bytesMax = Infinity,
    overheadBytes = 0,
  ): OutboxRow[] {
    const taken: OutboxRow[] = []
    let bytesLeft = bytesMax
    for (const kind of kinds) {
      if (!this.waits(kind)) continue
      for (const [key, row] of this.#queues[kind]) {
        if (taken.length >= countMax) return taken
        if (this.#handedOut.has(key)) continue
        const payload = row.payload ?? this.#read(row)
        if (payload === undefined) continue
        bytesLeft -= payload.byteLength + overheadBytes
        if (bytesLeft < 0) return taken
        row.handedOut = true
        this.#forgetUpdate(row)
        this.#handedOut.set(key, row)
        this.#handedOutCount[kind] += 1
        taken.push({ kind, boot: row.boot, seq: row.seq, time: row.time, payload })
      }
    }
    return taken
  }

  /** Whether there are rows of this kind that are not handed out. */
  waits(kind: EventKind): boolean {
    return this.#queues[kind].size > this.#handedOutCount[kind]
  }

  /** The connection was lost: rows that are handed out and not acknowledged can be taken again. */
  takeBack(): void {
    this.#handedOut.clear()
    this.#handedOutCount.alert = 0
    this.#handedOutCount.summary = 0
  }

  /**
   * Removes acknowledged rows, of those handed out. Written by the next flush or put. @returns how
   * many
   */
  acknowledge(ranges: readonly SequenceRange[]): number {
    const gone: Row[] = []
    for (const row of this.#handedOut.values()) {
      const covers = ({ boot, from, to }: SequenceRange) =>
        boot === row.boot && from <= row.seq && row.seq <= to
      if (ranges.some(covers)) gone.push(row)
    }
    for (const row of gone) this.#remove(row)
    this.#add('acknowledged', gone.length)
    return gone.length
  }

  /** Drops a message that can never be delivered, counted by reason. */
  giveUp(row: Pick<OutboxRow, 'boot' | 'seq' | 'kind'>, reason: string): void {
    const given = this.#queues[row.kind].get(keyOf(row))
    if (given !== undefined) this.#drop(given, reason)
  }

  /** Whether something is not written yet. */
  get dirty(): boolean {
    return this.#toInsert.size + this.#toDelete.size + this.#changedNumbers.size > 0
  }

  /** Writes what is not on disk yet. @returns false if the write failed */
  flush(): boolean {
    if (!this.dirty) return true
    try {
      this.#file.open().transaction(() => this.#write())
    } catch (error) {
      this.#failed(error)
      return false
    }
    this.#written()
    return true
  }

  /**
   * Whether an aggregator has ever announced itself on this site: then only its receipt counts as
   * delivery.
   */
  get aggregatorSeen(): boolean {
    return this.#numbers.has(`aggregator/${this.#options.site}`)
  }

  noteAggregator(): void {
    if (this.aggregatorSeen) return
    this.#set(`aggregator/${this.#options.site}`, 1)
    this.flush()
  }

  /** The key that the site's aggregator signs with, as it was first seen. */
  get aggregatorKey(): string | undefined {
    const prefix = `aggregator/${this.#options.site}/`
    for (const name of this.#numbers.keys())
      if (name.startsWith(prefix)) return name.slice(prefix.length)
    return undefined
  }

  pinAggregator(key: string): void {
    this.#set(`aggregator/${this.#options.site}/${key}`, 1)
    this.flush()
  }

  get queued(): number {
    return this.#queues.alert.size + this.#queues.summary.size
  }

  ledger(): OutboxLedger {
    const dropped: Record<string, number> = {}
    for (const [name, value] of this.#numbers) {
      if (name.startsWith(DROPPED)) dropped[name.slice(DROPPED.length)] = value
    }
    const number = (name: string) => this.#numbers.get(name) ?? 0
    return {
      created: number('created'),
      acknowledged: number('acknowledged'),
      queued: this.queued,
      merged: number('merged'),
      dropped,
    }
  }

  health(): OutboxHealth {
    const { size: unsaved } = this.#toInsert
    const { problem, setAsideCount } = this.#file
    return { bytes: this.#bytes, unsaved, problem, setAside: setAsideCount }
  }

  close(): void {
    this.flush()
    this.#file.close()
  }

  // --- Rows in memory ---------------------------------------------------------------------------

  #putAlert(alert: Alert): number {
    const overtaken = this.#updates.get(alert.id)
    const seq = this.#nextSeq++
    const { site, host } = this.#options
    const payload = encodeAlert(alert, { site, host, boot: this.boot, seq })
    if (overtaken !== undefined) {
      this.#remove(overtaken)
      this.#add('merged', 1)
    }
    const row = this.#create('alert', seq, alert.time, payload)
    if (alert.state === 'update') {
      row.alertId = alert.id
      this.#updates.set(alert.id, row)
    }
    return seq
  }

  #putSummary(summary: Summary): void {
    const seq = this.#nextSeq++
    const { site, host } = this.#options
    const payload = encodeWithin(summary, { site, host, boot: this.boot, seq })
    const row = this.#create('summary', seq, summary.to, payload)
    row.span = [summary.from, summary.to]
  }

  #create(kind: EventKind, seq: number, time: number, payload: Uint8Array): Row {
    const row: Row = {
      kind,
      boot: this.boot,
      seq,
      time: Math.max(0, Math.floor(time)),
      bytes: payload.byteLength + OUTBOX_ROW_BYTES,
      payload,
      onDisk: false,
      handedOut: false,
      alertId: undefined,
      span: undefined,
    }
    this.#queues[kind].set(keyOf(row), row)
    this.#toInsert.add(row)
    this.#bytes += row.bytes
    this.#unsavedBytes += row.bytes
    this.#add('created', 1)
    return row
  }

  #remove(row: Row): void {
    const key = keyOf(row)
    if (!this.#queues[row.kind].delete(key)) return
    if (this.#handedOut.delete(key)) this.#handedOutCount[row.kind] -= 1
    this.#forgetUpdate(row)
    this.#bytes -= row.bytes
    if (this.#toInsert.delete(row)) this.#unsavedBytes -= row.bytes
    if (row.onDisk) this.#toDelete.add(row)
  }

  #drop(row: Row, reason: string): void {
    this.#remove(row)
    this.#add(DROPPED + reason, 1)
  }

  #forgetUpdate(row: Row): void {
    if (row.alertId !== undefined) this.#updates.delete(row.alertId)
    row.alertId = undefined
  }

  #add(name: string, count: number): void {
    if (count > 0) this.#set(name, (this.#numbers.get(name) ?? 0) + count)
  }

  #set(name: string, value: number): void {
    this.#numbers.set(name, value)
    this.#changedNumbers.add(name)
  }

  // --- Bounds -----------------------------------------------------------------------------------

  #shrink(): void {
    const bytesMax = this.#options.bytesMax ?? OUTBOX_BYTES_MAX
    while (this.#bytes > bytesMax && this.#mergeOldest()) {}
    while (this.#bytes > bytesMax) {
      const oldest = this.#oldest('summary') ?? this.#oldest('alert')
      if (oldest === undefined) return
      this.#drop(oldest, `full(${oldest.kind})`)
    }
  }

  /** Prefers rows that are not handed out: the others may be arriving. */
  #oldest(kind: EventKind): Row | undefined {
    let first: Row | undefined
    for (const [key, row] of this.#queues[kind]) {
      if (!this.#handedOut.has(key)) return row
      first ??= row
    }
    return first
  }

  /**
   * Merges the oldest two neighbouring summaries that may be merged, under the number of the later
   * one.
   */
  #mergeOldest(): boolean {
    let first: Row | undefined
    for (const row of this.#queues.summary.values()) {
      if (row.span === undefined || row.handedOut) {
        first = undefined
        continue
      }
      const seconds = first?.span === undefined ? Infinity : row.span[1] - first.span[0]
      if (first !== undefined && Math.abs(seconds) < SUMMARY_MERGE_SECONDS_MAX) {
        return this.#mergeInto(first, row)
      }
      first = row
    }
    return false
  }

  #mergeInto(first: Row, second: Row): boolean {
    const before = this.#summaryOf(first)
    const after = this.#summaryOf(second)
    if (before === undefined || after === undefined) return false
    const summary = mergeSummaries(before, after)
    const { site, host } = this.#options
    const payload = encodeWithin(summary, { site, host, boot: second.boot, seq: second.seq })
    this.#remove(first)
    this.#add('merged', 1)
    const bytes = payload.byteLength + OUTBOX_ROW_BYTES
    this.#bytes += bytes - second.bytes
    if (this.#toInsert.has(second)) this.#unsavedBytes -= second.bytes
    this.#toInsert.add(second)
    this.#unsavedBytes += bytes
    second.bytes = bytes
    second.payload = payload
    second.span = [summary.from, summary.to]
    return true
  }

  #summaryOf(row: Row): Summary | undefined {
    const payload = row.payload ?? this.#read(row)
    if (payload === undefined) return undefined
    const decoded = decodeSummary(payload)
    return decoded.ok ? decoded.value : undefined
  }

  // --- The disk ----------------------------------------------------------------------------------

  #prepare(database: Database): void {
    this.#insert = database.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)')
    this.#delete = database.prepare('DELETE FROM rows WHERE boot = ? AND seq = ?')
    this.#setNumber = database.prepare('INSERT OR REPLACE INTO numbers VALUES (?, ?)')
    this.#readPayload = database.prepare('SELECT payload FROM rows WHERE boot = ? AND seq = ?')
  }

  #restore(): void {
    const rows = this.#file
      .open()
      .prepare<{
        boot: number
        seq: number
        kind: number
        time: number
        bytes: number
      }>('SELECT boot, seq, kind, time, length(payload) AS bytes FROM rows ORDER BY boot, seq')
      .all()
    for (const { boot, seq, kind, time, bytes } of rows) {
      const row: Row = {
        kind: kind === 0 ? 'alert' : 'summary',
        boot,
        seq,
        time,
        bytes: bytes + OUTBOX_ROW_BYTES,
        payload: undefined,
        onDisk: true,
        // It may have been handed out before the restart.
        handedOut: true,
        alertId: undefined,
        span: undefined,
      }
      this.#queues[row.kind].set(keyOf(row), row)
      this.#bytes += row.bytes
    }
    assert(
      rows.every(({ boot }) => boot < this.boot),
      'rows of earlier boots have earlier numbers',
    )
  }

  #write(): void {
    for (const row of this.#toDelete) this.#delete.run(row.boot, row.seq)
    for (const row of this.#toInsert) {
      this.#insert.run(row.boot, row.seq, KINDS.indexOf(row.kind), row.time, row.payload!)
    }
    for (const name of this.#changedNumbers) this.#setNumber.run(name, this.#numbers.get(name)!)
  }

  #written(): void {
    for (const row of this.#toInsert) {
      row.onDisk = true
      row.payload = undefined
    }
    this.#toInsert.clear()
    this.#toDelete.clear()
    this.#changedNumbers.clear()
    this.#unsavedBytes = 0
    this.#file.worked()
  }

  #failed(error: unknown): void {
    const problem = this.#file.failed(error)
    if (problem === 'damaged') this.#startAnew()
    const bytesMax = this.#options.unsavedBytesMax ?? OUTBOX_UNSAVED_BYTES_MAX
    for (const kind of ['summary', 'alert'] as const) {
      for (const row of this.#toInsert) {
        if (this.#unsavedBytes <= bytesMax) return
        if (row.kind === kind) this.#drop(row, 'disk')
      }
    }
  }

  /**
   * Rows that were only in the damaged file are counted as dropped; rows in memory go to the new
   * file.
   */
  #startAnew(): void {
    if (!this.#file.putAside()) return
    for (const kind of KINDS) {
      for (const row of this.#queues[kind].values()) {
        row.onDisk = false
        if (row.payload === undefined) this.#drop(row, 'damaged')
      }
    }
    this.#toDelete.clear()
    for (const name of this.#numbers.keys()) this.#changedNumbers.add(name)
    try {
      this.#file.open().transaction(() => this.#write())
      this.#written()
    } catch (error) {
      this.#file.failed(error)
    }
  }

  /** @returns undefined if it cannot be read; a row that is lost is dropped and counted */
  #read(row: Row): Uint8Array | undefined {
    try {
      this.#file.open()
      const found = this.#readPayload.get(row.boot, row.seq)
      if (found !== undefined) return found.payload
      this.#drop(row, 'damaged')
    } catch (error) {
      this.#failed(error)
    }
    return undefined
  }
}

function keyOf(row: Pick<Row, 'boot' | 'seq'>): string {
  return `${row.boot}-${row.seq}`
}
