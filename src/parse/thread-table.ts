/**
 * Maps a tid to its process, for lines that show only the thread: sysdig's default line and default
 * JSON keys.
 *
 * The first line of a new thread has its process: `clone res=0 exe=… tid=6783(x) pid=6772(odd) …`.
 * Threads that existed before the capture count as processes of their own; a format with %proc.pid
 * avoids that.
 */
import { THREADS_MAX } from '../domain/limits.ts'
import { readPid } from './fields.ts'

const encoder = new TextEncoder()
const CHILD = encoder.encode('res=0 exe=')
const PID = encoder.encode(' pid=')
/** The pid stands behind the arguments, which sysdig cuts. */
const LOOK_BYTES = 8_192

export class ThreadTable {
  readonly #processOf = new Map<number, number>()

  /** The thread's process; the thread itself if unknown. */
  processOf(tid: number): number {
    return this.#processOf.get(tid) ?? tid
  }

  forget(tid: number): void {
    this.#processOf.delete(tid)
  }

  /** Notes the info [from, to) of a line of this thread. @returns its process */
  learn(bytes: Uint8Array, from: number, to: number, tid: number): number {
    if (!startsWith(CHILD, bytes, from, to)) return this.processOf(tid)
    const last = Math.min(to, from + LOOK_BYTES) - PID.length
    for (let at = from; at < last; at++) {
      if (bytes[at] !== PID[0] || !startsWith(PID, bytes, at, to)) continue
      const start = at + PID.length
      let end = start
      while (end < to && bytes[end]! >= 48 && bytes[end]! <= 57) end++
      const process = readPid(bytes, start, end)
      if (process > 0) this.#set(tid, process)
      break
    }
    return this.processOf(tid)
  }

  #set(tid: number, process: number): void {
    if (process === tid) {
      this.#processOf.delete(tid)
      return
    }
    if (this.#processOf.size >= THREADS_MAX) {
      let surplus = THREADS_MAX >> 1
      for (const oldest of this.#processOf.keys()) {
        if (surplus-- === 0) break
        this.#processOf.delete(oldest)
      }
    }
    this.#processOf.set(tid, process)
  }
}

function startsWith(want: Uint8Array, bytes: Uint8Array, at: number, to: number): boolean {
  if (at + want.length > to) return false
  for (let i = 0; i < want.length; i++) if (want[i] !== bytes[at + i]) return false
  return true
}
