/**
 * What detection needs of a newly trained net (detect/calibration.ts): the whitening of its states,
 * prototypes of each class, and how high evidence rises on benign recordings that the net was not
 * trained on.
 *
 * Levels for the false-alarm budget come from the tail of the peaks (detect/tail.ts): an hour of
 * calibration contains no alarm that occurs once a day, so its rate is extrapolated from the
 * highest peaks.
 */
import {
  type DetectionCalibration,
  type OwnLevel,
  quantised,
  type Stage,
  type StreamName,
} from '../../detect/calibration.ts'
import { mostProbable } from '../../detect/decide.ts'
import { Detector, type DetectorOptions } from '../../detect/detector.ts'
import type { ProcessEvidence } from '../../detect/evidence.ts'
import { distance, type Whitening, whiten } from '../../detect/geometry.ts'
import { classDistance } from '../../detect/judge.ts'
import { HostMemory } from '../../detect/memory.ts'
import { memoryName } from '../../detect/names.ts'
import { fitTail, type Tail } from '../../detect/tail.ts'
import { EVIDENCE } from '../../detect/thresholds.ts'
import type { ModelClasses, Predictions } from '../../domain/prediction.ts'
import { collectEvery } from '../../platform/heap.ts'
import { symmetricEigen } from './eigen.ts'

/** Windows of a class beyond this number are skipped: a prototype covers many. */
const SAMPLE_MAX = 400
const PROTOTYPES_PER_CLASS = 12
/** Prototypes are added until this share of the windows is near one. */
const COVERED = 0.97
const COVER = 0.6
/**
 * Share of the mean eigenvalue added to each (shrinkage), for directions in which the training data
 * hardly varies.
 */
const SHRINKAGE = 0.05

/** A radius that no state lies outside of. */
const ANYWHERE = 1_000

export interface HostPredictions {
  readonly host: string
  /** Earlier frames of the host; the net may have been trained on them. */
  readonly before: readonly Predictions[]
  /** Benign frames that the net was not trained on. */
  readonly heldOut: readonly Predictions[]
}

export interface DetectionCalibrationInput {
  readonly classes: ModelClasses
  /**
   * Classes that trees of their own judge (model/malice-judge.ts): how near a state lies to them
   * says nothing more.
   */
  readonly judged?: readonly number[]
  readonly stateSize: number
  /** Training windows: [n × stateSize], and the class of each. */
  readonly states: Float32Array
  readonly labels: ArrayLike<number>
  readonly hosts: readonly HostPredictions[]
  /** Names of benign processes in training. */
  readonly ordinary: Iterable<string>
  /** Mean share of each syscall in a class's windows. */
  readonly profiles: DetectionCalibration['profiles']
}

export function calibrateDetection(input: DetectionCalibrationInput): DetectionCalibration {
  const whitening = whiteningOf(input)
  const whitened = whitenAll(whitening, input.states, input.labels.length)
  const { prototypes, offsets } = classPrototypes(input, whitened, whitening.size)
  // No level is reached while levels are being measured.
  const blank: Tail = { threshold: 1e6, rate: 0, scale: 1, shape: 0, body: [] }
  const draft: DetectionCalibration = {
    format: 1,
    whitening,
    prototypes,
    offsets,
    radii: new Float32Array(input.classes.names.length).fill(1),
    ...mistakesOf(input),
    ordinary: new Set(Array.from(input.ordinary, memoryName)),
    tails: { claim: { cold: blank, warm: blank }, malice: { cold: blank, warm: blank } },
    own: [],
    profiles: input.profiles,
  }
  const radii = classRadii(input, draft, whitened)
  for (const c of input.judged ?? []) radii[c] = ANYWHERE
  const measured = { ...draft, radii }
  return { ...measured, ...tailsOf(input, measured) }
}

/** The inverse root of the pooled within-class covariance, as rows of a matrix. */
export function whiteningOf({
  classes,
  stateSize,
  states,
  labels,
}: Pick<DetectionCalibrationInput, 'classes' | 'stateSize' | 'states' | 'labels'>): Whitening {
  const n = labels.length
  const classCount = classes.names.length
  const means = new Float64Array(classCount * stateSize)
  const sizes = new Float64Array(classCount)
  for (let i = 0; i < n; i++) {
    const c = labels[i]!
    sizes[c]!++
    for (let j = 0; j < stateSize; j++) means[c * stateSize + j]! += states[i * stateSize + j]!
  }
  for (let c = 0; c < classCount; c++) {
    for (let j = 0; j < stateSize; j++) means[c * stateSize + j]! /= Math.max(1, sizes[c]!)
  }
  // Each class has the same weight however long it was recorded, so that the busiest daemon does
  // not dominate.
  const covariance = new Float64Array(stateSize * stateSize)
  const present = sizes.filter((size) => size > 1).length
  const difference = new Float64Array(stateSize)
  for (let i = 0; i < n; i++) {
    const c = labels[i]!
    if (sizes[c]! < 2) continue
    const weight = 1 / (sizes[c]! * present)
    for (let j = 0; j < stateSize; j++) {
      difference[j] = states[i * stateSize + j]! - means[c * stateSize + j]!
    }
    for (let j = 0; j < stateSize; j++) {
      const scaled = difference[j]! * weight
      for (let k = j; k < stateSize; k++) covariance[j * stateSize + k]! += scaled * difference[k]!
    }
  }
  for (let j = 0; j < stateSize; j++) {
    for (let k = 0; k < j; k++) covariance[j * stateSize + k] = covariance[k * stateSize + j]!
  }
  const { values, vectors } = symmetricEigen(covariance, stateSize)
  let mean = 0
  for (const value of values) mean += value / stateSize
  const matrix = new Float32Array(stateSize * stateSize)
  for (let i = 0; i < stateSize; i++) {
    const scale = 1 / Math.sqrt(Math.max(values[i]!, 0) + SHRINKAGE * mean + 1e-9)
    for (let j = 0; j < stateSize; j++) {
      matrix[i * stateSize + j] = vectors[i * stateSize + j]! * scale
    }
  }
  return { stateSize, size: stateSize, matrix }
}

