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
import type { Alert, AlertEnd, AlertKind, Reason } from '../domain/alert.ts'
import type { AllowRule } from '../domain/allow.ts'
import { allowedBy } from '../domain/allow.ts'
import { BEHAVIOURS, type Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { FactJudge, Proof, Question } from '../domain/finding.ts'
import {
  ACTIVE_FRAMES_MIN,
  ALERT_ALTERNATIVES_MAX,
  NEWCOMERS_MAX,
  SEQUENCE_FRAMES,
} from '../domain/limits.ts'
import { Policy } from '../domain/policy.ts'
import type { ModelClasses, Predictions } from '../domain/prediction.ts'
import type { Process, ProcessKey } from '../domain/process.ts'
import type { Verdict } from '../domain/verdict.ts'
import { type DetectionCalibration, Levels } from './calibration.ts'
import { Coverage, type Knowledge, type Shares, sharesOf } from './coverage.ts'
import { decide, mostProbable } from './decide.ts'
import {
  AlertBook,
  type BookChanges,
  type BookCounts,
  type BookLimits,
  type BookStatus,
  type Crossing,
  type KeptCause,
  type OpenAlerts,
} from './dedup.ts'
import {
  accumulate,
  average,
  Evidence,
  noteKnown,
  type ProcessEvidence,
  type Stream,
} from './evidence.ts'
import { whiten } from './geometry.ts'
import { HostLevel, type HostLevelStatus } from './host-level.ts'
import { claimIncrement, maliceIncrement, type Signs, signsOf } from './judge.ts'
import { isKnown } from './known.ts'
import { type HostMemory, type MemoryStatus, NOTHING } from './memory.ts'
import { type MemoryState, memoryStateOf } from './memory-state.ts'
import { claimsNothing, isBeforeExec, memoryName } from './names.ts'
import { isPackageManager } from './program-names.ts'
import {
  CONFIDENCE_MIN,
  FACTS_FROM,
  JUDGE,
  NEWCOMER_SECONDS,
  NEWCOMER_USUAL,
  NOT_KNOWN_FROM,
  NOVELTY_SHARE,
  UNWATCHED_SECONDS,
  WARM,
} from './thresholds.ts'
import { mayVote, STRANGE, Unrest, type UnrestGroup } from './unrest.ts'
import { type Outcome, weigh } from './weigh.ts'

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
  /** Sees the evidence on each process as it is let go: for calibration. */
  readonly onForget?: (evidence: ProcessEvidence) => void
}

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
  /** The user or container with most of them in the newest second; absent where there are none. */
  readonly unrestOf?: UnrestGroup
  readonly memory: MemoryStatus & { readonly state: MemoryState }
  /** New names that a day will bring, as this host's past goes; absent in its first day. */
  readonly newNamesPerDay?: number
  /** How much of this host is known; absent before the first window. */
  readonly coverage?: { readonly windows: Shares; readonly names?: Shares }
  /** What this host's own hours say of the levels. */
  readonly hostLevel: HostLevelStatus
  readonly alerts: BookStatus
  /** Absent in documents of older agents. */
  readonly openAlerts?: OpenAlerts
}

