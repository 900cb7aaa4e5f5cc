/**
 * Ten seconds of count vectors as bytes: one row per process, and in it the calls that it made in
 * the span with one count per active second.
 *
 *   strings | per second that is told: calls lost | rows: pid, start (differences), name, exe,
 *   container, parent, user (columns) | per row: seconds in which it was active (bits), its calls
 *   (gaps), and for each active second a count per call, 0 where it made none | pids left out |
 *   processes not seen whole: second, row, reason, kinds, lost | users not seen whole: second, uid,
 *   lost
 *
 * A daemon makes the same dozen calls each second, so naming them once per span and not once per
 * second halves the bytes. What is left is compressed (`vectors-message.ts`).
 */
import { defined } from '../domain/defined.ts'
import type { Frame, UnseenProcess, UnseenReason, UnseenUser } from '../domain/frame.ts'
import { UNSEEN_MAX, VECTORS_OMITTED_MAX, WIRE_PATH_CHARS_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { refuse, toText } from '../domain/untrusted.ts'
import { VarintReader, VarintWriter } from '../domain/varint.ts'

/** A process of a span, with its vectors. */
export interface VectorRow {
  readonly process: Process
  /** By place of the second in the span: where its vector stands in that frame, or -1. */
  readonly at: Int32Array
  /** Calls in the span. */
  calls: number
}

const UNSEEN_REASONS: readonly UnseenReason[] = ['many-kinds', 'no-room']
const LARGEST_COUNT = 0xffff_ffff
const LARGEST_PID = 0x7fff_ffff
const utf8 = new TextEncoder()
const text = new TextDecoder()

/** The processes of a span, in the order of their frames. */
export function rowsOf(frames: readonly Frame[]): VectorRow[] {
  const rows = new Map<string, VectorRow>()
  frames.forEach((frame, second) => {
    frame.processes.forEach((process, i) => {
      const row = rowFor(rows, process, frames.length)
      row.at[second] = i
      for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) row.calls += frame.counts[k]!
    })
    // Those of which nothing was seen are named, too.
    for (const { process } of frame.unseen?.processes ?? []) rowFor(rows, process, frames.length)
  })
  return [...rows.values()].sort(
    (a, b) => a.process.pid - b.process.pid || a.process.startMs - b.process.startMs,
  )
}

function rowFor(rows: Map<string, VectorRow>, process: Process, seconds: number): VectorRow {
  const key = identity(process)
  let row = rows.get(key)
  if (row === undefined) {
    row = { process, at: new Int32Array(seconds).fill(-1), calls: 0 }
    rows.set(key, row)
  }
  return row
}

/** A process that changes its name or is known better from some second on is two rows. */
function identity({ pid, startMs, name, exe, container, ppid, uid }: Process): string {
  return [pid, startMs, name, exe, container, ppid, uid].join('\n')
}

/** @param kept of the span's rows; @param omitted pids of the others */
export function packVectors(
  frames: readonly Frame[],
  kept: readonly VectorRow[],
  omitted: readonly number[],
): Uint8Array {
  const out = new VarintWriter()
  packProcesses(
    out,
    kept.map(({ process }) => process),
    frames[0]!.index,
  )
  for (const frame of frames) out.unsigned(frame.lost)
  for (const row of kept) packCounts(out, row, frames)
  out.unsigned(omitted.length)
  let pid = 0
  for (const one of omitted) {
    out.signed(one - pid)
    pid = one
  }
  packUnseen(out, frames, kept)
  return out.finish()
}

