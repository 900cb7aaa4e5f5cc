/**
 * Facts about processes, gathered beside the street: asks the facts reader, keeps what it said for as long as it may
 * be needed (also after the process ended), and turns it into findings and context for whoever judges.
 *
 * Nothing here waits: `want` and `push` put questions on a list, the most urgent go out within the second's bound, and
 * answers are there a second later. Without a reader (a recording, no rights) it knows nothing, and says so.
 */
import { findingsOf, type KnowsName } from '../detect/findings.ts'
import { type Trigger, Triggers } from '../detect/triggers.ts'
import type { ProcessContext } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import type { FactJudge, Finding, Proof, Question } from '../domain/finding.ts'
import type { Frame } from '../domain/frame.ts'
import { FACTS_KEPT_MAX, FACTS_PER_SECOND_MAX, FACTS_WANTED_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { FactQuestion, ProcessFacts } from '../domain/process-facts.ts'
import type { FactsReader, ReaderStatus } from '../facts/reader.ts'

export interface FactKeeperStatus {
  /** Absent where nobody may look. */
  readonly reader?: ReaderStatus
  readonly kept: number
  /** Questions that found no room in their second and were forgotten. */
  readonly dropped: number
  /** Findings that prove something, so far. */
  readonly proofs: number
}

interface Kept {
  process: Process
  facts: ProcessFacts
  findings: readonly Finding[]
  readonly proven: Set<string>
}

/** Which fact answers a judge's question. What is not here facts cannot answer; the context is read all the same. */
const ANSWERS: Readonly<Partial<Record<Question, FactQuestion>>> = {
  masquerade: 'program',
  'reverse-shell': 'streams',
  'web-shell': 'look',
}

export class FactKeeper implements FactJudge {
  readonly #reader: FactsReader | undefined
  readonly #knows: KnowsName
  readonly #triggers: Triggers
  readonly #kept = new Map<ProcessKey, Kept>()
  readonly #wanted = new Map<ProcessKey, Trigger>()
  readonly #asked = new Set<ProcessKey>()
  #proofs: Proof[] = []
  #proofCount = 0
  #dropped = 0

  /** @param knows names of the model's classes */
  constructor(reader: FactsReader | undefined, knows: KnowsName) {
    this.#reader = reader
    this.#knows = knows
    this.#triggers = new Triggers(knows)
  }

  /** Where nobody may look, no question needs to wait for an answer. */
  get canAsk(): boolean {
    return this.#reader !== undefined
  }

  /** Looks at a second for what is worth a question, and sends the most urgent ones. Once a frame. */
  push(frame: Frame): void {
    if (this.#reader === undefined) return
    for (const { process, questions, urgency } of this.#triggers.push(frame))
      this.#put(process, questions, urgency)
    this.#send()
  }

  /** Answered in a second or two; safe to call each second. */
  want(process: Process, question: Question): void {
    if (this.#reader === undefined) return
    const part = ANSWERS[question] ?? 'look'
    if (this.#kept.get(processKey(process))?.facts[part] === undefined)
      this.#put(process, [part], 4)
  }

  findings(process: Process, question: Question): readonly Finding[] | undefined {
    const kept = this.#kept.get(processKey(process))
    const part = ANSWERS[question]
    if (kept === undefined || part === undefined || kept.facts[part] === undefined) return undefined
    return kept.findings.filter((finding) => finding.question === question)
  }

  context(process: Process): (ProcessContext & { readonly peers?: readonly string[] }) | undefined {
    const facts = this.#kept.get(processKey(process))?.facts
    if (facts?.look === undefined) return undefined
    const { look, program, streams } = facts
    const peers = streams?.peers ?? []
    return {
      ...look.context,
      ...defined({ package: program?.package, peers: peers.length === 0 ? undefined : peers }),
    }
  }

  /** Proofs since the last call. */
  proofs(): Proof[] {
    const proofs = this.#proofs
    this.#proofs = []
    return proofs
  }

  status(): FactKeeperStatus {
    return {
      ...defined({ reader: this.#reader?.status() }),
      kept: this.#kept.size,
      dropped: this.#dropped,
      proofs: this.#proofCount,
    }
  }

  close(): void {
    this.#reader?.close()
  }

  #put(process: Process, questions: readonly FactQuestion[], urgency: number): void {
    const key = processKey(process)
    const before = this.#wanted.get(key)
    if (before === undefined && this.#wanted.size >= FACTS_WANTED_MAX) {
      this.#dropped++
      return
    }
    this.#wanted.set(key, {
      process,
      questions: [...new Set([...(before?.questions ?? []), ...questions])],
      urgency: Math.max(urgency, before?.urgency ?? 0),
    })
  }

  /** The most urgent first, the latest among equals: what is young may be gone soon. */
  #send(): void {
    const waiting = [...this.#wanted].reverse().sort((a, b) => b[1].urgency - a[1].urgency)
    let room = FACTS_PER_SECOND_MAX
    for (const [key, trigger] of waiting) {
      if (room === 0 || this.#reader?.hasRoom !== true) break
      if (this.#asked.has(key)) continue
      this.#wanted.delete(key)
      room--
      void this.#ask(key, trigger)
    }
  }

  async #ask(key: ProcessKey, { process, questions }: Trigger): Promise<void> {
    const { pid, latest, startMs } = process
    this.#asked.add(key)
    // Of a group of short-lived processes the latest is looked at; its start is its own.
    const start = pid < 0 ? 0 : Math.floor(startMs / 1000)
    const answer = await this.#reader!.ask(latest ?? Math.abs(pid), start, questions)
    this.#asked.delete(key)
    if (typeof answer !== 'string') this.#keep(key, process, answer)
  }

  #keep(key: ProcessKey, process: Process, answer: ProcessFacts): void {
    const before = this.#kept.get(key)
    const facts = { ...before?.facts, ...answer }
    const findings = findingsOf(process, facts, this.#knows)
    const proven = before?.proven ?? new Set<string>()
    // What was learned last is forgotten last.
    this.#kept.delete(key)
    this.#kept.set(key, { process, facts, findings, proven })
    if (this.#kept.size > FACTS_KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
    for (const finding of findings) {
      if (finding.says !== 'proves' || proven.has(finding.question)) continue
      proven.add(finding.question)
      this.#proofs.push({ process, finding })
      this.#proofCount++
    }
  }
}
