/**
 * manifest.json: everything about a model beside its weights, and the parser of such files. They
 * come from disk or from the network, so each field is checked; an error names the field, its value
 * and the expected value.
 *
 * Not checked here: that model.onnx is the right file (`model.ts` compares the hash) and who made
 * it (`signature.ts`).
 */
import { createHash } from 'node:crypto'
import { BEHAVIOUR_IDS, type BehaviourId } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  FOREST_NODES_MAX,
  FOREST_TREES_MAX,
  FRAME_MS,
  HOST_ROWS_MAX,
  MODEL_CLASSES_MAX,
  MODEL_SEQUENCE_FRAMES_MAX,
  MODEL_SEQUENCE_SECONDS_MAX,
  MODEL_STATE_MAX,
  MODEL_TOOLS_MAX,
  MODEL_WIDTH_MAX,
  NAME_BYTES_MAX,
} from '../domain/limits.ts'
import { type Field, type Fields, parseJson, problemText, reading } from '../domain/untrusted.ts'
import type { AliasRule } from './aliases.ts'
import type { Recipe } from './recipe.ts'

/** What a model without `detection` lacks. */
export const ENOUGH_FOR_ALERTS =
  'Train on at least 20 minutes of one host without a break ("agent record --duration 20m"): the last 15 % calibrate alerts'
export const MANIFEST_FORMAT = 1

export interface ManifestClass {
  readonly name: string
  readonly malicious: boolean
  /**
   * What a malicious class stands for; `tool-use` is the one behaviour that is not malicious by
   * itself.
   */
  readonly behaviour?: BehaviourId
  /** Names under which tools of a malicious class run. */
  readonly tools?: readonly string[]
  /** Interpreters and shells: many programs under one name. */
  readonly generic: boolean
  /** Many rare ordinary programs in one class. */
  readonly background: boolean
  /** Windows it was trained on. */
  readonly windows: number
}

export interface TrainingFile {
  readonly file: string
  readonly sha256: string
  readonly from: number
  readonly to: number
  readonly vectors: number
}

/** Facts about the forest in model.onnx, for information: the graph itself contains it. */
export interface ManifestForest {
  readonly trees: number
  /** Nodes and leaves of all trees. */
  readonly nodes: number
  /** Classes that it knows: the first ones. Those that `train --base` added are the net's alone. */
  readonly classes: number
  /** Its share in the mixture with the net's probabilities. */
  readonly weight: number
}

export interface Manifest {
  readonly format: number
  /** sha256 of model.onnx. */
  readonly id: string
  /**
   * sha256 over all other fields, so over the net as well: the identity of a model. Absent in
   * old manifests.
   */
  readonly digest?: string
  readonly name: string
  readonly created: string
  /** Not to be used after this date: programs change. */
  readonly expires: string
  readonly code: string
  readonly seed: number
  readonly arch: string
  readonly vocabulary: readonly string[]
  readonly recipe: Recipe
  readonly frameMs: number
  readonly sequenceFrames: number
  /** d and state size: what the graph takes and gives. */
  readonly width: number
  readonly stateSize: number
  readonly classes: readonly ManifestClass[]
  readonly aliases: readonly AliasRule[]
  readonly calibration: {
    readonly temperature: number
    readonly windows: number
    readonly ece: number
  }
  /** The forest beside the net, where there is one. */
  readonly forest?: ManifestForest
  /** Rows that come with the model for adapting it to a host (references.bin). */
  readonly references?: { readonly sha256: string; readonly rows: number }
  /** Trees that ask whether a window is malicious; parsed by malice-judge.ts. */
  readonly malice?: unknown
  /** Thresholds and the other results of detection calibration; parsed by detect/calibration.ts. */
  readonly detection?: unknown
  readonly data: readonly TrainingFile[]
  readonly measured: Readonly<Record<string, unknown>>
}

/** Seconds that one sequence covers. */
export function sequenceSeconds({
  sequenceFrames,
  frameMs,
}: Pick<Manifest, 'sequenceFrames' | 'frameMs'>): number {
  return (sequenceFrames * frameMs) / FRAME_MS
}

/**
 * sha256 over the fields of a manifest, whatever their order and white space. It holds the sum of
 * model.onnx, so that changed thresholds, classes or weights all show.
 */
export function manifestDigest(manifest: object): string {
  const { digest: _, ...fields } = JSON.parse(JSON.stringify(manifest)) as Record<string, unknown>
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
}

/** Text to Manifest, or ERR_MODEL saying which field is what and should be what. */
export function parseManifest(text: string, where: string): Manifest {
  const read = reading(() => readManifest(parseJson(text)))
  if (read.ok) return read.value
  throw new AgentError('ERR_MODEL', `Cannot use model "${where}": ${problemText(read)}`, {
    hint: 'Train it again with "agent train", or get the directory again',
  })
}

