/**
 * Recognises the child's half of a clone: the kernel returns from clone twice, so sysdig prints it
 * twice, for the parent and as the child's first line. It is one call, the parent's.
 *
 * If a line has the result, the child's is 0. If not, a clone that is the first line of its thread
 * is taken for the child's. Cost: for a thread that existed before the capture and whose first line
 * is a clone, that call is missed.
 */
import { THREADS_MAX } from '../domain/limits.ts'
import { isClone } from './call-type.ts'

const RESULT_0 = new TextEncoder().encode('res=0')
const BLANK = 32

export class Births {
  /**
   * Threads that have made a call; false: so far only clones, one of which may be the child's half.
   */
  readonly #settled = new Map<number, boolean>()

  /**
   * Notes a call of this thread. @returns true if it is the child's half of the clone that created
   * the thread
   */
  isBirth(tid: number, type: number): boolean {
    const settled = this.#settled.get(tid)
    if (settled === true) return false
    if (!isClone(type)) {
      this.see(tid)
      return false
    }
    // In a container the child's line is printed twice.
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
