/**
 * Who made whom, and what each process called itself: the lines of a process tree, as labelled recordings are made of.
 *
 *   second <TAB> F <TAB> parent <TAB> pid      a process is seen for the first time
 *   second <TAB> X <TAB> pid <TAB> name        its name, at first and whenever it presents another
 *
 * Told is what has vectors: a process that never called anything is not there, and of several names in one second only
 * the last. Control characters of a name, which its process chooses, are written as \xNN: none forges a line. A parent is who made the process where the source tells (the kernel source does), else who has it now.
 */
import type { Frame } from '../domain/frame.ts'
import { PROCESSES_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'

export class ProcessTree {
  /** The process that was told last under each pid; the first told is forgotten first. */
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