export function whitenAll(whitening: Whitening, states: Float32Array, n: number): Float32Array {
  const out = new Float32Array(n * whitening.size)
  for (let i = 0; i < n; i++) whiten(whitening, states, i, out, i * whitening.size)
  return out
}

/** Per class the few windows with most others near them: outliers do not become prototypes. */
export function classPrototypes(
  { classes, labels }: DetectionCalibrationInput,
  whitened: Float32Array,
  size: number,
): { prototypes: Float32Array; offsets: Uint32Array } {
  const rowsOf: number[][] = classes.names.map(() => [])
  for (let i = 0; i < labels.length; i++) rowsOf[labels[i]!]!.push(i)
  const offsets = new Uint32Array(classes.names.length + 1)
  const chosen: number[] = []
  for (const [c, all] of rowsOf.entries()) {
    const step = Math.max(1, all.length / SAMPLE_MAX)
    const rows = Array.from({ length: Math.min(all.length, SAMPLE_MAX) }, (_, i) => {
      return all[Math.floor(i * step)]!
    })
    chosen.push(...coverOf(rows, whitened, size))
    offsets[c + 1] = chosen.length
  }
  const prototypes = new Float32Array(chosen.length * size)
  chosen.forEach((row, p) => {
    for (let i = 0; i < size; i++) prototypes[p * size + i] = quantised(whitened[row * size + i]!)
  })
  return { prototypes, offsets }
}

function coverOf(rows: readonly number[], whitened: Float32Array, size: number): number[] {
  const near = rows.map((a) => {
    const found: number[] = []
    for (let i = 0; i < rows.length; i++) {
      if (distance(whitened, a * size, whitened, rows[i]! * size, size) <= COVER) found.push(i)
    }
    return found
  })
  const open = new Set(rows.keys())
  const chosen: number[] = []
  while (chosen.length < PROTOTYPES_PER_CLASS && open.size > (1 - COVERED) * rows.length) {
    let best = -1
    let most = 0
    for (const [i, covered] of near.entries()) {
      let count = 0
      for (const j of covered) if (open.has(j)) count++
      if (count > most) {
        most = count
        best = i
      }
    }
    if (best < 0) break
    chosen.push(rows[best]!)
    for (const j of near[best]!) open.delete(j)
  }
  return chosen
}

/**
 * Confusion rates of each class's held-out windows: by predicted class, and with any malicious
 * class; with one pseudo-count each. Per class pair, because benign errors go in few directions:
 * short runs of vmstat are predicted as "other programs", which says nothing about a vmstat that is
 * predicted as top.
 */
export function mistakesOf({
  classes,
  hosts,
}: Pick<DetectionCalibrationInput, 'classes' | 'hosts'>): Pick<
  DetectionCalibration,
  'confusions' | 'unsure' | 'suspect'
> {
  const taken = classes.names.map(() => new Map<number, number>())
  const malicious = new Float32Array(classes.names.length).fill(1)
  const all = new Float32Array(classes.names.length).fill(2)
  for (const { heldOut } of hosts) {
    for (const predictions of heldOut) {
      for (const [row, process] of predictions.processes.entries()) {
        const claimed = classes.claimedBy(process.name)
        if (claimed === undefined) continue
        const top = mostProbable(predictions.probabilities, row, predictions.classCount).class
        all[claimed]!++
        if (top !== claimed) taken[claimed]!.set(top, (taken[claimed]!.get(top) ?? 1) + 1)
        if (classes.malicious[top]) malicious[claimed]!++
      }
    }
  }
  return {
    confusions: taken.map((of, c) => new Map(Array.from(of, ([top, n]) => [top, n / all[c]!]))),
    unsure: all.map((count) => 1 / count),
    suspect: malicious.map((count, c) => count / all[c]!),
  }
}

/**
 * Distance that 99 % of a class's windows keep to its prototypes; from held-out windows if there
 * are enough.
 */
