/**
 * The last hour of frames on disk. It refills the sequencer after a restart and gives `agent train`
 * and `agent explain` their frames. A ring bounded by time (frame t is in slot t % N) and by bytes.
 *
 *        slot   0    1    2    3   …  N−1
 *               t₀+N t₀+N+1   t₀+2 …          append(t₀+N+2) replaces t₀+2, in one transaction
 *
 * Invariants: the buffer holds frames of the last N seconds up to the newest; appending frame t
 * removes exactly those that are older. If the clock went back, frames at or after the appended one
 * are removed and counted.
 *
 * If the disk is full, read-only or damaged, the frame is not kept, counted by reason, and the next
 * append tries again; the buffer then has a gap, as after a restart. A damaged file is renamed and
 * a new one begun; a frame with a wrong checksum is skipped and counted.
 */
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import { BUFFER_BYTES_MAX, BUFFER_FRAMES_MAX } from '../domain/limits.ts'
import type { Log } from '../platform/log.ts'
import { ResilientDatabase } from '../platform/resilient-database.ts'
import {
  type Database,
  type SqliteEngine,
  type SqliteProblem,
  type Statement,
  sqliteProblem,
} from '../platform/sqlite.ts'
import { packFrame, unpackFrame } from './pack.ts'

export interface RollingBufferOptions {
  readonly framesMax?: number
  readonly bytesMax?: number
  /** For commands beside a running agent. */
  readonly readOnly?: boolean
  readonly engine?: SqliteEngine
  readonly pagesMax?: number
  readonly now?: () => number
  readonly log?: Log
}

export interface BufferLedger {
  readonly appended: number
  /** Frames evicted by age or bytes, as intended. */
  readonly evicted: number
  /** Frames removed because the clock went back. */
  readonly overtaken: number
  /** Frames that could not be kept, by disk error. */
  readonly notKept: Readonly<Record<string, number>>
  /** Frames on disk that could not be read back. */
  readonly unreadable: number
  /** Damaged files that were put aside. */
  readonly setAside: number
}

/** After a failure to open, how many appends pass before the next attempt. */
const REOPEN_EVERY = 10
const SCHEMA = [
  'CREATE TABLE frames(slot INTEGER PRIMARY KEY, t INTEGER NOT NULL, packed BLOB NOT NULL)',
]

export class RollingBuffer {
  readonly path: string
  readonly framesMax: number
  readonly #bytesMax: number
  readonly #readOnly: boolean
  readonly #file: ResilientDatabase
  /** What is kept: frame index → packed bytes, ascending. The disk has the same. */
  readonly #sizes = new Map<number, number>()
  #bytes = 0
  #newest = -Infinity
  #insert!: Statement
  #deleteAt!: Statement
  #deleteFrom!: Statement
  #select!: Statement<{ t: number; packed: Uint8Array }>
  #appendsToReopen = 0
  #appended = 0
  #evicted = 0
  #overtaken = 0
  #unreadable = 0
  readonly #notKept = new Map<string, number>()

  /** @throws AgentError where the file cannot be opened or written at all */
  static open(path: string, options: RollingBufferOptions = {}): RollingBuffer {
    return new RollingBuffer(path, options)
  }

