/**
 * The detection calibration of a model: whitening of states, prototypes of each class, and
 * thresholds of evidence. Made by train/calibrate/detection-calibration.ts on recordings that the
 * net was not trained on; kept in the manifest's `detection`, so it comes from a disk or from the
 * network and is checked here.
 */
import { AgentError } from '../domain/error.ts'
import { MODEL_NAMES_MAX, MODEL_STATE_MAX, NAME_BYTES_MAX } from '../domain/limits.ts'
import { Fields, problemText, reading } from '../domain/untrusted.ts'
import type { Whitening } from './geometry.ts'
import { levelFor, type Tail } from './tail.ts'
import { EVIDENCE, MEASURED_ELSEWHERE_WINDOWS } from './thresholds.ts'

export const DETECTION_FORMAT = 1
/** Prototypes of one class; whitened components are kept in steps of 1/8, one byte each. */
export const CLASS_PROTOTYPES_MAX = 64
export const PROTOTYPE_STEP = 1 / 8

/**
 * The level of one name that the model gets wrong: what its evidence reached in ordinary life,
 * without and with memory.
 */
export interface OwnLevel {
  readonly name: string
  readonly stream: StreamName
  readonly stage: Stage
  readonly level: number
}

/** Without and with the host's memory of the name. */
export type Stage = 'cold' | 'warm'

export interface DetectionCalibration {
  readonly format: number
  readonly whitening: Whitening
  /** Prototypes of all classes, class after class: [sum(counts) × whitening.size]. */
  readonly prototypes: Float32Array
  /** First prototype of each class, and one past the last: classes + 1 numbers. */
  readonly offsets: Uint32Array
  /** Distance to its own class's nearest prototype that 99 % of a class's windows stay within. */
  readonly radii: Float32Array
  /**
   * Share of a class's held-out windows that the net takes for this other class, class by class:
   * how little that word against the name is worth.
   */
  readonly confusions: readonly ReadonlyMap<number, number>[]
  /** The same for a class that it was never taken for: how few windows of it there were. */
  readonly unsure: Float32Array
  /** Share of a class's held-out windows that the net takes for a malicious class. */
  readonly suspect: Float32Array
  /**
   * Names (names.ts, memoryName) of ordinary programs that were seen in training, with a class or
   * without.
   */
  readonly ordinary: ReadonlySet<string>
  /** Tails of the evidence, by stream: without and with the host's memory. */
  readonly tails: Readonly<Record<StreamName, Readonly<Record<Stage, Tail>>>>
  /** Names with levels of their own, as the memory writes names. */
  readonly own: readonly OwnLevel[]
  /** Mean share of each syscall in a class's windows, its largest first. */
  readonly profiles: readonly (readonly (readonly [syscall: string, share: number])[])[]
  /**
   * Classes that windows of this very host taught: how many more were held out, and how many of
   * those were taken for another class. Absent where the model was not adapted to a host.
   */
  readonly measuredHere?: ReadonlyMap<number, Measured>
}

export interface Measured {
  readonly windows: number
  readonly wrong: number
}

/** What a class that was measured on other hosts brings, as windows of this one. */
const MEASURED_ELSEWHERE: Measured = { windows: MEASURED_ELSEWHERE_WINDOWS, wrong: 0 }
const UNMEASURED: Measured = { windows: 0, wrong: 0 }

/**
 * `claim`: evidence that a process is not what it claims to be. `malice`: evidence of a malicious
 * class.
 */
export type StreamName = 'claim' | 'malice'

/** The levels for a budget, by stream, stage and name. */
export class Levels {
  readonly #common: Readonly<Record<StreamName, Readonly<Record<Stage, number>>>>
  readonly #own: ReadonlyMap<string, number>

  /** @param perDay false alerts a host-day, shared by the two questions */
  constructor({ tails: { claim, malice }, own }: DetectionCalibration, perDay: number) {
    const level = (tail: Tail) => Math.min(EVIDENCE.highestLevel, levelFor(tail, perDay / 2))
    this.#common = {
      claim: { cold: level(claim.cold), warm: level(claim.warm) },
      malice: { cold: level(malice.cold), warm: level(malice.warm) },
    }
    this.#own = new Map(
      own.map(({ stream, stage, name, level }) => [`${stream} ${stage} ${name}`, level]),
    )
  }

  of(stream: StreamName, stage: Stage, name: string): number {
    const common = this.#common[stream][stage]
    const own = this.#own.get(`${stream} ${stage} ${name}`)
    return own === undefined ? common : Math.max(own, common)
  }
}