function packProcesses(out: VarintWriter, processes: readonly Process[], index: number): void {
  const strings = new Map<string, number>()
  const indexOf = (string: string): number => {
    const found = strings.get(string) ?? strings.size
    strings.set(string, found)
    return found
  }
  const optional = (string: string | undefined) => (string === undefined ? 0 : indexOf(string) + 1)
  const names = processes.map(({ name }) => indexOf(name))
  const exes = processes.map(({ exe }) => optional(exe))
  const containers = processes.map(({ container }) => optional(container))
  out.unsigned(strings.size)
  for (const string of strings.keys()) out.bytes(utf8.encode(string))
  out.unsigned(processes.length)
  let pid = 0
  let start = index
  for (const process of processes) {
    out.signed(process.pid - pid)
    pid = process.pid
    const second = Math.floor(process.startMs / 1000)
    out.signed(second - start)
    start = second
  }
  for (const name of names) out.unsigned(name)
  out.column(exes)
  out.column(containers)
  out.column(processes.map(({ ppid }) => (ppid === undefined ? 0 : ppid + 1)))
  out.column(processes.map(({ uid }) => (uid === undefined ? 0 : uid + 1)))
}

function packCounts(out: VarintWriter, { at }: VectorRow, frames: readonly Frame[]): void {
  let active = 0
  const kinds = new Set<number>()
  at.forEach((i, second) => {
    if (i < 0) return
    active += 2 ** second
    const { offsets, syscalls } = frames[second]!
    for (let k = offsets[i]!; k < offsets[i + 1]!; k++) kinds.add(syscalls[k]!)
  })
  const calls = [...kinds].sort((a, b) => a - b)
  out.unsigned(active)
  out.unsigned(calls.length)
  let last = -1
  for (const call of calls) {
    out.unsigned(call - last - 1)
    last = call
  }
  at.forEach((i, second) => {
    if (i < 0) return
    const { offsets, syscalls, counts } = frames[second]!
    let k = offsets[i]!
    // Both ascend.
    for (const call of calls)
      out.unsigned(k < offsets[i + 1]! && syscalls[k] === call ? counts[k++]! : 0)
  })
}

function packUnseen(out: VarintWriter, frames: readonly Frame[], kept: readonly VectorRow[]): void {
  const rowOf = new Map(kept.map(({ process }, row) => [identity(process), row]))
  const told: number[][] = []
  const users: number[][] = []
  frames.forEach(({ unseen }, second) => {
    for (const { process, reason, kinds, lost } of unseen?.processes ?? []) {
      const row = rowOf.get(identity(process))
      if (row !== undefined) told.push([second, row, UNSEEN_REASONS.indexOf(reason), kinds, lost])
    }
    for (const { uid, lost } of unseen?.users ?? []) users.push([second, uid, lost])
  })
  for (const list of [told, users]) {
    out.unsigned(Math.min(list.length, UNSEEN_MAX))
    for (const numbers of list.slice(0, UNSEEN_MAX))
      for (const number of numbers) out.unsigned(number)
  }
}

/**
 * The frames of a span as they were, but for what a span does not carry (CPU times, processes
 * without calls, commands, activity beside the counts). Processes that were left out are unseen in each of its seconds. Within `reading`
 * only.
 * @param indexes seconds of the span, ascending
 */
export function unpackVectors(bytes: Uint8Array, indexes: readonly number[]): Frame[] {
  const read = new VarintReader(bytes)
  const processes = unpackProcesses(read, indexes[0]!)
  const lost = indexes.map(() => read.unsigned())
  const columns = indexes.map(() => new FrameColumns())
  for (const process of processes) unpackCounts(read, process, columns)
  const omitted = unpackOmitted(read, indexes[0]!)
  const unseen = unpackUnseen(read, indexes.length, processes)
  if (!read.done) refuse('bad-field(frames)')
  return indexes.map((index, second) => {
    const told = [...omitted, ...unseen.processes[second]!]
    const users = unseen.users[second]!
    return {
      ...columns[second]!.frame(index, lost[second]!),
      ...(told.length + users.length === 0 ? {} : { unseen: { processes: told, users } }),
    }
  })
}

