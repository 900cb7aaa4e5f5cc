/**
 * Fast path for the line that we request from sysdig, `*%evt.rawtime %proc.pid %thread.tid %evt.dir
 * %syscall.type %proc.name`:
 *
 *   1795426328000096320 25113 25143 < futex opendkim └─ second ┘└─ ns ──┘└────── the rest
 *   ──────────┘
 *
 * The direction may be missing, as it did before.
 *
 * The rest repeats: a process makes the same calls from the same threads over and over. Its meaning
 * is cached byte for byte, and a line costs one hash of the rest (eight bytes a step, which also
 * finds the end of the line), one compare and one increment in a WebAssembly loop (own-line.wat).
 * Totals go to the sink when the second, a process's name or the chunk ends; the sink gets tallies,
 * not lines.
 *
 * Every line that is not exactly of this shape goes to `other`: unusual times, long names, other
 * formats, broken lines. So this file never decides what is rejected.
 *
 * What it does not promise: a newline inside a name ends the line here as it does for every reader
 * of sysdig's text; a local process can forge such lines. `-j` and the chisel prevent it.
 */
import { LINE_MEMO_MAX } from '../domain/limits.ts'
import { NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import type { Births } from './births.ts'
import { callTypeOf, isClone, NO_CALL, PROCESS_EXIT, UNKNOWN_CALL } from './call-type.ts'
import { BAD_PID, NO_PID, readNumber, readPid } from './fields.ts'
import { type BlockParser, giveLine, type LineParser } from './lines.ts'
import { ownLineCore } from './own-line-core.ts'

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const BLANK = 32
const LESS = 60
const GREATER = 62

/** Ten digits of seconds, nine of nanoseconds, a blank: until the year 2286. */
const TIME_BYTES = 20
/** Six words of eight bytes: the longest rest of an entry, including its end. */
const REST_BYTES = 48

// The core's memory, in bytes. First what the two tell each other:
const LINE = 0
const SECOND = 8
const TOUCHED_COUNT = 20
const LAST_LINE = 24
const SLOT = 28
const LENGTH = 36
const MEANINGS_AT = 40
const LEADERS_AT = 44
const TOUCHED_AT = 48
const SHIFT = 56
// Then one cache line for each rest: its hash, tally, length + 1 (0 where free), and from byte 16
// on itself;
const ENTRIES = 1_024
const ENTRY = 64
// then what it means: pid, name, syscall, and where the pid's last leader name is kept; those
// names, by the pid's last bits (two pids that share them cost flushes, not order); the slots that
// have a tally; and the lines being read, with room behind for words that reach beyond.
const MEANING = 16
const LEADERS = 16_384
const INPUT_BYTES = 262_144

/** Why the core stopped. */
const AT_END = 0
const OTHER_SHAPE = 1
const NOT_SEEN = 2

/** Meanings of a rest beside syscall indexes. */
const SILENT = -1
const NO_PROCESS = -2

export class OwnLineParser implements BlockParser {
  readonly #sink: TallySink
  readonly #other: LineParser
  readonly #births: Births
  #nameEpoch: number

  readonly #run: (line: number, end: number, mask: number) => number
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  readonly #mask: number
  readonly #entriesMax: number
  readonly #meanings: number
  readonly #leaders: number
  readonly #touched: number
  readonly #input: number

  #entryCount = 0
  #secondMs = 0
  /** Milliseconds of the second at the last line counted. */
  #ms = 0

  constructor(sink: TallySink, other: LineParser, births: Births, memoMax = LINE_MEMO_MAX) {
    this.#sink = sink
    this.#other = other
    this.#births = births
    this.#nameEpoch = sink.nameEpoch
    const bits = Math.ceil(Math.log2(2 * memoMax))
    const slots = 2 ** bits
    this.#mask = slots - 1
    this.#entriesMax = memoMax
    this.#meanings = ENTRIES + slots * ENTRY
    this.#leaders = this.#meanings + slots * MEANING
    this.#touched = this.#leaders + 4 * LEADERS
    this.#input = this.#touched + 4 * slots
    const { run, memory } = ownLineCore(this.#input + INPUT_BYTES + REST_BYTES)
    this.#run = run
    this.#bytes = new Uint8Array(memory.buffer)
    this.#words = new Int32Array(memory.buffer)
    this.#words[SHIFT >> 2] = 64 - bits
    this.#words[MEANINGS_AT >> 2] = this.#meanings
    this.#words[LEADERS_AT >> 2] = this.#leaders
    this.#words[TOUCHED_AT >> 2] = this.#touched
  }

  block(bytes: Uint8Array, from: number, to: number): void {
    if (this.#nameEpoch !== this.#sink.nameEpoch) this.#forget()
    let start = from
    while (start < to) {
      const most = Math.min(to, start + INPUT_BYTES)
      const end = most === to ? to : bytes.lastIndexOf(NEWLINE, most - 1) + 1
      if (end > start) {
        this.#bytes.set(bytes.subarray(start, end), this.#input)
        this.#read(this.#input, this.#input + end - start)
        start = end
      } else start = this.#slow(bytes, start)
    }
  }

  /** Passes the totals of the second so far to the sink. */
  flush(): void {
    const words = this.#words
    const count = words[TOUCHED_COUNT >> 2]!
    if (count === 0) return
    words[TOUCHED_COUNT >> 2] = 0
    const sink = this.#sink
    this.#keepTime()
    const timeMs = this.#secondMs + this.#ms
    const touched = this.#touched >> 2
    for (let i = touched; i < touched + count; i++) {
      const slot = words[i]!
      const entry = (ENTRIES + slot * ENTRY) >> 2
      const meaning = (this.#meanings + slot * MEANING) >> 2
      const tally = words[entry + 1]!
      words[entry + 1] = 0
      const syscall = words[meaning + 2]!
      if (syscall >= 0) sink.add(words[meaning]!, words[meaning + 1]!, syscall, tally, timeMs)
      else if (syscall === NO_PROCESS) sink.drop('no-process', tally)
    }
  }

  /** The lines [from, to) of the core's memory. */
  #read(from: number, to: number): void {
    const words = this.#words
    let line = from
    while (line < to) {
      const why = this.#run(line, to, this.#mask)
      line = words[LINE >> 2]!
      if (why === AT_END) break
      if (why === OTHER_SHAPE) {
        if (!this.#turnTo(line)) line = this.#slow(this.#bytes, line)
      } else if (why === NOT_SEEN) {
        if (!this.#learn(line + TIME_BYTES)) {
          words[(ENTRIES + words[SLOT >> 2]! * ENTRY + 8) >> 2] = 0
          line = this.#slow(this.#bytes, line)
        }
      } else this.#rename(words[SLOT >> 2]!)
    }
    // The buffer is reused, so the time of the last line is kept.
    this.#keepTime()
  }

  #keepTime(): void {
    const last = this.#words[LAST_LINE >> 2]!
    if (last === 0) return
    this.#words[LAST_LINE >> 2] = 0
    const bytes = this.#bytes
    this.#ms = 100 * bytes[last + 10]! + 10 * bytes[last + 11]! + bytes[last + 12]! - 111 * 48
  }

  /** One line by the general parser. @returns where the next begins */
  #slow(bytes: Uint8Array, from: number): number {
    this.flush()
    const end = bytes.indexOf(NEWLINE, from)
    giveLine(this.#other, this.#sink, bytes, from, end)
    return end + 1
  }

  /**
   * Makes the second that the line begins with the one at hand; false where it is that already, or
   * none.
   */
  #turnTo(line: number): boolean {
    const secondMs = readNumber(this.#bytes, line, line + 10) * 1000
    if (Number.isNaN(secondMs) || secondMs === this.#secondMs) return false
    this.flush()
    this.#secondMs = secondMs
    this.#bytes.copyWithin(SECOND, line, line + 10)
    return true
  }

  /**
   * The pid's leader has a new name: earlier totals are flushed first, so names keep their order
   * (A, B, A).
   */
  #rename(slot: number): void {
    this.flush()
    const meaning = (this.#meanings + slot * MEANING) >> 2
    this.#words[(this.#leaders >> 2) + this.#words[meaning + 3]!] = this.#words[meaning + 1]!
  }

  /** Caches the rest that the core stopped at; false if it is not of our shape. */
  #learn(from: number): boolean {
    const bytes = this.#bytes
    const words = this.#words
    const length = words[LENGTH >> 2]!
    const end = from + length
    const to = bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end
    const pidEnd = blankAfter(bytes, from, to)
    const tidEnd = blankAfter(bytes, pidEnd + 1, to)
    let typeFrom = tidEnd + 1
    let typeEnd = blankAfter(bytes, typeFrom, to)
    const isEntry = typeEnd === typeFrom + 1 && bytes[typeFrom] === GREATER
    if (isEntry || (typeEnd === typeFrom + 1 && bytes[typeFrom] === LESS)) {
      typeFrom = typeEnd + 1
      typeEnd = blankAfter(bytes, typeFrom, to)
    }
    if (typeEnd >= to && bytes[typeEnd] !== BLANK) return false
    const pid = readPid(bytes, from, pidEnd)
    const tid = readPid(bytes, pidEnd + 1, tidEnd)
    const type = callTypeOf(bytes, typeFrom, typeEnd)
    // A rejected line needs its sample, and an exit its time: the general parser has both.
    if (pid === BAD_PID || tid === BAD_PID || type === UNKNOWN_CALL || type === PROCESS_EXIT) {
      return false
    }
    if (!isEntry && tid > 0 && type !== NO_CALL && !this.#births.has(tid)) {
      // A clone as a thread's first line: left to the general parser.
      if (isClone(type)) return false
      this.#births.see(tid)
    }
    if (this.#entryCount >= this.#entriesMax) {
      // The cache was cleared: the core processes the line again.
      this.#forget()
      return true
    }
    this.#entryCount++
    const slot = words[SLOT >> 2]!
    let name = NO_NAME
    const isSilent = type === NO_CALL || isEntry
    if (!isSilent && pid !== NO_PID) {
      const id = this.#sink.intern(bytes, typeEnd + 1, to)
      name = tid === pid ? id : threadName(id)
    }
    const meaning = (this.#meanings + slot * MEANING) >> 2
    words[meaning] = pid
    words[meaning + 1] = name
    words[meaning + 2] = isSilent ? SILENT : pid === NO_PID ? NO_PROCESS : type
    words[meaning + 3] = pid & (LEADERS - 1)
    return true
  }

  #forget(): void {
    this.flush()
    this.#words.fill(0, ENTRIES >> 2, this.#meanings >> 2)
    this.#words.fill(NO_NAME, this.#leaders >> 2, this.#touched >> 2)
    this.#entryCount = 0
    this.#nameEpoch = this.#sink.nameEpoch
  }
}

/** The next blank in [from, to), or `to`. */
function blankAfter(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] !== BLANK) at++
  return at
}