export interface Standing {
  /** The model knows behaviours like its own. */
  readonly known: boolean
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
  readonly #levels: Levels
  readonly #newcomers = new Map<string, { seconds: number; last: number; from: number }>()
  readonly #unrest = new Unrest()
  readonly #whitened: Float32Array
  readonly #claims = new Map<string, number | undefined>()
  /**
   * Classes that accuse: malicious ones but those of dual-use tools, which are programs like any
   * other.
   */
  readonly #hostLevel: HostLevel
  /** Highest share of a level in this second that no fact refuted. */
  #highest = 0
  #accusing: ModelClasses
  #calibration: DetectionCalibration
  #policy: Policy
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
    this.#policy = options.policy ?? new Policy()
    this.#hostLevel = new HostLevel(options.falseAlertsPerDay)
    this.#accusing = accusingOf(options.classes)
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
    this.#policy = policy
  }

  /**
   * The host's classes have changed: `classes` says so already, and this is what was measured of
   * them.
   */
  recalibrate(calibration: DetectionCalibration): void {
    this.#calibration = calibration
    this.#accusing = accusingOf(this.#classes)
    this.#claims.clear()
    this.#evidence.forgetMeans()
  }

  /** Of the frame that was pushed last: `Predictions.known`. */
  get known(): Uint8Array {
    return this.#known
  }

  /** How a process stands, for whoever cannot judge all. */
  standing(process: Process): Standing {
    const evidence = this.#evidence.peek(process)
    const name = memoryName(process.name)
    const stage = this.#isWarm(name) ? 'warm' : 'cold'
    const share = (stream: 'claim' | 'malice') =>
      evidence === undefined ? 0 : evidence[stream].level / this.#levels.of(stream, stage, name)
    return {
      known: evidence === undefined || evidence.unknown <= NOT_KNOWN_FROM,
      suspicion: Math.max(share('claim'), share('malice')),
      claims: this.#claimed(process.name) !== undefined,
    }
  }

  /** Whether any evidence speaks against a process: what `standing` says, at a tenth of its cost. */
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
      const alert = this.#proven(proof)
      if (alert !== undefined) this.#due.push(alert)
    }
    if (frameIndex % 16 === 0) this.#evidence.forget(frameIndex)
    if (frameIndex % 3600 === 0) this.#memory.tidy(frameIndex)
    this.#hostLevel.push(frameIndex, this.#highest)
    this.#highest = 0
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
    if (this.#claimed(name) !== undefined) return 'class'
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
    const claimed = this.#claimed(process.name)
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
      this.#accusing,
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
      if (usual <= STRANGE) evidence.usual++
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
      (malice < FACTS_FROM ? undefined : this.#malicious(evidence, malice, claimed, warm)) ??
      (claim < FACTS_FROM ? undefined : this.#contradicted(evidence, claim, claimed, warm))
    )
  }

  /** @param share of the threshold that the malicious evidence has reached */
  #malicious(
    evidence: ProcessEvidence,
    share: number,
    claimed: number | undefined,
    warm: boolean,
  ): Alert | undefined {
    const mean = evidence.mean!
    const { malicious, names } = this.#accusing
    const best = mostProbable(mean, 0, mean.length, (c) => malicious[c]!)
    const behaviour = this.#classes.behaviours?.[best.class]
    const outcome = this.#weighed(evidence, share, {
      question: behaviour,
      stream: evidence.malice,
      // That it is malicious is surer than which of the malicious behaviours it is.
      confidence: sumOf(mean, malicious),
      named: best.confidence,
      warm,
    })
    if (outcome.kind === 'wait') return undefined
    return this.#raise({
      kind: 'non-grata',
      process: evidence.process,
      predicted: { class: names[best.class]!, confidence: best.confidence },
      ...this.#alternatives(mean, best.class, claimed),
      claimed: this.#claimedIn(mean, claimed),
      from: evidence.malice.from,
      windows: evidence.malice.windows,
      outcome,
      severity: behaviour === undefined ? 'high' : this.#policy.severityOf(behaviour),
      ...defined({ behaviour }),
      techniques: behaviour === undefined ? [] : BEHAVIOURS[behaviour].techniques,
    })
  }

  /** It is not what its name says: another program, or nothing that is known. */
  #contradicted(
    evidence: ProcessEvidence,
    share: number,
    claimed: number | undefined,
    warm: boolean,
  ): Alert | undefined {
    const mean = evidence.mean!
    const best = mostProbable(mean, 0, mean.length, (c) => c !== claimed)
    const verdict = decide(best, claimed, this.#accusing, CONFIDENCE_MIN)
    // That a behaviour is none of the named ones is for the memory to say: without one the model
    // just does not know it.
    const isUnknown =
      verdict.kind === 'novelty' ||
      best.class === this.#classes.background ||
      evidence.unknown > NOT_KNOWN_FROM
    if (isUnknown && !warm) return undefined
    const outcome = this.#weighed(evidence, share, {
      question: 'masquerade',
      stream: evidence.claim,
      confidence: best.confidence,
      named: best.confidence,
      warm,
    })
    if (outcome.kind === 'wait') return undefined
    const kind = KINDS[verdict.kind]
    const behaviour = kind === 'non-grata' ? this.#classes.behaviours?.[best.class] : undefined
    return this.#raise({
      kind,
      process: evidence.process,
      predicted: { class: this.#classes.names[best.class]!, confidence: best.confidence },
      ...this.#alternatives(mean, best.class, claimed),
      claimed: this.#claimedIn(mean, claimed),
      from: evidence.claim.from,
      windows: evidence.claim.windows,
      outcome,
      severity:
        behaviour !== undefined
          ? this.#policy.severityOf(behaviour)
          : kind === 'novelty'
            ? 'medium'
            : 'high',
      ...defined({ behaviour }),
      techniques: [
        ...(kind === 'masquerade' ? ['T1036'] : []),
        ...(behaviour === undefined ? [] : BEHAVIOURS[behaviour].techniques),
      ],
    })
  }

  /** The next most probable classes that say something: a guess below a twentieth does not. */
  #alternatives(mean: Float32Array, best: number, claimed: number | undefined) {
    const alternatives = Array.from(mean, (confidence, c) => ({ c, confidence }))
      .filter(({ c, confidence }) => c !== best && c !== claimed && confidence >= 0.05)
      .sort((a, b) => b.confidence - a.confidence)
      .slice(0, ALERT_ALTERNATIVES_MAX)
      .map(({ c, confidence }) => ({ class: this.#classes.names[c]!, confidence }))
    return alternatives.length === 0 ? {} : { alternatives }
  }

  #claimedIn(mean: Float32Array, claimed: number | undefined): Alert['claimed'] {
    if (claimed === undefined) return NO_CLASS
    return { class: this.#classes.names[claimed]!, confidence: mean[claimed]! }
  }

  #weighed(
    { process }: ProcessEvidence,
    share: number,
    about: {
      readonly question: Question | undefined
      readonly stream: Stream
      readonly confidence: number
      readonly named: number
      readonly warm: boolean
    },
  ): Outcome {
    const { facts } = this.#options
    const { question, stream, confidence, named, warm } = about
    if (question !== undefined) facts?.want(process, question)
    if (share < 1) {
      this.#highest = Math.max(this.#highest, share)
      return { kind: 'wait' }
    }
    const outcome = weigh({
      question: question ?? 'masquerade',
      confidence,
      named,
      isAnyProgram: claimsNothing(process.name),
      seconds: this.#frameIndex - stream.from,
      warm,
      findings: question === undefined ? undefined : facts?.findings(process, question),
      hasFacts: facts !== undefined && question !== undefined,
      isAsking: question !== undefined && facts?.isAsking(process, question) === true,
    })
    if (outcome.kind !== 'alert') return outcome
    this.#highest = Math.max(this.#highest, share)
    // Facts that prove need no statistics; all else is held to what this host's ordinary life
    // reaches.
    return outcome.isProven || share >= this.#hostLevel.factor ? outcome : { kind: 'wait' }
  }

  /** A fact that is enough by itself, whatever the calls look like. */
  #proven({ process, finding }: Proof): Alert | undefined {
    const { question, says, because } = finding
    const mean = this.#evidence.peek(process)?.mean
    const name = memoryName(process.name)
    const claimed = this.#claimed(process.name)
    const isMasquerade = question === 'masquerade'
    const best =
      isMasquerade && mean !== undefined
        ? mostProbable(mean, 0, mean.length, (c) => c !== claimed)
        : undefined
    return this.#raise({
      kind: isMasquerade ? 'masquerade' : 'non-grata',
      process,
      predicted: isMasquerade
        ? best === undefined
          ? NO_CLASS
          : { class: this.#classes.names[best.class]!, confidence: best.confidence }
        : { class: BEHAVIOURS[question].name, confidence: 1 },
      claimed:
        claimed === undefined
          ? { class: isMasquerade ? name : '', confidence: 0 }
          : this.#claimedIn(mean ?? new Float32Array(this.#classes.names.length), claimed),
      from: this.#frameIndex,
      windows: 1,
      outcome: {
        ...{ kind: 'alert', because: [because], isProven: true },
        // What only supports is listed, and notifies nobody.
        certainty: says === 'proves' ? 'confirmed' : 'provisional',
      },
      severity: isMasquerade ? 'high' : this.#policy.severityOf(question),
      ...(isMasquerade ? {} : { behaviour: question }),
      // Whoever blinds does it with new processes under new names.
      ...(question === 'blinding' && process.uid !== undefined
        ? { partOf: `blinding by user ${process.uid}` }
        : {}),
      techniques: isMasquerade ? ['T1036'] : BEHAVIOURS[question].techniques,
    })
  }

  /**
   * A program whose name has no class and that this host has never seen: alerted once, then
   * remembered.
   */
  #newcomer(
    { process, malice }: ProcessEvidence,
    name: string,
    claimed: number | undefined,
  ): Alert | undefined {
    if (claimed !== undefined || claimsNothing(process.name)) return undefined
    if (this.#memory.known(name) !== undefined) return undefined
    // A program that is ordinary elsewhere is no news here, though the model has no class for it.
    if (this.#calibration.ordinary.has(name)) return undefined
    const frameIndex = this.#frameIndex
    let trial = this.#newcomers.get(name)
    if (trial === undefined) {
      if (this.#newcomers.size >= NEWCOMERS_MAX) {
        this.#newcomers.delete(this.#newcomers.keys().next().value!)
      }
      trial = { seconds: 0, last: -1, from: frameIndex }
      this.#newcomers.set(name, trial)
    }
    // Where it comes from is asked now, while it lives.
    this.#options.facts?.want(process, 'tool-use')
    if (trial.last !== frameIndex) trial.seconds++
    trial.last = frameIndex
    // Where it begins to look malicious that question is answered first.
    if (trial.seconds < NEWCOMER_SECONDS || malice.level > 0) return undefined
    this.#newcomers.delete(name)
    this.#memory.meet(name, frameIndex)
    if (this.#learning()) return undefined
    if (this.#memory.anyDistance(this.#whitened) < NEWCOMER_USUAL) return undefined
    const manager = this.#options.facts
      ?.context(process)
      ?.parents?.find((parent) => isPackageManager(parent.name))
    return this.#raise({
      kind: 'novelty',
      process,
      predicted: NO_CLASS,
      claimed: NO_CLASS,
      from: trial.from,
      windows: trial.seconds,
      ...(manager === undefined
        ? { outcome: { kind: 'alert', certainty: 'confirmed', because: [], isProven: false } }
        : {
            partOf: 'package upgrade',
            outcome: {
              kind: 'observation',
              because: [`package upgrade: below ${manager.name} (${manager.pid})`],
            },
          }),
      severity: 'medium',
      techniques: [],
    })
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
    return days === undefined ? undefined : `has recurred on ${days} of the last 14 days`
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
    if (signs.toMalicious <= JUDGE.maliciousGate && signs.malice > 0) {
      const behaviour = this.#classes.behaviours?.[signs.worst]
      if (behaviour === undefined || !this.#policy.mayBecomeUsual(behaviour)) return
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

  #claimed(name: string): number | undefined {
    if (this.#claims.has(name)) return this.#claims.get(name)
    let claimed = claimsNothing(name) ? undefined : this.#classes.claimedBy(name)
    if (claimed === this.#classes.background) claimed = undefined
    if (this.#claims.size >= 4096) this.#claims.clear()
    this.#claims.set(name, claimed)
    return claimed
  }
}

function accusingOf(classes: ModelClasses): ModelClasses {
  const { modelId, names, malicious, behaviours, generic, background } = classes
  return {
    ...{ modelId, names, ...defined({ behaviours, generic, background }) },
    malicious: malicious.map((is, c) => is && behaviours?.[c] !== 'tool-use'),
    claimedBy: (name) => classes.claimedBy(name),
  }
}

function sumOf(mean: Float32Array, counts: readonly boolean[]): number {
  let sum = 0
  for (let c = 0; c < mean.length; c++) if (counts[c]) sum += mean[c]!
  return sum
}

/** A group has no age: its members are young, all of them. */
function isFresh({ pid, startMs }: Process, frameIndex: number): boolean {
  return pid < 0 || frameIndex - Math.floor(startMs / 1000) < SEQUENCE_FRAMES
}

/** What is held against a process, before the allow rules and the book have had their say. */
interface Accusation extends Omit<Crossing, 'severity' | 'certainty' | 'because' | 'context'> {
  readonly outcome: Exclude<Outcome, { kind: 'wait' }>
  /** Of the alert; an observation is low whatever it is about. */
  readonly severity: Severity
}

const KINDS: Readonly<Record<Verdict['kind'], AlertKind>> = {
  nonGrata: 'non-grata',
  masquerade: 'masquerade',
  novelty: 'novelty',
  expected: 'novelty',
  undecided: 'novelty',
}

const NO_CLASS = { class: '', confidence: 0 } as const
