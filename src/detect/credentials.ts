/**
 * Detects who gathers secrets: several kinds of them, opened within a minute by programs that have
 * no secrets of their own. ssh reads keys, a browser its passwords, a login program the password
 * hashes: one kind each. Backup programs read everything, and are programs of a package, which is
 * why only shells' tools, interpreters and programs from elsewhere count; and whoever opens little
 * but secrets, as tar does with a list of them.
 */
import type { Frame } from '../domain/frame.ts'
import { GATHERERS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { secretKinds } from '../domain/secrets.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'
import type { Lineage } from './lineage.ts'
import { isInterpreterProgram } from './program-names.ts'
import { GATHERING } from './thresholds.ts'

const TEXT_TOOLS =
  /^([efz]?grep|rg|ag|ack|cat|tac|head|tail|less|more|strings|sed|cp|mv|base64|xxd|od|dd|xargs|find|cut|tr|sort|curl|wget|nc|vi|vim)(\.\w+)?$/
const OPENS = new Set(['open', 'openat', 'openat2'].map((name) => syscallIndexOf(name)!))
const SYSTEM = /^(\/usr)?\/(bin|sbin|lib|libexec|lib64)\//

export interface Gatherer {
  /** Who is responsible. */
  readonly process: Process
  readonly kinds: readonly string[]
}

interface Seen {
  /** Bit of a kind → second of the latest. */
  readonly kinds: Map<number, number>
  opens: number
  isTold: boolean
}

export class Credentials {
  readonly #lineage: Lineage
  readonly #seen = new Map<ProcessKey, Seen>()

  constructor(lineage: Lineage) {
    this.#lineage = lineage
  }

  /** Frames in ascending order; each gatherer once. */
  push(frame: Frame): Gatherer[] {
    const found: Gatherer[] = []
    for (const { process, secrets, secretOpens } of frame.activity ?? []) {
      if (secrets === 0) continue
      if (!mayGather(process) && !opensLittleElse(frame, process, secretOpens)) continue
      const responsible = this.#lineage.responsible(process)
      const key = processKey(responsible)
      const seen = this.#seen.get(key) ?? { kinds: new Map(), opens: 0, isTold: false }
      this.#seen.delete(key)
      this.#seen.set(key, seen)
      seen.opens += secretOpens
      for (let bit = 1; bit <= secrets; bit <<= 1)
        if ((secrets & bit) !== 0) seen.kinds.set(bit, frame.index)
      // One that lies ahead is of before the clock was set back.
      for (const [bit, second] of seen.kinds)
        if (frame.index - second > GATHERING.window || second > frame.index) seen.kinds.delete(bit)
      if (seen.isTold || seen.kinds.size < GATHERING.kinds || seen.opens < GATHERING.opens) continue
      seen.isTold = true
      const bits = [...seen.kinds.keys()].reduce((all, bit) => all | bit, 0)
      found.push({ process: responsible, kinds: secretKinds(bits) })
    }
    while (this.#seen.size > GATHERERS_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    return found
  }
}

function mayGather({ exe, name }: Process): boolean {
  const file = exe?.slice(exe.lastIndexOf('/') + 1) ?? name
  if (isInterpreterProgram(file) || TEXT_TOOLS.test(file)) return true
  return exe !== undefined && !SYSTEM.test(exe)
}

function opensLittleElse(frame: Frame, { pid }: Process, secretOpens: number): boolean {
  const row = frame.processes.findIndex((process) => process.pid === pid)
  if (row < 0) return false
  let opens = 0
  for (let k = frame.offsets[row]!; k < frame.offsets[row + 1]!; k++)
    if (OPENS.has(frame.syscalls[k]!)) opens += frame.counts[k]!
  return secretOpens >= GATHERING.mostly * (opens - GATHERING.openedAtStart)
}
