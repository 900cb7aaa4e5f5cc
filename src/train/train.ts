/**
 * `agent train` without terminal output: recordings in, a model directory's contents out, in this
 * order: windows and classes, net and forest, temperature and figures, what stands beside the net,
 * manifest, calibration of detection.
 */
import { writeDetectionCalibration } from '../detect/calibration.ts'
import { defined } from '../domain/defined.ts'
import { FRAME_MS } from '../domain/limits.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { ALIAS_RULES } from '../model/aliases.ts'
import { writeMalice } from '../model/malice-judge.ts'
import { ENOUGH_FOR_ALERTS, MANIFEST_FORMAT, type Manifest } from '../model/manifest.ts'
import { encodeRowSet } from '../model/row-set.ts'
import { calibrateDetection } from './calibrate/detection-calibration.ts'
import { fitTemperature } from './calibrate/temperature.ts'
import { profilesOf, sampleByClass } from './data/class-samples.ts'
import { maliceExamples, RowMaker, referenceRows } from './data/references.ts'
import { argmaxRows, figuresOf } from './evaluate/metrics.ts'
import { type FittedParts, fitParts } from './fit-parts.ts'
import { fitMalice, MALICE_DEFAULTS, type MaliceFigures } from './forest/malice-forest.ts'
import {
  forestFacts,
  measuredFigures,
  type PartFigures,
  round,
  trainingFiles,
} from './manifest-facts.ts'
import { type Recorded, throughNewModel } from './material.ts'
import type { EpochReport } from './net/fit.ts'
import { stateSizeOf } from './net/nets.ts'
import { runNet } from './net/run-net.ts'
import { sha256 } from './save-model.ts'
import type { TrainOptions } from './train-options.ts'
import { type TrainingMaterial, trainingMaterial } from './training-material.ts'

/** Less of ordinary life shows no tail of evidence at all. */
const DETECTION_HELD_OUT_SECONDS_MIN = 30

/** Windows of a class whose states become detection's prototypes. */
const PROTOTYPES_PER_CLASS = 400
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

/**
 * @param report called after each epoch
 * @param signal stops it early: the best epoch so far and the trees grown so far are kept
 * @throws AgentError ERR_INPUT where the recordings hold too little to train on
 */
export async function train(
  recorded: Recorded,
  options: TrainOptions,
  clock: TrainClock,
  report: (epoch: EpochReport) => void = () => {},
  signal?: AbortSignal,
): Promise<Trained> {
  const material = trainingMaterial(recorded, options)
  const parts = await fitParts(material, options, () => clock.monotonic(), report, signal)
  const measured = await measure(material, parts)
  const beside = options.fullVocabulary ? undefined : besideTheNet(material, options.fit.seed)
  const draft = manifestOf({ recorded, options, material, parts, measured, beside }, clock.now())
  const detection = await detectionOf(draft, recorded, material, parts, beside?.judged ?? [])
  const warnings = [...material.warnings]
  if (options.forest !== undefined && parts.forest === undefined)
    warnings.push('it was told to stop before the first tree was grown: this model has no forest')
  if (typeof detection === 'string') warnings.push(detection)
  return {
    onnx: parts.shipped.onnx,
    manifest: typeof detection === 'string' ? draft : { ...draft, detection },
    ...defined({ references: beside?.references }),
    figures: measured.figures,
    warnings,
    stopped: signal?.aborted ?? false,
  }
}

interface Measured {
  readonly temperature: ReturnType<typeof fitTemperature>
  readonly figures: PartFigures
}

