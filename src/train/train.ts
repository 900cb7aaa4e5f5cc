/**
 * `agent train` without terminal output: recordings in, a model directory's contents out, in this
 * order: windows, classes, vocabulary, training, temperature, state space, figures, manifest.
 */
import { writeDetectionCalibration } from '../detect/calibration.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { FRAME_MS } from '../domain/limits.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { ALIAS_RULES } from '../model/aliases.ts'
import type { ForestPart } from '../model/forest-graph.ts'
import { writeMalice } from '../model/malice-judge.ts'
import {
  ENOUGH_FOR_ALERTS,
  MANIFEST_FORMAT,
  type Manifest,
  type ManifestClass,
} from '../model/manifest.ts'
import { Normaliser } from '../model/normalise.ts'
import { type Recipe, recipeNamed } from '../model/recipe.ts'
import { encodeRowSet } from '../model/row-set.ts'
import { collectGarbage } from '../platform/heap.ts'
import { calibrateDetection } from './calibrate/detection-calibration.ts'
import { fitTemperature } from './calibrate/temperature.ts'
import { Batches } from './data/batches.ts'
import { profilesOf, sampleByClass } from './data/class-samples.ts'
import { BACKGROUND, chooseClasses, WINDOWS_MIN } from './data/classes.ts'
import { componentVectors, vocabularyOf, type Windows } from './data/dataset.ts'
import type { Recording } from './data/recording.ts'
import { maliceExamples, RowMaker, referenceRows } from './data/references.ts'
import type { Happening } from './data/scenarios.ts'
import type { Split } from './data/split.ts'
import type { Window } from './data/window.ts'
import { argmaxRows, type Figures, figuresOf } from './evaluate/metrics.ts'
import { fitMalice, MALICE_DEFAULTS, type MaliceFigures } from './forest/malice-forest.ts'
import { fitWindowForest, movedTrees, type WindowForestOptions } from './forest/window-forest.ts'
import {
  forestFacts,
  measuredFigures,
  type PartFigures,
  round,
  trainingFiles,
  warningsOf,
} from './manifest-facts.ts'
import { labelledWindows, throughNewModel } from './material.ts'
import { exportNet, widen } from './net/export.ts'
import { type EpochReport, FIT_DEFAULTS, type FitData, type FitOptions, fit } from './net/fit.ts'
import { ARCHS, type Arch, type NetShape, type Parameters, stateSizeOf } from './net/nets.ts'
import { runNet } from './net/run-net.ts'
import { sha256 } from './save-model.ts'

export { ARCHS, recipeNamed }

export interface TrainOptions {
  readonly arch: Arch
  readonly hidden: number
  readonly recipe: Recipe
  readonly sequenceFrames: number
  /** Seconds in a frame: what the recordings count by the second is added up. */
  readonly frameSeconds: number
  readonly stride: number
  readonly windowsMin: number
  /** Only what calibration windows can measure is a class; other names are pooled, aloud. */
  readonly measuredOnly: boolean
  /**
   * Export over all known calls instead of those seen in training: same results, twice the cost.
   */
  readonly fullVocabulary: boolean
  readonly fit: FitOptions
  /** A forest beside the net. */
  readonly forest?: WindowForestOptions
  /** Days until the model is too old. */
  readonly validDays: number
  readonly code: string
  readonly name: string
}

export const TRAIN_DEFAULTS = {
  arch: 'simple',
  hidden: 64,
  sequenceFrames: 10,
  frameSeconds: 1,
  stride: 1,
  windowsMin: WINDOWS_MIN,
  measuredOnly: false,
  fullVocabulary: false,
  recipe: 'families-quiet',
  fit: FIT_DEFAULTS,
  validDays: 180,
} as const

/** Windows of a name in the calibration part, below which nothing can be said of a class. */
const MEASURED_WINDOWS_MIN = 10
/** Less of ordinary life shows no tail of evidence at all. */
const DETECTION_HELD_OUT_SECONDS_MIN = 30

/** Of zstd, for what is compressed once and travels often. */
const REFERENCES_LEVEL = 19

export interface Trained {
  readonly onnx: Uint8Array
  readonly manifest: Manifest
  /** Rows for adapting the model to a host (model/row-set.ts). */
  readonly references?: Uint8Array
  readonly figures: PartFigures
  readonly warnings: readonly string[]
  /** True if it was stopped early; the best epoch so far is kept. */
  readonly stopped: boolean
}

export interface TrainClock {
  /** ms, only ever growing. */
  monotonic(): number
  /** Unix ms, for the manifest's dates. */
  now(): number
}

