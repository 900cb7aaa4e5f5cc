/**
 * `agent train --base` without terminal output: a model and a user's recordings in, an extended
 * model out. The training data of the base is not required.
 *
 * The base's LSTM stays as it is; the readout gets columns for the new classes and is trained on
 * the new windows and on states of the old classes drawn from the base's prototypes
 * (`fit-readout.ts`). So recipe, vocabulary, sequence and everything that detection measured in the
 * net's states stay valid.
 *
 * A forest beside the base's net is kept unchanged: it distinguishes the old classes, and the new
 * ones get the net's probabilities (formula in `forest-graph.ts`). It cannot be regrown without
 * the old windows.
 */
import {
  type DetectionCalibration,
  readDetectionCalibration,
  writeDetectionCalibration,
} from '../detect/calibration.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { FRAME_MS } from '../domain/limits.ts'
import { ALIAS_RULES, type AliasRule } from '../model/aliases.ts'
import { type ForestPart, importForest } from '../model/forest-graph.ts'
import type { Manifest } from '../model/manifest.ts'
import { type Model, type ModelFiles, openModel } from '../model/model.ts'
import { extendDetection } from './calibrate/extend-detection.ts'
import { errorAt } from './calibrate/temperature.ts'
import { Batches } from './data/batches.ts'
import { profilesOf, sampleByClass } from './data/class-samples.ts'
import { type GrownClasses, growClasses } from './data/classes.ts'
import { componentVectors, vocabularyOf, type Windows } from './data/dataset.ts'
import { replayStates } from './data/replay.ts'
import { argmaxRows, type Figures, figuresOf } from './evaluate/metrics.ts'
import { measuredFigures, round, trainingFiles, warningsOf } from './manifest-facts.ts'
import { labelledWindows, type Recorded, throughNewModel } from './material.ts'
import { exportNet, importNet } from './net/export.ts'
import type { EpochReport, FitOptions } from './net/fit.ts'
import { fitReadout, readoutLogits } from './net/fit-readout.ts'
import { ARCHS, directionsOf, INTERVALS, type NetShape, type Parameters } from './net/nets.ts'
import { runNet } from './net/run-net.ts'
import { Random } from './random.ts'
import { sha256 } from './save-model.ts'
import type { TrainClock, Trained } from './train.ts'

/** Windows of one class that the readout sees at most; an epoch draws from them. */
const SAMPLE_PER_CLASS = 2_000
/** And detection's prototypes. */
const DETECTION_PER_CLASS = 400
const SHOWN = 12

export interface ExtendOptions {
  readonly stride: number
  readonly windowsMin: number
  readonly fit: FitOptions
  readonly code: string
  readonly name: string
}

/** Window ids and their classes. */
interface LabelledWindows {
  readonly ids: Int32Array
  readonly labels: Int32Array
}

/** The same with the net's states. */
interface LabelledStates extends LabelledWindows {
  readonly states: Float32Array
}

/** The files of a model, and how messages call it. */
export interface Base {
  readonly files: ModelFiles
  readonly where: string
}

