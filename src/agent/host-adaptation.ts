/**
 * Host adaptation in the running agent: starts a low-priority child (`agent adapt --now`) at set
 * times and loads the adaptation from disk, whoever made it. Nothing is learnt in this process.
 *
 * A damaged or mismatched adaptation is ignored with a warning; the shared model is used alone.
 */
import { calibrationHere, type DetectionCalibration } from '../detect/calibration.ts'
import type { Detector } from '../detect/detector.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  ADAPT_AFTER_SECONDS,
  ADAPT_AGAIN_SECONDS,
  ADAPT_CPU_SECONDS_MAX,
  ADAPT_LOOK_SECONDS,
  ADAPT_WAIT_MS,
} from '../domain/limits.ts'
import type { Predictions } from '../domain/prediction.ts'
import {
  type Adaptation,
  decodeAdaptation,
  type HostClasses,
  HostJudge,
} from '../model/adaptation.ts'
import type { Model } from '../model/model.ts'
import type { SequenceBatch } from '../model/sequencer.ts'
import { runCommand } from '../platform/linux/child.ts'
import { log } from '../platform/log.ts'
import type { AdaptationFiles, AdaptOutcome } from './adaptation-files.ts'

/** Below this share of windows with a class, much is unknown. */
const UNKNOWN_BELOW = 0.7
/** Share of the newest second in its running mean: about the last ten minutes count. */
const NEWEST = 1 / 600
const DAY_SECONDS = 86_400
/**
 * Low, and not starved: beside eight busy loops on two cores niceness 19 had 2 s of CPU in 20
 * minutes.
 */
const NICENESS = 5

export interface HostAdaptationOptions {
  readonly model: Model
  readonly classes: HostClasses
  readonly calibration: DetectionCalibration
  readonly files: AdaptationFiles
  /** Makes an adaptation; absent where the agent is not to adapt by itself. */
  readonly command?: readonly string[]
  /** Told of each change of the classes. */
  readonly onClasses: () => void
  /** Told of the CPU seconds that adapting took. */
  readonly onCost?: (seconds: number) => void
}

export interface AdaptationStatus {
  /** Classes that the host added; absent while the shared model is alone. */
  readonly names?: number
  /** Unix second of the adaptation in use. */
  readonly made?: number
  readonly figures?: Adaptation['figures']
  /** Unix second of the next one by itself; absent where there is none. */
  readonly due?: number
  /** Unix second at which the one that is under way began. */
  readonly since?: number
  /** Why the last attempt gave nothing. */
  readonly refused?: string
  /** Share of the last minutes' windows whose name has a class, 0…1. */
  readonly known: number
}

export class HostAdaptation {
  readonly #options: HostAdaptationOptions
  #detector: Pick<Detector, 'recalibrate'> | undefined
  #judge: HostJudge | undefined
  #adaptation: Adaptation | undefined
  #outcome: AdaptOutcome | undefined
  #stamp = ''
  #looked = Number.NEGATIVE_INFINITY
  #known = 1
  #running: Promise<void> | undefined
  #since: number | undefined
  #due: number | undefined
  readonly #closed = new AbortController()

  constructor(options: HostAdaptationOptions) {
    this.#options = options
  }

  /** Before the first frame: the detector is made with the classes that this changes. */
  begin(detector: Pick<Detector, 'recalibrate'>): void {
    this.#detector = detector
    this.#look()
  }

  /** The shared model's predictions, with what this host adds. */
  mix(predictions: Predictions, batch: SequenceBatch): Predictions {
    const { processes } = predictions
    if (processes.length > 0) {
      const { classes } = this.#options
      const named = processes.filter(({ name }) => classes.claimedBy(name) !== undefined).length
      this.#known += NEWEST * (named / processes.length - this.#known)
    }
    return this.#judge?.mix(predictions, batch) ?? predictions
  }

