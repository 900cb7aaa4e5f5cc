/**
 * Runs the detector over labelled recordings: detection rates, delays and false alerts.
 *
 * A happening is found if an alert of its kind is raised for one of its pids between its first and
 * last second. A masquerade by a malicious program may be called non-grata and the other way round;
 * how often the kind was the labelled one is reported separately. An alert for a pid of no
 * happening is false. An alert of another kind, or a late one, is neither; it is counted as
 * `other`.
 *
 * The host's baseline is built by the detector from `baseline`; without it the baseline is empty,
 * and new programs are learnt without an alert.
 */
import type { DetectionCalibration } from '../../detect/calibration.ts'
import { readDetectionCalibration } from '../../detect/calibration.ts'
import { Detector } from '../../detect/detector.ts'
import type { DetectorStatus } from '../../detect/detector-status.ts'
import { HostMemory } from '../../detect/memory.ts'
import { ShortLives } from '../../detect/short-lives.ts'
import { levelFor, rateAt } from '../../detect/tail.ts'
import type { Alert, AlertKind } from '../../domain/alert.ts'
import type { BehaviourId } from '../../domain/behaviour.ts'
import { AgentError } from '../../domain/error.ts'
import type { Frame } from '../../domain/frame.ts'
import type { ModelClasses, Predictions } from '../../domain/prediction.ts'
import { ENOUGH_FOR_ALERTS } from '../../model/manifest.ts'
import type { Model } from '../../model/model.ts'
import { type Mix, predictFrames } from '../../model/predict-frames.ts'
import { quantile } from '../calibrate/detection-calibration.ts'
import { behaviourOf } from '../data/behaviours.ts'
import type { Happening, HappeningKind } from '../data/scenarios.ts'
import { poissonInterval, wilsonInterval } from './intervals.ts'

export interface HostRecording {
  readonly host: string
  readonly frames: readonly Frame[]
}

/** One host's recording with the model's predictions. */
export interface HostJudged {
  readonly host: string
  readonly predictions: Iterable<Predictions> | AsyncIterable<Predictions>
  /** Earlier frames of the same host. */
  readonly before?: Iterable<Predictions> | AsyncIterable<Predictions>
  readonly seconds: number
  readonly vectors: number
  /** This host's own, where the model was adapted to it; those of the input otherwise. */
  readonly adapted?: Pick<DetectionInput, 'classes' | 'calibration'>
  /** The host is still young: new programs are remembered without an alert. */
  readonly isYoung?: boolean
}

export interface DetectionInput {
  readonly classes: ModelClasses
  readonly calibration: DetectionCalibration
  readonly happenings: readonly Happening[]
  /** Happenings that the model was trained on: reported separately, not in the shares. */
  readonly trainedOn?: (happening: Happening) => boolean
  readonly falseAlertsPerDay: number
}

export interface KindFigures {
  readonly found: number
  readonly of: number
  /** Share with its 95 % interval (Wilson). */
  readonly share: number
  readonly low: number
  readonly high: number
  /** Found under the labelled kind. */
  readonly sameKind: number
  readonly medianDelaySeconds: number | null
  readonly p95DelaySeconds: number | null
  /** Found by an alert that was confirmed in time. */
  readonly confirmed: number
  readonly confirmedMedianDelaySeconds: number | null
}

export interface DetectionFigures {
  readonly falseAlerts: number
  /** How many of these were confirmed, and would have sent a notification. */
  readonly falseAlertsConfirmed: number
  readonly hostDays: number
  readonly falseAlertsPerHostDay: number
  readonly falseAlertsPerHostDayLow: number
  readonly falseAlertsPerHostDayHigh: number
  /** The rate extrapolated from the calibration tail at the thresholds used. */
  readonly falseAlertsPerHostDayExtrapolated: number
  readonly detection: Readonly<Record<HappeningKind, KindFigures>>
  /**
   * Happenings that were not trained on, by the behaviour of their program, whatever they called
   * themselves.
   */
  readonly behaviours: Readonly<Partial<Record<BehaviourId, { found: number; of: number }>>>
  readonly trainedOn: { readonly found: number; readonly of: number }
  readonly otherAlerts: number
  /** Share of the recording's vectors whose process was classified in that second. */
  readonly coverage: number
  readonly happenings: readonly {
    readonly host: string
    readonly scenario: string
    readonly kind: HappeningKind
    readonly from: number
    readonly trainedOn: boolean
    readonly foundAs: AlertKind | null
    readonly delaySeconds: number | null
    /** Until it was confirmed; null where it never was. */
    readonly confirmedSeconds: number | null
    readonly predicted: string | null
  }[]
  readonly falseOnes: readonly {
    readonly host: string
    readonly time: number
    readonly kind: AlertKind
    readonly name: string
    readonly predicted: string
  }[]
  readonly baseline: boolean
  readonly status: readonly DetectorStatus[]
}

