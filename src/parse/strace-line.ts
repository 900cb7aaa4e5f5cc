/**
 * strace's lines: a source that needs no root. `strace -f -ttt -o FILE` writes:
 *
 *   2747 1795426653.020736 openat(AT_FDCWD, "x", O_RDONLY) = 3
 *   2747 1795426653.021000 read(3,  <unfinished ...>          counted here …
 *   2748 1795426653.021100 --- SIGCHLD {si_signo=SIGCHLD} ---
 *   2747 1795426653.021500 <... read resumed>"x", 1) = 1      … and not here
 *   2747 1795426653.022000 +++ exited with 0 +++
 *
 * On a terminal the thread is written as `[pid 2747]`, and left out while there is one only. -Y
 * adds a name (`2747<sh>`). Times are Unix times (-ttt) or times of day (-t, -tt). Output of other
 * programs is malformed.
 *
 * A call is counted at its begin. The first column is a thread: clone lines with CLONE_THREAD give
 * its process. strace prints no names: execve's path gives one (its last part, cut as the kernel
 * does), fork and clone inherit it, prctl(PR_SET_NAME) changes it; `-Y` prints names beside the
 * pid, which is better. A process that existed before has no name until then. Lines without a
 * thread belong to the process given by --pid; else they are `no-process`.
 */