  private constructor(path: string, options: RollingBufferOptions) {
    this.path = path
    this.#readOnly = options.readOnly === true
    this.framesMax = options.framesMax ?? BUFFER_FRAMES_MAX
    this.#bytesMax = options.bytesMax ?? BUFFER_BYTES_MAX
    const { engine, pagesMax, now, log } = options
    this.#file = new ResilientDatabase(path, {
      name: 'Buffer',
      trouble: 'Cannot write frames to the buffer; continuing without it',
      schema: SCHEMA,
      readOnly: this.#readOnly,
      prepare: (database) => this.#load(database),
      ...defined({ engine, pagesMax, now, log }),
    })
    try {
      this.#file.open()
    } catch (error) {
      // Damage that opening the file did not find.
      if (this.#readOnly || sqliteProblem(error, path) !== 'damaged') throw error
      this.#startAnew()
    }
  }

  /** Keeps a frame; never throws for what the disk does. */
  append(frame: Frame): void {
    this.#appended += 1
    if (!this.#file.isOpen && !this.#reopen()) {
      this.#count(this.#file.problem ?? 'other')
      return
    }
    const packed = packFrame(frame)
    const overtaken = this.#overtakenBy(frame.index)
    const expired = this.#expiredBy(frame.index, packed.byteLength - overtaken.bytes)
    const slot = this.#slotOf(frame.index)
    try {
      this.#file.open().transaction(() => {
        if (overtaken.count > 0) this.#deleteFrom.run(frame.index)
        for (const index of expired) {
          // The usual one is in the slot of the new frame.
          if (this.#slotOf(index) !== slot) this.#deleteAt.run(this.#slotOf(index), index)
        }
        this.#insert.run(slot, frame.index, packed)
      })
    } catch (error) {
      this.#failed(error)
      return
    }
    if (overtaken.count > 0) this.#forgetFrom(frame.index)
    for (const index of expired) this.#forget(index)
    this.#overtaken += overtaken.count
    this.#evicted += expired.length
    this.#sizes.set(frame.index, packed.byteLength)
    this.#bytes += packed.byteLength
    this.#newest = frame.index
    this.#file.worked()
  }

  /** The newest `count` frames, oldest first. There may be gaps: look at the indexes. */
  readLast(count: number): Frame[] {
    const indexes = [...this.#sizes.keys()]
    return [...this.#read(indexes.slice(Math.max(0, indexes.length - count)))]
  }

  /** Frames with from ≤ index ≤ to, oldest first, one at a time. */
  read(range: { readonly from: number; readonly to: number }): IterableIterator<Frame> {
    return this.#read([...this.#sizes.keys()].filter((t) => t >= range.from && t <= range.to))
  }

  get count(): number {
    return this.#sizes.size
  }

  /** First and last second kept; undefined if empty. */
  span(): { readonly from: number; readonly to: number } | undefined {
    const [from] = this.#sizes.keys()
    return from === undefined ? undefined : { from, to: this.#newest }
  }

  size(): { readonly frames: number; readonly bytes: number } {
    return { frames: this.#sizes.size, bytes: this.#bytes }
  }

  /** The current disk error; undefined while writes work. */
  get problem(): SqliteProblem | undefined {
    return this.#file.problem
  }

  ledger(): BufferLedger {
    return {
      appended: this.#appended,
      evicted: this.#evicted,
      overtaken: this.#overtaken,
      notKept: Object.fromEntries(this.#notKept),
      unreadable: this.#unreadable,
      setAside: this.#file.setAsideCount,
    }
  }

  close(): void {
    this.#file.close()
  }

  // --- The ring ----------------------------------------------------------------------------------

  #slotOf(index: number): number {
    return ((index % this.framesMax) + this.framesMax) % this.framesMax
  }

  /** Frames at or after an index; there are some only if the clock went back. */
  #overtakenBy(index: number): { readonly count: number; readonly bytes: number } {
    let count = 0
    let bytes = 0
    if (index <= this.#newest) {
      for (const [t, size] of this.#sizes) {
        if (t < index) continue
        count += 1
        bytes += size
      }
    }
    return { count, bytes }
  }

  /**
   * Frames that this one evicts: too old by time, and the oldest while there are too many bytes.
   */
  #expiredBy(index: number, bytes: number): number[] {
    const expired: number[] = []
    let total = this.#bytes + bytes
    for (const [t, size] of this.#sizes) {
      if (t >= index) break
      if (t > index - this.framesMax && total <= this.#bytesMax) break
      expired.push(t)
      total -= size
    }
    return expired
  }

  #forget(index: number): void {
    this.#bytes -= this.#sizes.get(index) ?? 0
    this.#sizes.delete(index)
  }

  #forgetFrom(index: number): void {
    for (const t of [...this.#sizes.keys()]) if (t >= index) this.#forget(t)
  }

  *#read(indexes: readonly number[]): IterableIterator<Frame> {
    for (const index of indexes) {
      const frame = this.#readOne(index)
      if (frame !== undefined) yield frame
    }
  }

  #readOne(index: number): Frame | undefined {
    if (!this.#file.isOpen) return undefined
    try {
      const row = this.#select.get(this.#slotOf(index))
      // A running agent may have overwritten the slot meanwhile.
      if (row?.t !== index) return undefined
      const frame = unpackFrame(row.packed)
      if (frame.index === index) return frame
    } catch (error) {
      if (sqliteProblem(error, this.path) === 'damaged') this.#failed(error)
    }
    this.#unreadable += 1
    return undefined
  }

  // --- The disk ----------------------------------------------------------------------------------

  #load(database: Database): void {
    const rows = database
      .prepare<{ slot: number; t: number; bytes: number }>(
        'SELECT slot, t, length(packed) AS bytes FROM frames ORDER BY t',
      )
      .all()
    this.#sizes.clear()
    this.#bytes = 0
    this.#newest = rows.at(-1)?.t ?? -Infinity
    const strangers = rows.filter(
      ({ slot, t }) => slot !== this.#slotOf(t) || t <= this.#newest - this.framesMax,
    )
    for (const { t, bytes } of rows) {
      this.#sizes.set(t, bytes)
      this.#bytes += bytes
    }
    this.#select = database.prepare('SELECT t, packed FROM frames WHERE slot = ?')
    // Written with another N: frames in a wrong slot are removed.
    for (const { t } of strangers) this.#forget(t)
    if (this.#readOnly) return
    if (strangers.length > 0) {
      const deleteSlot = database.prepare('DELETE FROM frames WHERE slot = ?')
      database.transaction(() => {
        for (const { slot } of strangers) deleteSlot.run(slot)
      })
      this.#evicted += strangers.length
    }
    this.#insert = database.prepare('INSERT OR REPLACE INTO frames VALUES (?, ?, ?)')
    this.#deleteAt = database.prepare('DELETE FROM frames WHERE slot = ? AND t = ?')
    this.#deleteFrom = database.prepare('DELETE FROM frames WHERE t >= ?')
  }

  #failed(error: unknown): void {
    const problem = this.#file.failed(error)
    this.#count(problem)
    if (problem === 'damaged') this.#startAnew()
  }

  #count(reason: string): void {
    this.#notKept.set(reason, (this.#notKept.get(reason) ?? 0) + 1)
  }

  #startAnew(): void {
    if (this.#readOnly) return
    this.#sizes.clear()
    this.#bytes = 0
    this.#newest = -Infinity
    try {
      if (this.#file.putAside()) this.#file.open()
    } catch (error) {
      this.#file.failed(error)
    }
    if (!this.#file.isOpen) this.#appendsToReopen = REOPEN_EVERY
  }

  #reopen(): boolean {
    if (this.#readOnly || --this.#appendsToReopen > 0) return false
    this.#appendsToReopen = REOPEN_EVERY
    try {
      this.#file.open()
      return true
    } catch {
      return false
    }
  }
}