/** Frames of one host, short lives grouped, through the model. */
export function predictHost(
  model: Model,
  frames: readonly Frame[],
  mix?: Mix,
): AsyncGenerator<Predictions> {
  const shortLives = new ShortLives()
  return predictFrames(
    model,
    (function* () {
      for (const frame of frames) yield shortLives.push(frame)
    })(),
    mix,
  )
}

/** The model's detection calibration, or ERR_MODEL where it has none. */
export function detectionOf(model: Model): DetectionCalibration {
  const { detection, classes, stateSize } = model.manifest
  if (detection === undefined) {
    throw new AgentError(
      'ERR_MODEL',
      `Cannot detect with model "${model.directory}": its manifest has no "detection"`,
      { hint: ENOUGH_FOR_ALERTS },
    )
  }
  return readDetectionCalibration(detection, classes.length, stateSize)
}

/** Recordings with predictions, for `detectOn`; computed lazily. */
export function judgedBy(
  model: Model,
  recordings: readonly HostRecording[],
  baseline: readonly HostRecording[] = [],
): HostJudged[] {
  return recordings.map(({ host, frames }) => {
    const before = baseline.find((recording) => recording.host === host)
    return {
      host,
      predictions: predictHost(model, frames),
      ...(before === undefined ? {} : { before: predictHost(model, before.frames) }),
      seconds: frames.length,
      vectors: frames.reduce((sum, frame) => sum + frame.processes.length, 0),
    }
  })
}

/** What the detector said on one host. */
export interface Heard {
  readonly host: string
  readonly alerts: readonly Alert[]
  readonly status: DetectorStatus
  readonly judged: number
  readonly seconds: number
  readonly vectors: number
  readonly hasBaseline: boolean
}

/** Host by host, where the predictions of all of them would not fit into memory. */
export async function detectOn(
  { host, predictions: recording, before, adapted, isYoung, seconds, vectors }: HostJudged,
  { classes, calibration, falseAlertsPerDay }: DetectionInput,
): Promise<Heard> {
  const memory = new HostMemory(classes.modelId, calibration.whitening.size)
  const options = { classes, calibration, host, falseAlertsPerDay, memory }
  const learnSeconds = Number.POSITIVE_INFINITY
  if (before !== undefined) {
    const living = new Detector({ ...options, learnSeconds })
    for await (const predictions of before) living.push(predictions)
  }
  const detector = new Detector({
    ...options,
    ...adapted,
    learnSeconds: before === undefined || isYoung ? learnSeconds : 0,
  })
  const alerts: Alert[] = []
  let judged = 0
  for await (const predictions of recording) {
    judged += predictions.processes.filter(({ pid }) => pid > 0).length
    // An observation is not an alert.
    alerts.push(...detector.push(predictions).filter(({ severity }) => severity !== 'low'))
  }
  return {
    ...{ host, alerts, judged, seconds, vectors, status: detector.status() },
    hasBaseline: before !== undefined,
  }
}