import { THREADS_MAX } from '../domain/limits.ts'
import { type NameId, NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { callTypeOf, UNKNOWN_CALL } from './call-type.ts'
import { readNumber } from './fields.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'
import { DayClock, type ParserOptions, readUnixSeconds } from './time.ts'

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const BLANK = 32
const PAREN = 40
const PLUS = 43
const MINUS = 45
const COLON = 58
const LESS = 60
const GREATER = 62
const CLOSE_BRACKET = 93
const COMM_BYTES = 15
const PID_PREFIX = encoder.encode('[pid ')
const ATTACHED = encoder.encode('strace: ')
const UNFINISHED = encoder.encode(' <unfinished ...>')
/** Longest part of a line that is looked at for names and flags. */
const LOOK_BYTES = 8_192

const CLONES = /^(clone3?|v?fork)$/
const NAMING = new Set(['execve', 'execveat', 'prctl', 'clone', 'clone3', 'fork', 'vfork'])

interface Thread {
  pid: number
  name: NameId
  /** What an unfinished call will change if it succeeds. */
  pending: string
}

export class StraceLineParser implements LineParser {
  readonly #sink: TallySink
  readonly #threads = new Map<number, Thread>()
  #nameEpoch: number
  readonly #naming = new Set<number>()
  readonly #clock: DayClock
  /** Pid of lines without a thread; 0 if not given. */
  readonly #pid: number
  readonly #name: string | undefined
  // What the head of the line at hand says.
  #tid = 0
  #comm: NameId = NO_NAME

  constructor(sink: TallySink, options: ParserOptions = {}) {
    this.#sink = sink
    this.#clock = new DayClock(options)
    this.#pid = options.pid ?? 0
    this.#name = options.name
    this.#nameEpoch = sink.nameEpoch
    for (const name of NAMING) {
      const bytes = encoder.encode(name)
      this.#naming.add(callTypeOf(bytes, 0, bytes.length))
    }
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    if (!this.#parse(bytes, from, to)) this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
  }

  #parse(bytes: Uint8Array, from: number, to: number): boolean {
    this.#checkEpoch()
    let at = this.#head(bytes, from, to)
    if (at < 0) return isStracesOwn(bytes, from, to)
    const timeEnd = fieldEnd(bytes, at, to)
    const timeMs = this.#timeMs(bytes, at, timeEnd)
    if (Number.isNaN(timeMs)) {
      if (!isCall(bytes, at, to)) return isStracesOwn(bytes, from, to)
      this.#sink.drop('no-time', 1, sampleOf(bytes, from, to))
      return true
    }
    at = skipBlanks(bytes, timeEnd, to)
    const tid = this.#tid
    const comm = this.#comm
    const first = bytes[at]
    if (first === MINUS) return true
    if (first === PLUS) {
      const thread = this.#threads.get(tid)
      if (tid > 0 && (thread === undefined || thread.pid === tid)) this.#sink.exit(tid, timeMs)
      this.#threads.delete(tid)
      return true
    }
    if (first === LESS) {
      const thread = this.#threads.get(tid)
      if (thread !== undefined && thread.pending !== '') {
        const text =
          thread.pending + decoder.decode(bytes.subarray(at, Math.min(to, at + LOOK_BYTES)))
        thread.pending = ''
        this.#learn(tid, text, timeMs)
      }
      return true
    }
    const paren = bytes.indexOf(PAREN, at)
    if (paren < 0 || paren >= to) return false
    const type = callTypeOf(bytes, at, paren)
    if (type === UNKNOWN_CALL || type < 0) {
      // `syscall_0x1d6(…)` and `????(`: unknown to strace as well.
      this.#sink.drop('unknown-syscall', 1, sampleOf(bytes, from, to))
      return true
    }
    if (tid === 0) {
      this.#sink.drop('no-process', 1, sampleOf(bytes, from, to))
      return true
    }
    const thread = this.#threadOf(tid)
    if (comm !== NO_NAME) thread.name = comm
    else if (tid === this.#pid && thread.name === NO_NAME && this.#name !== undefined)
      thread.name = this.#nameFrom(this.#name)
    if (this.#naming.has(type)) {
      const text = decoder.decode(bytes.subarray(at, Math.min(to, at + LOOK_BYTES)))
      if (text.includes('<unfinished ...>')) thread.pending = text
      else this.#learn(tid, text, timeMs)
    }
    const name = thread.name
    this.#sink.add(thread.pid, thread.pid === tid ? name : threadName(name), type, 1, timeMs)
    return true
  }

  /** Reads whose line it is. @returns where the time begins, or -1 */
  #head(bytes: Uint8Array, from: number, to: number): number {
    this.#tid = this.#pid
    this.#comm = NO_NAME
    let at = skipBlanks(bytes, from, to)
    const isBracketed = isAt(PID_PREFIX, bytes, at, to)
    if (isBracketed) at = skipBlanks(bytes, at + PID_PREFIX.length, to)
    const digitsEnd = afterDigits(bytes, at, to)
    if (digitsEnd === at) return isBracketed ? -1 : at
    let end = digitsEnd
    // `2747<bash> 1795426653.020736 …`; the comm may hold blanks.
    if (bytes[end] === LESS) {
      end = closeOfComm(bytes, end, to, isBracketed)
      if (end < 0) return -1
      this.#comm = this.#sink.intern(bytes, digitsEnd + 1, end - 1)
    }
    if (isBracketed && bytes[end++] !== CLOSE_BRACKET) return -1
    const tid = readNumber(bytes, at, digitsEnd)
    // Digits that go on as a time do, or too many for a pid: the line has no pid.
    const isTime = bytes[end] !== BLANK || tid >= 1e9
    if (isTime) return end === digitsEnd ? at : -1
    if (!(tid > 0)) return -1
    this.#tid = tid
    return skipBlanks(bytes, end, to)
  }

  /** Unix's or of a day; NaN for what counts from something else (-r) or is none. */
  #timeMs(bytes: Uint8Array, from: number, to: number): number {
    if (bytes[from + 2] === COLON) return this.#clock.readTimeOfDay(bytes, from, to)
    return readUnixSeconds(bytes, from, to)
  }

  /** What a finished call reveals about names and threads. */
  #learn(tid: number, text: string, timeMs: number): void {
    const result = /\)\s*=\s*(\d+)\D*$/.exec(text)?.[1]
    if (result === undefined) return
    const call = text.slice(0, text.indexOf('('))
    const thread = this.#threadOf(tid)
    if (call === 'execve' || call === 'execveat') {
      const path = /"((?:[^"\\]|\\.)*)"/.exec(text)?.[1]
      if (path !== undefined) thread.name = this.#nameFrom(unescaped(path).replace(/^.*\//, ''))
      // exec leaves one thread, which has the leader's id.
      thread.pid = tid
    } else if (call === 'prctl') {
      const name = /^prctl\(PR_SET_NAME, "((?:[^"\\]|\\.)*)"/.exec(text)?.[1]
      if (name !== undefined) thread.name = this.#nameFrom(unescaped(name))
    } else if (CLONES.test(call)) {
      const child = Number(result)
      if (!(child > 0)) return
      const isThread = text.includes('CLONE_THREAD')
      this.#bound()
      const known = this.#threads.get(child)
      const pid = isThread ? thread.pid : child
      if (known === undefined) this.#threads.set(child, { pid, name: thread.name, pending: '' })
      else {
        // The child's first lines came before its parent's call returned.
        known.pid = pid
        if (known.name === NO_NAME) known.name = thread.name
      }
      if (!isThread) this.#sink.describe(child, thread.name, { ppid: thread.pid }, timeMs)
    }
  }

  #nameFrom(text: string): NameId {
    const bytes = encoder.encode(text)
    return this.#sink.intern(bytes, 0, Math.min(bytes.length, COMM_BYTES))
  }

  #threadOf(tid: number): Thread {
    let thread = this.#threads.get(tid)
    if (thread === undefined) {
      this.#bound()
      thread = { pid: tid, name: NO_NAME, pending: '' }
      this.#threads.set(tid, thread)
    }
    return thread
  }

  #bound(): void {
    if (this.#threads.size < THREADS_MAX) return
    let surplus = THREADS_MAX >> 1
    for (const oldest of this.#threads.keys()) {
      if (surplus-- === 0) break
      this.#threads.delete(oldest)
    }
  }

  /** Name ids freed by the sink are dropped here, too; the sink keeps its processes' names. */
  #checkEpoch(): void {
    if (this.#nameEpoch === this.#sink.nameEpoch) return
    this.#nameEpoch = this.#sink.nameEpoch
    for (const thread of this.#threads.values()) thread.name = NO_NAME
  }
}

