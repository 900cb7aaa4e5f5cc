/**
 * The single input of the pipeline: the interface between parsers and the counter.
 *
 * An event is a tally of one (a line of sysdig, of strace); chisel and in-kernel counting give
 * totals. So later steps do not depend on the source. The calls are made for every line: primitive
 * arguments, no object, names as interned ids.
 */

import type { Activity, UnseenReason } from './frame.ts'
import type { Command } from './process.ts'

/**
 * A name interned by `TallySink.intern`; valid until `TallySink.nameEpoch` changes (between two
 * pushes, when a host has shown more names than the table holds). Whoever keeps ids over pushes
 * looks at the epoch first.
 */
export type NameId = number

/**
 * The id as the name of another thread than the leader: it stands in until the leader's own name is
 * known.
 */
export function threadName(id: NameId): NameId {
  return -id
}

/** `NameId` of a call whose process name is not known (yet). */
export const NO_NAME: NameId = 0

/** Why input was not counted. Shown by `agent status`; append-only. */
export type DropReason =
  | 'malformed' // a line that is no line of the format
  | 'too-long' // a line over LINE_BYTES_MAX
  | 'no-process' // a call without pid
  | 'unknown-syscall' // a type that is no system call we know
  | 'no-time' // a time that cannot be read
  | 'late' // older than the frames still open
  | 'clock-jump' // quarantined by the clock-jump rule and dropped
  | 'processes' // over FRAME_PROCESSES_MAX
  | 'other-host' // a frames file of several hosts: a line of another than the one read
  | 'lost(sysdig)' // the source says it lost them
  | 'lost(kernel)'
  | 'lost(bpftrace)'

export interface ProcessFacts {
  readonly startMs?: number
  readonly ppid?: number
  readonly uid?: number
  readonly pidNamespace?: number
  /** '' where it has executed something that is not known: what was known before is over. */
  readonly exe?: string
  readonly container?: string
  /** What it was told to do; undefined where it has executed something and that is not known. */
  readonly command?: Command | undefined
}

export interface UnseenCalls {
  readonly reason: UnseenReason
  readonly kinds: number
  readonly lost: number
}

export interface TallySink {
  /** Grows when interned ids have been given up. */
  readonly nameEpoch: number
  /**
   * Interns the bytes [from, to) as a name; made safe and cut to NAME_BYTES_MAX. Cheap when seen
   * before.
   */
  intern(bytes: Uint8Array, from: number, to: number): NameId
  /**
   * So many calls of one syscall by one process at one time.
   * @param pid thread-group id, > 0
   * @param name leader's name, `threadName(id)` where only another thread's is known, or NO_NAME
   * @param syscall index into SYSCALLS
   * @param timeMs Unix time in ms
   */
  add(pid: number, name: NameId, syscall: number, count: number, timeMs: number): void
  /**
   * CPU time that all threads of a process used in the second of `timeMs`; told of processes
   * without calls, too.
   */
  cpu(pid: number, name: NameId, cpuMs: number, timeMs: number): void
  /** What a process did in the second of `timeMs` that no count tells. */
  activity(pid: number, name: NameId, activity: Activity, timeMs: number): void
  /** What a source knows of a process beside its calls: at first sight, and renewed by an exec. */
  describe(pid: number, name: NameId, facts: ProcessFacts, timeMs: number): void
  /** The process ended: the same pid seen later is another process. */
  exit(pid: number, timeMs: number): void
  /**
   * Calls that were observed and cannot be counted. `sample` is kept once per reason, made safe.
   */
  drop(reason: DropReason, count: number, sample?: string): void
  /**
   * A process was not seen whole in this second: its lost calls are counted as dropped, and its
   * vector is marked.
   */
  unseenProcess(pid: number, name: NameId, unseen: UnseenCalls, timeMs: number): void
  /** The same of a user's processes that are not told apart. */
  unseenUser(uid: number, lost: number, timeMs: number): void
  /** The source lost so many calls around this time: counted, and the frame is marked. */
  lost(reason: DropReason, count: number, timeMs: number): void
  /**
   * Event time has come this far though nothing was called (an idle second of a counting source).
   */
  advance(timeMs: number): void
}
