/**
 * Parser of the stream of our in-kernel counter (domain/kernel-stream.ts).
 *
 * Names are sent each second because a process may have renamed itself; no state is needed but the
 * second. The stream comes from our own process over a pipe; it is checked like any input, and
 * after a record that cannot be, nothing can be trusted to be a record: the rest is dropped,
 * counted as malformed.
 */
import { URING_OPERATIONS } from '../domain/io-uring.ts'
import {
  ACTIVITY_BYTES,
  COMPAT_FLAG,
  EXECUTED,
  HEAD,
  KIND,
  MACHINES,
  NAME_KIND,
  NO_UID,
  URING_FLAG,
  VERSION,
} from '../domain/kernel-stream.ts'
import { COMMAND_CHARS_MAX, KERNEL_RECORD_BYTES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { CollectorStatus, Parser } from '../domain/source.ts'
import { type NumberTables, numberTables } from '../domain/syscall-numbers.ts'
import {
  type NameId,
  NO_NAME,
  type ProcessFacts,
  type TallySink,
  threadName,
} from '../domain/tally.ts'

/** Payloads of a fixed length, by kind. */
const SIZES: Readonly<Record<number, number>> = { 1: 2, 2: 4, 5: 4, 6: 13, 7: 16, 8: 0 }
/** Words of the numbers in `LOSS` and `UNSEEN`. */
const LOSSES = ['no room', 'late'] as const
const UNSEEN_REASONS = ['many-kinds', 'no-room', 'no-room'] as const
const LAST_NUMBER = COMPAT_FLAG - 1
const CALL_BYTES = 6
const AF_INET = 2
/**
 * A process that ended in a second ended in its middle, as far as we know: after its calls, before
 * the next second's.
 */
const EXIT_AT_MS = 500

export class KernelRecordsParser implements Parser {
  readonly #sink: TallySink
  #tables: NumberTables | undefined
  /** Bytes of a record whose rest is still to come. */
  #pending = new Uint8Array(HEAD + KERNEL_RECORD_BYTES_MAX)
  #pendingBytes = 0
  #second = 0
  #broken = false
  #status: CollectorStatus = {
    drainMs: 0,
    keys: 0,
    processes: 0,
    unrecorded: 0,
    most: { drainMs: 0, keys: 0, processes: 0 },
    lost: {},
    complete: false,
  }

  constructor(sink: TallySink) {
    this.#sink = sink
  }

  get status(): CollectorStatus {
    return this.#status
  }

  push(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0 && !this.#broken) {
      if (this.#pendingBytes === 0) {
        const used = this.#records(rest)
        rest = rest.subarray(used)
        if (this.#broken || rest.length === 0) return
      }
      rest = this.#fillPending(rest)
    }
  }

  end(): void {
    if (this.#pendingBytes > 0 && !this.#broken) this.#refuse('stream ends within a record')
    this.#pendingBytes = 0
  }

  /** Takes as many bytes as make the pending record whole, and reads it. @returns what is left */
  #fillPending(bytes: Uint8Array): Uint8Array {
    const before = this.#pendingBytes
    const head = Math.min(bytes.length, Math.max(0, HEAD - before))
    this.#pending.set(bytes.subarray(0, head), before)
    this.#pendingBytes += head
    if (this.#pendingBytes < HEAD) return bytes.subarray(head)
    const length = lengthAt(this.#pending, 0)
    if (length > KERNEL_RECORD_BYTES_MAX) {
      this.#refuse('record too long')
      return bytes.subarray(bytes.length)
    }
    const body = Math.min(bytes.length - head, HEAD + length - this.#pendingBytes)
    this.#pending.set(bytes.subarray(head, head + body), this.#pendingBytes)
    this.#pendingBytes += body
    if (this.#pendingBytes === HEAD + length) {
      this.#records(this.#pending.subarray(0, this.#pendingBytes))
      this.#pendingBytes = 0
    }
    return bytes.subarray(head + body)
  }

  /** Reads all whole records. @returns how many bytes they took */
  #records(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = 0
    while (at + HEAD <= bytes.length) {
      const length = lengthAt(bytes, at)
      if (length > KERNEL_RECORD_BYTES_MAX) this.#refuse('record too long')
      if (this.#broken) return bytes.length
      const to = at + HEAD + length
      if (to > bytes.length) return at
      this.#record(bytes, view, view.getUint8(at + 4), at + HEAD, to)
      if (this.#broken) return bytes.length
      at = to
    }
    return at
  }

  #record(bytes: Uint8Array, view: DataView, kind: number, from: number, to: number): void {
    const size = SIZES[kind]
    if (size !== undefined && size !== to - from) {
      this.#refuse(`record of kind ${kind} with ${to - from} bytes`)
      return
    }
    switch (kind) {
      case KIND.hello:
        this.#hello(view, from)
        break
      case KIND.second:
        this.#second = view.getUint32(from, true)
        break
      case KIND.process:
        this.#process(bytes, view, from, to)
        break
      case KIND.calls:
        this.#calls(bytes, view, from, to)
        break
      case KIND.command:
        this.#command(bytes, view, from, to)
        break
      case KIND.activity:
        this.#activity(bytes, view, from, to)
        break
      case KIND.cpu:
        this.#cpu(bytes, view, from, to)
        break
      case KIND.unseen:
        this.#unseen(bytes, view, from, to)
        break
      case KIND.exit:
        this.#sink.exit(view.getUint32(from, true), this.#timeMs + EXIT_AT_MS)
        break
      case KIND.lost:
        this.#lost(view, from)
        break
      case KIND.end:
        this.#end(view, from)
        break
      case KIND.bye:
        this.#status = { ...this.#status, complete: true }
        break
      default:
        this.#refuse(`record of kind ${kind}`)
    }
  }

  get #timeMs(): number {
    return this.#second * 1000
  }

  #hello(view: DataView, at: number): void {
    const version = view.getUint8(at)
    const machine = MACHINES[view.getUint8(at + 1)]
    if (version !== VERSION || machine === undefined) {
      this.#refuse(`version ${version} of the collector's stream`)
      return
    }
    this.#tables = numberTables(machine)
  }

  #process(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    if (to - from < 24) {
      this.#refuse('process cut short')
      return
    }
    const pid = view.getUint32(from, true)
    const start = view.getUint32(from + 4, true)
    const ppid = view.getUint32(from + 8, true)
    const nameAt = from + 21
    const exeAt = afterText(bytes, nameAt, to)
    const containerAt = afterText(bytes, exeAt, to)
    if (!isPid(pid) || afterText(bytes, containerAt, to) !== to) {
      this.#refuse('process garbled')
      return
    }
    const uid = view.getUint32(from + 12, true)
    const pidNamespace = view.getUint32(from + 16, true)
    const exe = textAt(bytes, exeAt)
    const hasExecuted = (view.getUint8(from + 20) & EXECUTED) !== 0
    const container = textAt(bytes, containerAt)
    const facts: ProcessFacts = {
      ...(start > 0 && { startMs: start * 1000 }),
      ...(ppid > 0 && { ppid }),
      ...(uid !== NO_UID && { uid }),
      ...(pidNamespace > 0 && { pidNamespace }),
      ...((exe !== '' || hasExecuted) && { exe }),
      ...(container !== '' && { container }),
      // That of the program before.
      ...(hasExecuted && { command: undefined }),
    }
    const name = this.#name(bytes, nameAt, view.getUint8(from + 20) & ~EXECUTED)
    this.#sink.describe(pid, name, facts, this.#timeMs)
  }

  #command(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    const length = to - from < 10 ? -1 : view.getUint16(from + 8, true)
    const pid = length < 0 ? 0 : view.getUint32(from, true)
    if (!isPid(pid) || from + 10 + length !== to) {
      this.#refuse('command garbled')
      return
    }
    const text = safeName(decoder.decode(bytes.subarray(from + 10, to)).slice(0, COMMAND_CHARS_MAX))
    const command = { text, digest: view.getUint32(from + 4, true) }
    this.#sink.describe(pid, NO_NAME, { command }, this.#timeMs)
  }

  #activity(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    const at = to - from < 6 ? to : afterText(bytes, from + 5, to)
    const pid = to - from < 6 ? 0 : view.getUint32(from, true)
    if (!isPid(pid) || at + ACTIVITY_BYTES !== to) {
      this.#refuse('activity garbled')
      return
    }
    const word = (offset: number) => view.getUint32(at + offset, true)
    const address = word(20) === 0 ? '' : [...bytes.subarray(at + 20, at + 24)].join('.')
    const host = view.getUint16(at + 16, true) === AF_INET ? address : '[]'
    this.#sink.activity(
      pid,
      this.#name(bytes, from + 5, view.getUint8(from + 4)),
      {
        peers: [word(0), word(4), word(8), word(12)],
        peer: `${host}:${view.getUint16(at + 18)}`,
        ...{ contacts: word(24), dnsQueries: word(28), dnsBytes: word(32) },
        ...{ secrets: word(36), secretOpens: word(40), dnsNames: [word(48), word(52)] },
      },
      this.#timeMs,
    )
  }

  #calls(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    const tables = this.#tables
    if (tables === undefined) {
      this.#refuse('calls before hello')
      return
    }
    if (to - from < 6) {
      this.#refuse('calls cut short')
      return
    }
    const pid = view.getUint32(from, true)
    const first = afterText(bytes, from + 5, to)
    if (!isPid(pid) || first > to || (to - first) % CALL_BYTES !== 0) {
      this.#refuse('calls garbled')
      return
    }
    const name = this.#name(bytes, from + 5, view.getUint8(from + 4))
    const timeMs = this.#timeMs
    for (let at = first; at < to; at += CALL_BYTES) {
      const syscall = syscallOf(view.getUint16(at, true), tables)
      this.#sink.add(pid, name, syscall, view.getUint32(at + 2, true), timeMs)
    }
  }

  #cpu(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    const pid = to - from < 10 ? 0 : view.getUint32(from, true)
    const microsAt = afterText(bytes, from + 5, to)
    if (!isPid(pid) || microsAt + 4 !== to) {
      this.#refuse('CPU time garbled')
      return
    }
    const name = this.#name(bytes, from + 5, view.getUint8(from + 4))
    this.#sink.cpu(pid, name, view.getUint32(microsAt, true) / 1000, this.#timeMs)
  }

  #lost(view: DataView, at: number): void {
    const reason = LOSSES[view.getUint8(at + 4)]
    const calls = view.getFloat64(at + 5, true)
    if (reason === undefined || !isCount(calls)) {
      this.#refuse('loss garbled')
      return
    }
    this.#sink.lost('lost(kernel)', calls, view.getUint32(at, true) * 1000)
    this.#countLost(reason, calls)
  }

  #countLost(reason: string, calls: number): void {
    const { lost } = this.#status
    this.#status = { ...this.#status, lost: { ...lost, [reason]: (lost[reason] ?? 0) + calls } }
  }

  #unseen(bytes: Uint8Array, view: DataView, from: number, to: number): void {
    const at = to - from < 23 ? to + 1 : afterText(bytes, from + 5, to)
    const reason = at + 17 === to ? UNSEEN_REASONS[view.getUint8(at + 4)] : undefined
    const lost = reason === undefined ? -1 : view.getFloat64(at + 9, true)
    if (reason === undefined || !isCount(lost)) {
      this.#refuse('unseen garbled')
      return
    }
    const pid = view.getUint32(from, true)
    if (lost > 0) this.#countLost('no room for its user', lost)
    if (pid === 0) this.#sink.unseenUser(view.getUint32(at, true), lost, this.#timeMs)
    else {
      const name = this.#name(bytes, from + 5, view.getUint8(from + 4))
      const kinds = view.getUint32(at + 5, true)
      this.#sink.unseenProcess(pid, name, { reason, kinds, lost }, this.#timeMs)
    }
  }

  #end(view: DataView, at: number): void {
    const drainMs = view.getUint32(at, true) / 1000
    const keys = view.getUint32(at + 4, true)
    const processes = view.getUint32(at + 8, true)
    const { most } = this.#status
    this.#status = {
      ...this.#status,
      ...{ drainMs, keys, processes, unrecorded: view.getUint32(at + 12, true) },
      most: {
        drainMs: Math.max(most.drainMs, drainMs),
        keys: Math.max(most.keys, keys),
        processes: Math.max(most.processes, processes),
      },
    }
    this.#sink.advance(this.#timeMs + 1000)
  }

  #name(bytes: Uint8Array, at: number, kind: number): NameId {
    const length = bytes[at]!
    if (kind === NAME_KIND.unknown || length === 0 || length > NAME_BYTES_MAX) return NO_NAME
    const id = this.#sink.intern(bytes, at + 1, at + 1 + length)
    return kind === NAME_KIND.leader ? id : threadName(id)
  }

  #refuse(sample: string): void {
    this.#broken = true
    this.#sink.drop('malformed', 1, `kernel records: ${sample}`)
  }
}

/** Written as a float, for it may be large; a fraction of a call is none. */
function isCount(calls: number): boolean {
  return Number.isSafeInteger(calls) && calls >= 0
}

function isPid(pid: number): boolean {
  return pid > 0 && pid <= 0x7fff_ffff
}

function syscallOf(number: number, { native, compat }: NumberTables): number {
  if ((number & URING_FLAG) !== 0) return URING_OPERATIONS[number & 0xff]!
  return ((number & COMPAT_FLAG) === 0 ? native : compat)[number & LAST_NUMBER]!
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}

/** Where a text ends; past `to` where it does not fit. */
function afterText(bytes: Uint8Array, at: number, to: number): number {
  return at < to ? at + 1 + bytes[at]! : to + 1
}

const decoder = new TextDecoder()

function textAt(bytes: Uint8Array, at: number): string {
  return decoder.decode(bytes.subarray(at + 1, at + 1 + bytes[at]!))
}
