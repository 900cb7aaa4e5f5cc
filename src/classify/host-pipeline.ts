/**
 * One host's way from frames to alerts, for whoever classifies hosts that send their vectors: the
 * steps of the agent's own walk (groups of short-lived processes, sequences, evidence, alerts,
 * reasons), cut in two where the net is run, so that one batch serves many hosts.
 *
 *   advance(frame) → whose sequences; write(rows) → the rows; [the net]; judge(predictions) → alerts
 *
 * What an agent knows beside the frames is absent here: facts of /proc, and an adaptation of the
 * model to the host. That the host cannot be seen is an alert here, too, about an agent without a
 * pid. On the same frames the alerts are those that `agent replay` raises.
 */
import { Blinding } from '../detect/blinding.ts'
import { Blindness } from '../detect/blindness.ts'
import {
  type BookChanges,
  type BookCounts,
  type KeptCause,
  readKeptCauses,
} from '../detect/book-state.ts'
import type { DetectionCalibration } from '../detect/calibration.ts'
import type { BookLimits } from '../detect/dedup.ts'
import { Detector } from '../detect/detector.ts'
import { HostMemory, type MemoryBounds } from '../detect/memory.ts'
import { memoryName } from '../detect/names.ts'
import { ShortLives } from '../detect/short-lives.ts'
import type { Alert } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import type { Proof } from '../domain/finding.ts'
import type { Frame } from '../domain/frame.ts'
import type { Predictions } from '../domain/prediction.ts'
import type { Process } from '../domain/process.ts'
import { HostClasses } from '../model/adaptation.ts'
import type { Classifier } from '../model/classifier.ts'
import type { Model } from '../model/model.ts'
import { type JudgedProcesses, type Sequencer, sequencerOf } from '../model/sequencer.ts'
import { Explainer } from './explainer.ts'
import { Turns } from './turns.ts'

/** What all hosts share. */
export interface SharedParts {
  readonly model: Model
  readonly calibration: DetectionCalibration
  readonly classifier: Classifier
  readonly falseAlertsPerDay: number
  readonly learnSeconds: number
  /** Seconds between two windows of one process. */
  readonly every: number
  /** Windows of one host in one second. */
  readonly windowsMax: number
  readonly memory: MemoryBounds
  readonly book: BookLimits
}

/** What outlives the process that classifies; evidence that is under way does not. */
export interface HostKnowledge {
  readonly memory: Uint8Array
  /** Hourly maxima of ordinary evidence; plain JSON. */
  readonly hostLevel: unknown
  readonly causes: readonly KeptCause[]
  readonly counts?: BookCounts
}

/** The agent that sent the vectors: they do not say which process it is. */
const AGENT: Process = { pid: 0, startMs: 0, name: 'agent' }

export class HostPipeline {
  readonly #memory: HostMemory
  readonly #shortLives = new ShortLives()
  readonly #blinding = new Blinding()
  readonly #blindness = new Blindness()
  readonly #sequencer: Sequencer
  readonly #detector: Detector
  readonly #explainer: Explainer
  readonly #turns: Turns
  readonly #causes = new Map<string, KeptCause>()
  #counts: BookCounts | undefined
  #proofs: Proof[] = []
  #frame: Frame | undefined
  #windows = 0

  /** @param host as alert ids name it */
  constructor(host: string, shared: SharedParts, known?: HostKnowledge) {
    const { model, calibration, classifier } = shared
    this.#memory = new HostMemory(model.classes.modelId, calibration.whitening.size, shared.memory)
    if (known !== undefined) this.#memory.restore(known.memory)
    this.#sequencer = sequencerOf(model)
    this.#detector = new Detector({
      ...{ host, calibration, memory: this.#memory, limits: shared.book },
      classes: new HostClasses(model.classes, memoryName),
      falseAlertsPerDay: shared.falseAlertsPerDay,
      learnSeconds: shared.learnSeconds,
      proofs: () => this.#proofs.splice(0),
    })
    const parts = { sequencer: this.#sequencer, detector: this.#detector }
    this.#explainer = new Explainer({ model, calibration, classifier, ...parts })
    const { every, windowsMax } = shared
    this.#turns = new Turns({ every, windowsMax, judge: this.#detector })
    if (known !== undefined) this.#restore(known)
  }

  /** Windows judged and left out so far. */
  get windows(): { readonly judged: number; readonly leftOut: number } {
    return { judged: this.#windows, leftOut: this.#turns.leftOut }
  }

  /** Frames whose sequences are not needed any more, oldest first: after a restart. */
  warm(frames: readonly Frame[]): void {
    this.#sequencer.warm(frames.map((frame) => this.#shortLives.push(frame)))
  }

  /** Seconds are missing before what comes: it has no past. */
  restart(): void {
    this.#shortLives.reset()
    this.#sequencer.reset()
  }

  advance(frame: Frame): JudgedProcesses {
    this.#frame = frame
    const grouped = this.#shortLives.push(frame)
    this.#proofs.push(...this.#blinding.push(frame))
    const judged = this.#sequencer.advance(grouped, (candidates) =>
      this.#turns.choose(candidates, frame.index),
    )
    this.#windows += judged.processes.length
    return judged
  }

  write({ processes }: JudgedProcesses, rows: Float32Array, calls: Float32Array): void {
    this.#sequencer.write(processes, rows, calls)
  }

  /** Of the frame that was advanced last. */
  async judge(predictions: Predictions): Promise<readonly Alert[]> {
    this.#lookAtSight(predictions)
    const alerts = this.#detector.push(predictions)
    if (alerts.length === 0) return alerts
    const explained = await this.#explainer.explain(alerts, predictions)
    this.#note(this.#detector.alertChanges())
    return explained
  }

  /** The second could not be judged: evidence neither grows nor fades. */
  hold({ processes }: JudgedProcesses): void {
    this.#lookAtSight(undefined)
    this.#detector.hold(processes)
    this.restart()
  }

  /** @param predictions of the second; undefined where it was not judged */
  #lookAtSight(predictions: Predictions | undefined): void {
    if (this.#frame === undefined) return
    const { share, most } = this.#detector.unrest
    // How late a second is says something of its way here, and nothing of what the host sees.
    const state = { lagMs: 0, unrest: share, deviating: most }
    const finding = this.#blindness.push(this.#frame, predictions, state)
    if (finding !== undefined) this.#proofs.push({ process: AGENT, finding })
  }

  knowledge(): HostKnowledge {
    this.#note(this.#detector.alertChanges())
    return {
      memory: this.#memory.snapshot(),
      hostLevel: this.#detector.hostLevel.snapshot(),
      causes: [...this.#causes.values()],
      ...defined({ counts: this.#counts }),
    }
  }

  #restore({ hostLevel, causes, counts }: HostKnowledge): void {
    this.#detector.hostLevel.restore(hostLevel)
    const kept = readKeptCauses(causes)
    this.#detector.restoreAlerts(kept, counts)
    for (const cause of kept) this.#causes.set(cause.alert.id, cause)
    this.#counts = counts
  }

  #note(changes: BookChanges | undefined): void {
    for (const cause of changes?.causes ?? []) this.#causes.set(cause.alert.id, cause)
    for (const id of changes?.forgotten ?? []) this.#causes.delete(id)
    this.#counts = changes?.counts ?? this.#counts
  }
}
