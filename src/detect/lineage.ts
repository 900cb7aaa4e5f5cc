/**
 * Who is responsible for a process: the nearest ancestor that has lived for a while, itself
 * included. A tool that is started once per port, file or password does nothing suspicious by
 * itself, and a chain that forks itself every second has no process that lives long enough to be
 * judged; both are the work of the one that stands above them.
 *
 * Parents are remembered from the first sight of a process, also after both have ended. A container
 * is not left on the way up, nor does the way lead to what starts everything (init, cron, sshd).
 */
import type { ParentProcess } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import { PARENTS_MAX, PROCESSES_MAX } from '../domain/limits.ts'
import { type Process, processKey } from '../domain/process.ts'
import { startsAnything } from './program-names.ts'
import { GROWN_SECONDS } from './thresholds.ts'

/** On the way up: a chain of forks has no end. */
const STEPS = 64

/**
 * Whether a child may be its parent going on: the same program, or where that is not known the same
 * name. A chain that forks and ends, over and over, has no process that is judged for long.
 */
export function isHeir(child: Process, parent: Process): boolean {
  if (child.ppid !== parent.pid || parent.startMs > child.startMs) return false
  if (child.container !== parent.container) return false
  return child.exe !== undefined && parent.exe !== undefined
    ? child.exe === parent.exe
    : child.name === parent.name
}

interface Seen {
  process: Process
  last: number
}

export class Lineage {
  /** By pid; the longest unseen goes first. */
  readonly #seen = new Map<number, Seen>()

  /** Frames in ascending order. */
  push(frame: Frame): void {
    for (const process of frame.processes) this.#see(process, frame.index)
    for (const { process } of frame.activity ?? []) this.#see(process, frame.index)
    for (const { process } of frame.silent ?? []) this.#see(process, frame.index)
    while (this.#seen.size > PROCESSES_MAX) this.#seen.delete(this.#seen.keys().next().value!)
  }

  /** @param process of the latest frame */
  responsible(process: Process): Process {
    let one = process
    for (let step = 0; step < STEPS; step++) {
      const seen = this.#seen.get(one.pid)
      const lived = (seen?.last ?? 0) - Math.floor(one.startMs / 1000)
      if (lived >= GROWN_SECONDS || one.ppid === undefined || one.ppid <= 1) return one
      const parent = this.#seen.get(one.ppid)?.process
      if (parent === undefined || parent.startMs > one.startMs) return one
      if (startsAnything(parent.name) || parent.container !== one.container) return one
      one = parent
    }
    return one
  }

  /** Who made it, as it was seen last. */
  parentOf({ ppid, startMs }: Process): Process | undefined {
    const parent = ppid === undefined ? undefined : this.#seen.get(ppid)?.process
    return parent === undefined || parent.startMs > startMs ? undefined : parent
  }

  /** Its parents as they were seen, the nearest first, also those that have ended. */
  parentsOf(process: Process): ParentProcess[] {
    const parents: ParentProcess[] = []
    let one = process
    while (one.ppid !== undefined && one.ppid > 0 && parents.length < PARENTS_MAX) {
      const parent = this.#seen.get(one.ppid)?.process
      if (parent === undefined || parent.startMs > one.startMs) break
      const { pid, name, exe } = parent
      parents.push({ pid, name, ...defined({ exe }) })
      one = parent
    }
    return parents
  }

  #see(process: Process, index: number): void {
    if (process.pid <= 0) return
    const seen = this.#seen.get(process.pid)
    if (seen !== undefined && processKey(seen.process) === processKey(process)) {
      seen.process = process
      seen.last = index
      return
    }
    this.#seen.delete(process.pid)
    this.#seen.set(process.pid, { process, last: index })
  }
}
