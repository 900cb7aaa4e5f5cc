/**
 * Classification figures of a model on recordings: per window, per minute of a process, and the
 * calibration of its probabilities. Alarms are evaluated in `detection-evaluate.ts`.
 */
import { FRAME_MS } from '../../domain/limits.ts'
import { Classifier, softmax } from '../../model/classifier.ts'
import type { Model } from '../../model/model.ts'
import { Batches } from '../data/batches.ts'
import { behaviourOf } from '../data/behaviours.ts'
import { callsOf, componentVectors, makeWindows } from '../data/dataset.ts'
import type { Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import type { Part, Split } from '../data/split.ts'
import type { Window } from '../data/window.ts'
import { argmaxRows, calibrationError, type Figures, figuresOf } from './metrics.ts'

const PART = 512
const MINUTE_SECONDS = 60

export interface WindowFigures {
  readonly figures: Figures
  /** Evidence of a process summed over one minute. */
  readonly minute: Figures
  readonly ece: number
  readonly windows: number
  /** Share of the windows whose name the model has a class for. */
  readonly known: number
  readonly names: readonly string[]
}

/** @param part which part of the split; undefined takes all windows that the split gives to any */
export async function evaluateWindows(
  model: Model,
  recordings: readonly Recording[],
  happenings: readonly Happening[],
  split: Split,
  part: Part | undefined,
): Promise<WindowFigures> {
  const { manifest, classes, normaliser } = model
  const windows = makeWindows(recordings, happenings, split, manifest.aliases, {
    frames: manifest.sequenceFrames,
    frameSeconds: manifest.frameMs / FRAME_MS,
  })
  const candidates = windows.list.flatMap((window, id) =>
    part === undefined || window.part === part ? [id] : [],
  )
  const truthOf = truth(model)
  const known = candidates.filter((id) => truthOf(windows.list[id]!) !== undefined)
  const batches = new Batches(windows, componentVectors(windows, normaliser), normaliser)
  const classifier = new Classifier(model)
  const count = classes.names.length
  const probabilities = new Float32Array(known.length * count)
  const { sequenceFrames } = manifest
  const length = sequenceFrames * normaliser.width
  for (let from = 0; from < known.length; from += PART) {
    const ids = known.slice(from, from + PART)
    const rows = new Float32Array(ids.length * length)
    batches.sequences(ids, rows)
    const { logits } = await classifier.run(rows, ids.length)
    softmax(logits, ids.length, count, manifest.calibration.temperature)
    if (model.malice !== undefined) {
      const calls = new Float32Array(ids.length * sequenceFrames)
      for (const [n, id] of ids.entries()) calls.set(callsOf(windows, id), n * sequenceFrames)
      model.malice.apply(logits, ids.length, count, { rows, calls })
    }
    probabilities.set(logits, from * count)
  }
  const labels = Int32Array.from(known, (id) => truthOf(windows.list[id]!)!)
  const predicted = argmaxRows(probabilities, count)
  return {
    figures: figuresOf(classes.names, labels, predicted),
    minute: minuteFigures(
      classes.names,
      known.map((id) => windows.list[id]!),
      labels,
      probabilities,
    ),
    ece: calibrationError(
      Array.from(predicted, (c, i) => probabilities[i * count + c]!),
      Array.from(predicted, (c, i) => c === labels[i]),
    ),
    windows: known.length,
    known: known.length / Math.max(1, candidates.length),
    names: classes.names,
  }
}

/** True class of a window: a malicious program's class, else the class of its name. */
function truth({ classes }: Model): (window: Window) => number | undefined {
  const indexOf = new Map(classes.names.map((name, index) => [name, index]))
  return ({ name, malicious }) => {
    if (!malicious) return classes.claimedBy(name)
    const behaviour = behaviourOf(name)
    const of = behaviour === undefined ? -1 : (classes.behaviours?.indexOf(behaviour) ?? -1)
    if (of >= 0) return of
    const index = indexOf.get(`${name} (non-grata)`) ?? indexOf.get(name)
    return index !== undefined && classes.malicious[index] ? index : undefined
  }
}

/**
 * Adds up log p over the windows of one process, one name and one minute, and takes the best class.
 */
function minuteFigures(
  names: readonly string[],
  list: readonly Window[],
  labels: Int32Array,
  probabilities: Float32Array,
): Figures {
  const count = names.length
  const sums = new Map<string, { label: number; sum: Float64Array }>()
  for (const [i, { recording, pid, second, name }] of list.entries()) {
    const key = `${recording} ${pid} ${name} ${Math.floor(second / MINUTE_SECONDS)}`
    let minute = sums.get(key)
    if (minute === undefined) {
      minute = { label: labels[i]!, sum: new Float64Array(count) }
      sums.set(key, minute)
    }
    for (let c = 0; c < count; c++)
      minute.sum[c]! += Math.log(Math.max(1e-6, probabilities[i * count + c]!))
  }
  const minutes = [...sums.values()]
  const best = minutes.map(({ sum }) => sum.indexOf(Math.max(...sum)))
  return figuresOf(
    names,
    minutes.map(({ label }) => label),
    best,
  )
}
