/**
 * Lines of any sysdig `-p` format that has a time, a pid and a type, including sysdig's default
 * line.
 *
 * The format is compiled once into steps of (field, the literal text after it). Most fields hold no
 * blank and end where their literal begins. A name may hold anything, so the one field after which
 * matching is uncertain is the name: of all ends that let the rest of the line match, the last
 * within the 15 bytes of a comm is taken. What sysdig prints after it (`key=value`) cannot look
 * like `(tid) < type`, so `a (1) < read` as a name forges nothing. A newline in a name does: see
 * own-line.ts.
 *
 * Where the line has the direction, exits are counted (`<`): old libraries print both events of a
 * call, new ones exits only. Where it does not, every line is a call; then ask sysdig for
 * `evt.dir=<` (entry-and-exit.ts finds out). Of the two exits of a clone one is counted
 * (births.ts). Times of day have no date: it is taken from the end of the stream (the file's mtime,
 * or now), and goes on over midnight.
 */
import { AgentError } from '../domain/error.ts'
import { NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { Births, isChildsResult } from './births.ts'
import { callTypeOf, isClone, NO_CALL, PROCESS_EXIT, UNKNOWN_CALL } from './call-type.ts'
import { BAD_PID, NO_PID, readNumber, readPid, readRawTime } from './fields.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'
import { ThreadTable } from './thread-table.ts'
import { DayClock, type ParserOptions } from './time.ts'

export const OWN_FORMAT = '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name'
/** The own line of older versions, without the direction. */
export const OLD_OWN_FORMAT = '*%evt.rawtime %proc.pid %thread.tid %syscall.type %proc.name'
export const DEFAULT_FORMAT =
  '*%evt.num %evt.outputtime %evt.cpu %proc.name (%thread.tid) %evt.dir %evt.type %evt.info'
/** `-pc` and `-pk`: the name of the container or pod precedes the id. */
export const CONTAINER_FORMAT =
  '*%evt.num %evt.outputtime %evt.cpu %container.name (%container.id) %proc.name (%thread.tid:%thread.vtid) %evt.dir %evt.type %evt.info'

type FieldKind =
  | 'rawtime'
  | 'seconds'
  | 'nanoseconds'
  | 'time-of-day'
  | 'datetime'
  | 'pid'
  | 'tid'
  | 'syscall-type'
  | 'event-type'
  | 'direction'
  | 'name'
  | 'info'
  | 'plain'
  | 'free'

const KINDS: Readonly<Record<string, FieldKind>> = {
  'evt.rawtime': 'rawtime',
  'evt.rawtime.s': 'seconds',
  'evt.rawtime.ns': 'nanoseconds',
  'evt.time': 'time-of-day',
  'evt.time.s': 'time-of-day',
  'evt.outputtime': 'time-of-day',
  'evt.datetime': 'datetime',
  'evt.datetime.s': 'datetime',
  'evt.time.iso8601': 'datetime',
  'proc.pid': 'pid',
  'thread.tid': 'tid',
  'syscall.type': 'syscall-type',
  'evt.type': 'event-type',
  'evt.dir': 'direction',
  'proc.name': 'name',
  'evt.info': 'info',
  'evt.args': 'info',
}

/** Fields whose text may contain blanks. */
const FREE =
  /^(proc\.(exe|exepath|exeline|cmdline|cmdnargs|args|env|cwd|pname|aname.*|pcmdline|pexe|tty)|fd\..*|evt\.(arg|rawarg|buffer|buffer\.data|info|args|res|failed|category)(\..*|\[.*)?|user\..*|group\..*|container\..*|k8s\..*|span\..*|evtin\..*)$/

interface Step {
  readonly kind: FieldKind
  /** Bytes between this field and the next, or the end. */
  readonly after: Uint8Array
}

export interface LineFormat {
  /** Bytes before the first field. */
  readonly before: Uint8Array
  readonly steps: readonly Step[]
}

const encoder = new TextEncoder()

/**
 * Compiles the string given to `sysdig -p`. @throws AgentError ERR_USAGE saying which field is
 * missing
 */
export function parseFormatString(format: string): LineFormat {
  const text = format.replace(/^\*/, '').replace(/\\n$/, '')
  const field = /%(?:\d+)?([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+(?:\[[^\]%]*\])?)/gi
  const steps: Step[] = []
  let before = text
  let pending: { kind: FieldKind; end: number } | undefined
  for (const match of text.matchAll(field)) {
    if (pending === undefined) before = text.slice(0, match.index)
    else steps.push(step(pending.kind, text.slice(pending.end, match.index)))
    const name = match[1]!
    pending = {
      kind: KINDS[name] ?? (FREE.test(name) ? 'free' : 'plain'),
      end: match.index + match[0].length,
    }
  }
  if (pending !== undefined) steps.push(step(pending.kind, text.slice(pending.end)))
  demand(format, steps, ['rawtime', 'seconds', 'time-of-day', 'datetime'], 'a time (%evt.rawtime)')
  demand(format, steps, ['pid', 'tid'], 'a pid (%proc.pid)')
  demand(format, steps, ['syscall-type', 'event-type'], 'a system call (%syscall.type)')
  return { before: encoder.encode(before), steps }
}

function step(kind: FieldKind, after: string): Step {
  return { kind, after: encoder.encode(after) }
}

function demand(format: string, steps: readonly Step[], kinds: FieldKind[], what: string): void {
  if (steps.some((step) => kinds.includes(step.kind))) return
  throw new AgentError('ERR_USAGE', `Cannot use format "${format}": it has no field for ${what}`, {
    hint: `Use the format that sysdig was given, for example '${OWN_FORMAT}'`,
  })
}

/** Longest comm. */
const COMM_BYTES = 15

export class FormatLineParser implements LineParser {
  readonly #sink: TallySink
  readonly #format: LineFormat
  readonly #clock: DayClock
  readonly #hasPid: boolean
  readonly #hasSyscallType: boolean
  /** Field i is [starts[i], ends[i]) of the current line. */
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #threads = new ThreadTable()
  readonly #births: Births

  constructor(
    sink: TallySink,
    format: LineFormat,
    options: ParserOptions = {},
    births = new Births(),
  ) {
    this.#births = births
    this.#sink = sink
    this.#format = format
    this.#clock = new DayClock(options)
    this.#hasPid = format.steps.some((step) => step.kind === 'pid')
    this.#hasSyscallType = format.steps.some((step) => step.kind === 'syscall-type')
    this.#starts = new Int32Array(format.steps.length)
    this.#ends = new Int32Array(format.steps.length)
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    if (!this.tryLine(bytes, from, to)) {
      this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
    }
  }

  /** @returns false if the line is not of this format; then nothing was counted or dropped */
  tryLine(bytes: Uint8Array, from: number, to: number): boolean {
    const { before, steps } = this.#format
    if (!isAt(before, bytes, from, to) || !this.#match(bytes, 0, from + before.length, to))
      return false

    let pid = BAD_PID
    let tid = BAD_PID
    let type = UNKNOWN_CALL
    let isExit = true
    let timeMs = Number.NaN
    let nanoseconds = 0
    let nameFrom = -1
    let nameTo = -1
    let infoFrom = -1
    for (let i = 0; i < steps.length; i++) {
      const start = this.#starts[i]!
      const end = this.#ends[i]!
      switch (steps[i]!.kind) {
        case 'rawtime':
          timeMs = readRawTime(bytes, start, end)
          break
        case 'seconds':
          timeMs = readNumber(bytes, start, end) * 1000
          break
        case 'nanoseconds':
          nanoseconds = readNumber(bytes, start, end)
          break
        case 'time-of-day':
          timeMs = this.#clock.readTimeOfDay(bytes, start, end)
          break
        case 'datetime':
          timeMs = this.#clock.readDateTime(bytes, start, end)
          break
        case 'pid':
          pid = readPid(bytes, start, end)
          break
        case 'tid':
          tid = readPid(bytes, start, end)
          break
        case 'syscall-type':
          type = callTypeOf(bytes, start, end)
          break
        case 'event-type':
          // Where both are there, evt.type is only asked whether this is the end of a thread.
          if (!this.#hasSyscallType || isProcessExit(bytes, start, end)) {
            type = callTypeOf(bytes, start, end)
          }
          break
        case 'direction':
          isExit = end - start !== 1 || bytes[start] !== GREATER
          break
        case 'name':
          nameFrom = start
          nameTo = end
          break
        case 'info':
          infoFrom = start
          break
      }
    }
    if (!this.#hasPid) pid = tid > 0 ? this.#threads.processOf(tid) : tid
    if (pid === BAD_PID) return false
    // Without thread fields the caller is taken for the leader.
    if (tid === BAD_PID) tid = pid
    if (type === NO_CALL || (!isExit && type !== PROCESS_EXIT)) return true
    const sink = this.#sink
    if (Number.isNaN(timeMs) || timeMs < 0) {
      if (type !== PROCESS_EXIT) sink.drop('no-time', 1, sampleOf(bytes, from, to))
      return true
    }
    timeMs += Math.floor(nanoseconds / 1e6) || 0
    if (type === PROCESS_EXIT) {
      if (pid !== NO_PID && tid === pid) sink.exit(pid, timeMs)
      this.#threads.forget(tid)
      this.#births.forget(tid)
      return true
    }
    if (type === UNKNOWN_CALL) {
      sink.drop('unknown-syscall', 1, sampleOf(bytes, from, to))
      return true
    }
    if (!this.#hasPid && infoFrom >= 0 && tid > 0)
      pid = this.#threads.learn(bytes, infoFrom, to, tid)
    if (pid === NO_PID) {
      sink.drop('no-process', 1, sampleOf(bytes, from, to))
      return true
    }
    const isBirth =
      infoFrom < 0
        ? this.#births.isBirth(tid, type)
        : isClone(type) && isChildsResult(bytes, infoFrom, to)
    if (isBirth) return true
    const id = nameFrom < 0 ? NO_NAME : sink.intern(bytes, nameFrom, nameTo)
    sink.add(pid, tid === pid ? id : threadName(id), type, 1, timeMs)
    return true
  }

  /** Finds the fields from step i on; true if the line ends where the format does. */
  #match(bytes: Uint8Array, i: number, from: number, to: number): boolean {
    const { steps } = this.#format
    if (i === steps.length) return from === to
    const { kind, after } = steps[i]!
    this.#starts[i] = from
    if (i === steps.length - 1) {
      const end = to - after.length
      this.#ends[i] = end
      return end >= from && isAt(after, bytes, end, to)
    }
    if (kind === 'name') return this.#matchName(bytes, i, from, to)
    if (kind === 'free' || kind === 'info') {
      // The first end that lets the rest match; such fields are rarely before the last one.
      for (
        let end = find(after, bytes, from, to);
        end >= 0;
        end = find(after, bytes, end + 1, to)
      ) {
        this.#ends[i] = end
        if (this.#match(bytes, i + 1, end + after.length, to)) return true
      }
      return false
    }
    if (kind === 'datetime') {
      // The date is parted from the time by a blank of its own.
      const blank = bytes.indexOf(BLANK, from)
      const end = find(after, bytes, blank === from + 10 ? blank + 1 : from, to)
      this.#ends[i] = end
      return end >= 0 && this.#match(bytes, i + 1, end + after.length, to)
    }
    const end = find(after, bytes, from, to)
    if (end < 0 || !isPlain(kind, bytes, from, end)) return false
    this.#ends[i] = end
    return this.#match(bytes, i + 1, end + after.length, to)
  }

  #matchName(bytes: Uint8Array, i: number, from: number, to: number): boolean {
    const { after } = this.#format.steps[i]!
    let found = -1
    for (let end = find(after, bytes, from, to); end >= 0; end = find(after, bytes, end + 1, to)) {
      if (end - from > COMM_BYTES && found >= 0) break
      if (this.#match(bytes, i + 1, end + after.length, to)) found = end
    }
    if (found < 0) return false
    this.#starts[i] = from
    this.#ends[i] = found
    return this.#match(bytes, i + 1, found + after.length, to)
  }
}

const BLANK = 32
const GREATER = 62
const PROCEXIT = encoder.encode('procexit')

function isProcessExit(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from === PROCEXIT.length && isAt(PROCEXIT, bytes, from, to)
}

function isAt(want: Uint8Array, bytes: Uint8Array, at: number, to: number): boolean {
  if (at + want.length > to) return false
  for (let i = 0; i < want.length; i++) if (want[i] !== bytes[at + i]) return false
  return true
}

/** Where `want` begins in [from, to); -1 where it is not. An empty one is at once. */
function find(want: Uint8Array, bytes: Uint8Array, from: number, to: number): number {
  if (want.length === 0) return from <= to ? from : -1
  for (
    let at = bytes.indexOf(want[0]!, from);
    at >= 0 && at < to;
    at = bytes.indexOf(want[0]!, at + 1)
  ) {
    if (isAt(want, bytes, at, to)) return at
  }
  return -1
}

/**
 * Ends the match at a byte that this kind of field cannot contain, so that a name is not cut in the
 * wrong place.
 */
function isPlain(kind: FieldKind, bytes: Uint8Array, from: number, to: number): boolean {
  if (to === from) return false
  for (let i = from; i < to; i++) if (bytes[i] === BLANK) return false
  if (kind === 'pid' || kind === 'tid') return readPid(bytes, from, to) !== BAD_PID
  if (kind === 'direction')
    return to - from === 1 && (bytes[from] === 60 || bytes[from] === GREATER)
  return true
}
