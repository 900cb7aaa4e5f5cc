/**
 * CPU time by process and second, from what the walk over tasks reads (task-program.ts) and what
 * the records of ended processes say. The kernel gives totals since the start; here they become
 * differences.
 *
 * A walk takes 0.3 ms and 0.8 µs a thread. On hosts with very many threads it is made less often,
 * so that it stays below a bounded share of a core; the seconds in between tell no CPU times.
 */
import { closeSync, readSync } from 'node:fs'
import { CPU_WALK_SHARE_MAX } from '../../domain/limits.ts'
import {
  CLOCK_BOOTTIME,
  CLOCK_THREAD_CPU,
  nativeBytes,
  readClock,
} from '../../platform/linux/libc.ts'
import { createIteration } from './bpf.ts'
import { TASK } from './layout.ts'

export interface TaskTime {
  readonly pid: number
  /** ns since boot. */
  readonly startNs: number
  /** CPU time since the walk before, brought to one second where that was longer ago. */
  readonly micros: number
  readonly ppid: number
  readonly uid: number
  /** The leader's. */
  readonly comm: Uint8Array
}

interface Total {
  startNs: number
  cpuNs: number
  /** The walk that saw it last: who misses one is gone. */
  walk: number
}

interface Gathered {
  readonly startNs: number
  cpuNs: number
  ppid: number
  uid: number
  comm: Uint8Array
}

/** One read's worth: the kernel's own buffer has eight pages. */
const BLOCK_BYTES = 64 * 1024

export class CpuTimes {
  readonly #link: number
  readonly #excluded: ReadonlySet<number>
  readonly #totals = new Map<number, Total>()
  readonly #block = nativeBytes(BLOCK_BYTES)
  #walk = 0
  /**
   * CLOCK_BOOTTIME ms of the last walk; NaN before the first, which only says where everybody
   * stands.
   */
  #walkedMs = Number.NaN
  #costMs = 0

  constructor(link: number, excluded: readonly number[]) {
    this.#link = link
    this.#excluded = new Set(excluded)
  }

  /**
   * CPU time in µs since the last walk of a process that has ended. @param cpuNs of its whole life
   */
  ended(pid: number, startNs: number, cpuNs: number): number {
    const total = this.#totals.get(pid)
    this.#totals.delete(pid)
    return Math.max(0, cpuNs - (total?.startNs === startNs ? total.cpuNs : 0)) / 1000
  }

  /**
   * Walks: who used CPU time since the last walk. Undefined where it is not due, or the kernel
   * refuses.
   */
  read(): TaskTime[] | undefined {
    const began = readClock(CLOCK_BOOTTIME)
    const sinceMs = began - this.#walkedMs
    if (this.#costMs > sinceMs * CPU_WALK_SHARE_MAX) return undefined
    const cpuBefore = readClock(CLOCK_THREAD_CPU)
    const gathered = this.#gather()
    if (gathered === undefined) return undefined
    const times = this.#differences(gathered, Math.max(1, Math.round(sinceMs / 1000)))
    this.#walkedMs = began
    this.#costMs = readClock(CLOCK_THREAD_CPU) - cpuBefore
    return times
  }

  #gather(): Map<number, Gathered> | undefined {
    const walk = createIteration(this.#link)
    if (walk < 0) return undefined
    const gathered = new Map<number, Gathered>()
    try {
      for (let length = 1; length > 0; ) {
        length = readSync(walk, this.#block)
        const view = new DataView(this.#block.buffer, 0, length)
        for (let at = 0; at + TASK.size <= length; at += TASK.size) this.#add(view, at, gathered)
      }
      return gathered
    } catch {
      return undefined
    } finally {
      closeSync(walk)
    }
  }

  #add(view: DataView, at: number, gathered: Map<number, Gathered>): void {
    const pid = view.getUint32(at + TASK.tgid, true)
    if (this.#excluded.has(pid)) return
    const cpuNs = number64(view, at + TASK.cpu)
    let process = gathered.get(pid)
    if (process === undefined) {
      const startNs = number64(view, at + TASK.start)
      const endedNs = number64(view, at + TASK.endedCpu)
      process = { startNs, cpuNs: endedNs, ppid: 0, uid: 0, comm: this.#block.subarray(0, 0) }
      gathered.set(pid, process)
    }
    process.cpuNs += cpuNs
    if (view.getUint32(at + TASK.pid, true) !== pid) return
    process.ppid = view.getUint32(at + TASK.parent, true)
    process.uid = view.getUint32(at + TASK.uid, true)
    const comm = at + TASK.comm
    process.comm = this.#block.slice(comm, this.#block.indexOf(0, comm))
  }

  #differences(gathered: Map<number, Gathered>, seconds: number): TaskTime[] {
    const times: TaskTime[] = []
    const walk = ++this.#walk
    for (const [pid, { startNs, cpuNs, ppid, uid, comm }] of gathered) {
      const total = this.#totals.get(pid)
      const isKnown = total?.startNs === startNs
      if (isKnown) {
        const micros = (cpuNs - total.cpuNs) / 1000 / seconds
        if (micros >= 1) times.push({ pid, startNs, micros, ppid, uid, comm })
        total.cpuNs = cpuNs
        total.walk = walk
        continue
      }
      // One that was there at the last walk and not met by it: how much it had used by then is not
      // known.
      const isNew = startNs / 1e6 > this.#walkedMs
      if (isNew) times.push({ pid, startNs, micros: cpuNs / 1000 / seconds, ppid, uid, comm })
      this.#totals.set(pid, { startNs, cpuNs, walk })
    }
    // Processes that ended since the last walk are looked up after this one.
    for (const [pid, total] of this.#totals) if (total.walk < walk - 1) this.#totals.delete(pid)
    return times
  }
}

function number64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
}