/** The temperature by what was held out, and how well both other parts are recognised. */
async function measure(
  { net, data, batches, classes, test }: TrainingMaterial,
  { onnx }: FittedParts,
): Promise<Measured> {
  const names = classes.map(({ name }) => name)
  const labelsOf = (ids: Int32Array) => Int32Array.from(ids, (id) => data.labels[id]!)
  const logitsOf = async (ids: Int32Array) => (await runNet(onnx, net, batches, ids)).logits
  const figuresAt = (ids: Int32Array, logits: Float32Array) =>
    figuresOf(names, labelsOf(ids), argmaxRows(logits, net.classes))
  const held = await logitsOf(data.heldOut)
  return {
    temperature: fitTemperature(held, labelsOf(data.heldOut), net.classes),
    figures: {
      ...(data.heldOut.length > 0 && { calibration: figuresAt(data.heldOut, held) }),
      ...(test.length > 0 && { test: figuresAt(test, await logitsOf(test)) }),
    },
  }
}

type BesideTheNet = ReturnType<typeof besideTheNet>

/**
 * What a model brings beside its net: rows to adapt it with, and the trees of malice. An export
 * over all calls has other columns.
 */
function besideTheNet(
  { data: { windows, labels, normaliser, training: ids }, batches, classes }: TrainingMaterial,
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

interface ManifestParts {
  readonly recorded: Recorded
  readonly options: TrainOptions
  readonly material: TrainingMaterial
  readonly parts: FittedParts
  readonly measured: Measured
  readonly beside: BesideTheNet | undefined
}

/** The manifest, without the calibration of detection. */
function manifestOf(
  { recorded, options, material, parts, measured, beside }: ManifestParts,
  now: number,
): Manifest {
  const { net, classes, data } = material
  const names = new Set(classes.map(({ name }) => name))
  return {
    format: MANIFEST_FORMAT,
    id: sha256(parts.shipped.onnx),
    name: options.name,
    created: new Date(now).toISOString(),
    expires: new Date(now + options.validDays * 86_400_000).toISOString(),
    code: options.code,
    seed: options.fit.seed,
    arch: options.arch,
    vocabulary: options.fullVocabulary ? SYSCALLS : material.vocabulary,
    recipe: options.recipe,
    frameMs: FRAME_MS * options.frameSeconds,
    sequenceFrames: options.sequenceFrames,
    width: parts.shipped.width,
    stateSize: stateSizeOf(net),
    classes,
    aliases: ALIAS_RULES.filter((rule) => names.has(rule.class)),
    calibration: { ...measured.temperature, windows: data.heldOut.length },
    ...(parts.forest !== undefined && { forest: forestFacts(parts.forest) }),
    ...beside?.manifest,
    data: trainingFiles(recorded.recordings),
    measured: {
      trainingWindows: material.trainingWindows,
      epoch: parts.fitted.epoch,
      trainingSeconds: round(parts.fitted.seconds),
      ...measuredFigures(measured.figures),
      ...defined({ malice: beside?.figures }),
    },
  }
}

/** The calibration of detection, or what is missing for it. */
async function detectionOf(
  draft: Manifest,
  recorded: Recorded,
  { net, data, batches }: TrainingMaterial,
  { onnx, shipped }: FittedParts,
  judged: readonly number[],
): Promise<Manifest['detection'] | string> {
  const through = await throughNewModel(draft, shipped.onnx, recorded)
  const heldOutSeconds = through.hosts.reduce((sum, { heldOut }) => sum + heldOut.length, 0)
  if (heldOutSeconds < DETECTION_HELD_OUT_SECONDS_MIN)
    return `this model classifies, but cannot raise alerts: ${heldOutSeconds} seconds are left to calibrate detection on, at least ${DETECTION_HELD_OUT_SECONDS_MIN} are needed. ${ENOUGH_FOR_ALERTS}`
  const sample = sampleByClass(data.training, data.labels, PROTOTYPES_PER_CLASS)
  const { states } = await runNet(onnx, net, batches, sample)
  return writeDetectionCalibration(
    calibrateDetection({
      ...{ ...through, judged, states },
      labels: Int32Array.from(sample, (id) => data.labels[id]!),
      profiles: profilesOf(data.windows, sample, data.labels, net.classes),
    }),
  )
}
