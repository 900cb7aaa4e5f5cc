/**
 * Predictions in, alerts out: one pass per second over all classified processes.
 *
 * Per process the evidence of a window (judge.ts) is accumulated (evidence.ts); above a threshold
 * the paper's table (decide.ts) is applied to the mean of the run, and dedup.ts makes an alert, an
 * update or nothing of it. Then windows without evidence against them are added to the host's
 * baseline. Programs that are new on the host have no class to contradict; they are alerted once,
 * after enough activity.
 *
 * Pure: no clock, no chance, no files. The caller keeps the memory (`HostMemory.snapshot`) and
 * fills in `why` (`explain`). By design: incomplete seconds raise no alert; names of shells and
 * interpreters are not claims; a name that another name's memory covers (a renamed worker) is not
 * new; names before exec (a child of systemd) are ignored.
 */
import type { Alert, AlertEnd, Reason } from '../domain/alert.ts'
import type { AllowRule } from '../domain/allow.ts'
import { allowedBy } from '../domain/allow.ts'
import type { Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { FactJudge, Proof } from '../domain/finding.ts'
import { ACTIVE_FRAMES_MIN, SEQUENCE_FRAMES } from '../domain/limits.ts'
import { Policy } from '../domain/policy.ts'
import type { ModelClasses, Predictions } from '../domain/prediction.ts'
import type { Process, ProcessKey } from '../domain/process.ts'
import type { BookChanges, BookCounts, KeptCause } from './book-state.ts'
import { type DetectionCalibration, Levels } from './calibration.ts'
import { type Accusation, type Candidate, Candidates } from './candidates.ts'
import { ClaimedClasses } from './claimed-classes.ts'
import { Coverage, type Knowledge, sharesOf } from './coverage.ts'
import { AlertBook, type BookLimits } from './dedup.ts'
import type { DetectorStatus, Standing } from './detector-status.ts'
import { accumulate, average, Evidence, noteKnown, type ProcessEvidence } from './evidence.ts'
import { Gate } from './gate.ts'
import { whiten } from './geometry.ts'
import { HostLevel } from './host-level.ts'
import { claimIncrement, maliceIncrement, type Signs, signsOf } from './judge.ts'
import { isKnown } from './known.ts'
import { type HostMemory, NOTHING } from './memory.ts'
import { type MemoryState, memoryStateOf } from './memory-state.ts'
import { claimsNothing, isBeforeExec, memoryName } from './names.ts'
import { Newcomers } from './newcomers.ts'
import {
  FACTS_FROM,
  JUDGE,
  NOT_KNOWN_FROM,
  NOVELTY_SHARE,
  RECURRENCE,
  UNREST,
  UNWATCHED_SECONDS,
  WARM,
} from './thresholds.ts'
import { mayVote, Unrest, type UnrestGroup } from './unrest.ts'

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
  /** Proofs from frames alone, where facts cannot be read; by default those of `facts`. */
  readonly proofs?: () => readonly Proof[]
  /** Of this host alone: alert ids cannot be guessed without it. */
  readonly secret?: string
  /** What the operator changed about severities. */
  readonly policy?: Policy
  /** When the memory knows a name well; calibration of the model alone sets it to never. */
  readonly warm?: { readonly seconds: number; readonly age: number }
  /** Called with the evidence on each process when it is dropped: for calibration. */
  readonly onForget?: (evidence: ProcessEvidence) => void
}

export class Detector {
  readonly #options: DetectorOptions
  readonly #classes: ModelClasses
  readonly #memory: HostMemory
  readonly #evidence: Evidence
  readonly #book: AlertBook
  readonly #levels: Levels
  readonly #claims: ClaimedClasses
  readonly #candidates: Candidates
  readonly #newcomers: Newcomers
  readonly #gate: Gate
  readonly #hostLevel: HostLevel
  readonly #unrest = new Unrest()
  readonly #whitened: Float32Array
  #calibration: DetectionCalibration
  #allow: readonly AllowRule[]
  /** As in the options; may be changed while it runs. */
  learnSeconds: number
  #judged = 0
  #tooShort = 0
  #incomplete = 0
  #allowed = 0
  #frameIndex = 0
  /** In which this run began. */
  #firstFrame = 0
  #known = new Uint8Array(0)
  readonly #coverage = new Coverage()
  /** Frame in which the memory last took a window; 0 for never. */
  #remembered = 0
  /** Messages that no call of `push` has returned yet. */
  readonly #due: Alert[] = []

