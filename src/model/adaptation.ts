/**
 * What a host has added to the model that came with it: classes of its own names, and trees grown
 * on its own windows beside the net. The net, its states and its id stay as they are, so the host's
 * memory stays valid, and to revert is to delete a file.
 *
 * With f the trees' votes and p the shared model's probabilities, both over all classes, and w the
 * trees' weight, what the model says becomes w · f + (1 − w) · p'. A class of the shared model that
 * was something else on this host (`meanings`) gives its part of p to that in p'; where it was
 * several programs, the votes say which. Whether it is malicious is then asked of the model's trees
 * and, with as many votes, of trees that were grown with this host's own windows among the ordinary
 * ones (malice-judge.ts).
 *
 * Made by train/adapt.ts in a process of its own, read by the running agent: a value, checked where
 * it is read.
 */
import { AgentError } from '../domain/error.ts'
import { HOST_NAMES_MAX, MODEL_CLASSES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts'
import type { ModelClasses, Predictions } from '../domain/prediction.ts'
import { hostRowWidth, writeHostRow } from './host-rows.ts'
import { type HostTreeTable, readTrees, vote, writeTrees } from './host-trees.ts'
import { MaliceJudge, type MaliceTable, readMalice, writeMalice } from './malice-judge.ts'
import type { Model } from './model.ts'
import type { SequenceBatch } from './sequencer.ts'

export const ADAPTATION_FORMAT = 2
/** A probability below this is not worth moving. */
const LEAST_PART = 1e-3
/** A class without votes may still be meant. */
const VOTES_LEAST = 0.02

/** How well a class is distinguished here, measured on windows that the trees did not see. */
export interface HostClassDoubt {
  /** Share of the class's windows that are taken for another one, by class. */
  readonly confusions: readonly (readonly [other: number, share: number])[]
  /** The same for a class that it was never taken for: how few windows there were. */
  readonly unsure: number
  /** Share that is taken for something malicious. */
  readonly suspect: number
}

/**
 * A class of the shared model, and what it was on this host: shares by class; the rest is the class
 * itself.
 */
export type HostMeaning = readonly [
  shared: number,
  here: readonly (readonly [of: number, share: number])[],
]

export interface AdaptationFigures {
  /** Seconds of the host's life that it was made of, and names among them. */
  readonly seconds: number
  readonly names: number
  /**
   * Held-out windows, and shares of them that are recognised and called malicious: by the shared
   * model, then adapted.
   */
  readonly windows: number
  readonly recall: readonly [shared: number, adapted: number]
  readonly malicious: readonly [shared: number, adapted: number]
  /**
   * Share of malicious windows of the model's references, held out, that the trees call malicious.
   */
  readonly references: number
  /**
   * Windows that were not learnt from: near a critical or high behaviour, under an alert, or with
   * losses.
   */
  readonly quarantined: number
}

export interface Adaptation {
  /** Id of the model that it belongs to, and its number of classes. */
  readonly model: string
  readonly baseClasses: number
  /** Unix second. */
  readonly made: number
  /** Names of the classes that the host added, as the host's memory writes names. */
  readonly added: readonly string[]
  readonly trees: HostTreeTable
  readonly weight: number
  /** Classes that windows of their names taught here. */
  readonly taught: readonly number[]
  /** Where the shared model's classes are not what they say. */
  readonly meanings: readonly HostMeaning[]
  /** Where the model brings trees for that question. */
  readonly malice?: MaliceTable
  /** By class, where it was measured here. */
  readonly doubts: ReadonlyMap<number, HostClassDoubt>
  /** Mean share of each call in the windows of each added class. */
  readonly profiles: readonly (readonly (readonly [syscall: string, share: number])[])[]
  readonly figures: AdaptationFigures
}

export function encodeAdaptation(adaptation: Adaptation): Uint8Array {
  const { trees, doubts, malice, ...rest } = adaptation
  const written = {
    ...{ format: ADAPTATION_FORMAT, ...rest, doubts: [...doubts], trees: writeTrees(trees) },
    ...(malice === undefined ? {} : { malice: writeMalice(malice) }),
  }
  return new TextEncoder().encode(`${JSON.stringify(written)}\n`)
}

/** @throws AgentError ERR_MODEL where it is damaged or belongs to another model */
export function decodeAdaptation(
  bytes: Uint8Array,
  { manifest }: Pick<Model, 'manifest'>,
): Adaptation {
  const refuse = (why: string): never => {
    throw new AgentError('ERR_MODEL', `Cannot use the adaptation to this host: ${why}`, {
      hint: 'Make it anew with "agent adapt --now", or remove it with "agent adapt --revert"',
    })
  }
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return refuse('it is no JSON')
  }
  if (typeof value !== 'object' || value === null) return refuse('it is no object')
  const root = value as Record<string, unknown>
  const base = manifest.classes.length
  if (root.format !== ADAPTATION_FORMAT) return refuse(`its format is ${String(root.format)}`)
  if (root.model !== manifest.id || root.baseClasses !== base)
    return refuse(`it belongs to model ${String(root.model).slice(0, 16)}`)
  const added = namesOf(root.added) ?? refuse('its names are damaged')
  const classes = base + added.length
  const trees = readTrees(root.trees, hostRowWidth(manifest.width))
  if (trees === undefined || trees.classes !== classes) return refuse('its trees are damaged')
  const isMalicious = manifest.classes.map(({ malicious }) => malicious)
  const malice =
    root.malice === undefined
      ? undefined
      : (readMalice(root.malice, manifest.width, isMalicious) ??
        refuse('its trees of malice are damaged'))
  if (!isShare(root.weight) || !Number.isInteger(root.made)) return refuse('a number is missing')
  const doubts = doubtsOf(root.doubts, classes) ?? refuse('its measurements are damaged')
  const profiles = profilesOf(root.profiles, added.length) ?? refuse('its profiles are damaged')
  const taught = classesOf(root.taught, classes) ?? refuse('its classes are damaged')
  const meanings = meaningsOf(root.meanings, base, classes) ?? refuse('its meanings are damaged')
  const figures = figuresOf(root.figures) ?? refuse('its figures are damaged')
  const { made, weight } = root as { made: number; weight: number }
  return {
    ...{ model: manifest.id, baseClasses: base, made, added },
    ...{ trees, weight, meanings, taught, doubts, profiles, figures },
    ...(malice === undefined ? {} : { malice }),
  }
}