interface Written {
  readonly format: number
  readonly stateSize: number
  readonly size: number
  readonly whitening: string
  readonly prototypes: string
  readonly step: number
  readonly counts: readonly number[]
  readonly radii: readonly number[]
  readonly confusions: readonly (readonly (readonly [other: number, share: number])[])[]
  readonly unsure: readonly number[]
  readonly suspect: readonly number[]
  readonly ordinary: readonly string[]
  readonly tails: DetectionCalibration['tails']
  readonly own: DetectionCalibration['own']
  readonly profiles: DetectionCalibration['profiles']
}

/** As it stands in the manifest. */
export function writeDetectionCalibration(calibration: DetectionCalibration): Written {
  const { whitening, prototypes, offsets, radii, confusions, unsure, suspect } = calibration
  const { ordinary, tails, own, profiles } = calibration
  const steps = Int8Array.from(prototypes, (value) => quantised(value) / PROTOTYPE_STEP)
  return {
    format: DETECTION_FORMAT,
    stateSize: whitening.stateSize,
    size: whitening.size,
    whitening: base64(new Uint8Array(whitening.matrix.buffer.slice(0))),
    prototypes: base64(new Uint8Array(steps.buffer)),
    step: PROTOTYPE_STEP,
    counts: Array.from(radii, (_, i) => offsets[i + 1]! - offsets[i]!),
    radii: Array.from(radii, thousandths),
    confusions: confusions.map((of) =>
      Array.from(of, ([other, share]) => [other, thousandths(share)]),
    ),
    unsure: Array.from(unsure, thousandths),
    suspect: Array.from(suspect, thousandths),
    ordinary: [...ordinary].sort().slice(0, MODEL_NAMES_MAX),
    tails,
    own,
    profiles,
  }
}

/**
 * What a host has measured of its own: of classes that it added, which follow the model's, and of
 * the model's.
 */
export interface HostMeasured {
  readonly doubts: ReadonlyMap<
    number,
    {
      readonly confusions: readonly (readonly [other: number, share: number])[]
      readonly unsure: number
      readonly suspect: number
    }
  >
  /** Classes that windows of their names taught here. */
  readonly taught: readonly number[]
  /** One for each added class. */
  readonly profiles: DetectionCalibration['profiles']
}

/**
 * A model's calibration with the classes that a host added; those have no prototypes, the host's
 * memory has.
 */
export function calibrationHere(
  base: DetectionCalibration,
  { doubts, taught, profiles }: HostMeasured,
): DetectionCalibration {
  const known = base.radii.length
  const size = known + profiles.length
  const offsets = new Uint32Array(size + 1).fill(base.offsets[known]!)
  offsets.set(base.offsets)
  const grown = (of: Float32Array, fresh: number) => {
    const values = new Float32Array(size).fill(fresh)
    values.set(of)
    return values
  }
  const confusions = Array.from({ length: size }, (_, c) => base.confusions[c] ?? new Map())
  const unsure = grown(base.unsure, 1)
  const suspect = grown(base.suspect, 1)
  const measuredHere = new Map<number, Measured>()
  for (const c of taught) measuredHere.set(c, c < known ? MEASURED_ELSEWHERE : UNMEASURED)
  for (const [c, doubt] of doubts) {
    // Each share has one window more than was seen.
    const all = 1 / doubt.unsure
    const wrong = doubt.confusions.reduce((sum, [, share]) => sum + share * all - 1, 0)
    measuredHere.set(c, { windows: Math.max(0, all - 2), wrong: Math.max(0, wrong) })
    confusions[c] = new Map(doubt.confusions)
    unsure[c] = doubt.unsure
    suspect[c] = doubt.suspect
  }
  return {
    ...base,
    offsets,
    radii: grown(base.radii, 1),
    confusions,
    unsure,
    suspect,
    profiles: [...base.profiles, ...profiles],
    measuredHere,
  }
}

const thousandths = (value: number): number => Math.round(value * 1000) / 1000

/** Nearest value that one byte can hold. */
export function quantised(value: number): number {
  return Math.max(-127, Math.min(127, Math.round(value / PROTOTYPE_STEP))) * PROTOTYPE_STEP
}

