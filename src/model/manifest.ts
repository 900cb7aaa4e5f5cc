/**
 * manifest.json: all that must be known of a model beside its weights, and the one place where such a file
 * becomes a value. It comes from a disk or from the network, so it is checked field by field; what differs
 * from what this agent can use is said, with both values.
 *
 * Not checked here: that model.onnx is the file meant (`model.ts` compares the hash) and who made it (`signature.ts`).
 */

import { type BehaviourId, isBehaviourId } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  FOREST_NODES_MAX,
  FOREST_TREES_MAX,
  FRAME_MS,
  MODEL_CLASSES_MAX,
  MODEL_SEQUENCE_FRAMES_MAX,
  MODEL_SEQUENCE_SECONDS_MAX,
  MODEL_STATE_MAX,
  MODEL_TOOLS_MAX,
  MODEL_WIDTH_MAX,
  NAME_BYTES_MAX,
} from '../domain/limits.ts'
import type { AliasRule } from './aliases.ts'
import type { Recipe } from './recipe.ts'

export const MANIFEST_FORMAT = 1

export interface ManifestClass {
  readonly name: string
  readonly malicious: boolean
  /** What a malicious class stands for; `tool-use` is the one behaviour that is not malicious by itself. */
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

/** What stands in model.onnx beside the net, for people: the graph itself holds it all. */
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
  readonly name: string
  readonly created: string
  /** Not to be used after this day; programs change, so every model grows old. */
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
  /** Thresholds and what else detection was calibrated to; its shape is detect's own. */
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

/** Text to Manifest, or ERR_MODEL saying which field is what and should be what. */
export function parseManifest(text: string, where: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AgentError('ERR_MODEL', `Cannot read "${where}": it is no JSON`, { cause })
  }
  const check = new Checker(where)
  const root = check.record(value, 'manifest')
  const format = check.integer(root.format, 'format', 0, 1e9)
  if (format !== MANIFEST_FORMAT) check.fail('format', `${format}`, `${MANIFEST_FORMAT}`)
  const frameMs = check.integer(root.frameMs, 'frameMs', 1, 1e9)
  if (frameMs % FRAME_MS !== 0)
    check.fail('frameMs', `${frameMs}`, `a multiple of ${FRAME_MS}, as this agent counts`)
  const vocabulary = check.names(root.vocabulary, 'vocabulary', MODEL_WIDTH_MAX)
  if (!vocabulary.includes('other'))
    check.fail('vocabulary', 'without "other"', 'a list with "other"')
  const classes = parseClasses(check, root.classes)
  const calibration = check.record(root.calibration, 'calibration')
  const manifest: Manifest = {
    format,
    id: check.hash(root.id, 'id'),
    name: check.text(root.name ?? '', 'name', 256),
    created: check.text(root.created, 'created', 64),
    expires: check.text(root.expires, 'expires', 64),
    code: check.text(root.code ?? '', 'code', 256),
    seed: check.integer(root.seed ?? 0, 'seed', 0, Number.MAX_SAFE_INTEGER),
    arch: check.text(root.arch ?? '', 'arch', 64),
    vocabulary,
    recipe: parseRecipe(check, root.recipe),
    frameMs,
    sequenceFrames: check.integer(
      root.sequenceFrames,
      'sequenceFrames',
      1,
      MODEL_SEQUENCE_FRAMES_MAX,
    ),
    width: check.integer(root.width, 'width', 1, MODEL_WIDTH_MAX),
    stateSize: check.integer(root.stateSize, 'stateSize', 1, MODEL_STATE_MAX),
    classes,
    aliases: check.list(root.aliases ?? [], 'aliases', MODEL_CLASSES_MAX).map((item, i) => {
      const rule = check.record(item, `aliases[${i}]`)
      return {
        pattern: check.text(rule.pattern, `aliases[${i}].pattern`, NAME_BYTES_MAX),
        class: check.text(rule.class, `aliases[${i}].class`, NAME_BYTES_MAX),
      }
    }),
    calibration: {
      temperature: check.number(calibration.temperature, 'calibration.temperature', 1e-3, 1e3),
      windows: check.integer(calibration.windows ?? 0, 'calibration.windows', 0, 1e12),
      ece: check.number(calibration.ece ?? 0, 'calibration.ece', 0, 1),
    },
    ...(root.forest === undefined ? {} : { forest: parseForest(check, root.forest) }),
    ...defined({ detection: root.detection }),
    data: check.list(root.data ?? [], 'data', 1e5).map((item, i) => {
      const file = check.record(item, `data[${i}]`)
      return {
        file: check.text(file.file, `data[${i}].file`, 4096),
        sha256: check.hash(file.sha256, `data[${i}].sha256`),
        from: check.integer(file.from, `data[${i}].from`, -1e15, 1e15),
        to: check.integer(file.to, `data[${i}].to`, -1e15, 1e15),
        vectors: check.integer(file.vectors, `data[${i}].vectors`, 0, 1e15),
      }
    }),
    measured: check.record(root.measured ?? {}, 'measured'),
  }
  const seconds = sequenceSeconds(manifest)
  if (seconds > MODEL_SEQUENCE_SECONDS_MAX)
    check.fail(
      'frameMs',
      `${frameMs}, a sequence of ${seconds} s`,
      `at most ${MODEL_SEQUENCE_SECONDS_MAX} s`,
    )
  if (Number.isNaN(Date.parse(manifest.expires)))
    check.fail('expires', `"${manifest.expires}"`, 'a date')
  return manifest
}