/** A model's classes and those of its host, which may change while the agent runs. */
export class HostClasses implements ModelClasses {
  readonly #base: ModelClasses
  readonly #keyOf: (name: string) => string
  #now: Pick<ModelClasses, 'names' | 'malicious' | 'generic' | 'behaviours'>
  #added: ReadonlyMap<string, number> = new Map()
  readonly background?: number

  /** @param keyOf a presented name as the host's memory writes it */
  constructor(base: ModelClasses, keyOf: (name: string) => string) {
    this.#base = base
    this.#keyOf = keyOf
    this.#now = base
    if (base.background !== undefined) this.background = base.background
  }

  /** @param adaptation undefined: the shared model alone */
  adapt(adaptation: Adaptation | undefined): void {
    const { names, malicious, generic, behaviours } = this.#base
    const added = adaptation?.added ?? []
    const blank = <T>(value: T): T[] => added.map(() => value)
    this.#added = new Map(added.map((name, i) => [name, names.length + i]))
    this.#now = {
      names: [...names, ...added],
      malicious: [...malicious, ...blank(false)],
      generic: [...(generic ?? names.map(() => false)), ...blank(false)],
      behaviours: [...(behaviours ?? names.map(() => undefined)), ...blank(undefined)],
    }
  }

  get modelId(): string {
    return this.#base.modelId
  }

  get names(): readonly string[] {
    return this.#now.names
  }

  get malicious(): readonly boolean[] {
    return this.#now.malicious
  }

  get generic(): readonly boolean[] {
    return this.#now.generic ?? []
  }

  get behaviours(): NonNullable<ModelClasses['behaviours']> {
    return this.#now.behaviours ?? []
  }

  claimedBy(name: string): number | undefined {
    return this.#base.claimedBy(name) ?? this.#added.get(this.#keyOf(name))
  }

  toolClassOf(name: string): number | undefined {
    return this.#base.toolClassOf?.(name)
  }
}

/** The shared model's predictions, mixed with the trees' votes. */
export class HostJudge {
  readonly #adaptation: Pick<Adaptation, 'trees' | 'weight' | 'malice' | 'meanings'>
  readonly #malice: MaliceJudge | undefined
  readonly #shared: MaliceTable | undefined
  readonly #width: number
  readonly #frames: number
  readonly #row: Float32Array
  readonly #votes: Float32Array

  constructor(
    adaptation: Pick<Adaptation, 'trees' | 'weight' | 'malice' | 'meanings'>,
    { manifest, classes, malice }: Pick<Model, 'manifest' | 'classes' | 'malice'>,
  ) {
    const { width, sequenceFrames: frames } = manifest
    const { background } = classes
    this.#adaptation = adaptation
    this.#malice =
      adaptation.malice && new MaliceJudge(adaptation.malice, { width, frames, background })
    this.#shared = malice?.table
    this.#width = width
    this.#frames = frames
    this.#row = new Float32Array(hostRowWidth(width))
    this.#votes = new Float32Array(adaptation.trees.classes)
  }

