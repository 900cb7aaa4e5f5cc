/**
 * Facts about processes, gathered beside the pipeline: asks the facts reader, keeps what it said
 * for as long as it may be needed (also after the process ended), and turns it into findings and
 * context for whoever judges.
 *
 * Nothing here waits: `want` and `push` put questions on a list, the most urgent go out within the
 * second's bound, and answers are there a second later. Without a reader (a recording, no rights)
 * it knows nothing, and says so.
 */

import { Blinding } from '../detect/blinding.ts'
import { Commands } from '../detect/commands.ts'
import { Connecting, type Repeater } from '../detect/connecting.ts'
import { Credentials } from '../detect/credentials.ts'
import {
  findingsOf,
  guessFindings,
  type KnowsName,
  scanFindings,
  tunnelFindings,
} from '../detect/findings.ts'
import { ForkStorm } from '../detect/fork-storm.ts'
import { isHeir, Lineage } from '../detect/lineage.ts'
import { type Trigger, Triggers, URGENCY } from '../detect/triggers.ts'
import type { KnownContext } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import type { FactJudge, Finding, Proof, Question } from '../domain/finding.ts'
import type { Frame } from '../domain/frame.ts'
import {
  FACTS_KEPT_MAX,
  FACTS_PER_SECOND_MAX,
  FACTS_WANTED_MAX,
  FILE_WATCHES_MAX,
} from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type {
  Contacts,
  FactQuestion,
  FileChanges,
  Look,
  ProcessFacts,
} from '../domain/process-facts.ts'
import type { FactsReader, ReaderStatus } from '../facts/reader.ts'

export interface FactKeeperStatus {
  /** Absent without the permissions. */
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
  /** When its files were watched last, Unix seconds. */
  readonly filesSecond?: number
}

/** A question with the second in which its process was last seen at work. */
export interface Wanted extends Trigger {
  readonly second: number
  /** The second in which it was wanted first. */
  readonly since: number
}

/** A proof and the second in which it was found. */
interface HeldProof extends Proof {
  readonly second: number
}

/** So long a proof waits for a look at its process. */
const CONTEXT_SECONDS = 2
/** Looks in a second that the short-lived processes of one starter get: a flood costs itself. */
const LOOKS_PER_STARTER = 4

/** Which fact answers a question of the detector. For others only the context is read. */
const ANSWERS: Readonly<Partial<Record<Question, FactQuestion>>> = {
  masquerade: 'program',
  'reverse-shell': 'streams',
  'web-shell': 'look',
  'file-encryption': 'files',
  'crypto-miner': 'network',
  'password-guessing': 'refusal',
}

/** What the calls to others say; where they say nothing, and nothing can be asked, that is the answer. */
const BY_CONTACTS: Readonly<
  Partial<Record<Question, (contacts: Contacts) => Finding[] | undefined>>
> = {
  'network-scan': scanFindings,
  'password-guessing': guessFindings,
  'dns-tunnel': tunnelFindings,
}

/** For so long what was seen of its files answers for it. */
const FILES_TRUE_SECONDS = 45
/** Names of files in one reason. */
const EXAMPLES = 3
/** A process that is gone stays gone; a group of short-lived ones has another member by then. */
const ASK_AGAIN_SECONDS = 10
/** Urgency of what a judge wants to know; triggers have less. */
const WANTED = 4

/**
 * Questions under way at a time: watching files and hashing programs take seconds, and looks must
 * not wait for them.
 */
const LANES = { files: FILE_WATCHES_MAX, program: 12, look: 24 } as const
/** Seconds between two looks into the memory of who connects again and again, and how many wait. */
const REPEATERS_EVERY = 2
const REPEATERS_WAITING = 16

/** Seconds of waiting that make a watch of files as urgent as much work does. */
const WAITS_FOR_FILES = 20

function laneOf(questions: readonly FactQuestion[]): keyof typeof LANES {
  if (questions.includes('files')) return 'files'
  return questions.includes('program') ? 'program' : 'look'
}