/**
 * What strace says beside calls: `strace: Process 24491 attached`, and the rest of a line that it
 * cut in two.
 */
function isStracesOwn(bytes: Uint8Array, from: number, to: number): boolean {
  return isAt(ATTACHED, bytes, from, to) || isAt(UNFINISHED, bytes, from, to)
}

/** `openat(AT_FDCWD, …`, also behind a time that counts from something else. */
function isCall(bytes: Uint8Array, from: number, to: number): boolean {
  const paren = bytes.indexOf(PAREN, from)
  if (paren < 0 || paren >= to) return false
  const blank = bytes.lastIndexOf(BLANK, paren)
  const type = callTypeOf(bytes, Math.max(from, blank + 1), paren)
  return type >= 0
}

function isAt(want: Uint8Array, bytes: Uint8Array, at: number, to: number): boolean {
  if (at + want.length > to) return false
  for (let i = 0; i < want.length; i++) if (want[i] !== bytes[at + i]) return false
  return true
}

/** A field that strace writes as a time. */
function looksLikeTime(bytes: Uint8Array, from: number, to: number): boolean {
  if (bytes[from + 2] === COLON) return to - from >= 8 && bytes[from + 5] === COLON
  return !Number.isNaN(readUnixSeconds(bytes, from, to))
}

function fieldEnd(bytes: Uint8Array, from: number, to: number): number {
  const end = bytes.indexOf(BLANK, from)
  return end < 0 || end > to ? to : end
}

function afterDigits(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at]! >= 48 && bytes[at]! <= 57) at++
  return at
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] === BLANK) at++
  return at
}

/**
 * After the `>` that closes a comm: the last within its 15 bytes (escapes are four bytes each) that
 * a time follows.
 */
function closeOfComm(bytes: Uint8Array, open: number, to: number, isBracketed: boolean): number {
  let found = -1
  for (let at = open + 1; at < Math.min(to, open + 2 + 4 * COMM_BYTES); at++) {
    if (bytes[at] !== GREATER || (isBracketed && bytes[at + 1] !== CLOSE_BRACKET)) continue
    const next = isBracketed ? at + 2 : at + 1
    if (bytes[next] !== BLANK) continue
    const time = skipBlanks(bytes, next, to)
    if (looksLikeTime(bytes, time, fieldEnd(bytes, time, to))) found = at + 1
  }
  return found
}

/** strace writes \n, \t, \" and octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{1,3}|x[0-9a-f]{2}|.)/g, (_, code: string) => {
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f' }[code] ?? code
  })
}