function parseClasses(check: Checker, value: unknown): ManifestClass[] {
  const classes = check.list(value, 'classes', MODEL_CLASSES_MAX).map((item, i) => {
    const entry = check.record(item, `classes[${i}]`)
    return {
      name: check.text(entry.name, `classes[${i}].name`, NAME_BYTES_MAX),
      malicious: check.flag(entry.malicious, `classes[${i}].malicious`),
      ...(entry.behaviour === undefined
        ? {}
        : { behaviour: parseBehaviour(check, entry.behaviour, `classes[${i}].behaviour`) }),
      ...(entry.tools === undefined
        ? {}
        : { tools: check.names(entry.tools, `classes[${i}].tools`, MODEL_TOOLS_MAX) }),
      generic: check.flag(entry.generic ?? false, `classes[${i}].generic`),
      background: check.flag(entry.background ?? false, `classes[${i}].background`),
      windows: check.integer(entry.windows ?? 0, `classes[${i}].windows`, 0, 1e12),
    }
  })
  if (classes.length < 2) check.fail('classes', `${classes.length} classes`, 'two or more')
  if (new Set(classes.map(({ name }) => name)).size !== classes.length)
    check.fail('classes', 'a name given twice', 'each name once')
  return classes
}

function parseBehaviour(check: Checker, value: unknown, field: string): BehaviourId {
  return isBehaviourId(value) ? value : check.fail(field, show(value), 'a behaviour')
}

function parseForest(check: Checker, value: unknown): ManifestForest {
  const root = check.record(value, 'forest')
  return {
    trees: check.integer(root.trees, 'forest.trees', 1, FOREST_TREES_MAX),
    nodes: check.integer(root.nodes, 'forest.nodes', 1, FOREST_NODES_MAX),
    classes: check.integer(root.classes, 'forest.classes', 1, MODEL_CLASSES_MAX),
    weight: check.number(root.weight, 'forest.weight', 0, 1),
  }
}

function parseRecipe(check: Checker, value: unknown): Recipe {
  const root = check.record(value, 'recipe')
  const rate = check.text(root.rate, 'recipe.rate', 64)
  if (rate !== 'none' && rate !== 'log-total' && rate !== 'log-counts' && rate !== 'quiet')
    return check.fail('recipe.rate', `"${rate}"`, '"none", "log-total", "log-counts" or "quiet"')
  return {
    name: check.text(root.name, 'recipe.name', 64),
    families: check
      .list(root.families, 'recipe.families', MODEL_WIDTH_MAX)
      .map((family, i) => check.names(family, `recipe.families[${i}]`, MODEL_WIDTH_MAX)),
    power: check.number(root.power, 'recipe.power', 0.01, 4),
    rate,
  }
}

class Checker {
  readonly #where: string

  constructor(where: string) {
    this.#where = where
  }

  fail(field: string, is: string, should: string): never {
    throw new AgentError(
      'ERR_MODEL',
      `Cannot use model "${this.#where}": ${field} is ${is}, it should be ${should}`,
      { hint: 'Train it anew with "agent train", or get the whole directory again' },
    )
  }

  record(value: unknown, field: string): Record<string, unknown> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.fail(field, show(value), 'an object')
    return value as Record<string, unknown>
  }

  list(value: unknown, field: string, max: number): readonly unknown[] {
    if (!Array.isArray(value)) this.fail(field, show(value), 'a list')
    if (value.length > max) this.fail(field, `${value.length} long`, `at most ${max} long`)
    return value
  }

  names(value: unknown, field: string, max: number): readonly string[] {
    const names = this.list(value, field, max).map((name, i) =>
      this.text(name, `${field}[${i}]`, NAME_BYTES_MAX),
    )
    if (new Set(names).size !== names.length)
      this.fail(field, 'a list with a name twice', 'a list of different names')
    return names
  }

  text(value: unknown, field: string, max: number): string {
    if (typeof value !== 'string') this.fail(field, show(value), 'text')
    if (value.length > max) this.fail(field, `${value.length} characters`, `at most ${max}`)
    return value
  }

  hash(value: unknown, field: string): string {
    const text = this.text(value, field, 64)
    if (!/^[0-9a-f]{64}$/.test(text))
      this.fail(field, `"${text}"`, 'a SHA-256 in 64 hexadecimal digits')
    return text
  }

  flag(value: unknown, field: string): boolean {
    if (typeof value !== 'boolean') this.fail(field, show(value), 'true or false')
    return value
  }

  number(value: unknown, field: string, min: number, max: number): number {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max)
      this.fail(field, show(value), `a number from ${min} to ${max}`)
    return value
  }

  integer(value: unknown, field: string, min: number, max: number): number {
    const number = this.number(value, field, min, max)
    if (!Number.isInteger(number)) this.fail(field, show(value), 'a whole number')
    return number
  }
}

function show(value: unknown): string {
  if (value === undefined) return 'missing'
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}
