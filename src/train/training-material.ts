/**
 * What the fit takes, made of recordings: labelled windows in three parts, the classes, the
 * vocabulary and the net's shape. What is missing in the recordings becomes a warning here.
 */
import { AgentError } from '../domain/error.ts'
import { ALIAS_RULES } from '../model/aliases.ts'
import type { ManifestClass } from '../model/manifest.ts'
import { Normaliser } from '../model/normalise.ts'
import { Batches } from './data/batches.ts'
import { BACKGROUND, chooseClasses } from './data/classes.ts'
import { componentVectors, vocabularyOf, type Windows } from './data/dataset.ts'
import type { Window } from './data/window.ts'
import { warningsOf } from './manifest-facts.ts'
import { labelledWindows, type Recorded } from './material.ts'
import type { FitData } from './net/fit.ts'
import type { NetShape } from './net/nets.ts'
import type { TrainOptions } from './train-options.ts'

/** Fewer train nothing. */
const TRAINING_WINDOWS_MIN = 50
/** Windows of a name in the calibration part, below which nothing can be said of a class. */
const MEASURED_WINDOWS_MIN = 10

export interface TrainingMaterial {
  readonly net: NetShape
  readonly classes: readonly ManifestClass[]
  readonly vocabulary: readonly string[]
  readonly data: FitData
  readonly batches: Batches
  /** Windows of the training part, with a class or without. */
  readonly trainingWindows: number
  /** Ids of windows that neither train nor calibrate. */
  readonly test: Int32Array
  readonly warnings: readonly string[]
}

/** @throws AgentError ERR_INPUT where the recordings give fewer windows than any training needs */
export function trainingMaterial(recorded: Recorded, options: TrainOptions): TrainingMaterial {
  const warnings = warningsOf(recorded.recordings)
  const { windows, classes, labels, training, idsOf } = labelledWindows(
    recorded,
    ALIAS_RULES,
    options,
    (windows, held) => {
      if (windows.length < TRAINING_WINDOWS_MIN) throw tooFewWindows(windows.length)
      // Where nothing calibrates, nothing is measured: that has a warning of its own.
      const pooled =
        options.measuredOnly && held.length > 0
          ? unmeasuredNames(windows, held, options)
          : new Set<string>()
      if (pooled.size > 0) warnings.push(unmeasuredWarning(pooled))
      return chooseClasses(windows, { windowsMin: options.windowsMin, pooled })
    },
  )
  const heldOut = idsOf('calibration')
  warnings.push(...lonelyWarnings(windows, training, recorded.recordings.length, classes.list))
  if (heldOut.length === 0)
    warnings.push(
      'no window is left for calibration: the last epoch is taken and probabilities are as they come',
    )
  if (!classes.list.some(({ background }) => background))
    warnings.push(`no class "${BACKGROUND}": an unknown program falls to the nearest class`)
  const vocabulary = vocabularyOf(windows, new Set(['train']))
  const normaliser = new Normaliser(vocabulary, options.recipe)
  const vectors = componentVectors(windows, normaliser)
  const many = sharedClasses(classes.list)
  return {
    net: {
      arch: options.arch,
      width: normaliser.width,
      frames: options.sequenceFrames,
      hidden: options.hidden,
      classes: classes.list.length,
    },
    classes: classes.list,
    vocabulary,
    data: {
      ...{ windows, vectors, normaliser, labels, many, heldOut },
      sources: sourcesOf(windows, labels, many),
      training: idsOf('train'),
    },
    batches: new Batches(windows, vectors, normaliser),
    trainingWindows: training.length,
    test: idsOf('test'),
    warnings,
  }
}

/** Ordinary names that would be classes, and have too few windows to measure how well. */
function unmeasuredNames(
  training: readonly Window[],
  held: readonly Window[],
  { windowsMin }: Pick<TrainOptions, 'windowsMin'>,
): Set<string> {
  const counted = (windows: readonly Window[]) => {
    const counts = new Map<string, number>()
    for (const { name, malicious } of windows)
      if (!malicious) counts.set(name, (counts.get(name) ?? 0) + 1)
    return counts
  }
  const measured = counted(held)
  return new Set(
    [...counted(training)].flatMap(([name, count]) =>
      count >= windowsMin && (measured.get(name) ?? 0) < MEASURED_WINDOWS_MIN ? [name] : [],
    ),
  )
}

function unmeasuredWarning(names: ReadonlySet<string>): string {
  return `${names.size} names are no classes but "${BACKGROUND}", for fewer than ${MEASURED_WINDOWS_MIN} of their windows are left to measure them on: ${shown([...names].sort())}. Record them for longer, or a second time`
}

function shown(names: readonly string[]): string {
  return names.slice(0, 12).join(', ') + (names.length > 12 ? ' …' : '')
}

/** Classes that many programs share. */
function sharedClasses(classes: readonly ManifestClass[]): Set<number> {
  return new Set(
    [...classes.keys()].filter(
      (c) => classes[c]!.background || classes[c]!.behaviour !== undefined,
    ),
  )
}

/**
 * What windows are drawn evenly by: a program's by their recordings, so that the longest is not
 * what the program is; those of a class that many programs share by their processes, so that no
 * long-lived one is what the class is.
 */
function sourcesOf({ list }: Windows, labels: Int32Array, many: ReadonlySet<number>): Int32Array {
  const processes = new Map<string, number>()
  return Int32Array.from(list, ({ recording, pid }, id) => {
    if (!many.has(labels[id]!)) return recording
    const key = `${recording} ${pid}`
    const known = processes.get(key) ?? processes.size
    processes.set(key, known)
    return known
  })
}

function lonelyWarnings(
  windows: Windows,
  training: Int32Array,
  recordings: number,
  classes: readonly ManifestClass[],
): string[] {
  const lonely = classesOfOneSource(windows, training, recordings, classes)
  if (lonely.length === 0) return []
  return [
    `${lonely.length} of ${classes.length} classes were seen in one recording only and may look different elsewhere: ${shown(lonely)}`,
  ]
}

/** Ordinary classes whose training windows are all of one recording, where there are several. */
function classesOfOneSource(
  windows: Windows,
  training: Int32Array,
  recordings: number,
  classes: readonly ManifestClass[],
): string[] {
  if (recordings < 2) return []
  const sources = new Map<string, Set<number>>()
  for (const id of training) {
    const { name, malicious, recording } = windows.list[id]!
    if (malicious) continue
    const seen = sources.get(name)
    if (seen === undefined) sources.set(name, new Set([recording]))
    else seen.add(recording)
  }
  return classes.flatMap(({ name }) => (sources.get(name)?.size === 1 ? [name] : []))
}

function tooFewWindows(count: number): AgentError {
  return new AgentError(
    'ERR_INPUT',
    `Cannot train on ${count} windows, at least ${TRAINING_WINDOWS_MIN} are needed`,
    {
      hint: 'A process gives a window for each second in which it was active, from its tenth second on',
    },
  )
}