  constructor(options: DetectorOptions) {
    this.#options = options
    this.#classes = options.classes
    this.#memory = options.memory
    this.#allow = options.allow ?? []
    this.learnSeconds = options.learnSeconds
    this.#hostLevel = new HostLevel(options.falseAlertsPerDay)
    this.#claims = new ClaimedClasses(options.classes)
    this.#candidates = new Candidates(options.classes, this.#claims, options.policy ?? new Policy())
    this.#newcomers = new Newcomers(options.memory, options.facts)
    this.#gate = new Gate(options.facts, this.#hostLevel)
    this.#calibration = options.calibration
    this.#evidence = new Evidence(
      options.onForget === undefined ? {} : { onForget: options.onForget },
    )
    const { host, classes, secret } = options
    const noveltiesPerDay = Math.max(1, Math.round(options.falseAlertsPerDay * NOVELTY_SHARE))
    const limits = { noveltiesPerDay, ...options.limits }
    this.#book = new AlertBook(host, classes.modelId, limits, secret)
    this.#whitened = new Float32Array(options.calibration.whitening.size)
    this.#levels = new Levels(options.calibration, options.falseAlertsPerDay)
  }

  get levels(): Levels {
    return this.#levels
  }

  set allow(rules: readonly AllowRule[]) {
    this.#allow = rules
  }

  set policy(policy: Policy) {
    this.#candidates.policy = policy
  }

  /**
   * The host's classes have changed: `classes` says so already, and this is what was measured of
   * them.
   */
  recalibrate(calibration: DetectionCalibration): void {
    this.#calibration = calibration
    this.#claims.refresh()
    this.#evidence.forgetMeans()
  }

  /** Of the frame that was pushed last: `Predictions.known`. */
  get known(): Uint8Array {
    return this.#known
  }

  /** What is known of a process, for the governor, which cannot classify all (--cpu-max). */
  standing(process: Process): Standing {
    const evidence = this.#evidence.peek(process)
    const name = memoryName(process.name)
    const stage = this.#isWarm(name) ? 'warm' : 'cold'
    const share = (stream: 'claim' | 'malice') =>
      evidence === undefined ? 0 : evidence[stream].level / this.#levels.of(stream, stage, name)
    return {
      known: evidence === undefined || evidence.unknown <= NOT_KNOWN_FROM,
      suspicion: Math.max(share('claim'), share('malice')),
      claims: this.#claims.of(process.name) !== undefined,
    }
  }

  /** Whether there is any evidence on a process: as `standing`, at a tenth of its cost. */
  isSuspect(process: Process): boolean {
    const evidence = this.#evidence.peek(process)
    return evidence !== undefined && (evidence.claim.level > 0 || evidence.malice.level > 0)
  }

  /** Windows of these processes are not judged in this frame; to be told before it is pushed. */
  hold(processes: Iterable<Process>): void {
    for (const process of processes) this.#evidence.hold(process)
  }

  /** Reasons for an alert that was opened, for its later messages, too. */
  explain(id: string, why: readonly Reason[]): void {
    this.#book.explain(id, why)
  }

  /** The messages of this frame, and those of an earlier one that failed before it gave them. */
  push(predictions: Predictions): Alert[] {
    const { frameIndex, processes } = predictions
    const gap = frameIndex - this.#frameIndex
    if (gap <= 0 || gap > UNWATCHED_SECONDS) this.#resumeAt(frameIndex)
    if (this.#firstFrame === 0) this.#firstFrame = frameIndex
    this.#frameIndex = frameIndex
    this.#known = new Uint8Array(processes.length).fill(1)
    try {
      for (let row = 0; row < processes.length; row++) {
        const alert = this.#judge(predictions, row)
        if (alert !== undefined) this.#due.push(alert)
      }
    } finally {
      this.#unrest.endSecond()
      this.#coverage.endSecond()
    }
    const { facts, proofs = () => facts?.proofs() ?? [] } = this.#options
    for (const proof of proofs()) {
      const mean = this.#evidence.peek(proof.process)?.mean
      const alert = this.#raise(this.#candidates.proven(proof, mean, frameIndex))
      if (alert !== undefined) this.#due.push(alert)
    }
    if (frameIndex % 16 === 0) this.#evidence.forget(frameIndex)
    if (frameIndex % 3600 === 0) this.#memory.tidy(frameIndex)
    this.#gate.endSecond(frameIndex)
    this.#due.push(...this.#book.tick(frameIndex))
    return this.#due.splice(0)
  }

  /** Host-wide deviation in the newest seconds. */
  get unrest(): { readonly share: number; readonly most: UnrestGroup | undefined } {
    const { share, most } = this.#unrest
    return { share, most }
  }

  /** This host's own level, over a restart. */
  get hostLevel(): HostLevel {
    return this.#hostLevel
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
      learningUntil: since === 0 ? 0 : since + this.learnSeconds,
      learning: this.#learning(),
      unrest: Math.round(this.#unrest.share * 1000) / 1000,
      ...defined({ unrestOf: this.#unrest.most }),
      memory: { ...this.#memory.status(), state: this.#memoryState() },
      ...defined({
        coverage: this.#coverageNow(),
        newNamesPerDay: this.#memory.newNamesPerDay(this.#frameIndex),
      }),
      hostLevel: this.#hostLevel.status(),
      alerts: this.#book.status(),
      openAlerts: this.#book.openAlerts(),
    }
  }

  #memoryState(): MemoryState {
    return memoryStateOf({
      isLearning: this.#learning(),
      idleSeconds: this.#remembered === 0 ? 0 : this.#frameIndex - this.#remembered,
      unrest: this.#unrest.share,
      poisoned: this.#memory.status().poisoned,
      openAlerts: this.#book.status().open,
    })
  }

  #coverageNow(): DetectorStatus['coverage'] {
    const windows = this.#coverage.shares
    if (windows === undefined) return undefined
    const names = [...this.#memory.names()].map(([name]) => this.#knowledgeOf(name))
    return { windows, ...defined({ names: sharesOf(names) }) }
  }

  /** @param name as the memory writes it */
  #knowledgeOf(name: string): Knowledge {
    if (this.#claims.of(name) !== undefined) return 'class'
    return this.#isWarm(name) ? 'remembered' : 'unknown'
  }

  /** Seconds go on at this frame: after a time that was not watched, or where the clock was set. */
  #resumeAt(frameIndex: number): void {
    this.#book.resumeAt(frameIndex)
    this.#memory.stepBack(frameIndex)
    this.#newcomers.clear()
  }

  #learning(): boolean {
    const { since } = this.#memory
    return since === 0 || this.#frameIndex - since < this.learnSeconds
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
    const calibration = this.#calibration
    const state = this.#whitened
    whiten(calibration.whitening, predictions.states, row, state)
    const name = memoryName(process.name)
    const claimed = this.#claims.of(process.name)
    const usual = this.#memory.distance(name, state)
    const maliciousName = this.#classes.toolClassOf?.(process.name)
    const evidence = this.#evidence.at(process, frameIndex, maliciousName)
    const isKnownHere = isKnown(predictions, row, this.#classes.background, calibration, state)
    this.#known[row] = isKnownHere ? 1 : 0
    noteKnown(evidence, isKnownHere, frameIndex)
    const { own } = evidence
    if (evidence.claim.level <= 0) Object.assign(own, NOTHING)
    const signs = signsOf(
      predictions,
      row,
      {
        claimed,
        maliciousName: maliciousName !== undefined,
        spareInterpreters: this.#learning(),
      },
      {
        distance: usual,
        distanceOf: (of) => this.#memory.distance(memoryName(this.#classes.names[of]!), state),
        surprise: this.#memory.surprise(name, own),
        contradicted: this.#memory.contradicted(
          name,
          own,
          claimed === undefined ? undefined : calibration.measuredHere?.get(claimed),
        ),
        calm: this.#unrest.calm,
      },
      this.#claims.accusing,
      calibration,
      state,
    )
    // What is under an alert does not teach the memory that the model errs about its name.
    if (claimed !== undefined && !this.#book.isOpen(process)) {
      this.#memory.countClaim(name, signs.against > 0, own)
    }
    const warm = usual < Number.POSITIVE_INFINITY && this.#isWarm(name)
    this.#coverage.see(claimed !== undefined ? 'class' : warm ? 'remembered' : 'unknown')
    if (warm) {
      if (mayVote(process, evidence.usual, this.#firstFrame)) this.#unrest.see(usual, process)
      if (usual <= UNREST.strange) evidence.usual++
    }
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

  /**
   * Evidence on a question has come near its level: facts are asked for, and at the level all are
   * weighed.
   */
  #crossing(
    evidence: ProcessEvidence,
    claimed: number | undefined,
    warm: boolean,
  ): Alert | undefined {
    const stage = warm ? 'warm' : 'cold'
    const name = memoryName(evidence.process.name)
    const malice = evidence.malice.level / this.#levels.of('malice', stage, name)
    const claim = evidence.claim.level / this.#levels.of('claim', stage, name)
    if (evidence.mean === undefined || Math.max(malice, claim) < FACTS_FROM) return undefined
    return (
      (malice < FACTS_FROM
        ? undefined
        : this.#weighed(this.#candidates.malicious(evidence, claimed), malice, warm)) ??
      (claim < FACTS_FROM
        ? undefined
        : this.#weighed(this.#candidates.contradicting(evidence, claimed, warm), claim, warm))
    )
  }

  /** @param share of its level that the evidence has reached */
  #weighed(candidate: Candidate | undefined, share: number, warm: boolean): Alert | undefined {
    if (candidate === undefined) return undefined
    const outcome = this.#gate.weighed(candidate, share, warm, this.#frameIndex)
    return outcome.kind === 'wait' ? undefined : this.#raise({ ...candidate.accusation, outcome })
  }

  #newcomer(
    evidence: ProcessEvidence,
    name: string,
    claimed: number | undefined,
  ): Alert | undefined {
    // A program that is ordinary elsewhere is no news here, though the model has no class for it.
    if (claimed !== undefined || this.#calibration.ordinary.has(name)) return undefined
    const accusation = this.#newcomers.see(evidence, name, this.#whitened, this.#frameIndex, () =>
      this.#learning(),
    )
    return accusation === undefined ? undefined : this.#raise(accusation)
  }

  #raise(accusation: Accusation): Alert | undefined {
    const { outcome, severity, ...rest } = accusation
    const { process, predicted, behaviour } = rest
    const context = this.#options.facts?.context(process)
    const subject = {
      ...{ name: process.name, exe: process.exe, container: process.container },
      ...{ user: context?.user, unit: context?.unit },
      ...{ class: predicted.class, behaviour, severity },
    }
    if (allowedBy(this.#allow, subject, this.#frameIndex) !== undefined) {
      this.#allowed++
      this.#memory.cure(memoryName(process.name))
      return undefined
    }
    const usual = this.#recurring(rest, severity, context)
    const isAlert = outcome.kind === 'alert' && usual === undefined
    const wasRemembered = (this.#evidence.peek(process)?.remembered ?? 0) > 0
    if (isAlert && outcome.isProven && wasRemembered)
      this.#memory.poison(memoryName(process.name), this.#frameIndex)
    return this.#book.raise(
      {
        ...rest,
        severity: isAlert ? severity : 'low',
        certainty: isAlert ? outcome.certainty : 'provisional',
        because: usual === undefined ? outcome.because : [usual],
        ...defined({ context }),
      },
      this.#frameIndex,
    )
  }

  /** Why it is no news, where it has recurred for days; what is critical or high always is. */
  #recurring(
    { kind, behaviour, process: { name } }: Omit<Accusation, 'outcome' | 'severity'>,
    severity: Severity,
    context: { readonly user?: string; readonly unit?: string } | undefined,
  ): string | undefined {
    if (context === undefined || severity === 'critical' || severity === 'high') return undefined
    const { user, unit } = context
    const subject = { kind, name, ...defined({ behaviour, user, unit }) }
    const days = this.#memory.recurrence.note(subject, this.#frameIndex)
    return days === undefined
      ? undefined
      : `has recurred on ${days} of the last ${RECURRENCE.withinDays} days`
  }

  #remember(
    evidence: ProcessEvidence,
    name: string,
    state: Float32Array,
    signs: Signs,
    warm: boolean,
  ): void {
    if (this.#newcomers.isOnTrial(name)) return
    const stage = warm ? 'warm' : 'cold'
    if (signs.toMalicious <= JUDGE.maliciousGate && signs.malice > 0) {
      const behaviour = this.#classes.behaviours?.[signs.worst]
      if (behaviour === undefined || !this.#candidates.policy.mayBecomeUsual(behaviour)) return
    }
    if (evidence.malice.level > this.#levels.of('malice', stage, name) / 2) return
    if (evidence.claim.level > this.#levels.of('claim', stage, name) / 2) return
    if (this.#book.isOpen(evidence.process) || this.#book.isInIncident(evidence.process)) return
    evidence.remembered++
    this.#remembered = this.#frameIndex
    // A name's first minutes are taken as they come: there is nothing yet that they could deviate
    // from.
    // While learning, too, what a model that knows this host takes for another program has to recur.
    const isLearning = !warm || (this.#learning() && signs.toOther === undefined)
    this.#memory.observe(name, state, this.#frameIndex, isLearning, evidence.own)
  }

  #isWarm(name: string): boolean {
    const known = this.#memory.known(name)
    const { seconds, age } = this.#options.warm ?? WARM
    return known !== undefined && known.seconds >= seconds && this.#frameIndex - known.first >= age
  }
}

/** A group has no age: its members are young, all of them. */
function isFresh({ pid, startMs }: Process, frameIndex: number): boolean {
  return pid < 0 || frameIndex - Math.floor(startMs / 1000) < SEQUENCE_FRAMES
}
