/**
 * The lines of a process tree (parents and names), from which recordings are labelled.
 *
 *   second <TAB> F <TAB> parent <TAB> pid      a process is seen for the first time
 *   second <TAB> X <TAB> pid <TAB> name        its name, at first and whenever it presents another
 *
 * Only processes with vectors appear, and of several names in one second only the last. Control
 * characters in a name are written as \xNN, so no process can forge a line. The parent is the
 * creator if the source reports it (the kernel source does), else the current parent.
 */
import type { Frame } from '../domain/frame.ts'
import { PROCESSES_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'

export class ProcessTree {
  /** The process last written for each pid; the oldest entry is evicted first. */
  readonly #told = new Map<number, Process>()

  /** The lines of a frame, each with its newline; '' where nothing is new. */
  push(frame: Frame): string {
    let lines = ''
    for (const process of frame.processes) {
      const { pid, startMs, name, ppid } = process
      const before = this.#told.get(pid)
      if (before === process) continue
      const isNew = before === undefined || before.startMs !== startMs
      if (isNew && ppid !== undefined) lines += `${frame.index}\tF\t${ppid}\t${pid}\n`
      if (isNew || before.name !== name) lines += `${frame.index}\tX\t${pid}\t${oneLine(name)}\n`
      this.#told.set(pid, process)
      if (this.#told.size > PROCESSES_MAX) this.#told.delete(this.#told.keys().next().value!)
    }
    return lines
  }
}

function oneLine(name: string): string {
  return name.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
