/**
 * What adapting to a host brings (train/adapt.ts): a recording's first minutes teach, as they would
 * a running agent, and what follows is judged twice over the same seconds, by the shared model and
 * by the adapted one.
 *
 * Every name that promises something here is asked for: one that has a class in the model, or that
 * the adaptation made a class. Interpreters promise nothing.
 */
import { calibrationHere, type DetectionCalibration } from '../../detect/calibration.ts'
import { isBeforeExec, memoryName } from '../../detect/names.ts'
import { defined } from '../../domain/defined.ts'
import { ACTIVE_FRAMES_MIN } from '../../domain/limits.ts'
import type { ModelClasses, Predictions } from '../../domain/prediction.ts'
import { type AdaptationFigures, HostClasses, HostJudge } from '../../model/adaptation.ts'
import type { Model } from '../../model/model.ts'
import type { Mix } from '../../model/predict-frames.ts'
import type { RowSet } from '../../model/row-set.ts'
import { adapt } from '../adapt.ts'
import { behaviourOf } from '../data/behaviours.ts'
import { sampleHost } from '../data/host-sample.ts'
import type { Recording } from '../data/recording.ts'
import { type Happening, HappeningIndex } from '../data/scenarios.ts'
import { type HostJudged, predictHost } from './detection-evaluate.ts'
import { auroc } from './metrics.ts'

/** Nobody was accused, and nobody said that a name is fine. */
const NOTHING_KNOWN = { isSuspect: () => false, isAllowed: () => false }

/** By the shared model, then by the adapted one. */
type Pair = readonly [shared: number, adapted: number]

export interface AdaptedHostFigures {
  readonly host: string
  /** Seconds of its life that taught. */
  readonly seconds: number
  /** Names that became classes of this host. */
  readonly added: readonly string[]
  /** Why the adaptation is not used. */
  readonly refused?: string
  readonly figures: AdaptationFigures
}

export interface AdaptedFigures {
  readonly hosts: readonly AdaptedHostFigures[]
  /** Ordinary windows after what taught. */
  readonly windows: number
  /** Share of them whose name promises something or is an interpreter's class. */
  readonly known: Pair
  /** Of the windows whose name is a class of the adapted host: share that is recognised. */
  readonly accuracy: Pair
  readonly macroRecall: Pair
  /** Share of ordinary windows called malicious; the same of names without a class in the model. */
  readonly malicious: Pair
  readonly strangersMalicious: Pair
  /** Malicious windows against ordinary ones; null where there are none. */
  readonly maliceAuc: readonly [shared: number | null, adapted: number | null]
}

export interface AdaptedInput {
  readonly model: Model
  readonly references: RowSet
  readonly calibration: DetectionCalibration
  readonly recordings: readonly Recording[]
  /** Earlier frames of the same hosts, which then teach in place of a recording's first seconds. */
  readonly baseline: readonly Recording[]
  readonly happenings: readonly Happening[]
  /** Seconds that teach. */
  readonly seconds: number
}

/** A host after what taught: how it is judged from then on. */
export interface LearntHost {
  readonly recording: Recording
  readonly before: Recording
  readonly classes: ModelClasses
  readonly calibration: DetectionCalibration
  readonly judge: HostJudge | undefined
  readonly outcome: AdaptedHostFigures
}

export async function learnHosts(input: AdaptedInput): Promise<LearntHost[]> {
  const learnt: LearntHost[] = []
  for (const whole of input.recordings) {
    const baseline = input.baseline.find(({ host }) => host === whole.host)
    const [before, recording] =
      baseline === undefined ? cut(whole, input.seconds) : [baseline, whole]
    if (recording.frames.length > 0) learnt.push(await learnHost(input, before, recording))
  }
  return learnt
}

async function learnHost(
  { model, references, calibration: base, seconds }: AdaptedInput,
  before: Recording,
  recording: Recording,
): Promise<LearntHost> {
  const [taught] = cut(before, seconds)
  const sample = await sampleHost(model, taught.frames, NOTHING_KNOWN)
  const { adaptation, refused, figures } = adapt({ model, references, sample, now: sample.to })
  const classes = new HostClasses(model.classes, memoryName)
  classes.adapt(adaptation)
  return {
    ...{ recording, before, classes },
    calibration: adaptation === undefined ? base : calibrationHere(base, adaptation),
    judge: adaptation && new HostJudge(adaptation, model),
    outcome: {
      host: recording.host,
      seconds: figures.seconds,
      added: adaptation?.added ?? [],
      ...defined({ refused }),
      figures,
    },
  }
}

/** The first seconds of a recording, and the others. */
function cut(recording: Recording, seconds: number): readonly [Recording, Recording] {
  const end = recording.frames[0]!.index + seconds
  const part = (isIn: (index: number) => boolean): Recording => {
    const frames = recording.frames.filter(({ index }) => isIn(index))
    const vectors = frames.reduce((sum, { processes }) => sum + processes.length, 0)
    return { ...recording, frames, vectors }
  }
  return [part((index) => index < end), part((index) => index >= end)]
}