export async function extend(
  { files: base, where }: Base,
  data: Recorded,
  options: ExtendOptions,
  clock: TrainClock,
  report: (epoch: EpochReport) => void = () => {},
  signal?: AbortSignal,
): Promise<Trained> {
  const model = await openModel(base, where)
  await model.close()
  const { net, parameters, detection, forest } = partsOf(model, base)
  const { manifest } = model
  const material = await gather(base, model, net, data, options)
  const { windows, classes, own, heldOut, test } = material
  if (own.ids.length < 50)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot extend model "${where}" by ${own.ids.length} windows, at least 50 are needed`,
      { hint: 'Record for longer; a name with too few windows for a class of its own has none' },
    )
  const wide: NetShape = { ...net, classes: classes.list.length }
  const replay = (perClass: number, random: Random) => replayStates(detection, perClass, random)
  const fitted = await fitReadout(
    wide,
    { parameters, classes: net.classes },
    {
      ...own,
      sources: own.ids.map((id) => windows.list[id]!.recording),
      heldOut,
      replay,
    },
    options.fit,
    () => clock.monotonic(),
    report,
    signal,
  )
  const onnx = exportNet(wide, fitted.parameters, forest && { forest, recipe: manifest.recipe })
  const heldOutLogits = await material.logitsOf(onnx, wide, heldOut.ids)
  const testLogits = await material.logitsOf(onnx, wide, test.ids)
  const figures = {
    ...(heldOut.ids.length > 0 && { calibration: figuresAt(heldOutLogits, classes, heldOut) }),
    ...(test.ids.length > 0 && { test: figuresAt(testLogits, classes, test) }),
  }
  const draft: Manifest = {
    ...manifest,
    id: sha256(onnx),
    name: options.name,
    created: new Date(clock.now()).toISOString(),
    code: options.code,
    seed: options.fit.seed,
    classes: classes.list,
    aliases: material.aliases.filter((rule) =>
      classes.list.some(({ name }) => name === rule.class),
    ),
    calibration: calibrationAt(manifest.calibration, heldOutLogits, classes, heldOut),
    data: [...manifest.data, ...trainingFiles(data.recordings)],
    measured: {
      trainingWindows: own.ids.length,
      epoch: fitted.epoch,
      trainingSeconds: round(fitted.seconds),
      ...measuredFigures(figures),
      base: {
        id: manifest.id,
        name: manifest.name,
        classes: net.classes,
        kept: round(keptShare(parameters, net.classes, fitted.parameters, wide.classes, replay)),
      },
    },
  }
  const extended = await detectionOf({ draft, onnx, before: detection, data, material })
  return {
    onnx,
    manifest: { ...draft, detection: writeDetectionCalibration(extended) },
    // The rows are of the base's classes, which stay in their places.
    ...defined({ references: base.references }),
    figures,
    warnings: [...warningsOf(data.recordings), ...warningsOfBase(model, material, clock.now())],
    stopped: signal?.aborted ?? false,
  }
}

/** What is made of the recordings: windows, classes, and the net's states. */
interface Material {
  readonly windows: Windows
  readonly aliases: readonly AliasRule[]
  readonly classes: GrownClasses
  /** Class of each window, −1 for none. */
  readonly labels: Int32Array
  readonly own: LabelledStates
  readonly heldOut: LabelledStates
  readonly test: LabelledWindows
  statesOf(ids: Int32Array): Promise<LabelledStates>
  /** What an extended model says of windows. */
  logitsOf(onnx: Uint8Array, net: NetShape, ids: Int32Array): Promise<Float32Array>
}

async function gather(
  { onnx }: ModelFiles,
  { manifest, normaliser }: Model,
  net: NetShape,
  data: Recorded,
  { stride, windowsMin }: Pick<ExtendOptions, 'stride' | 'windowsMin'>,
): Promise<Material> {
  const aliases = [...manifest.aliases, ...ALIAS_RULES.filter(notIn(manifest.aliases))]
  const shape = {
    sequenceFrames: manifest.sequenceFrames,
    frameSeconds: manifest.frameMs / FRAME_MS,
    stride,
  }
  const { windows, classes, labels, idsOf } = labelledWindows(data, aliases, shape, (training) =>
    growClasses(manifest.classes, training, { windowsMin }),
  )
  const batches = new Batches(windows, componentVectors(windows, normaliser), normaliser)
  const labelled = (ids: Int32Array) => ({ ids, labels: ids.map((id) => labels[id]!) })
  const statesOf = async (ids: Int32Array): Promise<LabelledStates> => {
    const { states } = await runNet(onnx, net, batches, ids)
    return { ...labelled(ids), states }
  }
  return {
    windows,
    aliases,
    classes,
    labels,
    own: await statesOf(sampleByClass(idsOf('train'), labels, SAMPLE_PER_CLASS)),
    heldOut: await statesOf(idsOf('calibration')),
    test: labelled(idsOf('test')),
    statesOf,
    logitsOf: async (grown, wide, ids) => (await runNet(grown, wide, batches, ids)).logits,
  }
}

/** The base's detection calibration, extended by the recordings. */
async function detectionOf(grown: {
  readonly draft: Manifest
  readonly onnx: Uint8Array
  readonly before: DetectionCalibration
  readonly data: Recorded
  readonly material: Material
}): Promise<DetectionCalibration> {
  const { draft, onnx, before, data, material } = grown
  const through = await throughNewModel(draft, onnx, data)
  const { windows, labels, own } = material
  const sample = await material.statesOf(sampleByClass(own.ids, labels, DETECTION_PER_CLASS))
  return extendDetection(before, {
    ...through,
    states: sample.states,
    labels: sample.labels,
    profiles: profilesOf(windows, sample.ids, labels, draft.classes.length),
  })
}

/** The parts of a base that are needed to extend it, or ERR_MODEL. */
function partsOf(
  { manifest, directory }: Model,
  { onnx }: ModelFiles,
): {
  net: NetShape
  parameters: Parameters
  detection: DetectionCalibration
  forest: ForestPart | undefined
} {
  const refuse = (why: string): never => {
    throw new AgentError('ERR_MODEL', `Cannot extend model "${directory}": ${why}`, {
      hint: 'Only models that "agent train" made, with detection calibrated, can be extended',
    })
  }
  const arch = ARCHS.find((name) => name === manifest.arch)
  if (arch === undefined) return refuse(`its net is "${manifest.arch}"`)
  if (manifest.detection === undefined)
    return refuse('it has no prototypes of its classes, so they would be forgotten')
  const net: NetShape = {
    arch,
    width: manifest.width,
    frames: manifest.sequenceFrames,
    hidden: manifest.stateSize / (directionsOf(arch).length * INTERVALS[arch].length),
    classes: manifest.classes.length,
  }
  const detection = readDetectionCalibration(manifest.detection, net.classes, manifest.stateSize)
  return { net, parameters: importNet(net, onnx), detection, forest: importForest(onnx) }
}

function figuresAt(logits: Float32Array, { list }: GrownClasses, part: LabelledWindows): Figures {
  const names = list.map(({ name }) => name)
  return figuresOf(names, part.labels, argmaxRows(logits, list.length))
}

/** The base's temperature, and the error that it leaves here. */
function calibrationAt(
  base: Manifest['calibration'],
  logits: Float32Array,
  { list }: GrownClasses,
  { labels }: LabelledWindows,
): Manifest['calibration'] {
  if (labels.length === 0) return base
  return {
    temperature: base.temperature,
    windows: labels.length,
    ece: errorAt(base.temperature, logits, labels, list.length),
  }
}

/**
 * Share of the old classes' states for which the new readout predicts the same class as the old
 * one.
 */
function keptShare(
  before: Parameters,
  classes: number,
  after: Parameters,
  wideClasses: number,
  replay: (perClass: number, random: Random) => { states: Float32Array },
): number {
  const { states } = replay(50, new Random(0x5eed))
  const old = argmaxRows(readoutLogits(before, states, classes), classes)
  const fresh = argmaxRows(readoutLogits(after, states, wideClasses), wideClasses)
  return old.filter((c, i) => c === fresh[i]).length / Math.max(1, old.length)
}

function warningsOfBase(
  { manifest }: Model,
  { windows, heldOut, classes: { added, list, clashing } }: Material,
  now: number,
): string[] {
  const warnings: string[] = []
  if (Date.parse(manifest.expires) < now)
    warnings.push(
      `the base expired on ${manifest.expires.slice(0, 10)}, and so has what comes of it: its own classes are no younger`,
    )
  if (added === 0)
    warnings.push('these recordings add no class; the ones that the base has are trained further')
  if (clashing.length > 0)
    warnings.push(
      `left out, because the base knows malicious programs of these names: ${few(clashing)}`,
    )
  const known = new Set(manifest.vocabulary)
  const unknown = vocabularyOf(windows, new Set(['train'])).filter((name) => !known.has(name))
  if (unknown.length > 0)
    warnings.push(`calls that the base does not know count as "other": ${few(unknown)}`)
  if (heldOut.ids.length === 0)
    warnings.push('no window is left for calibration: temperature and levels are those of the base')
  const unmeasured = new Set(list.slice(list.length - added).map(({ name }) => name))
  for (const { name, part } of windows.list) if (part === 'calibration') unmeasured.delete(name)
  if (heldOut.ids.length > 0 && unmeasured.size > 0)
    warnings.push(`new classes without a window left for calibration: ${few([...unmeasured])}`)
  return warnings
}

function few(names: readonly string[]): string {
  return names.slice(0, SHOWN).join(', ') + (names.length > SHOWN ? ' …' : '')
}

function notIn(rules: readonly AliasRule[]): (rule: AliasRule) => boolean {
  const known = new Set(rules.map(({ pattern }) => pattern))
  return ({ pattern }) => !known.has(pattern)
}
