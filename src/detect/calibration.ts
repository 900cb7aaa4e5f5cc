/**
 * What detection must know of a model beside its classes: how states are whitened, where each class lies
 * among them, and how much evidence is enough. Made by train/calibrate/detection-calibration.ts on recordings that the net
 * was not trained on; kept in the manifest's `detection`, so it comes from a disk or from the network and is
 * checked here.
 */
import { AgentError } from '../domain/error.ts'
import { MODEL_CLASSES_MAX, MODEL_NAMES_MAX, MODEL_STATE_MAX } from '../domain/limits.ts'
import type { Whitening } from './geometry.ts'

export const DETECTION_FORMAT = 1
/** Prototypes of one class; whitened components are kept in steps of 1/8, one byte each. */
export const CLASS_PROTOTYPES_MAX = 64
export const PROTOTYPE_STEP = 1 / 8

/** How often a process's evidence peaks above a level, on ordinary recordings: exp(intercept − slope × level) a host-day. */
export interface Tail {
  readonly intercept: number
  readonly slope: number
  /** Highest peak seen; a threshold is never set below it. */
  readonly peak: number
}

export interface DetectionCalibration {
  readonly format: number
  readonly whitening: Whitening
  /** Prototypes of all classes, class after class: [sum(counts) × whitening.size]. */
  readonly prototypes: Float32Array
  /** First prototype of each class, and one past the last: classes + 1 numbers. */
  readonly offsets: Uint32Array
  /** Distance to its own class's nearest prototype that 99 % of a class's windows stay within. */
  readonly radii: Float32Array
  /** Share of a class's held-out windows that the net takes for this other class, class by class: how little that word against the name is worth. */
  readonly confusions: readonly ReadonlyMap<number, number>[]
  /** The same for a class that it was never taken for: how few windows of it there were. */
  readonly unsure: Float32Array
  /** Share of a class's held-out windows that the net takes for a malicious class. */
  readonly suspect: Float32Array
  /** Names (names.ts, memoryName) of ordinary programs that were seen in training, with a class or without. */
  readonly ordinary: ReadonlySet<string>
  /** Tails of the evidence, by stream: without and with the host's memory. */
  readonly tails: Readonly<Record<StreamName, { readonly cold: Tail; readonly warm: Tail }>>
  /** Mean share of each syscall in a class's windows, its largest first. */
  readonly profiles: readonly (readonly (readonly [syscall: string, share: number])[])[]
}

/** `claim`: it is not what it claims to be. `malice`: it is something malicious. */
export type StreamName = 'claim' | 'malice'

/** Level that ordinary life is expected to reach `perDay` times a host-day. */
export function levelFor(tail: Tail, perDay: number): number {
  const level = (tail.intercept - Math.log(Math.max(perDay, 1e-6))) / tail.slope
  return Math.max(level, tail.peak)
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
  readonly profiles: DetectionCalibration['profiles']
}