  mix(predictions: Predictions, batch: SequenceBatch): Predictions {
    const { classes } = this.#adaptation.trees
    const { classCount } = predictions
    const n = batch.processes.length
    const probabilities = new Float32Array(n * classes)
    for (let i = 0; i < n; i++) {
      writeHostRow(batch, i, this.#frames, this.#width, this.#row)
      const shared = predictions.probabilities.subarray(i * classCount, (i + 1) * classCount)
      this.mixRow(shared, this.#row, probabilities, i * classes)
    }
    return { ...predictions, probabilities, classCount: classes }
  }

  /**
   * One window: the shared model's probabilities and its row to all classes' probabilities at
   * out[at…].
   */
  mixRow(shared: Float32Array, row: Float32Array, out: Float32Array, at: number): void {
    const { trees, weight } = this.#adaptation
    vote(trees, row, this.#votes)
    for (let c = 0; c < trees.classes; c++)
      out[at + c] = weight * this.#votes[c]! + (1 - weight) * (shared[c] ?? 0)
    for (const [c, here] of this.#adaptation.meanings) {
      const part = (1 - weight) * shared[c]!
      if (part >= LEAST_PART) this.#mean(here, part, c, out, at)
    }
    this.#malice?.applyTo(out, at, trees.classes, row, this.#shared?.trees)
  }

  /** Moves a class's part to what it means here; of several meanings the votes say which. */
  #mean(here: HostMeaning[1], part: number, c: number, out: Float32Array, at: number): void {
    const moved = part * sumOf(here.map(([, share]) => share))
    const weights = here.map(([of, share]) => share * (this.#votes[of]! + VOTES_LEAST))
    const sum = sumOf(weights)
    out[at + c]! -= moved
    for (const [k, [of]] of here.entries()) out[at + of]! += (moved * weights[k]!) / sum
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function namesOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length > HOST_NAMES_MAX) return undefined
  const isName = (name: unknown) => typeof name === 'string' && name.length <= NAME_BYTES_MAX
  return value.every(isName) && new Set(value).size === value.length ? value : undefined
}

function classesOf(value: unknown, classes: number): number[] | undefined {
  if (!Array.isArray(value) || value.length > classes) return undefined
  return value.every((c) => Number.isInteger(c) && c >= 0 && c < classes) ? value : undefined
}

function doubtsOf(value: unknown, classes: number): Map<number, HostClassDoubt> | undefined {
  if (!Array.isArray(value) || value.length > MODEL_CLASSES_MAX) return undefined
  const isClass = (of: unknown) =>
    Number.isInteger(of) && (of as number) >= 0 && (of as number) < classes
  const doubts = new Map<number, HostClassDoubt>()
  for (const entry of value) {
    if (!Array.isArray(entry) || !isClass(entry[0])) return undefined
    if (typeof entry[1] !== 'object' || entry[1] === null) return undefined
    const { confusions, unsure, suspect } = entry[1] as Record<string, unknown>
    if (!isShare(unsure) || !isShare(suspect) || !Array.isArray(confusions)) return undefined
    for (const pair of confusions)
      if (!Array.isArray(pair) || !isClass(pair[0]) || !isShare(pair[1])) return undefined
    doubts.set(entry[0], entry[1] as HostClassDoubt)
  }
  return doubts
}

/** Each class of the model at most once, and no more of it than there is. */
function meaningsOf(value: unknown, base: number, classes: number): HostMeaning[] | undefined {
  if (!Array.isArray(value) || value.length > base) return undefined
  const isPart = (part: unknown) =>
    Array.isArray(part) &&
    Number.isInteger(part[0]) &&
    part[0] >= 0 &&
    part[0] < classes &&
    isShare(part[1])
  const isMeaning = (of: unknown) =>
    Array.isArray(of) &&
    Number.isInteger(of[0]) &&
    of[0] >= 0 &&
    of[0] < base &&
    Array.isArray(of[1]) &&
    of[1].length <= classes &&
    of[1].every(isPart) &&
    sumOf(of[1].map(([, share]) => share)) <= 1.01
  return value.every(isMeaning) ? value : undefined
}

function profilesOf(value: unknown, added: number): Adaptation['profiles'] | undefined {
  if (!Array.isArray(value) || value.length !== added) return undefined
  const isCall = (call: unknown) =>
    Array.isArray(call) && typeof call[0] === 'string' && call[0].length <= 64 && isShare(call[1])
  const isProfile = (of: unknown) => Array.isArray(of) && of.length <= 64 && of.every(isCall)
  return value.every(isProfile) ? value : undefined
}

function figuresOf(value: unknown): AdaptationFigures | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const figures = value as Record<string, unknown>
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(isShare)
  const counts = [figures.seconds, figures.names, figures.windows, figures.quarantined]
  const whole =
    counts.every((count) => Number.isInteger(count) && (count as number) >= 0) &&
    isPair(figures.recall) &&
    isPair(figures.malicious) &&
    isShare(figures.references)
  return whole ? (value as AdaptationFigures) : undefined
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1
}
