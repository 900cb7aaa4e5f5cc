/**
 * Predictions in, alerts out: one pass a second over all processes that could be judged.
 *
 * Per process the window's signs (judge.ts) go to the running evidence (evidence.ts); where a level is crossed, the
 * paper's table (decide.ts) is asked about the mean of the run, and the book (dedup.ts) makes of it an alert, an update
 * or nothing. Then the host's memory is offered what nothing speaks against. Programs that are new here have no
 * class that could be contradicted; they are alerted once, when they have shown enough of themselves.
 *
 * Pure: no clock, no chance, no files. The caller keeps the memory (`HostMemory.snapshot`) and fills in `why`
 * (`explain`). Treated on purpose: seconds marked incomplete raise nothing; shells and interpreters claim nothing;
 * a name that another name's memory covers (a renamed worker) is not new; a child of systemd before its exec is nobody.
 */
import type { Alert, AlertEnd, AlertKind, Reason } from '../domain/alert.ts'
import type { AllowRule } from '../domain/allow.ts'
import type { FactJudge } from '../domain/finding.ts'
import { ACTIVE_FRAMES_MIN, NEWCOMERS_MAX, SEQUENCE_FRAMES } from '../domain/limits.ts'
import type { ModelClasses, Predictions } from '../domain/prediction.ts'
import type { Process, ProcessKey } from '../domain/process.ts'
import { isAllowed } from './allow.ts'
import { type DetectionCalibration, levelFor } from './calibration.ts'
import { decide } from './decide.ts'
import {
  AlertBook,
  type BookChanges,
  type BookCounts,
  type BookLimits,
  type BookStatus,
  type KeptCause,
} from './dedup.ts'
import { accumulate, average, Evidence, type ProcessEvidence } from './evidence.ts'
import { whiten } from './geometry.ts'
import { claimIncrement, JUDGE, maliceIncrement, type Signs, signsOf } from './judge.ts'
import { type HostMemory, type MemoryStatus, NOTHING } from './memory.ts'
import { claimsNothing, isBeforeExec, memoryName } from './names.ts'
import { Unrest } from './unrest.ts'

export interface DetectorOptions {
  readonly classes: ModelClasses
  readonly calibration: DetectionCalibration
  readonly host: string
  /** The user's one number. */
  readonly falseAlertsPerDay: number
  readonly memory: HostMemory
  /** New programs are only remembered, not alerted, until the memory is this old. */
  readonly learnSeconds: number
  readonly allow?: readonly AllowRule[]
  readonly limits?: BookLimits
  /** Facts about processes; absent where they cannot be read (a recording). */
  readonly facts?: FactJudge
  /** Of this host alone: alert ids cannot be guessed without it. */
  readonly secret?: string
  /** When the memory knows a name well; calibration of the model alone sets it to never. */
  readonly warm?: { readonly seconds: number; readonly age: number }
  /** Sees the evidence on each process as it is let go: for calibration. */
  readonly onForget?: (evidence: ProcessEvidence) => void
}

/** The memory knows a name well after so many judged seconds and so many since its first sight. */
const WARM = { seconds: 60, age: 600 }
/** Judged seconds after which a new program has shown enough to be called one. */
const NEWCOMER_SECONDS = 4
/** Nearer than this to what any name usually does here, a new name is an old program. */
const NEWCOMER_USUAL = 0.5
/** A longer gap between two frames is time that was not watched (a restart, a suspended machine, a clock that was set). */
const UNWATCHED_SECONDS = 60
/** The mean of a run that is less sure than this fits no class. */
const CONFIDENCE_MIN = 0.35

export interface DetectorStatus {
  readonly judged: number
  readonly undecided: Readonly<Record<'tooShort' | 'incomplete', number>>
  readonly allowed: number
  readonly tracked: number
  /** Unix second; new programs are alerted after it. 0 before the first frame. */
  readonly learningUntil: number
  readonly learning: boolean
  /** Share of the well-known processes that do what they never did here, 0…1. */
  readonly unrest: number
  readonly memory: MemoryStatus
  readonly alerts: BookStatus
}

export interface Standing {
  /** Evidence as a share of what an alert takes, 0 for none. */
  readonly suspicion: number
  /** Its name claims a class that the model knows. */
  readonly claims: boolean
}