/** As it stands in the manifest. */
export function writeDetectionCalibration(calibration: DetectionCalibration): Written {
  const { whitening, prototypes, offsets, radii, confusions, unsure, suspect } = calibration
  const { ordinary, tails, profiles } = calibration
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
    profiles,
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
  const root = record(written, 'detection')
  const is = (field: string, found: unknown, wanted: unknown) => {
    if (found !== wanted) fail(field, String(found), String(wanted))
  }
  is('detection.format', root.format, DETECTION_FORMAT)
  is('detection.stateSize', root.stateSize, stateSize)
  const size = number(root.size, 'detection.size', 1, MODEL_STATE_MAX)
  const counts = list(root.counts, 'detection.counts', MODEL_CLASSES_MAX)
  is('detection.counts', counts.length, classCount)
  const offsets = new Uint32Array(classCount + 1)
  counts.forEach((count, i) => {
    offsets[i + 1] = offsets[i]! + number(count, `detection.counts[${i}]`, 0, CLASS_PROTOTYPES_MAX)
  })
  const matrix = bytes(root.whitening, 'detection.whitening', size * stateSize * 4)
  const steps = bytes(root.prototypes, 'detection.prototypes', offsets[classCount]! * size)
  // The first models had finer steps and did not say so.
  const step = number(root.step ?? 1 / 16, 'detection.step', 1e-3, 1)
  const whitening = new Float32Array(matrix.buffer)
  if (!whitening.every(Number.isFinite)) fail('detection.whitening', 'not finite', 'finite numbers')
  const tails = record(root.tails, 'detection.tails')
  const profiles = list(root.profiles, 'detection.profiles', MODEL_CLASSES_MAX)
  is('detection.profiles', profiles.length, classCount)
  const perClass = (field: 'radii' | 'unsure' | 'suspect', max: number) => {
    const values = list(root[field], `detection.${field}`, MODEL_CLASSES_MAX)
    is(`detection.${field}`, values.length, classCount)
    return Float32Array.from(values, (value, i) =>
      number(value, `detection.${field}[${i}]`, 0, max),
    )
  }
  return {
    format: DETECTION_FORMAT,
    whitening: { stateSize, size, matrix: whitening },
    prototypes: Float32Array.from(new Int8Array(steps.buffer), (steps) => steps * step),
    offsets,
    radii: perClass('radii', 1e6),
    confusions: confusionsOf(root.confusions, classCount),
    unsure: perClass('unsure', 1),
    suspect: perClass('suspect', 1),
    ordinary: new Set(
      list(root.ordinary ?? [], 'detection.ordinary', MODEL_NAMES_MAX).filter(
        (name) => typeof name === 'string',
      ),
    ),
    tails: { claim: tailPair(tails.claim, 'claim'), malice: tailPair(tails.malice, 'malice') },
    profiles: profiles.map((profile, i) =>
      list(profile, `detection.profiles[${i}]`, 64).map((entry) => {
        const [syscall, share] = list(entry, `detection.profiles[${i}]`, 2)
        if (typeof syscall !== 'string' || syscall.length > 64)
          return fail(`detection.profiles[${i}]`, 'no name', 'the name of a syscall')
        return [syscall, number(share, `detection.profiles[${i}]`, 0, 1)] as const
      }),
    ),
  }
}

/** The first models know of mistakes only how many there were (`unsure`), whatever the other class. */
function confusionsOf(written: unknown, classCount: number): Map<number, number>[] {
  if (written === undefined) return Array.from({ length: classCount }, () => new Map())
  const rows = list(written, 'detection.confusions', MODEL_CLASSES_MAX)
  if (rows.length !== classCount)
    fail('detection.confusions', String(rows.length), `${classCount} long`)
  return rows.map((row, c) => {
    const field = `detection.confusions[${c}]`
    return new Map(
      list(row, field, classCount).map((entry) => {
        const [other, share] = list(entry, field, 2)
        const index = number(other, field, 0, classCount - 1)
        if (!Number.isInteger(index)) fail(field, String(index), 'the index of a class')
        return [index, number(share, field, 0, 1)] as const
      }),
    )
  })
}

function tailPair(value: unknown, stream: StreamName): { cold: Tail; warm: Tail } {
  const pair = record(value, `detection.tails.${stream}`)
  const tail = (of: unknown, field: string): Tail => {
    const { intercept, slope, peak } = record(of, field)
    return {
      intercept: number(intercept, `${field}.intercept`, -1e6, 1e6),
      slope: number(slope, `${field}.slope`, 1e-6, 1e6),
      peak: number(peak, `${field}.peak`, 0, 1e6),
    }
  }
  return {
    cold: tail(pair.cold, `detection.tails.${stream}.cold`),
    warm: tail(pair.warm, `detection.tails.${stream}.warm`),
  }
}

function fail(field: string, found: string, wanted: string): never {
  throw new AgentError(
    'ERR_MODEL',
    `Cannot use the manifest: ${field} is ${found.slice(0, 60)}, it should be ${wanted}`,
    { hint: 'Train the model anew with "agent train", or get the whole directory again' },
  )
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail(field, typeof value, 'an object')
  return value as Record<string, unknown>
}

function list(value: unknown, field: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) return fail(field, typeof value, 'a list')
  if (value.length > max) return fail(field, `${value.length} long`, `at most ${max} long`)
  return value
}

function number(value: unknown, field: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min || value > max)
    return fail(field, String(value), `a number from ${min} to ${max}`)
  return value
}

function bytes(value: unknown, field: string, length: number): Uint8Array {
  if (typeof value !== 'string') return fail(field, typeof value, 'base64')
  const decoded = Uint8Array.from(Buffer.from(value, 'base64'))
  if (decoded.length !== length)
    return fail(field, `${decoded.length} bytes`, `${length} bytes in base64`)
  return decoded
}

function base64(of: Uint8Array): string {
  return Buffer.from(of).toString('base64')
}
