/**
 * Frames as NDJSON (docs/reference/formats.md): one line per process and second.
 *
 * Lines are written as bytes, because writing must not cost more than counting: what does not
 * change from second to second (pid, start, name, exe …) is encoded once per process, syscall names
 * are kept quoted, and only digits are new. (Measured: a quarter of the cost of building strings
 * and encoding them.)
 */
import { defined } from '../domain/defined.ts'
import type { Frame, Unseen } from '../domain/frame.ts'
import type { Process } from '../domain/process.ts'
import { SYSCALLS } from '../domain/syscalls.ts'

export interface FrameLabels {
  /** One host for all, or one per process; a process without one is left out. */
  readonly host?: string | ((process: Process) => string | undefined)
  /** The real program of a process, where it is known to differ from its name. */
  readonly label?: string
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const keys = SYSCALLS.map((name) => encoder.encode(`${JSON.stringify(name)}:`))
const cpuKey = encoder.encode(',"cpu":')
const keyBytesMax = Math.max(...keys.map((key) => key.length))

/** A count's digits and its comma. */
const NUMBER_BYTES = 11

/** The middle of a process's lines: all but time and counts. */
const middles = new WeakMap<Process, Uint8Array>()

function middleOf(process: Process): Uint8Array {
  let middle = middles.get(process)
  if (middle === undefined) {
    const { pid, startMs, name, exe, container } = process
    let text = `"pid":${pid},"start":${Math.floor(startMs / 1000)},"name":${JSON.stringify(name)},`
    if (exe !== undefined) text += `"exe":${JSON.stringify(exe)},`
    if (container !== undefined) text += `"container":${JSON.stringify(container)},`
    middle = encoder.encode(`${text}"counts":{`)
    middles.set(process, middle)
  }
  return middle
}

/** Collects the lines of many frames in one reused buffer. */
export class FrameEncoder {
  readonly #hostOf: (process: Process) => string | undefined
  /** The host of a line that concerns all hosts. */
  readonly #host: string
  /** Set where all processes are one host's. */
  readonly #hostName: string | undefined
  readonly #hosts = new Map<string, Uint8Array>()
  readonly #tail: Uint8Array
  #bytes = new Uint8Array(65_536)
  #length = 0

  constructor(labels: FrameLabels = {}) {
    const { host = '' } = labels
    this.#hostOf = typeof host === 'string' ? () => host : host
    this.#host = typeof host === 'string' ? hostMember(host) : ''
    this.#hostName = typeof host === 'string' ? host : undefined
    const label = labels.label === undefined ? '' : `,"label":${JSON.stringify(labels.label)}`
    this.#tail = encoder.encode(`${label}}\n`)
  }

  get length(): number {
    return this.#length
  }

  /** The lines since the last take; valid until the next push. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return taken
  }

  /**
   * A second without calls, CPU time and losses has no line; a process that made no call has one
   * without counts.
   * @returns how many vectors were written
   */
  push(frame: Frame): number {
    const head = encoder.encode(`{"t":${frame.index},`)
    if (frame.lost > 0) {
      const loss = encoder.encode(`${this.#host}"loss":{"calls":${frame.lost}}}\n`)
      this.#reserve(head.length + loss.length)
      this.#put(head)
      this.#put(loss)
    }
    const { processes, offsets, syscalls, counts, cpuMs, silent = [] } = frame
    let written = 0
    for (let i = 0; i < processes.length; i++) {
      const from = offsets[i]!
      const to = offsets[i + 1]!
      if (!this.#begin(head, processes[i]!, (to - from) * (keyBytesMax + NUMBER_BYTES))) continue
      written++
      this.#putCounts(syscalls, counts, from, to)
      this.#end(cpuMs?.[i] ?? 0)
    }
    for (const { process, cpuMs } of silent) if (this.#begin(head, process, 0)) this.#end(cpuMs)
    if (frame.unseen !== undefined) this.#pushUnseen(frame.index, frame.unseen)
    return written
  }

  /**
   * Rare: a line each that names a process or a user of which calls are lost or not distinguished.
   */
  #pushUnseen(t: number, { processes, users }: Unseen): void {
    for (const { process, reason, kinds, lost } of processes) {
      const host = this.#hostOf(process)
      if (host === undefined) continue
      const { pid, startMs, name } = process
      const who = { pid, start: Math.floor(startMs / 1000), name }
      const unseen = { reason, kinds, lost }
      this.#putLine({ t, ...defined({ host: host || undefined }), ...who, unseen })
    }
    const host = this.#hostName || undefined
    for (const { uid, lost } of users)
      this.#putLine({ t, ...defined({ host }), uid, unseen: { lost } })
  }

  #putLine(value: object): void {
    const line = encoder.encode(`${JSON.stringify(value)}\n`)
    this.#reserve(line.length)
    this.#put(line)
  }

  /** A line up to its counts. @returns false for a process of no host */
  #begin(head: Uint8Array, process: Process, countBytes: number): boolean {
    const hostName = this.#hostOf(process)
    if (hostName === undefined) return false
    const host = this.#hostBytes(hostName)
    const middle = middleOf(process)
    const cpuBytes = 1 + cpuKey.length + NUMBER_BYTES
    this.#reserve(
      head.length + host.length + middle.length + countBytes + cpuBytes + this.#tail.length,
    )
    this.#put(head)
    this.#put(host)
    this.#put(middle)
    return true
  }

  /** The line after its counts. */
  #end(cpuMs: number): void {
    this.#bytes[this.#length++] = 125
    if (cpuMs > 0) {
      this.#put(cpuKey)
      this.#length = putNumber(this.#bytes, this.#length, cpuMs)
    }
    this.#put(this.#tail)
  }

  #hostBytes(host: string): Uint8Array {
    let bytes = this.#hosts.get(host)
    if (bytes === undefined) {
      bytes = encoder.encode(hostMember(host))
      this.#hosts.set(host, bytes)
    }
    return bytes
  }

  #putCounts(syscalls: Uint16Array, counts: Uint32Array, from: number, to: number): void {
    const bytes = this.#bytes
    let at = this.#length
    for (let k = from; k < to; k++) {
      const key = keys[syscalls[k]!]!
      for (let i = 0; i < key.length; i++) bytes[at++] = key[i]!
      at = putNumber(bytes, at, counts[k]!)
      bytes[at++] = 44
    }
    // The brace overwrites the last comma.
    this.#length = to > from ? at - 1 : at
  }

  #put(piece: Uint8Array): void {
    this.#bytes.set(piece, this.#length)
    this.#length += piece.length
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** Digits of a whole number from 0 below 2^32. @returns where they end */
function putNumber(bytes: Uint8Array, at: number, number: number): number {
  let digits = 1
  for (let power = 10; power <= number; power *= 10) digits++
  let left = number
  for (let i = 1; i <= digits; i++) {
    const rest = Math.floor(left / 10)
    bytes[at + digits - i] = 48 + left - 10 * rest
    left = rest
  }
  return at + digits
}

function hostMember(host: string): string {
  return host === '' ? '' : `"host":${JSON.stringify(host)},`
}

/** The lines of one frame, each with its newline. */
export function frameLines(frame: Frame, labels: FrameLabels = {}): string {
  const lines = new FrameEncoder(labels)
  lines.push(frame)
  return decoder.decode(lines.take())
}