export function classRadii(
  { classes, labels, hosts }: DetectionCalibrationInput,
  draft: DetectionCalibration,
  whitened: Float32Array,
): Float32Array {
  const { size } = draft.whitening
  const unit = { ...draft, radii: new Float32Array(classes.names.length).fill(1) }
  const inTraining: number[][] = classes.names.map(() => [])
  const heldOut: number[][] = classes.names.map(() => [])
  for (let i = 0; i < labels.length; i++) {
    const state = whitened.subarray(i * size, (i + 1) * size)
    inTraining[labels[i]!]!.push(classDistance(unit, labels[i]!, state))
  }
  const state = new Float32Array(size)
  const collect = collectEvery(512)
  for (const { heldOut: recording } of hosts) {
    for (const predictions of recording) {
      collect()
      for (const [row, process] of predictions.processes.entries()) {
        const claimed = classes.claimedBy(process.name)
        if (claimed === undefined) continue
        whiten(draft.whitening, predictions.states, row, state)
        heldOut[claimed]!.push(classDistance(unit, claimed, state))
      }
    }
  }
  return Float32Array.from(classes.names, (_, c) => {
    const own = quantile(inTraining[c]!, 0.99)
    return heldOut[c]!.length < 100 ? own : Math.max(own, quantile(heldOut[c]!, 0.95))
  })
}

/**
 * Lower bound of a tail's scale: one unusual second stays in ten windows, so evidence comes in
 * runs, and an hour does not contain the unusual seconds of a week.
 */
const SCALE_LEAST = 2
const NEVER = { seconds: Number.POSITIVE_INFINITY, age: Number.POSITIVE_INFINITY }
const STREAM_NAMES: readonly StreamName[] = ['claim', 'malice']

/**
 * The highest evidence on any process of a name, by stream: the processes of one name share an
 * alert.
 */
type Peaks = Readonly<Record<StreamName, Map<string, number>>>

/**
 * Tails of the peaks of each host's names, computed by the detector itself, on held-out benign
 * frames.
 */
export function tailsOf(
  { classes, hosts }: Pick<DetectionCalibrationInput, 'classes' | 'hosts'>,
  calibration: DetectionCalibration,
): Pick<DetectionCalibration, 'tails' | 'own'> {
  const seconds = hosts.reduce((sum, { heldOut }) => sum + heldOut.length, 0)
  const own: OwnLevel[] = []
  const tailsAt = (stage: Stage): Record<StreamName, Tail> => {
    const peaks = hosts.map((host) => peaksOf(host, stage, classes, calibration))
    const tail = (stream: StreamName) => {
      const named = peaks.flatMap((of) => [...of[stream]])
      // A level of its own is a name to hide under: only a contradicted claim is forgiven, malice
      // never.
      const isWrong = (peak: number) => stream === 'claim' && peak >= EVIDENCE.most
      const wrong = new Set(named.flatMap(([name, peak]) => (isWrong(peak) ? [name] : [])))
      for (const name of [...wrong].sort()) own.push({ name, stream, stage, level: OUT_OF_REACH })
      const others = named.flatMap(([name, peak]) => (wrong.has(name) ? [] : [peak]))
      return fitTail(others, Math.max(seconds, 1) / 86_400, SCALE_LEAST)
    }
    return { claim: tail('claim'), malice: tail('malice') }
  }
  const cold = tailsAt('cold')
  const warm = tailsAt('warm')
  return {
    tails: {
      claim: { cold: cold.claim, warm: warm.claim },
      malice: { cold: cold.malice, warm: warm.malice },
    },
    own,
  }
}

/**
 * Evidence at its ceiling never falls: only a level above that ceiling keeps a name that the model
 * gets wrong quiet.
 */
const OUT_OF_REACH = EVIDENCE.most + 1

function peaksOf(
  { host, before, heldOut }: HostPredictions,
  stage: Stage,
  classes: ModelClasses,
  calibration: DetectionCalibration,
): Peaks {
  const peaks: Peaks = { claim: new Map(), malice: new Map() }
  const options: DetectorOptions = {
    ...{ classes, calibration, host, falseAlertsPerDay: 1 },
    memory: new HostMemory(classes.modelId, calibration.whitening.size),
    learnSeconds: Number.POSITIVE_INFINITY,
    ...(stage === 'cold' ? { warm: NEVER } : {}),
  }
  // Running means are outside the engine's heap and do not trigger a collection.
  const collect = collectEvery(512)
  if (stage === 'warm') {
    const living = new Detector(options)
    for (const predictions of before) {
      living.push(predictions)
      collect()
    }
  }
  const detector = new Detector({
    ...options,
    onForget: (evidence: ProcessEvidence) => {
      const name = memoryName(evidence.process.name)
      for (const stream of STREAM_NAMES)
        peaks[stream].set(name, Math.max(peaks[stream].get(name) ?? 0, evidence[stream].peak))
    },
  })
  for (const predictions of heldOut) {
    detector.push(predictions)
    collect()
  }
  detector.end()
  return peaks
}

export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
