/**
 * One second of one host: all its count vectors [Paper III-A "time frames", III-B].
 *
 * Stored by column (compressed sparse rows): a process makes about ten different calls in a second,
 * so a dense vector of 450 integers would be 98 % zeros. The four arrays are what the buffer packs
 * and what the sequencer reads; there is no object per call and none per vector but its Process.
 *
 * Invariants (`count/counter.ts` makes them, tests hold them): frame indexes only grow, but where
 * the clock of a live host is set back; each process has at most one vector in a frame; syscall
 * indexes ascend within a vector; counts are > 0.
 */
import type { Process } from './process.ts'

export interface Frame {
  /** Whole seconds since the Unix epoch. */
  readonly index: number
  readonly processes: readonly Process[]
  /**
   * Vector i is the range [offsets[i], offsets[i + 1]) of the two arrays below; length
   * processes.length + 1.
   */
  readonly offsets: Uint32Array
  /** Syscall indexes (domain/syscalls.ts). */
  readonly syscalls: Uint16Array
  readonly counts: Uint32Array
  /**
   * CPU time of process i in this second, ms, all its threads together; undefined where the source
   * does not tell.
   */
  readonly cpuMs?: Uint32Array
  /**
   * Processes that used CPU time and made no call, by pid; they have no vector. Only with `cpuMs`.
   */
  readonly silent?: readonly SilentProcess[]
  /** What processes did beside their counts; undefined where the source does not tell. */
  readonly activity?: readonly ProcessActivity[]
  /**
   * Calls of this second that the source lost without knowing whose; 0 in a complete frame. A frame
   * with losses raises nothing.
   */
  readonly lost: number
  /**
   * Processes that were not seen whole in this second; undefined where all were. Nothing is
   * concluded about them.
   */
  readonly unseen?: Unseen
  /**
   * The clock was set before this second, by so many seconds, or the machine was suspended: nothing
   * before it is its past. Absent where time went on.
   */
  readonly clockSetSeconds?: number
}

/** What a source could not see, and whose it was. */
export interface Unseen {
  readonly processes: readonly UnseenProcess[]
  /** Users some of whose processes were not seen at all; which ones is not known. */
  readonly users: readonly UnseenUser[]
}

/**
 * `many-kinds`: it made more different calls than are told apart, and the rest is counted as
 * `other`. `no-room`: its user's processes took all the room that one user gets.
 */
export type UnseenReason = 'many-kinds' | 'no-room'

export interface UnseenProcess {
  readonly process: Process
  readonly reason: UnseenReason
  /**
   * Different calls that it made, as far as they were told apart: who makes most is likely to be
   * the cause.
   */
  readonly kinds: number
  /** Its calls that are in no count. */
  readonly lost: number
}

export interface UnseenUser {
  readonly uid: number
  /** Calls of its processes that are in no count. */
  readonly lost: number
}

/** A process that computes and makes no call: only its CPU time shows it. */
export interface SilentProcess {
  readonly process: Process
  readonly cpuMs: number
}

/** What calls say beyond their number, of one process in one second. */
export interface Activity {
  /** Connections begun and datagrams sent to an internet address. */
  readonly contacts: number
  /** A sketch of their remote ends: 128 bits, one for the hash of each address and port. */
  readonly peers: readonly [number, number, number, number]
  /** The latest of them, "address:port"; the address of IPv6 is not told: "[]:port". */
  readonly peer: string
  /** DNS queries, and their bytes. */
  readonly dnsQueries: number
  readonly dnsBytes: number
  /** A sketch of the names asked for: 64 bits, one for the hash of how each begins. */
  readonly dnsNames: readonly [number, number]
  /** Kinds of secrets that it opened (domain/secrets.ts), a bit each, and how often. */
  readonly secrets: number
  readonly secretOpens: number
}

export interface ProcessActivity extends Activity {
  readonly process: Process
}

/** Sum of the counts of vector i. */
export function vectorTotal(frame: Frame, i: number): number {
  let total = 0
  for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) total += frame.counts[k]!
  return total
}

/**
 * The frame with its calls read as others, or left out; a process that made no other call is not in
 * the result.
 * @param readAs syscall index that each is read as, by its own; −1 leaves it out
 */
export function withCallsReadAs(frame: Frame, readAs: Int16Array): Frame {
  if (frame.syscalls.every((syscall) => readAs[syscall] === syscall)) return frame
  const processes: Process[] = []
  const cpuMs: number[] = []
  const offsets = [0]
  const syscalls: number[] = []
  const counts: number[] = []
  for (const [i, process] of frame.processes.entries()) {
    const cells = new Map<number, number>()
    for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
      const syscall = readAs[frame.syscalls[k]!]!
      if (syscall >= 0) cells.set(syscall, (cells.get(syscall) ?? 0) + frame.counts[k]!)
    }
    if (cells.size === 0) continue
    for (const syscall of [...cells.keys()].sort((a, b) => a - b)) {
      syscalls.push(syscall)
      counts.push(cells.get(syscall)!)
    }
    processes.push(process)
    if (frame.cpuMs !== undefined) cpuMs.push(frame.cpuMs[i]!)
    offsets.push(syscalls.length)
  }
  return {
    ...frame,
    processes,
    offsets: Uint32Array.from(offsets),
    syscalls: Uint16Array.from(syscalls),
    counts: Uint32Array.from(counts),
    ...(frame.cpuMs === undefined ? {} : { cpuMs: Uint32Array.from(cpuMs) }),
  }
}