function unpackProcesses(read: VarintReader, index: number): Process[] {
  const strings = Array.from({ length: read.length() }, () => {
    const bytes = read.bytes()
    return toText(text.decode(bytes), WIRE_PATH_CHARS_MAX, true) ?? refuse('bad-field(strings)')
  })
  const length = read.length()
  const pids: number[] = []
  const starts: number[] = []
  let pid = 0
  let start = index
  for (let i = 0; i < length; i++) {
    pid += read.signed()
    start += read.signed()
    if (pid < 0 || pid > LARGEST_PID) refuse('bad-field(pid)')
    if (start < 0 || start > Number.MAX_SAFE_INTEGER / 1000) refuse('bad-field(start)')
    pids.push(pid)
    starts.push(start)
  }
  const string = (at: number) => strings[at] ?? refuse('bad-field(strings)')
  const names = pids.map(() => string(read.unsigned()))
  const exes = read.column(length)
  const containers = read.column(length)
  const ppids = read.column(length)
  const uids = read.column(length)
  const optional = (at: number | undefined) => (at ? string(at - 1) : undefined)
  const number = (value: number | undefined) => (value ? value - 1 : undefined)
  return pids.map((pid, i) => ({
    pid,
    startMs: starts[i]! * 1000,
    name: names[i]!,
    ...defined({ exe: optional(exes[i]), container: optional(containers[i]) }),
    ...defined({ ppid: number(ppids[i]), uid: number(uids[i]) }),
  }))
}

function unpackCounts(
  read: VarintReader,
  process: Process,
  columns: readonly FrameColumns[],
): void {
  const active = read.unsigned()
  if (active >= 2 ** columns.length) refuse('bad-field(active)')
  const calls = new Uint16Array(read.length())
  let last = -1
  for (let i = 0; i < calls.length; i++) {
    last += read.unsigned() + 1
    // A newer agent knows more calls: what has no name here is what our own parser makes of it.
    if (last > 0xffff) refuse('bad-field(syscalls)')
    calls[i] = last < SYSCALLS.length ? last : 0
  }
  for (let second = 0; second < columns.length; second++) {
    if ((active & (1 << second)) === 0) continue
    columns[second]!.begin(process)
    for (const call of calls) {
      const count = read.unsigned()
      if (count > LARGEST_COUNT) refuse('bad-field(counts)')
      if (count > 0) columns[second]!.add(call, count)
    }
  }
}

function unpackOmitted(read: VarintReader, index: number): UnseenProcess[] {
  const length = read.length()
  if (length > VECTORS_OMITTED_MAX) refuse('bad-field(omitted)')
  let pid = 0
  return Array.from({ length }, () => {
    pid += read.signed()
    const process = { pid, startMs: index * 1000, name: '' }
    return { process, reason: 'no-room', kinds: 0, lost: 0 }
  })
}

function unpackUnseen(read: VarintReader, seconds: number, rows: readonly Process[]) {
  const processes = Array.from({ length: seconds }, (): UnseenProcess[] => [])
  const users = Array.from({ length: seconds }, (): UnseenUser[] => [])
  const secondAt = () => {
    const second = read.unsigned()
    return second < seconds ? second : refuse('bad-field(unseen)')
  }
  for (let left = read.length(); left > 0; left--) {
    const second = secondAt()
    processes[second]!.push({
      process: rows[read.unsigned()] ?? refuse('bad-field(unseen)'),
      reason: UNSEEN_REASONS[read.unsigned()] ?? refuse('bad-field(unseen)'),
      kinds: read.unsigned(),
      lost: read.unsigned(),
    })
  }
  for (let left = read.length(); left > 0; left--)
    users[secondAt()]!.push({ uid: read.unsigned(), lost: read.unsigned() })
  return { processes, users }
}

/** A frame as it grows, process by process. */
class FrameColumns {
  readonly #processes: Process[] = []
  readonly #offsets: number[] = []
  readonly #syscalls: number[] = []
  readonly #counts: number[] = []

  begin(process: Process): void {
    this.#processes.push(process)
    this.#offsets.push(this.#syscalls.length)
  }

  add(syscall: number, count: number): void {
    this.#syscalls.push(syscall)
    this.#counts.push(count)
  }

  frame(index: number, lost: number): Frame {
    return {
      index,
      processes: this.#processes,
      offsets: Uint32Array.from([...this.#offsets, this.#syscalls.length]),
      syscalls: Uint16Array.from(this.#syscalls),
      counts: Uint32Array.from(this.#counts),
      lost,
    }
  }
}