  /**
   * Once a second, when its alerts are out.
   * @param since unix second of the first sight of this host; 0 when there was none
   */
  tick(frameIndex: number, since: number): void {
    if (frameIndex - this.#looked < ADAPT_LOOK_SECONDS) return
    this.#looked = frameIndex
    this.#look()
    const { command } = this.#options
    this.#due =
      command === undefined || since === 0
        ? undefined
        : nextAdaptation(since, this.#outcome, this.#known)
    if (command === undefined || this.#due === undefined || frameIndex < this.#due) return
    if (this.#running !== undefined) return
    this.#since = frameIndex
    this.#running = this.#adapt(command)
      .catch((error: unknown) => {
        log.warn('Cannot adapt to this host', { error: String(error) })
      })
      .finally(() => {
        this.#running = undefined
        this.#since = undefined
      })
  }

  /** Cancels a running adaptation; the next start repeats it. */
  close(): void {
    this.#closed.abort()
  }

  status(): AdaptationStatus {
    const { added, made, figures } = this.#adaptation ?? {}
    return {
      ...(made === undefined ? {} : { made, names: added!.length, figures: figures! }),
      ...defined({ due: this.#due, since: this.#since }),
      ...(this.#outcome?.refused === undefined ? {} : { refused: this.#outcome.refused }),
      known: Math.round(this.#known * 1000) / 1000,
    }
  }

  async #adapt(command: readonly string[]): Promise<void> {
    log.info('Adapting to this host')
    const { signal } = this.#closed
    const options = { niceness: NICENESS, cpuSecondsMax: ADAPT_CPU_SECONDS_MAX, signal }
    const { code, stderr, cpuSeconds } = await runCommand(command, ADAPT_WAIT_MS, options)
    if (signal.aborted) return
    this.#options.onCost?.(cpuSeconds)
    if (code !== 0) {
      log.warn('Cannot adapt to this host', { code, error: stderr.trim().split('\n').at(-1) })
      // Not again before the next time that is due.
      const { model } = this.#options
      this.#outcome = { model: model.manifest.id, at: this.#looked, adapted: false }
    }
    this.#look()
  }

  /** Takes into use what lies on the disk, if it has changed. */
  #look(): void {
    const { files, model, classes, calibration, onClasses } = this.#options
    const outcome = files.outcome()
    const isOurs = outcome?.reverted === true || outcome?.model === model.manifest.id
    if (isOurs && outcome.at >= (this.#outcome?.at ?? 0)) this.#outcome = outcome
    const stamp = files.stamp()
    if (stamp === this.#stamp) return
    this.#stamp = stamp
    this.#adaptation = this.#decoded(files.adaptation())
    classes.adapt(this.#adaptation)
    this.#judge = this.#adaptation && new HostJudge(this.#adaptation, model)
    this.#detector?.recalibrate(
      this.#adaptation === undefined ? calibration : calibrationHere(calibration, this.#adaptation),
    )
    onClasses()
    if (this.#adaptation === undefined) {
      if (stamp === '') log.info('No longer adapted to this host: the shared model is used alone')
      return
    }
    const { added, figures } = this.#adaptation
    log.info('Adapted to this host', {
      names: added.length,
      recognised: `${Math.round(100 * figures.recall[0])} % before, ${Math.round(100 * figures.recall[1])} % now`,
    })
  }

  #decoded(bytes: Uint8Array | undefined): Adaptation | undefined {
    if (bytes === undefined) return undefined
    try {
      return decodeAdaptation(bytes, this.#options.model)
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      log.warn(error.message, error.hint === undefined ? {} : { hint: error.hint })
      return undefined
    }
  }
}

/**
 * Unix second at which the host is to be adapted to next; undefined where a person reverted the
 * last one.
 */
export function nextAdaptation(
  since: number,
  outcome: AdaptOutcome | undefined,
  known: number,
): number | undefined {
  if (outcome?.reverted === true) return undefined
  const last = outcome?.at ?? 0
  const planned = ADAPT_AFTER_SECONDS.map((after) => since + after).find((at) => at > last)
  const daily = last + DAY_SECONDS
  const next = Math.min(planned ?? daily, daily > since ? daily : Number.POSITIVE_INFINITY)
  const soon = outcome !== undefined && known < UNKNOWN_BELOW ? last + ADAPT_AGAIN_SECONDS : next
  return Math.min(next, soon)
}