export function detectionFigures(
  { calibration, happenings, trainedOn, falseAlertsPerDay }: DetectionInput,
  heard: readonly Heard[],
): DetectionFigures {
  const messages = heard.flatMap(({ host, alerts }) => alerts.map((alert) => ({ host, alert })))
  const sum = (of: 'seconds' | 'vectors' | 'judged') =>
    heard.reduce((total, host) => total + host[of], 0)
  const baseline = heard.every(({ hasBaseline }) => hasBaseline)
  const hostDays = sum('seconds') / 86_400
  const rows = happenings.map((happening) => {
    const about = messages.filter(
      ({ host, alert }) => belongs(happening, host, alert) && fits(happening.kind, alert.kind),
    )
    const first = about[0]?.alert
    const confirmed = about.find(({ alert }) => alert.certainty === 'confirmed')?.alert
    return {
      host: happening.host,
      scenario: happening.scenario,
      kind: happening.kind,
      from: happening.from,
      trainedOn: trainedOn?.(happening) ?? false,
      foundAs: first?.kind ?? null,
      delaySeconds: first === undefined ? null : first.time - happening.from,
      confirmedSeconds: confirmed === undefined ? null : confirmed.time - happening.from,
      predicted: first?.predicted.class ?? null,
    }
  })
  const opened = messages.filter(({ alert }) => alert.state === 'open')
  const falseOnes = opened.filter(
    ({ host, alert }) => !happenings.some((happening) => concerns(happening, host, alert)),
  )
  const known = rows.filter((row) => row.trainedOn)
  const { low, high } = poissonInterval(falseOnes.length)
  const confirmedIds = new Set(
    messages.filter(({ alert }) => alert.certainty === 'confirmed').map(({ alert }) => alert.id),
  )
  return {
    falseAlerts: falseOnes.length,
    falseAlertsConfirmed: falseOnes.filter(({ alert }) => confirmedIds.has(alert.id)).length,
    hostDays,
    falseAlertsPerHostDay: falseOnes.length / hostDays,
    falseAlertsPerHostDayLow: low / hostDays,
    falseAlertsPerHostDayHigh: high / hostDays,
    falseAlertsPerHostDayExtrapolated: extrapolated(
      calibration,
      falseAlertsPerDay,
      baseline ? 'warm' : 'cold',
    ),
    detection: {
      masquerade: foundOf(rows, 'masquerade'),
      'non-grata': foundOf(rows, 'non-grata'),
      novelty: foundOf(rows, 'novelty'),
    },
    behaviours: byBehaviour(happenings, rows),
    trainedOn: {
      found: known.filter(({ foundAs }) => foundAs !== null).length,
      of: known.length,
    },
    otherAlerts: opened.length - falseOnes.length - rows.filter(({ foundAs }) => foundAs).length,
    coverage: sum('judged') / Math.max(1, sum('vectors')),
    happenings: rows,
    falseOnes: falseOnes.map(({ host, alert }) => ({
      host,
      time: alert.time,
      kind: alert.kind,
      name: alert.process.name,
      predicted: alert.predicted.class,
    })),
    baseline,
    status: heard.map(({ status }) => status),
  }
}

function foundOf(rows: DetectionFigures['happenings'], kind: HappeningKind): KindFigures {
  const of = rows.filter((row) => row.kind === kind && !row.trainedOn)
  const found = of.filter(({ foundAs }) => foundAs !== null)
  const delays = found.map(({ delaySeconds }) => delaySeconds!)
  const confirmed = of.flatMap(({ confirmedSeconds }) => confirmedSeconds ?? [])
  return {
    found: found.length,
    of: of.length,
    share: found.length / Math.max(1, of.length),
    ...wilsonInterval(found.length, of.length),
    sameKind: found.filter(({ foundAs }) => foundAs === kind).length,
    medianDelaySeconds: delays.length === 0 ? null : quantile(delays, 0.5),
    p95DelaySeconds: delays.length === 0 ? null : quantile(delays, 0.95),
    confirmed: confirmed.length,
    confirmedMedianDelaySeconds: confirmed.length === 0 ? null : quantile(confirmed, 0.5),
  }
}

function belongs(
  { host, pids, from, to }: Happening,
  at: string,
  { process, time }: Alert,
): boolean {
  return host === at && pids.has(process.pid) && time >= from && time <= to
}

/** An alert up to a minute after its happening is late, not false. */
function concerns(
  { host, pids, from, to }: Happening,
  at: string,
  { process, time }: Alert,
): boolean {
  return host === at && pids.has(process.pid) && time >= from && time <= to + 60
}

function fits(labelled: HappeningKind, raised: AlertKind): boolean {
  return labelled === raised || (labelled !== 'novelty' && raised !== 'novelty')
}

function extrapolated(
  { tails }: DetectionCalibration,
  perDay: number,
  stage: 'cold' | 'warm',
): number {
  let sum = 0
  for (const tail of [tails.claim[stage], tails.malice[stage]]) {
    sum += rateAt(tail, levelFor(tail, perDay / 2))
  }
  return sum
}

/** @param rows one for each happening, in the same order */
function byBehaviour(
  happenings: readonly Happening[],
  rows: readonly { readonly trainedOn: boolean; readonly foundAs: AlertKind | null }[],
): Partial<Record<BehaviourId, { found: number; of: number }>> {
  const counts: Partial<Record<BehaviourId, { found: number; of: number }>> = {}
  for (const [i, { program }] of happenings.entries()) {
    const behaviour = behaviourOf(program)
    if (behaviour === undefined || rows[i]!.trainedOn) continue
    counts[behaviour] ??= { found: 0, of: 0 }
    counts[behaviour].of++
    if (rows[i]!.foundAs !== null) counts[behaviour].found++
  }
  return counts
}