export class FactKeeper implements FactJudge {
  readonly #reader: FactsReader | undefined
  readonly #knows: KnowsName
  readonly #triggers: Triggers
  readonly #lineage = new Lineage()
  readonly #connecting = new Connecting(this.#lineage)
  readonly #commands = new Commands(this.#lineage)
  readonly #credentials = new Credentials(this.#lineage)
  readonly #blinding = new Blinding()
  readonly #forkStorm = new ForkStorm(this.#lineage)
  readonly #kept = new Map<ProcessKey, Kept>()
  /**
   * Programs that were found to be what they are called: what executes the same file in the same
   * container is no masquerade either, though it was gone, or the reader busy, when it was asked
   * about. Only while there is no answer about the process itself.
   */
  readonly #refuted = new Map<string, readonly Finding[]>()
  /** By process and lane. */
  readonly #wanted = new Map<string, Wanted>()
  /** Names of users by container and uid, for who is gone before anyone looks. */
  readonly #users = new Map<string, string>()
  readonly #asked = new Map<string, readonly FactQuestion[]>()
  /** Questions about processes that are gone, and the second in which that was said. */
  readonly #failed = new Map<string, number>()
  readonly #repeaters = new Map<ProcessKey, Repeater>()
  #repeaterSecond = 0
  #proofs: HeldProof[] = []
  #proofCount = 0
  #dropped = 0
  /** Under way. */
  readonly #busy = { files: 0, program: 0, look: 0 }
  #second = 0

  /** @param knows names of the model's classes */
  constructor(reader: FactsReader | undefined, knows: KnowsName) {
    this.#reader = reader
    this.#knows = knows
    this.#triggers = new Triggers(knows)
  }

  /** Without permissions no question waits for an answer. */
  get canAsk(): boolean {
    return this.#reader !== undefined
  }

