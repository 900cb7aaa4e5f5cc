/**
 * `sysdig -j`: one flat object per line, with the default keys or those of any -p.
 *
 * Read byte by byte instead of with JSON.parse: evt.rawtime exceeds 2^53, and an object per line is
 * expensive. Only what sysdig prints is understood: strings, numbers, true, false, null; a nested
 * value is skipped. Names are escaped in JSON, so a newline in a name cannot forge a line.
 */
import { NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { Births, isChildsResult } from './births.ts'
import { callTypeOf, isClone, NO_CALL, PROCESS_EXIT, UNKNOWN_CALL } from './call-type.ts'
import { BAD_PID, NO_PID, readNumber, readPid, readRawTime } from './fields.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'
import { ThreadTable } from './thread-table.ts'
import { DayClock, type ParserOptions } from './time.ts'

const QUOTE = 34
const COMMA = 44
const COLON = 58
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const KEYS = [
  'evt.rawtime',
  'evt.rawtime.s',
  'evt.rawtime.ns',
  'evt.outputtime',
  'evt.time',
  'evt.datetime',
  'proc.pid',
  'thread.tid',
  'syscall.type',
  'evt.type',
  'evt.dir',
  'proc.name',
  'evt.info',
] as const
type Key = (typeof KEYS)[number]
const keyBytes = KEYS.map((key) => encoder.encode(key))

export class SysdigJsonParser implements LineParser {
  readonly #sink: TallySink
  readonly #clock: DayClock
  readonly #threads = new ThreadTable()
  readonly #births = new Births()
  /**
   * Value of key i is [starts[i], ends[i]) of the line, without its quotes; -1 if absent or null.
   */
  readonly #starts = new Int32Array(KEYS.length)
  readonly #ends = new Int32Array(KEYS.length)
  readonly #byThread: boolean
  #hasEscape = false
  #bytes: Uint8Array = new Uint8Array(0)

  /** @param byThread treat each thread as a process */
  constructor(sink: TallySink, options: ParserOptions = {}, byThread = false) {
    this.#sink = sink
    this.#byThread = byThread
    this.#clock = new DayClock(options)
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    this.#bytes = bytes
    let start = from
    let end = to
    // `[{…},` and `{…}]` of input that was made into a list.
    if (bytes[start] === 91) start++
    if (bytes[end - 1] === COMMA || bytes[end - 1] === 93) end--
    if (start === end) return
    if (!this.#scan(start, end) || !this.#tally(from, to)) {
      this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
    }
  }

  #tally(from: number, to: number): boolean {
    const bytes = this.#bytes
    const sink = this.#sink
    const tid = this.#pid('thread.tid')
    const hasTid = this.#seen('thread.tid')
    const hasPid = !hasTid || (this.#seen('proc.pid') && !this.#byThread)
    const pid = hasPid ? this.#pid('proc.pid') : this.#processOf(tid)
    if (pid === BAD_PID || tid === BAD_PID) return false
    let type = this.#type('syscall.type')
    const eventType = this.#type('evt.type')
    if (type === NO_CALL)
      type = this.#seen('syscall.type') && eventType !== PROCESS_EXIT ? NO_CALL : eventType
    const isEnter = this.#has('evt.dir') && bytes[this.#starts[index('evt.dir')]!] === 62
    if (type === NO_CALL || (isEnter && type !== PROCESS_EXIT)) return true
    const timeMs = this.#timeMs()
    if (Number.isNaN(timeMs)) {
      if (type !== PROCESS_EXIT) sink.drop('no-time', 1, sampleOf(bytes, from, to))
      return true
    }
    const isLeader = !this.#seen('thread.tid') || tid === pid
    if (type === PROCESS_EXIT) {
      this.#threads.forget(tid)
      this.#births.forget(tid)
      if (pid !== NO_PID && isLeader) sink.exit(pid, timeMs)
      return true
    }
    if (type === UNKNOWN_CALL) {
      sink.drop('unknown-syscall', 1, sampleOf(bytes, from, to))
      return true
    }
    if (pid === NO_PID) {
      sink.drop('no-process', 1, sampleOf(bytes, from, to))
      return true
    }
    if (this.#isBirth(type, tid > 0 ? tid : pid)) return true
    const id = this.#has('proc.name') ? this.#name() : NO_NAME
    sink.add(pid, isLeader ? id : threadName(id), type, 1, timeMs)
    return true
  }

  #isBirth(type: number, tid: number): boolean {
    if (!this.#has('evt.info')) return this.#births.isBirth(tid, type)
    const info = index('evt.info')
    return isClone(type) && isChildsResult(this.#bytes, this.#starts[info]!, this.#ends[info]!)
  }

  #processOf(tid: number): number {
    if (tid <= 0 || !this.#has('evt.info')) return tid <= 0 ? tid : this.#threads.processOf(tid)
    const info = index('evt.info')
    return this.#threads.learn(this.#bytes, this.#starts[info]!, this.#ends[info]!, tid)
  }

  #timeMs(): number {
    for (const key of ['evt.rawtime', 'evt.outputtime', 'evt.time', 'evt.datetime'] as const) {
      if (!this.#has(key)) continue
      const start = this.#starts[index(key)]!
      const end = this.#ends[index(key)]!
      const raw = readRawTime(this.#bytes, start, end)
      if (!Number.isNaN(raw)) return raw
      if (key === 'evt.rawtime') return Number.NaN
      if (key === 'evt.datetime') return this.#clock.readDateTime(this.#bytes, start, end)
      return this.#clock.readTimeOfDay(this.#bytes, start, end)
    }
    const seconds = this.#number('evt.rawtime.s')
    const nanoseconds = this.#has('evt.rawtime.ns') ? this.#number('evt.rawtime.ns') : 0
    return seconds * 1000 + Math.floor(nanoseconds / 1e6)
  }

  #name(): number {
    const start = this.#starts[index('proc.name')]!
    const end = this.#ends[index('proc.name')]!
    if (!this.#hasEscape) return this.#sink.intern(this.#bytes, start, end)
    let name: string
    try {
      name = JSON.parse(`"${decoder.decode(this.#bytes.subarray(start, end))}"`) as string
    } catch {
      return this.#sink.intern(this.#bytes, start, end)
    }
    const encoded = encoder.encode(name)
    return this.#sink.intern(encoded, 0, encoded.length)
  }

  /** Finds the values of the known keys; false if this is not a flat object. */
  #scan(from: number, to: number): boolean {
    const bytes = this.#bytes
    this.#starts.fill(-2)
    this.#hasEscape = false
    let at = skipBlanks(bytes, from, to)
    if (bytes[at] !== OPEN) return false
    at = skipBlanks(bytes, at + 1, to)
    while (at < to && bytes[at] === QUOTE) {
      const keyFrom = at + 1
      const keyEnd = stringEnd(bytes, keyFrom, to)
      at = skipBlanks(bytes, keyEnd + 1, to)
      if (keyEnd < 0 || bytes[at] !== COLON) return false
      at = skipBlanks(bytes, at + 1, to)
      const valueFrom = bytes[at] === QUOTE ? at + 1 : at
      const valueEnd = valueFrom > at ? stringEnd(bytes, valueFrom, to) : bareEnd(bytes, at, to)
      if (valueEnd < 0 || (valueEnd === at && valueFrom === at)) return false
      const key = keyAt(bytes, keyFrom, keyEnd)
      if (key >= 0) {
        const isNull = valueFrom === at && bytes[at] === 110
        this.#starts[key] = isNull ? -1 : valueFrom
        this.#ends[key] = valueEnd
        if (key === NAME_KEY && bytes.subarray(valueFrom, valueEnd).indexOf(BACKSLASH) >= 0) {
          this.#hasEscape = true
        }
      }
      at = skipBlanks(bytes, valueFrom > at ? valueEnd + 1 : valueEnd, to)
      if (bytes[at] !== COMMA) break
      at = skipBlanks(bytes, at + 1, to)
    }
    return at < to && bytes[at] === CLOSE && skipBlanks(bytes, at + 1, to) === to
  }

  #seen(key: Key): boolean {
    return this.#starts[index(key)]! > -2
  }

  #has(key: Key): boolean {
    return this.#starts[index(key)]! >= 0
  }

  #number(key: Key): number {
    if (!this.#has(key)) return Number.NaN
    return readNumber(this.#bytes, this.#starts[index(key)]!, this.#ends[index(key)]!)
  }

  #pid(key: Key): number {
    if (!this.#has(key)) return NO_PID
    return readPid(this.#bytes, this.#starts[index(key)]!, this.#ends[index(key)]!)
  }

  #type(key: Key): number {
    if (!this.#has(key)) return NO_CALL
    return callTypeOf(this.#bytes, this.#starts[index(key)]!, this.#ends[index(key)]!)
  }
}

function index(key: Key): number {
  return KEYS.indexOf(key)
}

const NAME_KEY = index('proc.name')

function keyAt(bytes: Uint8Array, from: number, to: number): number {
  for (let key = 0; key < keyBytes.length; key++) {
    const want = keyBytes[key]!
    if (want.length !== to - from) continue
    let i = 0
    while (i < want.length && want[i] === bytes[from + i]) i++
    if (i === want.length) return key
  }
  return -1
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && (bytes[at] === 32 || bytes[at] === 9)) at++
  return at
}

/** The closing quote of a string that begins at `from`; -1 if there is none. */
function stringEnd(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    if (bytes[at] === BACKSLASH) at++
    else if (bytes[at] === QUOTE) return at
  }
  return -1
}

/** The end of a number or word; nested values are not supported. */
function bareEnd(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] !== COMMA && bytes[at] !== CLOSE && bytes[at] !== 32) {
    if (bytes[at] === OPEN || bytes[at] === 91 || bytes[at] === QUOTE) return -1
    at++
  }
  return at
}
