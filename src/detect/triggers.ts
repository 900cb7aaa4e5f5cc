/**
 * Selects processes for the facts reader, independently of the model: names of kernel threads,
 * names that are not the executable's, known names in odd places, shells and interpreters, who
 * rewrites files by the dozen, and who computes without calls.
 *
 * One pass a second over what the frame says already; no look at /proc. Pure, but for what was
 * asked before: each process is looked at when it is new, and shells a few times more, for they
 * change hands.
 */
import type { Frame } from '../domain/frame.ts'
import { PROCESSES_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { FactQuestion, Repeats } from '../domain/process-facts.ts'
import { Compute } from './compute.ts'
import { FileWork } from './file-work.ts'
import type { KnowsName } from './findings.ts'
import {
  canBeNamed,
  isDaemonName,
  isInterpreterProgram,
  isKernelThreadName,
  isListedAsKernelThread,
  isManyPrograms,
  isShellProgram,
} from './program-names.ts'
import { SHELL_AGES, SHELL_EVERY } from './thresholds.ts'

export interface Trigger {
  readonly process: Process
  readonly questions: readonly FactQuestion[]
  /** The highest goes first. */
  readonly urgency: number
  /** Files that it removed of late. */
  readonly unlinked?: number
  /** And those that it renamed with them. */
  readonly removed?: number
  /** It computes without calls: share of a core. */
  readonly cores?: number
  /** Kinds of questions about this host that it asked. */
  readonly asked?: readonly string[]
  /** The one remote end that it turned to meanwhile. */
  readonly contacted?: string
  /** Kinds of secrets that it opened. */
  readonly secrets?: readonly string[]
  /** It connects to one end again and again. */
  readonly repeats?: Repeats
}

/**
 * What is asked first. A busy host starts more shells in a second than can be asked about, and most
 * are gone by then: they must not keep the few waiting whose name alone is strange.
 */
export const URGENCY = {
  look: 0,
  interpreter: 1,
  shell: 2,
  claim: 2.5,
  kernelThread: 3,
  /** From here to one more, by how much they do. */
  files: 3,
  compute: 3,
  repeats: 3,
} as const
/** The kernel is told a descriptor, whatever that is of; a look tells the name of the memory. */
const FROM_MEMORY = /^(\/memfd:|(\/proc\/[^/]+|\/dev)\/fd\/\d+$)/
const SYSTEM = /^(\/usr)?\/(bin|sbin|lib|libexec|lib64)\//

interface Seen {
  readonly first: number
  /** Name and executable when it was asked about last. */
  as: string
  /** Looks so far, and the second of the next. */
  looks: number
  next: number
}

export class Triggers {
  readonly #seen = new Map<ProcessKey, Seen>()
  readonly #fileWork = new FileWork()
  readonly #compute = new Compute()
  readonly #knows: KnowsName

  constructor(knows: KnowsName) {
    this.#knows = knows
  }

  /** Frames in ascending order. */
  push(frame: Frame): Trigger[] {
    const triggers: Trigger[] = []
    for (const process of frame.processes) {
      const trigger = this.#of(process, frame.index)
      if (trigger !== undefined) triggers.push(trigger)
    }
    for (const one of this.#fileWork.push(frame)) {
      const { process, unlinked, removed, rewritten, tools, isSlow } = one
      // Few can be watched at a time: who does most comes first.
      const work = isSlow ? 0 : removed + rewritten / 4 + tools / 16
      const urgency = URGENCY.files + work / (work + 50)
      triggers.push({ process, questions: ['files'], urgency, unlinked, removed })
    }
    for (const { process, cores } of this.#compute.push(frame))
      triggers.push({
        process,
        questions: ['program', 'network', 'pool'],
        urgency: URGENCY.compute,
        cores,
      })
    while (this.#seen.size > PROCESSES_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    return triggers
  }

  /** Of one process that is known better now: by a look at what it executes. */
  reconsider(process: Process, index: number): Trigger | undefined {
    return this.#of(process, index)
  }

  #of(process: Process, index: number): Trigger | undefined {
    const key = processKey(process)
    const isListed = isListedAsKernelThread(process.command?.text)
    const as = `${process.name}\n${process.exe ?? ''}\n${isListed}`
    let seen = this.#seen.get(key)
    if (seen === undefined) {
      seen = { first: index, as: '', looks: 0, next: index }
      this.#seen.set(key, seen)
    }
    const { name, exe } = process
    const file = exe?.slice(exe.lastIndexOf('/') + 1)
    const isChanged = seen.as !== as
    seen.as = as
    if (isListed || isKernelThreadName(name))
      return isChanged ? trigger(process, URGENCY.kernelThread, 'look') : undefined
    if (file !== undefined && isInterpreterProgram(file)) {
      if (isChanged) Object.assign(seen, { looks: 0, next: index })
      if (index < seen.next) return undefined
      const age = SHELL_AGES[seen.looks++]
      seen.next = age === undefined ? index + SHELL_EVERY : seen.first + age
      const claims = seen.looks === 1 && !canBeNamed(name, file) && this.#claims(name)
      return claims
        ? trigger(process, URGENCY.claim, 'program', 'streams')
        : trigger(process, isShellProgram(file) ? URGENCY.shell : URGENCY.interpreter, 'streams')
    }
    if (!isChanged) return undefined
    // Started by a relative path: what it executes has to be looked up.
    if (file === undefined)
      return this.#claims(name)
        ? trigger(process, URGENCY.claim, 'program')
        : trigger(process, URGENCY.look, 'look')
    // Executed from memory: what it is, its content tells.
    if (FROM_MEMORY.test(exe!)) return trigger(process, URGENCY.claim, 'program')
    if (isManyPrograms(file)) return undefined
    const isStrange = !canBeNamed(name, file) || !SYSTEM.test(exe!)
    return isStrange && this.#claims(name) ? trigger(process, URGENCY.claim, 'program') : undefined
  }

  #claims(name: string): boolean {
    return isDaemonName(name) || this.#knows(name)
  }
}

function trigger(process: Process, urgency: number, ...questions: FactQuestion[]): Trigger {
  return { process, questions, urgency }
}
