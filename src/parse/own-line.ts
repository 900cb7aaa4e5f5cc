/**
 * The line we ask sysdig for, `*%evt.rawtime %proc.pid %thread.tid %syscall.type %proc.name`, as fast as it goes:
 *
 *   1795426328000096320 25113 25143 futex opendkim
 *   └─ second ┘└─ ns ──┘└───── the rest ─────────┘
 *
 * The rest repeats: a process makes the same calls from the same threads over and over. So its meaning is
 * remembered byte for byte, and a line costs one hash of the rest (four bytes a step, the end of the
 * line found on the way), one compare and one increment. What the lines of a second add up to goes to the
 * sink when the second, a process's name or the chunk ends; the sink sees tallies, not lines.
 *
 * Whatever is not exactly of this shape goes to `other`, line by line: odd times, long names, other formats,
 * broken lines. So this file never decides what is refused.
 *
 * What it does not promise: a newline inside a name ends the line here as it does for every reader of
 * sysdig's text; a local process can forge such lines (DESIGN.md section 3). `-j` and the chisel cannot be fooled so.
 */
import { LINE_MEMO_MAX } from '../domain/limits.ts'
import { NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { callTypeOf, NO_CALL, PROCESS_EXIT, UNKNOWN_CALL } from './call-type.ts'
import { BAD_PID, NO_PID, readNumber, readPid } from './fields.ts'
import { type BlockParser, giveLine, type LineParser } from './lines.ts'

/** Ten digits of seconds, nine of nanoseconds, a blank: until the year 2286. */
const TIME_BYTES = 20
/** Longest rest that is remembered, in words of four bytes. */
const REST_WORDS = 16
/** Words are loaded without asking where the block ends, if it does not end within so many bytes. */
const MARGIN = TIME_BYTES + 4 * REST_WORDS + 8

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const BLANK = 32
const HASH_FACTOR = 0x9e3779b1

/** Meanings of a rest beside syscall indexes. */
const SILENT = -1
const NO_PROCESS = -2

export class OwnLineParser implements BlockParser {
  readonly #sink: TallySink
  readonly #other: LineParser
  #nameEpoch: number

  // What rests mean, by open addressing; a slot is free where its length is 0.
  readonly #mask: number
  readonly #entriesMax: number
  readonly #hashes: Int32Array
  readonly #lengths: Int32Array
  readonly #words: Int32Array
  readonly #pids: Int32Array
  readonly #names: Int32Array
  readonly #syscalls: Int32Array
  /** Where the pid's last leader name is kept in #leaders. */
  readonly #leaderOf: Int32Array
  readonly #leaders: Int32Array
  readonly #leaderByPid = new Map<number, number>()
  #entryCount = 0

  // The second at hand, as its digits and as a time, and what it adds up to so far.
  #second0 = 0
  #second1 = 0
  #second2 = 0
  #secondMs = 0
  #lastMs = 0
  readonly #tallies: Int32Array
  readonly #touched: Int32Array
  #touchedCount = 0

  #view: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0))

  constructor(sink: TallySink, other: LineParser, memoMax = LINE_MEMO_MAX) {
    this.#sink = sink
    this.#other = other
    this.#nameEpoch = sink.nameEpoch
    const slots = 2 ** Math.ceil(Math.log2(2 * memoMax))
    this.#mask = slots - 1
    this.#entriesMax = memoMax
    this.#hashes = new Int32Array(slots)
    this.#lengths = new Int32Array(slots)
    this.#words = new Int32Array(slots * REST_WORDS)
    this.#pids = new Int32Array(slots)
    this.#names = new Int32Array(slots)
    this.#syscalls = new Int32Array(slots)
    this.#leaderOf = new Int32Array(slots)
    this.#leaders = new Int32Array(memoMax + 1)
    this.#tallies = new Int32Array(slots)
    this.#touched = new Int32Array(slots)
  }

  block(bytes: Uint8Array, from: number, to: number): void {
    if (this.#nameEpoch !== this.#sink.nameEpoch) this.#forget()
    const view = this.#viewOf(bytes)
    let start = from
    while (to - start >= MARGIN) {
      const end = this.#fast(bytes, view, start, to)
      if (end > start) start = end
      else if (!this.#turnTo(bytes, view, start)) start = this.#slow(bytes, start)
    }
    while (start < to) start = this.#slow(bytes, start)
  }

  /** Gives the sink what the second has added up to so far. */
  flush(): void {
    const sink = this.#sink
    const timeMs = this.#secondMs + this.#lastMs
    for (let i = 0; i < this.#touchedCount; i++) {
      const slot = this.#touched[i]!
      const count = this.#tallies[slot]!
      this.#tallies[slot] = 0
      const syscall = this.#syscalls[slot]!
      if (syscall >= 0) sink.add(this.#pids[slot]!, this.#names[slot]!, syscall, count, timeMs)
      else if (syscall === NO_PROCESS) sink.drop('no-process', count)
    }
    this.#touchedCount = 0
  }

  /**
   * As many lines as are of the usual shape.
   * @returns where the first line begins that is not, or that is in another second or in the margin
   */
  #fast(bytes: Uint8Array, view: DataView, from: number, to: number): number {
    const tallies = this.#tallies
    const hashes = this.#hashes
    const lengths = this.#lengths
    const words = this.#words
    const mask = this.#mask
    const second0 = this.#second0
    const second1 = this.#second1
    const second2 = this.#second2
    const last = to - MARGIN
    let start = from
    let lastMs = this.#lastMs
    while (start <= last) {
      if (
        view.getInt32(start, true) !== second0 ||
        view.getInt32(start + 4, true) !== second1 ||
        view.getInt16(start + 8, true) !== second2
      ) {
        break
      }
      const digits0 = view.getInt32(start + 10, true)
      const digits1 = view.getInt32(start + 14, true)
      const digit = bytes[start + 18]! - 48
      if (
        (notDigits(digits0) | notDigits(digits1)) !== 0 ||
        digit < 0 ||
        digit > 9 ||
        bytes[start + 19] !== BLANK
      ) {
        break
      }

      const rest = start + TIME_BYTES
      let at = rest
      let hash = 0
      let word = view.getInt32(at, true)
      let ends = newlinesIn(word)
      const longest = rest + 4 * REST_WORDS - 4
      while (ends === 0 && at < longest) {
        hash = (Math.imul(hash, HASH_FACTOR) + word) | 0
        at += 4
        word = view.getInt32(at, true)
        ends = newlinesIn(word)
      }
      if (ends === 0) break
      const tail = (31 - Math.clz32(ends & -ends)) >> 3
      const tailWord = word & ((1 << (tail << 3)) - 1)
      hash = (Math.imul(hash, HASH_FACTOR) + tailWord) | 0
      const length = at - rest + tail

      let slot = (hash ^ (hash >>> 15)) & mask
      for (;;) {
        if (hashes[slot] === hash && lengths[slot] === length) {
          let word = slot * REST_WORDS
          let from = rest
          while (from < at && words[word] === view.getInt32(from, true)) {
            from += 4
            word++
          }
          if (from === at && words[word] === tailWord) break
        }
        if (lengths[slot] === 0) {
          this.#lastMs = lastMs
          slot = this.#learn(bytes, rest, length, hash)
          break
        }
        slot = (slot + 1) & mask
      }
      if (slot < 0) break
      lastMs = (digits0 & 15) * 100 + ((digits0 >> 8) & 15) * 10 + ((digits0 >> 16) & 15)
      const tally = tallies[slot]!
      if (tally === 0) this.#touch(slot, lastMs)
      tallies[slot] = tally + 1
      start = rest + length + 1
    }
    this.#lastMs = lastMs
    return start
  }

  /** One line by the parser that knows all shapes. @returns where the next begins */
  #slow(bytes: Uint8Array, from: number): number {
    this.flush()
    const end = bytes.indexOf(NEWLINE, from)
    giveLine(this.#other, this.#sink, bytes, from, end)
    return end + 1
  }

  /** Makes the second that the line begins with the one at hand; false where it is that already, or none. */
  #turnTo(bytes: Uint8Array, view: DataView, from: number): boolean {
    const secondMs = readNumber(bytes, from, from + 10) * 1000
    if (Number.isNaN(secondMs) || secondMs === this.#secondMs) return false
    this.flush()
    this.#secondMs = secondMs
    this.#lastMs = 0
    this.#second0 = view.getInt32(from, true)
    this.#second1 = view.getInt32(from + 4, true)
    this.#second2 = view.getInt16(from + 8, true)
    return true
  }

  /** First line with this meaning since the last flush. Names keep their order: A, B, A is three tallies. */
  #touch(slot: number, lastMs: number): void {
    const name = this.#names[slot]!
    if (name > 0) {
      const leader = this.#leaderOf[slot]!
      if (this.#leaders[leader] !== name) {
        this.#lastMs = lastMs
        this.flush()
        this.#leaders[leader] = name
      }
    }
    this.#touched[this.#touchedCount++] = slot
  }

  /** @returns the slot that now remembers the rest; -1 where it is not of our shape */
  #learn(bytes: Uint8Array, from: number, length: number, hash: number): number {
    const to = bytes[from + length - 1] === CARRIAGE_RETURN ? from + length - 1 : from + length
    const pidEnd = bytes.indexOf(BLANK, from)
    const tidEnd = bytes.indexOf(BLANK, pidEnd + 1)
    const typeEnd = bytes.indexOf(BLANK, tidEnd + 1)
    if (pidEnd < 0 || tidEnd < 0 || typeEnd < 0 || typeEnd > to) return -1
    const pid = readPid(bytes, from, pidEnd)
    const tid = readPid(bytes, pidEnd + 1, tidEnd)
    const type = callTypeOf(bytes, tidEnd + 1, typeEnd)
    // What is refused needs its sample, and what ends a process its time: the slow road has both.
    if (pid === BAD_PID || tid === BAD_PID || type === UNKNOWN_CALL || type === PROCESS_EXIT)
      return -1

    if (this.#entryCount >= this.#entriesMax) this.#forget()
    let slot = (hash ^ (hash >>> 15)) & this.#mask
    while (this.#lengths[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#entryCount++
    this.#hashes[slot] = hash
    this.#lengths[slot] = length
    this.#remember(bytes, from, length, slot * REST_WORDS)
    let name = NO_NAME
    if (type !== NO_CALL && pid !== NO_PID) {
      const id = this.#sink.intern(bytes, typeEnd + 1, to)
      name = tid === pid ? id : threadName(id)
    }
    this.#pids[slot] = pid
    this.#names[slot] = name
    this.#syscalls[slot] = type === NO_CALL ? SILENT : pid === NO_PID ? NO_PROCESS : type
    this.#leaderOf[slot] = this.#leaderFor(pid)
    return slot
  }

  #remember(bytes: Uint8Array, from: number, length: number, word: number): void {
    for (let i = 0; i <= length >> 2; i++) {
      let value = 0
      for (let k = 0; k < 4 && 4 * i + k < length; k++) value |= bytes[from + 4 * i + k]! << (8 * k)
      this.#words[word + i] = value
    }
  }

  #leaderFor(pid: number): number {
    let leader = this.#leaderByPid.get(pid)
    if (leader === undefined) {
      leader = this.#leaderByPid.size
      this.#leaders[leader] = NO_NAME
      this.#leaderByPid.set(pid, leader)
    }
    return leader
  }

  #forget(): void {
    this.flush()
    this.#lengths.fill(0)
    this.#leaderByPid.clear()
    this.#entryCount = 0
    this.#nameEpoch = this.#sink.nameEpoch
  }

  #viewOf(bytes: Uint8Array): DataView<ArrayBufferLike> {
    const view = this.#view
    if (
      view.buffer !== bytes.buffer ||
      view.byteOffset !== bytes.byteOffset ||
      view.byteLength !== bytes.byteLength
    ) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    return this.#view
  }
}

/** Nonzero unless all four bytes of the word are decimal digits. */
function notDigits(word: number): number {
  return ((word & 0xf0f0f0f0) ^ 0x30303030) | (((word + 0x06060606) & 0xf0f0f0f0) ^ 0x30303030)
}

/** Nonzero where a byte of the word is a newline; its lowest set bit lies in the first such byte. */
function newlinesIn(word: number): number {
  const zeroed = word ^ 0x0a0a0a0a
  return (zeroed - 0x01010101) & ~zeroed & 0x80808080
}
