/**
 * `strace -f -ttt -o FILE`: a source that needs no root.
 *
 *   2747 1795426653.020736 openat(AT_FDCWD, "x", O_RDONLY) = 3
 *   2747 1795426653.021000 read(3,  <unfinished ...>          counted here …
 *   2748 1795426653.021100 --- SIGCHLD {si_signo=SIGCHLD} ---
 *   2747 1795426653.021500 <... read resumed>"x", 1) = 1      … and not here
 *   2747 1795426653.022000 +++ exited with 0 +++
 *
 * A call is counted at its begin. The first column is a thread: clone lines with CLONE_THREAD give its process. strace
 * prints no names: execve's path gives one (its last part, cut as the kernel does), fork and clone inherit it,
 * prctl(PR_SET_NAME) changes it; `-Y` prints names beside the pid, which is better. A process that existed before
 * has no name until then. Without -f the pid is missing: such calls are dropped as `no-process`.
 */
import { THREADS_MAX } from '../domain/limits.ts'
import { type NameId, NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { callTypeOf, UNKNOWN_CALL } from './call-type.ts'
import { readNumber } from './fields.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'

const decoder = new TextDecoder()
const encoder = new TextEncoder()

const BLANK = 32
const PAREN = 40
const PLUS = 43
const MINUS = 45
const DOT = 46
const LESS = 60
const GREATER = 62
const COMM_BYTES = 15
/** Longest part of a line that is searched for names and flags. */
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

  constructor(sink: TallySink) {
    this.#sink = sink
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
    let at = from
    let tid = 0
    let end = fieldEnd(bytes, at, to)
    let timeMs = readTime(bytes, at, end)
    let comm = NO_NAME
    if (Number.isNaN(timeMs)) {
      let tidEnd = end
      // -Y: `2747<bash> 1795426653.020736 …`; the comm may contain blanks.
      const open = bytes.indexOf(LESS, at)
      if (open > at && open < end) {
        tidEnd = open
        end = closeOfComm(bytes, open, to)
        if (end < 0) return false
        comm = this.#sink.intern(bytes, open + 1, end - 1)
      }
      tid = readNumber(bytes, at, tidEnd)
      if (!(tid > 0 && tid <= 0x7fff_ffff)) return false
      at = skipBlanks(bytes, end, to)
      end = fieldEnd(bytes, at, to)
      timeMs = readTime(bytes, at, end)
      if (Number.isNaN(timeMs)) {
        this.#sink.drop('no-time', 1, sampleOf(bytes, from, to))
        return true
      }
    }
    at = skipBlanks(bytes, end, to)
    const first = bytes[at]
    if (first === MINUS) return true
    if (first === PLUS) {
      const thread = this.#threads.get(tid)
      if (thread === undefined || thread.pid === tid) this.#sink.exit(tid, timeMs)
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
    if (this.#naming.has(type)) {
      const text = decoder.decode(bytes.subarray(at, Math.min(to, at + LOOK_BYTES)))
      if (text.includes('<unfinished ...>')) thread.pending = text
      else this.#learn(tid, text, timeMs)
    }
    const name = thread.name
    this.#sink.add(thread.pid, thread.pid === tid ? name : threadName(name), type, 1, timeMs)
    return true
  }

  /** What a finished call tells about names and threads. */
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

/** `1795426653.020736` as Unix ms. */
function readTime(bytes: Uint8Array, from: number, to: number): number {
  const dot = to - 7
  if (dot <= from || bytes[dot] !== DOT) return Number.NaN
  if (Number.isNaN(readNumber(bytes, dot + 1, to))) return Number.NaN
  return readNumber(bytes, from, dot) * 1000 + readNumber(bytes, dot + 1, dot + 4)
}

function fieldEnd(bytes: Uint8Array, from: number, to: number): number {
  const end = bytes.indexOf(BLANK, from)
  return end < 0 || end > to ? to : end
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] === BLANK) at++
  return at
}

/** Position after the `>` that closes a comm: the last within its 15 bytes (escapes are four bytes each). */
function closeOfComm(bytes: Uint8Array, open: number, to: number): number {
  let found = -1
  for (let at = open + 1; at < Math.min(to, open + 2 + 4 * COMM_BYTES); at++) {
    if (bytes[at] === GREATER && bytes[at + 1] === BLANK) {
      const time = skipBlanks(bytes, at + 1, to)
      if (!Number.isNaN(readTime(bytes, time, fieldEnd(bytes, time, to)))) found = at + 1
    }
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