export async function train(
  recordings: readonly Recording[],
  happenings: readonly Happening[],
  split: Split,
  options: TrainOptions,
  clock: TrainClock,
  report: (epoch: EpochReport) => void = () => {},
  signal?: AbortSignal,
): Promise<Trained> {
  const warnings = warningsOf(recordings)
  const recorded = { recordings, happenings, split }
  const { windows, classes, labels, training, idsOf } = labelledWindows(
    recorded,
    ALIAS_RULES,
    options,
    (windows, held) => {
      if (windows.length < 50) throw tooFewWindows(windows.length)
      // Where nothing calibrates, nothing is measured: that has a warning of its own.
      const pooled =
        options.measuredOnly && held.length > 0
          ? unmeasuredNames(windows, held, options)
          : new Set<string>()
      if (pooled.size > 0) warnings.push(unmeasuredWarning(pooled))
      return chooseClasses(windows, { windowsMin: options.windowsMin, pooled })
    },
  )
  const own = idsOf('train')
  const calibration = idsOf('calibration')
  const test = idsOf('test')
  warnings.push(...lonelyWarnings(windows, training, recordings.length, classes.list))
  if (calibration.length === 0)
    warnings.push(
      'no window is left for calibration: the last epoch is taken and probabilities are as they come',
    )
  const vocabulary = vocabularyOf(windows, new Set(['train']))
  const normaliser = new Normaliser(vocabulary, options.recipe)
  const vectors = componentVectors(windows, normaliser)
  const net: NetShape = {
    arch: options.arch,
    width: normaliser.width,
    frames: options.sequenceFrames,
    hidden: options.hidden,
    classes: classes.list.length,
  }
  const many = sharedClasses(classes.list)
  const data: FitData = {
    windows,
    vectors,
    normaliser,
    labels,
    sources: sourcesOf(windows, labels, many),
    many,
    training: own,
    heldOut: calibration,
  }
  const fitted = await fit(net, data, options.fit, () => clock.monotonic(), report, signal)
  collectGarbage()
  const batches = new Batches(windows, vectors, normaliser)
  const heldLabels = Int32Array.from(calibration, (id) => labels[id]!)
  const forest = await forestBeside(net, fitted.parameters, data, batches, options, signal)
  if (options.forest !== undefined && forest === undefined)
    warnings.push('it was told to stop before the first tree was grown: this model has no forest')
  const onnx = exportNet(net, fitted.parameters, forest && { forest, recipe: options.recipe })
  const exported = options.fullVocabulary
    ? overAllCalls(net, fitted.parameters, forest, normaliser, options.recipe)
    : undefined
  const names = classes.list.map(({ name }) => name)
  const held = await runNet(onnx, net, batches, calibration)
  const temperature = fitTemperature(held.logits, heldLabels, net.classes)
  const sample = sampleByClass(own, labels, 400)
  const spread = await runNet(onnx, net, batches, sample)
  const figures: Partial<Record<'calibration' | 'test', Figures>> = {}
  if (calibration.length > 0)
    figures.calibration = figuresOf(names, heldLabels, argmaxRows(held.logits, net.classes))
  if (test.length > 0) {
    const tested = await runNet(onnx, net, batches, test)
    const truth = Int32Array.from(test, (id) => labels[id]!)
    figures.test = figuresOf(names, truth, argmaxRows(tested.logits, net.classes))
  }
  const beside = options.fullVocabulary
    ? undefined
    : besideTheNet(data, batches, own, classes.list, options.fit.seed)
  const background = classes.list.find((entry) => entry.background)
  if (background === undefined)
    warnings.push(`no class "${BACKGROUND}": an unknown program falls to the nearest class`)
  const manifest: Manifest = {
    format: MANIFEST_FORMAT,
    id: sha256(exported?.onnx ?? onnx),
    name: options.name,
    created: new Date(clock.now()).toISOString(),
    expires: new Date(clock.now() + options.validDays * 86_400_000).toISOString(),
    code: options.code,
    seed: options.fit.seed,
    arch: options.arch,
    vocabulary: exported === undefined ? vocabulary : SYSCALLS,
    recipe: options.recipe,
    frameMs: FRAME_MS * options.frameSeconds,
    sequenceFrames: options.sequenceFrames,
    width: exported?.width ?? net.width,
    stateSize: stateSizeOf(net),
    classes: classes.list,
    aliases: ALIAS_RULES.filter((rule) => names.includes(rule.class)),
    calibration: { ...temperature, windows: calibration.length },
    ...(forest !== undefined && { forest: forestFacts(forest) }),
    ...beside?.manifest,
    data: trainingFiles(recordings),
    measured: {
      trainingWindows: training.length,
      epoch: fitted.epoch,
      trainingSeconds: round(fitted.seconds),
      ...measuredFigures(figures),
      ...defined({ malice: beside?.figures }),
    },
  }
  const shipped = exported?.onnx ?? onnx
  const stopped = signal?.aborted ?? false
  const through = await throughNewModel(manifest, shipped, recorded)
  const heldOutSeconds = through.hosts.reduce((sum, { heldOut }) => sum + heldOut.length, 0)
  if (heldOutSeconds < DETECTION_HELD_OUT_SECONDS_MIN) {
    warnings.push(
      `this model classifies, but cannot raise alerts: ${heldOutSeconds} seconds are left to calibrate detection on, at least ${DETECTION_HELD_OUT_SECONDS_MIN} are needed. ${ENOUGH_FOR_ALERTS}`,
    )
    return {
      onnx: shipped,
      manifest,
      ...defined({ references: beside?.references }),
      figures,
      warnings,
      stopped,
    }
  }
  const detection = calibrateDetection({
    ...through,
    judged: beside?.judged ?? [],
    states: spread.states,
    labels: Int32Array.from(sample, (id) => labels[id]!),
    profiles: profilesOf(windows, sample, labels, net.classes),
  })
  return {
    onnx: shipped,
    stopped,
    ...defined({ references: beside?.references }),
    manifest: { ...manifest, detection: writeDetectionCalibration(detection) },
    figures,
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
 * What a model brings beside its net: rows to adapt it with, and the trees of malice. An export
 * over all calls has other columns.
 */
function besideTheNet(
  { windows, labels, normaliser }: FitData,
  batches: Batches,
  ids: Int32Array,
  classes: readonly ManifestClass[],
  seed: number,
) {
  const maker = new RowMaker(windows, batches, normaliser)
  const { rows, width } = referenceRows(maker, normaliser, windows, ids, labels, classes)
  const references = encodeRowSet({ rows, width }, REFERENCES_LEVEL)
  const examples = maliceExamples(maker, windows, ids, labels, classes)
  const malice = fitMalice(examples, classes, normaliser.width, { ...MALICE_DEFAULTS, seed })
  return {
    references,
    judged: malice?.table.classes ?? [],
    figures: malice && roundedFigures(malice.figures),
    manifest: {
      references: { sha256: sha256(references), rows: [...rows.values()].flat().length },
      ...(malice === undefined ? {} : { malice: writeMalice(malice.table) }),
    },
  }
}

function roundedFigures({ auc, recall, falseShare, windows }: MaliceFigures): MaliceFigures {
  return { auc: round(auc), recall: round(recall), falseShare: round(falseShare), windows }
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

/** The forest, with the temperature of the net alone at which it is mixed. */
async function forestBeside(
  net: NetShape,
  parameters: Parameters,
  data: FitData,
  batches: Batches,
  { forest, recipe, fit: { seed } }: TrainOptions,
  signal?: AbortSignal,
): Promise<ForestPart | undefined> {
  if (forest === undefined) return undefined
  const trees = await fitWindowForest(net, recipe, data, forest, seed, signal)
  if (trees === undefined) return undefined
  const { logits } = await runNet(exportNet(net, parameters), net, batches, data.heldOut)
  const labels = data.heldOut.map((id) => data.labels[id]!)
  const { temperature } = fitTemperature(logits, labels, net.classes)
  return { trees, known: net.classes, weight: forest.weight, temperature }
}

/** The net, and the forest, over every call that the agent counts. */
function overAllCalls(
  net: NetShape,
  parameters: Parameters,
  forest: ForestPart | undefined,
  normaliser: Normaliser,
  recipe: Recipe,
) {
  const all = new Normaliser(SYSCALLS, recipe)
  const from = inputNames(normaliser, recipe)
  const to = inputNames(all, recipe)
  const wide = widen(net, parameters, from, to)
  const beside = forest && {
    // The forest's last column stands behind all those of the net.
    forest: {
      ...forest,
      trees: movedTrees(forest.trees, [...from.map((name) => to.indexOf(name)), to.length]),
    },
    recipe,
  }
  return { onnx: exportNet(wide.net, wide.parameters, beside), width: wide.net.width }
}

/** A name for each number of a row. */
function inputNames({ components }: Normaliser, { rate }: Recipe): string[] {
  if (rate === 'none') return [...components]
  if (rate !== 'log-counts') return [...components, 'rate of all']
  return [...components, ...components.map((name) => `rate of ${name}`)]
}

function tooFewWindows(count: number): AgentError {
  return new AgentError('ERR_INPUT', `Cannot train on ${count} windows, at least 50 are needed`, {
    hint: 'A process gives a window for each second in which it was active, from its tenth second on',
  })
}