  /**
   * Looks at a second for what is worth a question, and sends the most urgent ones. Once a frame.
   */
  push(frame: Frame): void {
    for (const proof of this.#blinding.push(frame)) this.#prove(proof)
    if (this.#reader === undefined) return
    this.#second = frame.index
    this.#lineage.push(frame)
    for (const proof of this.#connecting.push(frame)) this.#prove(proof)
    for (const proof of this.#forkStorm.push(frame)) this.#prove(proof)
    const triggers = this.#withoutFloods(this.#triggers.push(frame))
    for (const trigger of [...this.#behaving(frame), ...triggers]) {
      const { pid } = trigger.process
      // Our own work on files is reading them.
      if (pid !== this.#reader.pid && pid > 0) this.#put(trigger)
    }
    this.#putRepeater(frame.index)
    this.#send()
  }

  /** One at a time, for reading memory is dear: who was looked into least, the latest of those. */
  #putRepeater(second: number): void {
    for (const one of this.#connecting.repeaters) {
      this.#repeaters.delete(processKey(one.process))
      this.#repeaters.set(processKey(one.process), one)
    }
    if (Math.abs(second - this.#repeaterSecond) < REPEATERS_EVERY) return
    const [next] = [...this.#repeaters].reverse().sort(([, a], [, b]) => a.looks - b.looks)
    if (next === undefined) return
    const [key, { process, repeats }] = next
    this.#repeaters.delete(key)
    while (this.#repeaters.size > REPEATERS_WAITING)
      this.#repeaters.delete(this.#repeaters.keys().next().value!)
    this.#repeaterSecond = second
    this.#put({ process, questions: ['refusal'], urgency: URGENCY.repeats, repeats })
  }

  /** Answered in a second or two; safe to call each second. */
  want(process: Process, question: Question): void {
    if (this.#reader === undefined) return
    const part = ANSWERS[question] ?? 'look'
    const kept = this.#kept.get(processKey(process))
    // What it does with files now is not what it did a minute ago.
    const isOld = part === 'files' && this.#second - (kept?.filesSecond ?? 0) > FILES_TRUE_SECONDS
    if (kept?.facts[part] === undefined || isOld)
      this.#put({ process, questions: [part], urgency: WANTED })
    // Watching files and hashing take seconds: who it is comes before.
    if (part !== 'look' && !this.#isLookedAt(process))
      this.#put({ process, questions: ['look'], urgency: WANTED })
  }

  findings(process: Process, question: Question): readonly Finding[] | undefined {
    const byContacts = BY_CONTACTS[question]
    // Without a reader nothing was noted.
    if (byContacts !== undefined) {
      if (this.#reader === undefined) return undefined
      const contacts = this.#connecting.of(process)
      const found = contacts === undefined ? undefined : byContacts(contacts)
      if (ANSWERS[question] === undefined || found === undefined || found.length > 0) return found
    }
    const kept = this.#kept.get(processKey(process))
    const part = ANSWERS[question]
    if (part === undefined) return undefined
    if (kept?.facts[part] === undefined)
      return question === 'masquerade' ? this.#refuted.get(programOf(process)) : undefined
    return kept.findings.filter((finding) => finding.question === question)
  }

  isAsking(process: Process, question: Question): boolean {
    const part = ANSWERS[question]
    if (part === undefined) return false
    const lanes: (keyof typeof LANES)[] = part === 'files' ? ['files'] : ['program', 'look']
    return lanes.some((lane) => {
      const key = keyOf(process, lane)
      const questions = [
        ...(this.#asked.get(key) ?? []),
        ...(this.#wanted.get(key)?.questions ?? []),
      ]
      return questions.includes(part)
    })
  }

  context(process: Process): KnownContext | undefined {
    const { look, origin, program, streams } = this.#kept.get(processKey(process))?.facts ?? {}
    const known = look?.context ?? origin
    const peers = streams?.peers ?? []
    // Where nobody could look in time, what the kernel told at fork and exec stands in.
    const parents = this.#lineage.parentsOf(process)
    const { uid, command } = process
    if (known === undefined && parents.length === 0 && command === undefined) return undefined
    const user = uid === undefined ? undefined : this.#users.get(ownerOf(process.container, uid))
    return {
      ...defined({ uid, user, command: command?.text, exe: process.exe ?? look?.executable?.path }),
      ...(parents.length === 0 ? {} : { parents }),
      ...known,
      ...defined({ package: program?.package, peers: peers.length === 0 ? undefined : peers }),
    }
  }

  /** Of looks that are asked for because a process is new, a few for each who starts many. */
  #withoutFloods(triggers: readonly Trigger[]): Trigger[] {
    const looks = new Map<ProcessKey, number>()
    // The latest may still be there when its turn comes.
    return [...triggers].reverse().filter(({ process, urgency }) => {
      const starter = processKey(this.#lineage.responsible(process))
      if (urgency >= URGENCY.claim || starter === processKey(process)) return true
      const count = (looks.get(starter) ?? 0) + 1
      looks.set(starter, count)
      if (count > LOOKS_PER_STARTER) this.#dropped++
      return count <= LOOKS_PER_STARTER
    })
  }

  /** What commands and opened files prove, and whom they make worth a question. */
  #behaving(frame: Frame): Trigger[] {
    const { proofs, discoveries } = this.#commands.push(frame)
    const gatherers = this.#credentials
      .push(frame)
      // Our own work on files is reading them.
      .filter(({ process }) => process.pid !== this.#reader?.pid)
    for (const proof of proofs) this.#prove(proof)
    const about = (process: Process): Trigger => ({
      ...{ process, questions: ['program', 'network'], urgency: WANTED },
    })
    return [
      ...discoveries.map(
        ({ process, asked, questions }): Trigger => ({
          ...about(process),
          questions: ['program', 'network', 'streams'],
          ...defined({ asked, contacted: this.#connecting.ordersFrom(process, questions) }),
        }),
      ),
      ...gatherers.map(({ process, kinds }) => ({ ...about(process), secrets: kinds })),
    ]
  }

  /** An alert without its context is hard to act on: the process is looked at first. */
  #prove(proof: Proof): void {
    this.#proofCount++
    this.#proofs.push({ ...proof, second: this.#second })
    const { process } = proof
    if (this.#reader !== undefined && !this.#isLookedAt(process))
      this.#put({ process, questions: ['look'], urgency: WANTED })
  }

  #isLookedAt(process: Process): boolean {
    const { look, origin } = this.#kept.get(processKey(process))?.facts ?? {}
    return look !== undefined || origin !== undefined
  }

  /** Proofs since the last call, but for those whose process is being looked at. */
  proofs(): Proof[] {
    const isDue = ({ process, second }: HeldProof) =>
      this.#reader === undefined ||
      this.#isLookedAt(process) ||
      this.#second - second >= CONTEXT_SECONDS
    const due = this.#proofs.filter(isDue)
    this.#proofs = this.#proofs.filter((proof) => !isDue(proof))
    return due.map(({ process, finding }) => ({ process, finding }))
  }

  /** For how long the reader has answered nothing though it was asked. */
  get silentMs(): number {
    return this.#reader?.silentMs ?? 0
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

  #put(trigger: Trigger): void {
    const { process, questions, urgency } = trigger
    const key = keyOf(process, laneOf(questions))
    if (this.#second - (this.#failed.get(key) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_SECONDS)
      return
    const before = this.#wanted.get(key)
    if (before === undefined && this.#wanted.size >= FACTS_WANTED_MAX) {
      this.#dropped++
      if (!this.#makeRoom(urgency)) return
    }
    this.#wanted.set(key, {
      ...before,
      ...trigger,
      questions: [...new Set([...(before?.questions ?? []), ...questions])],
      urgency: Math.max(urgency, before?.urgency ?? 0),
      second: this.#second,
      since: before?.since ?? this.#second,
    })
  }

  /** Gives up the least urgent question, the oldest of those, if it is less urgent than this. */
  #makeRoom(urgency: number): boolean {
    let least: string | undefined
    let leastUrgency = urgency
    for (const [key, trigger] of this.#wanted)
      if (trigger.urgency < leastUrgency) {
        least = key
        leastUrgency = trigger.urgency
      }
    return least !== undefined && this.#wanted.delete(least)
  }

  #send(): void {
    const waiting = inTurn(this.#wanted, this.#second)
    let room = FACTS_PER_SECOND_MAX
    for (const [key, trigger] of waiting) {
      if (room === 0 || this.#reader?.hasRoom !== true) break
      if (this.#asked.has(key)) continue
      const lane = laneOf(trigger.questions)
      if (this.#busy[lane] >= LANES[lane]) continue
      this.#wanted.delete(key)
      room--
      void this.#ask(key, trigger)
    }
  }

  async #ask(key: string, trigger: Wanted): Promise<void> {
    const { process, questions, urgency } = trigger
    const { unlinked, removed, cores, asked, contacted, secrets, repeats } = trigger
    const { pid, ppid, latest, startMs } = process
    const reader = this.#reader!
    this.#asked.set(key, questions)
    const isFiles = questions.includes('files')
    const lane = laneOf(questions)
    this.#busy[lane]++
    // Of a group of short-lived processes the latest is looked at; its start is its own.
    let answer = await reader.ask(
      latest ?? pid,
      pid > 0 ? Math.floor(startMs / 1000) : 0,
      questions,
    )
    // It is gone. Its files may lie where its parent works, and what its parent is tells where it
    // came from.
    if (answer === 'gone' && ppid !== undefined && ppid > 1 && (isFiles || urgency === WANTED)) {
      const path = process.exe ?? ''
      const child = path.startsWith('/') ? { name: process.name, path } : undefined
      const about: FactQuestion[] = isFiles
        ? ['files']
        : child === undefined
          ? ['look']
          : ['program']
      const until = (trigger.second + 1) * 1000
      const ofParent = await reader.ask(ppid, 0, about, defined({ child, until }))
      answer = typeof ofParent === 'string' ? ofParent : childOf(process, ppid, ofParent, child)
    }
    this.#asked.delete(key)
    this.#busy[lane]--
    this.#failed.delete(key)
    if (answer === 'gone') this.#failed.set(key, this.#second)
    if (this.#failed.size > FACTS_KEPT_MAX) this.#failed.delete(this.#failed.keys().next().value!)
    if (typeof answer !== 'string')
      this.#keep(process, {
        ...answer,
        ...defined({ unlinked, removed, cores, asked, contacted, secrets, repeats }),
      })
  }

  #keep(process: Process, answer: ProcessFacts): void {
    const key = processKey(process)
    const before = this.#kept.get(key)
    const look = betterLook(answer, before)
    const files = answer.files && this.#withParents(process, answer.files)
    const facts = { ...before?.facts, ...answer, ...defined({ look, files }) }
    const filesSecond = answer.files === undefined ? before?.filesSecond : this.#second
    const findings = findingsOf(process, facts, this.#knows)
    const proven = before?.proven ?? new Set<string>()
    // What was learned last is forgotten last.
    this.#kept.delete(key)
    this.#kept.set(key, { process, facts, findings, proven, ...defined({ filesSecond }) })
    if (this.#kept.size > FACTS_KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
    if (answer.program !== undefined) this.#noteProgram(process, findings)
    this.#noteUser(process, answer)
    const path = answer.look?.executable?.path
    if (process.exe === undefined && path !== undefined && before?.facts.look === undefined) {
      const again = this.#triggers.reconsider({ ...process, exe: path }, this.#second)
      if (again !== undefined) this.#put(again)
    }
    for (const finding of findings) {
      if (finding.says !== 'proves' || proven.has(finding.question)) continue
      proven.add(finding.question)
      this.#prove({ process, finding })
    }
  }

  /** With what was seen of a chain that hands its work on from process to process. */
  #withParents(process: Process, files: FileChanges): FileChanges {
    const parent = this.#lineage.parentOf(process)
    if (parent === undefined || !isHeir(process, parent)) return files
    const { facts, filesSecond = 0 } = this.#kept.get(processKey(parent)) ?? {}
    const isRecent = this.#second - filesSecond <= FILES_TRUE_SECONDS
    return facts?.files === undefined || !isRecent ? files : addedFiles(facts.files, files)
  }

  #noteUser({ container }: Process, { look }: ProcessFacts): void {
    const { uid, user } = look?.context ?? {}
    if (uid === undefined || user === undefined) return
    this.#users.set(ownerOf(container, uid), user)
    if (this.#users.size > FACTS_KEPT_MAX) this.#users.delete(this.#users.keys().next().value!)
  }

  #noteProgram(process: Process, findings: readonly Finding[]): void {
    if (process.exe === undefined) return
    const key = programOf(process)
    const refuting = findings.filter(
      ({ question, says }) => question === 'masquerade' && says === 'refutes',
    )
    this.#refuted.delete(key)
    if (refuting.length > 0) this.#refuted.set(key, refuting)
    if (this.#refuted.size > FACTS_KEPT_MAX)
      this.#refuted.delete(this.#refuted.keys().next().value!)
  }
}

/** The file that was executed, as the kernel was told it, and the name that it runs under. */
function programOf({ container = '', exe = '', name }: Process): string {
  return `${container}\n${exe}\n${name}`
}

/** Each container has users of its own. */
function ownerOf(container: string | undefined, uid: number): string {
  return `${container ?? ''}\n${uid}`
}

/** Of a question: what takes seconds to answer is asked apart from the rest. */
function keyOf(process: Process, lane: keyof typeof LANES): string {
  return `${processKey(process)} ${lane}`
}

function addedFiles(a: FileChanges, b: FileChanges): FileChanges {
  const directory = b.directory ?? a.directory
  return {
    sampled: a.sampled + b.sampled,
    encrypted: a.encrypted + b.encrypted,
    replaced: a.replaced + b.replaced,
    ciphers: a.ciphers + b.ciphers,
    gone: a.gone + b.gone,
    written: a.written + b.written,
    unreadable: a.unreadable + b.unreadable,
    isWithin: a.isWithin && b.isWithin,
    examples: [...new Set([...b.examples, ...a.examples])].slice(0, EXAMPLES),
    ...defined({ directory }),
  }
}

/** One that is about to end has no executable any more: what was seen before is better. */
function betterLook({ look }: ProcessFacts, before: Kept | undefined): Look | undefined {
  return look?.executable === undefined ? (before?.facts.look ?? look) : look
}

/**
 * What may be said of a process that is gone: where it came from, whose it is, and what it
 * executed.
 */
function childOf(
  { name }: Process,
  pid: number,
  { look: parent, program, files }: ProcessFacts,
  child: { readonly path: string } | undefined,
): ProcessFacts {
  if (parent === undefined) return defined({ files })
  const { uid, user, loginUid, loginUser, unit, parents = [] } = parent.context
  const above = { pid, name: parent.name, ...defined({ exe: parent.executable?.path }) }
  const context = defined({
    ...{ uid, user, loginUid, loginUser, unit },
    parents: [above, ...parents],
  })
  if (child === undefined || program === undefined) return defined({ files, origin: context })
  const look: Look = {
    name,
    executable: { path: child.path, deleted: false, inMemory: false, place: 'other' },
    isKernelThread: false,
    hasMemory: true,
    streams: [],
    session: parent.session,
    context,
  }
  return { look, program, origin: context }
}

/**
 * The most urgent first, the latest among equals: what is young may be gone soon. A watch of files
 * grows more urgent while it waits, for there are few at a time: where many processes work on files,
 * one that takes its time has its turn, too.
 */
export function inTurn(
  wanted: ReadonlyMap<string, Wanted>,
  second: number,
): (readonly [string, Wanted])[] {
  const urgencyOf = ({ urgency, questions, since }: Wanted) =>
    laneOf(questions) === 'files'
      ? urgency + Math.max(0, second - since) / WAITS_FOR_FILES
      : urgency
  return [...wanted].reverse().sort(([, a], [, b]) => urgencyOf(b) - urgencyOf(a))
}
