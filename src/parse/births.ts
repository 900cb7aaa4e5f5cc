/**
 * Which clone belongs to whom: the kernel returns from one twice, and so sysdig prints it twice, for the parent and as
 * the first thing that the child does. It is one call, the parent's.
 *
 * Where a line holds the result, the child's is 0. Where it does not, a clone that is the first line of its thread
 * is the child's. What that costs: of a process that was there before, and whose first line is a clone, it is missed.
 */
import { THREADS_MAX } from '../domain/limits.ts'
import { isClone } from './call-type.ts'

const RESULT_0 = new TextEncoder().encode('res=0')
const BLANK = 32

export class Births {
  /** Threads that have made a call of their own; false: so far only clones, and one may be the birth told again. */
  readonly #settled = new Map<number, boolean>()

  /** Takes note of a call of this thread. @returns true where it is the clone that the thread was born of */
  isBirth(tid: number, type: number): boolean {
    const settled = this.#settled.get(tid)
    if (settled === true) return false
    if (!isClone(type)) {
      this.see(tid)
      return false
    }
    // In a container the child's line comes twice.
    this.#set(tid, settled === false)
    return true
  }

  has(tid: number): boolean {
    return this.#settled.get(tid) === true
  }

  see(tid: number): void {
    this.#set(tid, true)
  }

  forget(tid: number): void {
    this.#settled.delete(tid)
  }

  #set(tid: number, settled: boolean): void {
    if (this.#settled.size >= THREADS_MAX) {
      let surplus = THREADS_MAX >> 1
      for (const oldest of this.#settled.keys()) {
        if (surplus-- === 0) break
        this.#settled.delete(oldest)
      }
    }
    this.#settled.set(tid, settled)
  }
}

/** Whether sysdig's info [from, to) of a clone says that it is the child's: `res=0 exe=…`. */
export function isChildsResult(bytes: Uint8Array, from: number, to: number): boolean {
  const end = from + RESULT_0.length
  if (end > to || (end < to && bytes[end] !== BLANK)) return false
  return RESULT_0.every((byte, i) => bytes[from + i] === byte)
}