/** One host, and how it was before: for the detector, by the shared model and by the adapted one. */
export async function judgeBoth(
  model: Model,
  host: LearntHost,
  isYoung: boolean,
  tally: Tally,
): Promise<Record<'shared' | 'adapted', HostJudged>> {
  const { recording, before, classes, calibration, judge } = host
  const lived: Predictions[] = []
  for await (const predictions of predictHost(model, before.frames)) lived.push(predictions)
  const adapted: Predictions[] = []
  const mix: Mix = (predictions, batch) => {
    adapted.push(judge?.mix(predictions, batch) ?? predictions)
    return predictions
  }
  const shared: Predictions[] = []
  for await (const predictions of predictHost(model, recording.frames, mix)) {
    shared.push(predictions)
    tally.take(host, predictions, adapted.at(-1)!)
  }
  const rest = {
    ...{ host: recording.host, before: lived, isYoung },
    ...{ seconds: recording.frames.length, vectors: recording.vectors },
  }
  return {
    shared: { ...rest, predictions: shared },
    adapted: { ...rest, predictions: adapted, adapted: { classes, calibration } },
  }
}

interface NameTally {
  windows: number
  right: [number, number]
}

/** Adds up windows while they go by to the detector. */
export class Tally {
  readonly #index: HappeningIndex
  readonly #shared: ModelClasses
  readonly #ofName = new Map<string, NameTally>()
  readonly #ordinary: [number[], number[]] = [[], []]
  readonly #malicious: [number[], number[]] = [[], []]
  readonly #known: [number, number] = [0, 0]
  #strangers = 0
  readonly #strangersMalicious: [number, number] = [0, 0]

  constructor({ classes }: Pick<Model, 'classes'>, happenings: readonly Happening[]) {
    this.#shared = classes
    this.#index = new HappeningIndex(happenings)
  }

  take({ recording: { host }, classes }: LearntHost, shared: Predictions, adapted: Predictions) {
    const both = [shared, adapted] as const
    for (const [row, process] of shared.processes.entries()) {
      if (shared.activeFrames[row]! < ACTIVE_FRAMES_MIN || isBeforeExec(process.name)) continue
      const happening = this.#index.at(host, process, shared.frameIndex)
      if (happening !== undefined) {
        // Not the shell that started it.
        if (behaviourOf(happening.program) !== undefined && happening.names.has(process.name))
          for (const [i, of] of both.entries()) this.#malicious[i]!.push(this.#malice(of, row))
        continue
      }
      const of = this.#shared.claimedBy(process.name)
      const here = classes.claimedBy(process.name)
      const malice = both.map((predictions) => this.#malice(predictions, row))
      if (of !== undefined) this.#known[0]++
      else this.#strangers++
      if (here !== undefined) this.#known[1]++
      for (const [i, value] of malice.entries()) {
        this.#ordinary[i]!.push(value)
        if (of === undefined && value >= 0.5) this.#strangersMalicious[i]!++
      }
      if (here === undefined || classes.generic?.[here]) continue
      const key = `${host} ${classes.names[here]}`
      const tally = this.#ofName.get(key) ?? { windows: 0, right: [0, 0] }
      this.#ofName.set(key, tally)
      tally.windows++
      for (const [i, predictions] of both.entries())
        if (largest(predictions, row) === here) tally.right[i]!++
    }
  }

  figures(hosts: readonly AdaptedHostFigures[]): AdaptedFigures {
    const names = [...this.#ofName.values()]
    const windows = this.#ordinary[0].length
    const named = names.reduce((sum, name) => sum + name.windows, 0)
    const pair = (of: (i: 0 | 1) => number): Pair => [of(0), of(1)]
    const bad = (values: readonly number[]) => values.filter((value) => value >= 0.5).length
    const auc = (i: 0 | 1) =>
      this.#malicious[i].length === 0 ? null : auroc(this.#malicious[i], this.#ordinary[i])
    return {
      hosts,
      windows,
      known: pair((i) => this.#known[i] / Math.max(1, windows)),
      accuracy: pair(
        (i) => names.reduce((sum, { right }) => sum + right[i], 0) / Math.max(1, named),
      ),
      macroRecall: pair(
        (i) =>
          names.reduce((sum, { right, windows }) => sum + right[i] / windows, 0) /
          Math.max(1, names.length),
      ),
      malicious: pair((i) => bad(this.#ordinary[i]) / Math.max(1, windows)),
      strangersMalicious: pair((i) => this.#strangersMalicious[i] / Math.max(1, this.#strangers)),
      maliceAuc: [auc(0), auc(1)],
    }
  }

  #malice({ probabilities, classCount }: Predictions, row: number): number {
    let sum = 0
    for (const [c, isMalicious] of this.#shared.malicious.entries())
      if (isMalicious) sum += probabilities[row * classCount + c]!
    return sum
  }
}

function largest({ probabilities, classCount }: Predictions, row: number): number {
  const from = row * classCount
  let top = 0
  for (let c = 1; c < classCount; c++)
    if (probabilities[from + c]! > probabilities[from + top]!) top = c
  return top
}