function readManifest(root: Fields): Manifest {
  const frameMs = root.integer('frameMs', 1, 1e9)
  if (frameMs % FRAME_MS !== 0)
    root.field('frameMs').bad(`a multiple of ${FRAME_MS}, as this agent counts`)
  const vocabulary = names(root.field('vocabulary'), MODEL_WIDTH_MAX)
  if (!vocabulary.includes('other'))
    root.field('vocabulary').bad('a list with "other"', 'without "other"')
  const sequenceFrames = root.integer('sequenceFrames', 1, MODEL_SEQUENCE_FRAMES_MAX)
  const seconds = sequenceSeconds({ sequenceFrames, frameMs })
  if (seconds > MODEL_SEQUENCE_SECONDS_MAX)
    root
      .field('frameMs')
      .bad(
        `at most ${MODEL_SEQUENCE_SECONDS_MAX} s for a sequence`,
        `${frameMs}, a sequence of ${seconds} s`,
      )
  const expires = root.text('expires', 64)
  if (Number.isNaN(Date.parse(expires))) root.field('expires').bad('a date')
  const calibration = root.object('calibration')
  return {
    format: root.oneOf('format', [MANIFEST_FORMAT]),
    id: hash(root.field('id')),
    ...defined({ digest: root.or('digest', undefined, hash) }),
    name: root.or('name', '', (name) => name.text(256, { empty: true })),
    created: root.text('created', 64, { empty: true }),
    expires,
    code: root.or('code', '', (code) => code.text(256, { empty: true })),
    seed: root.or('seed', 0, (seed) => seed.integer()),
    arch: root.or('arch', '', (arch) => arch.text(64, { empty: true })),
    vocabulary,
    recipe: readRecipe(root.object('recipe')),
    frameMs,
    sequenceFrames,
    width: root.integer('width', 1, MODEL_WIDTH_MAX),
    stateSize: root.integer('stateSize', 1, MODEL_STATE_MAX),
    classes: readClasses(root),
    aliases: root.objects('aliases', MODEL_CLASSES_MAX).map((rule) => ({
      pattern: rule.text('pattern', NAME_BYTES_MAX),
      class: rule.text('class', NAME_BYTES_MAX),
    })),
    calibration: {
      temperature: calibration.number('temperature', 1e-3, 1e3),
      windows: calibration.or('windows', 0, windowCount),
      ece: calibration.or('ece', 0, (ece) => ece.number(0, 1)),
    },
    ...(root.has('forest') ? { forest: readForest(root.object('forest')) } : {}),
    ...(root.has('references') ? { references: readReferences(root.object('references')) } : {}),
    ...defined({ malice: root.raw('malice'), detection: root.raw('detection') }),
    data: root.objects('data', 1e5).map((file) => ({
      file: file.text('file', 4096, { empty: true }),
      sha256: hash(file.field('sha256')),
      from: file.integer('from', -1e15, 1e15),
      to: file.integer('to', -1e15, 1e15),
      vectors: file.integer('vectors', 0, 1e15),
    })),
    measured: root.or('measured', {}, (measured) => measured.record()),
  }
}

function readClasses(root: Fields): ManifestClass[] {
  const classes = root.objects('classes', MODEL_CLASSES_MAX).map((entry) => ({
    name: entry.text('name', NAME_BYTES_MAX),
    malicious: entry.flag('malicious'),
    ...defined({
      behaviour: entry.or('behaviour', undefined, (field) => field.oneOf(BEHAVIOUR_IDS)),
      tools: entry.or('tools', undefined, (field) => names(field, MODEL_TOOLS_MAX)),
    }),
    generic: entry.or('generic', false, flag),
    background: entry.or('background', false, flag),
    windows: entry.or('windows', 0, windowCount),
  }))
  if (classes.length < 2) root.field('classes').bad('two or more', `${classes.length} classes`)
  if (new Set(classes.map(({ name }) => name)).size !== classes.length)
    root.field('classes').bad('each name once', 'a name given twice')
  return classes
}

function readReferences(references: Fields): NonNullable<Manifest['references']> {
  return {
    sha256: hash(references.field('sha256')),
    rows: references.integer('rows', 0, HOST_ROWS_MAX),
  }
}

function readForest(forest: Fields): ManifestForest {
  return {
    trees: forest.integer('trees', 1, FOREST_TREES_MAX),
    nodes: forest.integer('nodes', 1, FOREST_NODES_MAX),
    classes: forest.integer('classes', 1, MODEL_CLASSES_MAX),
    weight: forest.number('weight', 0, 1),
  }
}

function readRecipe(recipe: Fields): Recipe {
  return {
    name: recipe.text('name', 64, { empty: true }),
    families: recipe
      .field('families')
      .items(MODEL_WIDTH_MAX)
      .map((family) => names(family, MODEL_WIDTH_MAX)),
    power: recipe.number('power', 0.01, 4),
    rate: recipe.oneOf('rate', ['none', 'log-total', 'log-counts', 'quiet']),
  }
}

const flag = (field: Field): boolean => field.oneOf([true, false])
const windowCount = (field: Field): number => field.integer(0, 1e12)

function names(of: Field, lengthMax: number): string[] {
  const list = of.items(lengthMax).map((item) => item.text(NAME_BYTES_MAX))
  if (new Set(list).size !== list.length)
    of.bad('a list of different names', 'a list with a name twice')
  return list
}

function hash(of: Field): string {
  const text = of.text(64)
  return /^[0-9a-f]{64}$/.test(text) ? text : of.bad('a SHA-256 in 64 hexadecimal digits')
}