export class Detector {
  readonly #options: DetectorOptions
  readonly #classes: ModelClasses
  readonly #memory: HostMemory
  readonly #evidence: Evidence
  readonly #book: AlertBook
  readonly #levels: Record<'claim' | 'malice', { cold: number; warm: number }>
  readonly #newcomers = new Map<string, { seconds: number; last: number; from: number }>()
  readonly #unrest = new Unrest()
  readonly #whitened: Float32Array
  readonly #claims = new Map<string, number | undefined>()
  #allow: readonly AllowRule[]
  #judged = 0
  #tooShort = 0
  #incomplete = 0
  #allowed = 0
  #frameIndex = 0

  constructor(options: DetectorOptions) {
    this.#options = options
    this.#classes = options.classes
    this.#memory = options.memory
    this.#allow = options.allow ?? []
    this.#evidence = new Evidence(
      options.onForget === undefined ? {} : { onForget: options.onForget },
    )
    const { host, classes, limits, secret } = options
    this.#book = new AlertBook(host, classes.modelId, limits, secret)
    this.#whitened = new Float32Array(options.calibration.whitening.size)
    const { claim, malice } = options.calibration.tails
    // The budget is shared by the two questions.
    const perDay = options.falseAlertsPerDay / 2
    this.#levels = {
      claim: { cold: levelFor(claim.cold, perDay), warm: levelFor(claim.warm, perDay) },
      malice: { cold: levelFor(malice.cold, perDay), warm: levelFor(malice.warm, perDay) },
    }
  }

  get levels(): Readonly<Record<'claim' | 'malice', { cold: number; warm: number }>> {
    return this.#levels
  }

  set allow(rules: readonly AllowRule[]) {
    this.#allow = rules
  }

  /** How a process stands, for whoever cannot judge all. */
  standing(process: Process): Standing {
    const evidence = this.#evidence.peek(process)
    const stage = this.#isWarm(memoryName(process.name)) ? 'warm' : 'cold'
    const share = (name: 'claim' | 'malice') =>
      evidence === undefined ? 0 : evidence[name].level / Math.max(this.#levels[name][stage], 1)
    return {
      suspicion: Math.max(share('claim'), share('malice')),
      claims: this.#claimed(process.name) !== undefined,
    }
  }

  /** Windows of these processes are not judged in this frame; to be told before it is pushed. */
  hold(processes: Iterable<Process>): void {
    for (const process of processes) this.#evidence.hold(process)
  }

  /** Reasons for an alert that was opened, for its later messages, too. */
  explain(id: string, why: readonly Reason[]): void {
    this.#book.explain(id, why)
  }

  /** The messages of this frame. Frames in ascending order. */
  push(predictions: Predictions): Alert[] {
    const { frameIndex, processes } = predictions
    const gap = frameIndex - this.#frameIndex
    if (gap <= 0 || gap > UNWATCHED_SECONDS) this.#book.resumeAt(frameIndex)
    this.#frameIndex = frameIndex
    const alerts: Alert[] = []
    for (let row = 0; row < processes.length; row++) {
      const alert = this.#judge(predictions, row)
      if (alert !== undefined) alerts.push(alert)
    }
    this.#unrest.endSecond()
    if (frameIndex % 16 === 0) this.#evidence.forget(frameIndex)
    if (frameIndex % 3600 === 0) this.#memory.tidy(frameIndex)
    return [...alerts, ...this.#book.tick(frameIndex)]
  }

  /** The recording is over: what is open is closed. */
  end(frameIndex: number = this.#frameIndex): Alert[] {
    this.#evidence.end()
    return this.closeWhere(() => true, 'end', frameIndex)
  }

  closeWhere(
    isOver: (owners: ReadonlySet<ProcessKey>) => boolean,
    why: AlertEnd,
    frameIndex: number,
  ): Alert[] {
    return this.#book.closeWhere(isOver, why, frameIndex)
  }

  /** What must be kept of the alerts since the last call, for `restoreAlerts`. */
  alertChanges(): BookChanges | undefined {
    return this.#book.changes()
  }

  alertsNotKept(changes: BookChanges): void {
    this.#book.notKept(changes)
  }

  /** Before the first frame. */
  restoreAlerts(causes: readonly KeptCause[], counts: BookCounts | undefined): void {
    this.#book.restore(causes, counts)
  }

  status(): DetectorStatus {
    const { since } = this.#memory
    return {
      judged: this.#judged,
      undecided: { tooShort: this.#tooShort, incomplete: this.#incomplete },
      allowed: this.#allowed,
      tracked: this.#evidence.size,
      learningUntil: since === 0 ? 0 : since + this.#options.learnSeconds,
      learning: this.#learning(),
      unrest: Math.round(this.#unrest.share * 1000) / 1000,
      memory: this.#memory.status(),
      alerts: this.#book.status(),
    }
  }

  #learning(): boolean {
    const { since } = this.#memory
    return since === 0 || this.#frameIndex - since < this.#options.learnSeconds
  }

  #judge(predictions: Predictions, row: number): Alert | undefined {
    const { frameIndex, classCount } = predictions
    const process = predictions.processes[row]!
    if (predictions.incomplete[row] === 1) {
      this.#incomplete++
      return undefined
    }
    if (predictions.activeFrames[row]! < ACTIVE_FRAMES_MIN) {
      this.#tooShort++
      return undefined
    }
    if (isBeforeExec(process.name) && isFresh(process, frameIndex)) return undefined
    this.#judged++
    const { calibration } = this.#options
    const state = this.#whitened
    whiten(calibration.whitening, predictions.states, row, state)
    const name = memoryName(process.name)
    const claimed = this.#claimed(process.name)
    const usual = this.#memory.distance(name, state)
    const confessed = this.#classes.confessedBy?.(process.name)
    const evidence = this.#evidence.at(process, frameIndex, confessed)
    const { own } = evidence
    if (evidence.claim.level <= 0) Object.assign(own, NOTHING)
    const signs = signsOf(
      predictions,
      row,
      {
        claimed,
        confessed: confessed !== undefined,
        ordinary:
          claimed === undefined && !claimsNothing(process.name) && calibration.ordinary.has(name),
        spareInterpreters: this.#learning(),
      },
      {
        distance: usual,
        surprise: this.#memory.surprise(name, own),
        contradicted: this.#memory.contradicted(name, own),
        calm: this.#unrest.calm,
      },
      this.#classes,
      calibration,
      state,
    )
    // What is under an alert does not teach the memory that the model errs about its name.
    if (claimed !== undefined && !this.#book.isOpen(process)) {
      this.#memory.countClaim(name, signs.against > 0, own)
    }
    const warm = usual < Number.POSITIVE_INFINITY && this.#isWarm(name)
    if (warm) this.#unrest.see(usual)
    // A name without class claims what it usually does here, once the memory knows that.
    if (claimed !== undefined || (warm && !claimsNothing(process.name))) {
      accumulate(evidence.claim, claimIncrement(signs, warm), frameIndex)
    }
    accumulate(evidence.malice, maliceIncrement(signs, warm), frameIndex)
    average(evidence, predictions.probabilities, row, classCount)
    const alert = this.#crossing(evidence, claimed, warm) ?? this.#newcomer(evidence, name, claimed)
    this.#remember(evidence, name, state, signs, warm)
    return alert
  }

  #crossing(
    evidence: ProcessEvidence,
    claimed: number | undefined,
    warm: boolean,
  ): Alert | undefined {
    const stage = warm ? 'warm' : 'cold'
    const malice = evidence.malice.level >= this.#levels.malice[stage]
    const claim = evidence.claim.level >= this.#levels.claim[stage]
    if (!malice && !claim) return undefined
    const { names, malicious } = this.#classes
    const mean = evidence.mean!
    // The most probable class among those that answer the question asked.
    let best = -1
    for (let c = 0; c < mean.length; c++) {
      if (malice ? !malicious[c] : c === claimed) continue
      if (best < 0 || mean[c]! > mean[best]!) best = c
    }
    const confidence = mean[best]!
    const verdict = decide(
      { class: best, confidence },
      claimed,
      this.#classes,
      malice ? 0 : CONFIDENCE_MIN,
    )
    const kind: AlertKind =
      verdict.kind === 'nonGrata'
        ? 'non-grata'
        : verdict.kind === 'masquerade'
          ? 'masquerade'
          : 'novelty'
    // That a behaviour is none of the named ones is for the memory to say: without one the model just does not know it.
    if ((kind === 'novelty' || best === this.#classes.background) && !warm) return undefined
    const stream = malice ? evidence.malice : evidence.claim
    return this.#raise(
      kind,
      evidence.process,
      { class: names[best]!, confidence },
      claimed === undefined ? NO_CLASS : { class: names[claimed]!, confidence: mean[claimed]! },
      stream.from,
      stream.windows,
    )
  }

  /** A program whose name has no class and that this host has never seen: alerted once, then remembered. */
  #newcomer(
    { process, malice }: ProcessEvidence,
    name: string,
    claimed: number | undefined,
  ): Alert | undefined {
    if (claimed !== undefined || claimsNothing(process.name)) return undefined
    if (this.#memory.known(name) !== undefined) return undefined
    // A program that is ordinary elsewhere is no news here, though the model has no class for it.
    if (this.#options.calibration.ordinary.has(name)) return undefined
    const frameIndex = this.#frameIndex
    let trial = this.#newcomers.get(name)
    if (trial === undefined) {
      if (this.#newcomers.size >= NEWCOMERS_MAX) {
        this.#newcomers.delete(this.#newcomers.keys().next().value!)
      }
      trial = { seconds: 0, last: -1, from: frameIndex }
      this.#newcomers.set(name, trial)
    }
    if (trial.last !== frameIndex) trial.seconds++
    trial.last = frameIndex
    // Where it begins to look malicious that question is answered first.
    if (trial.seconds < NEWCOMER_SECONDS || malice.level > 0) return undefined
    this.#newcomers.delete(name)
    this.#memory.meet(name, frameIndex)
    if (this.#learning()) return undefined
    if (this.#memory.anyDistance(this.#whitened) < NEWCOMER_USUAL) return undefined
    return this.#raise('novelty', process, NO_CLASS, NO_CLASS, trial.from, trial.seconds)
  }

  #raise(
    kind: AlertKind,
    process: Process,
    predicted: Alert['predicted'],
    claimed: Alert['claimed'],
    from: number,
    windows: number,
  ): Alert | undefined {
    const malicious = this.#classes.malicious[this.#classes.names.indexOf(predicted.class)] ?? false
    if (
      isAllowed(
        this.#allow,
        { name: process.name, class: predicted.class, malicious },
        this.#frameIndex,
      )
    ) {
      this.#allowed++
      return undefined
    }
    return this.#book.raise(
      {
        ...{ kind, process, predicted, claimed, from, windows },
        severity: kind === 'novelty' ? 'medium' : 'high',
        certainty: 'confirmed',
        ...(kind === 'masquerade' ? { techniques: ['T1036'] } : {}),
      },
      this.#frameIndex,
    )
  }

  #remember(
    evidence: ProcessEvidence,
    name: string,
    state: Float32Array,
    signs: Signs,
    warm: boolean,
  ): void {
    if (this.#newcomers.has(name)) return
    const stage = warm ? 'warm' : 'cold'
    if (signs.toMalicious <= JUDGE.maliciousGate && signs.malice > 0) return
    if (evidence.malice.level > this.#levels.malice[stage] / 2) return
    if (evidence.claim.level > this.#levels.claim[stage] / 2) return
    if (this.#book.isOpen(evidence.process)) return
    // A name's first minutes are taken as they come: there is nothing yet that they could deviate from.
    this.#memory.observe(name, state, this.#frameIndex, this.#learning() || !warm, evidence.own)
  }

  #isWarm(name: string): boolean {
    const known = this.#memory.known(name)
    const { seconds, age } = this.#options.warm ?? WARM
    return known !== undefined && known.seconds >= seconds && this.#frameIndex - known.first >= age
  }

  #claimed(name: string): number | undefined {
    if (this.#claims.has(name)) return this.#claims.get(name)
    let claimed = claimsNothing(name) ? undefined : this.#classes.claimedBy(name)
    if (claimed === this.#classes.background) claimed = undefined
    if (this.#claims.size >= 4096) this.#claims.clear()
    this.#claims.set(name, claimed)
    return claimed
  }
}

/** A group has no age: its members are young, all of them. */
function isFresh({ pid, startMs }: Process, frameIndex: number): boolean {
  return pid < 0 || frameIndex - Math.floor(startMs / 1000) < SEQUENCE_FRAMES
}

const NO_CLASS = { class: '', confidence: 0 } as const