/** The manifest's `detection` as a value, or ERR_MODEL saying what is wrong with it. */
export function readDetectionCalibration(
  written: unknown,
  classCount: number,
  stateSize: number,
): DetectionCalibration {
  const read = reading(() =>
    readCalibration(new Fields(written, 'detection.'), classCount, stateSize),
  )
  if (read.ok) return read.value
  throw new AgentError('ERR_MODEL', `Cannot use the manifest: ${problemText(read)}`, {
    hint: 'Train the model again with "agent train", or get the directory again',
  })
}

function readCalibration(
  root: Fields,
  classCount: number,
  stateSize: number,
): DetectionCalibration {
  const format = root.oneOf('format', [DETECTION_FORMAT])
  root.oneOf('stateSize', [stateSize])
  const size = root.integer('size', 1, MODEL_STATE_MAX)
  const offsets = new Uint32Array(classCount + 1)
  for (const [i, count] of root.field('counts').exactly(classCount).entries())
    offsets[i + 1] = offsets[i]! + count.integer(0, CLASS_PROTOTYPES_MAX)
  const matrix = new Float32Array(root.field('whitening').bytes(size * stateSize * 4).buffer)
  if (!matrix.every(Number.isFinite)) root.field('whitening').bad('finite numbers', 'not finite')
  const steps = root.field('prototypes').bytes(offsets[classCount]! * size)
  // The first models had finer steps and did not say so.
  const step = root.or('step', 1 / 16, (field) => field.number(1e-3, 1))
  const perClass = (name: 'radii' | 'unsure' | 'suspect', max: number) =>
    Float32Array.from(root.field(name).exactly(classCount), (value) => value.number(0, max))
  const tails = root.object('tails')
  return {
    format,
    whitening: { stateSize, size, matrix },
    prototypes: Float32Array.from(new Int8Array(steps.buffer), (steps) => steps * step),
    offsets,
    radii: perClass('radii', 1e6),
    confusions: readConfusions(root, classCount),
    unsure: perClass('unsure', 1),
    suspect: perClass('suspect', 1),
    ordinary: new Set(
      root.or('ordinary', [], (names) =>
        names.items(MODEL_NAMES_MAX).map((name) => name.text(NAME_BYTES_MAX, { empty: true })),
      ),
    ),
    tails: { claim: readTails(tails.object('claim')), malice: readTails(tails.object('malice')) },
    own: root.has('own') ? root.objects('own', 4 * MODEL_NAMES_MAX).map(readOwn) : [],
    profiles: root
      .field('profiles')
      .exactly(classCount)
      .map((profile) =>
        profile.items(64).map((entry) => {
          const [syscall, share] = entry.exactly(2)
          return [syscall!.text(64), share!.number(0, 1)] as const
        }),
      ),
  }
}

/**
 * The first models know of mistakes only how many there were (`unsure`), whatever the other class.
 */
function readConfusions(root: Fields, classCount: number): Map<number, number>[] {
  if (!root.has('confusions')) return Array.from({ length: classCount }, () => new Map())
  return root
    .field('confusions')
    .exactly(classCount)
    .map(
      (row) =>
        new Map(
          row.items(classCount).map((entry) => {
            const [other, share] = entry.exactly(2)
            return [other!.integer(0, classCount - 1), share!.number(0, 1)] as const
          }),
        ),
    )
}

function readTails(pair: Fields): Record<Stage, Tail> {
  return { cold: readTail(pair.object('cold')), warm: readTail(pair.object('warm')) }
}

function readTail(tail: Fields): Tail {
  // The first models held an exponential tail through their highest peak.
  if (tail.has('intercept')) {
    const slope = tail.number('slope', 1e-6, 1e6)
    const threshold = tail.number('peak', 0, 1e6)
    const rate = Math.exp(tail.number('intercept', -1e6, 1e6) - slope * threshold)
    return { threshold, rate, scale: 1 / slope, shape: 0, body: [] }
  }
  return {
    threshold: tail.number('threshold', 0, 1e6),
    rate: tail.number('rate', 0, 1e12),
    scale: tail.number('scale', 1e-6, 1e6),
    shape: tail.number('shape', 0, 1),
    body: tail
      .field('body')
      .items(64)
      .map((level) => level.number(0, 1e6)),
  }
}

function readOwn(own: Fields): OwnLevel {
  return {
    name: own.text('name', NAME_BYTES_MAX, { empty: true }),
    stream: own.oneOf('stream', ['claim', 'malice']),
    stage: own.oneOf('stage', ['cold', 'warm']),
    level: own.number('level', 0, 1e6),
  }
}

function base64(of: Uint8Array): string {
  return Buffer.from(of).toString('base64')
}
