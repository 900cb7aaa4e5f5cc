/**
 * Interned names: the bytes of a comm become a small integer, and on demand one shared, sanitised
 * string.
 *
 * Bytes are compared raw, in slots of NAME_BYTES_MAX, so that a known name costs a hash and a
 * compare and no string. The table is bounded: a process that renames itself each millisecond fills
 * it in a minute. `reclaim` then frees names that no process has any more; earlier ids of them are
 * void, which the owner detects by an epoch. If the table fills up within one push, further names
 * get the id OVERFLOW.
 */
import { NAME_BYTES_MAX, NAMES_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { NameId } from '../domain/tally.ts'

/** Id of the name that stands for names which were not kept. */
const OVERFLOW: NameId = 1
const decoder = new TextDecoder()

export class NameTable {
  readonly #max: number
  #mask: number
  /** Open addressing: id, or 0 where free. */
  #index: Int32Array
  #bytes: Uint8Array
  #lengths: Uint8Array
  #hashes: Int32Array
  readonly #names: (string | undefined)[] = ['?', '?']
  readonly #free: NameId[] = []

  constructor(max = NAMES_MAX) {
    this.#max = max
    const capacity = Math.min(1_024, max + 2)
    this.#mask = 4_095
    this.#index = new Int32Array(this.#mask + 1)
    this.#bytes = new Uint8Array(capacity * NAME_BYTES_MAX)
    this.#lengths = new Uint8Array(capacity)
    this.#hashes = new Int32Array(capacity)
  }

  /** Names in use without the two reserved ones. */
  get size(): number {
    return this.#names.length - 2 - this.#free.length
  }

  /** True when `reclaim` is due: half of the table is kept free for one push. */
  get isCrowded(): boolean {
    return this.size > this.#max >> 1
  }

  intern(bytes: Uint8Array, from: number, to: number): NameId {
    const end = to - from > NAME_BYTES_MAX ? from + NAME_BYTES_MAX : to
    let hash = 0x811c9dc5
    for (let i = from; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    hash ^= hash >>> 15
    let slot = hash & this.#mask
    for (let id = this.#index[slot]!; id !== 0; id = this.#index[slot]!) {
      if (this.#hashes[id] === hash && this.#equals(id, bytes, from, end)) return id
      slot = (slot + 1) & this.#mask
    }
    return this.#add(hash, bytes, from, end)
  }

  nameOf(id: NameId): string {
    let name = this.#names[id]
    if (name === undefined) {
      const from = id * NAME_BYTES_MAX
      name = safeName(decoder.decode(this.#bytes.subarray(from, from + this.#lengths[id]!)))
      this.#names[id] = name
    }
    return name
  }

  /** Frees every name for which `isUsed` is false; the other ids stay valid. */
  reclaim(isUsed: (id: NameId) => boolean): void {
    this.#free.length = 0
    this.#index.fill(0)
    for (let id = this.#names.length - 1; id > OVERFLOW; id--) {
      if (isUsed(id)) this.#place(id)
      else {
        this.#names[id] = ''
        this.#free.push(id)
      }
    }
  }

  #equals(id: NameId, bytes: Uint8Array, from: number, end: number): boolean {
    if (this.#lengths[id] !== end - from) return false
    const base = id * NAME_BYTES_MAX - from
    for (let i = from; i < end; i++) if (this.#bytes[base + i] !== bytes[i]) return false
    return true
  }

  #add(hash: number, bytes: Uint8Array, from: number, end: number): NameId {
    if (this.size >= this.#max) return OVERFLOW
    const id = this.#free.pop() ?? this.#names.length
    if (id >= this.#lengths.length) this.#grow()
    this.#names[id] = undefined
    this.#bytes.set(bytes.subarray(from, end), id * NAME_BYTES_MAX)
    this.#lengths[id] = end - from
    this.#hashes[id] = hash
    this.#place(id)
    return id
  }

  #place(id: NameId): void {
    let slot = this.#hashes[id]! & this.#mask
    while (this.#index[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#index[slot] = id
  }

  #grow(): void {
    const capacity = this.#lengths.length * 2
    const bytes = new Uint8Array(capacity * NAME_BYTES_MAX)
    const lengths = new Uint8Array(capacity)
    const hashes = new Int32Array(capacity)
    bytes.set(this.#bytes)
    lengths.set(this.#lengths)
    hashes.set(this.#hashes)
    this.#bytes = bytes
    this.#lengths = lengths
    this.#hashes = hashes
    const isFree = new Set(this.#free)
    this.#mask = capacity * 4 - 1
    this.#index = new Int32Array(this.#mask + 1)
    for (let id = 2; id < this.#names.length; id++) if (!isFree.has(id)) this.#place(id)
  }
}
