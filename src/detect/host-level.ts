/**
 * The threshold of this host: the hourly maxima of evidence in benign activity give a threshold
 * that keeps the budget whatever the distribution is (a conformal bound).
 *
 * The score of an hour is the highest share of its level that any process's evidence reached in it,
 * unless a fact refuted it. After N ordinary hours the level for a budget of q alerts a day is the
 * k-th largest score, with k = ⌊(N + 1) · q / 24⌋: then at most k / (N + 1) of hours hold an alert
 * by chance, if hours are exchangeable. Fewer hours than that give no guarantee; the calibrated
 * levels of the model stay in force, as they do below it.
 *
 * An hour with an alert counts after a day, unless an operator confirmed the alert: leaving
 * out what the agent itself suspected would hide its mistakes from its own calibration. An attacker
 * who wants the level up must raise alerts for days, and it rises at most by HOST_LEVEL.liftPerDay
 * a day.
 */
import { HOST_HOURS_MAX } from '../domain/limits.ts'
import { HOST_LEVEL } from './thresholds.ts'

const HOUR_SECONDS = 3_600
const DAY_SECONDS = 86_400
interface Hour {
  /** Hours since the Unix epoch. */
  readonly index: number
  /** Highest share of a level; below 1 no alert was due. */
  score: number
  watched: number
}

export interface HostLevelStatus {
  /** Factor on the model's levels, 1…HOST_LEVEL.most. */
  readonly factor: number
  /** Ordinary hours that it rests on. */
  readonly hours: number
  /** Hours that a guarantee takes for this budget. */
  readonly needed: number
  /** Share of hours that hold an alert by chance, at most; absent until it can be said. */
  readonly alertHoursMax?: number
}

export interface KeptHostLevel {
  readonly hours: readonly (readonly [index: number, score: number, watched: number])[]
  readonly factor: number
  /** Day of the last change, and the factor at its beginning. */
  readonly day: number
  readonly dayFactor: number
}

export class HostLevel {
  readonly #perDay: number
  #hours: Hour[] = []
  #factor = 1
  /** Day on which the factor was last set, and what it was at its beginning. */
  #day = 0
  #dayFactor = 1
  #rank = 0
  #ordinary = 0

  /** @param perDay the budget: false alerts a host-day */
  constructor(perDay: number) {
    this.#perDay = perDay
  }

  get factor(): number {
    return this.#factor
  }

  /** Once a second. @param score highest share of a level in it, refuted evidence left out */
  push(frameIndex: number, score: number): void {
    const index = Math.floor(frameIndex / HOUR_SECONDS)
    let hour = this.#hours.at(-1)
    if (hour === undefined || index > hour.index) {
      hour = { index, score: 0, watched: 0 }
      this.#hours.push(hour)
      if (this.#hours.length > HOST_HOURS_MAX) this.#hours.shift()
      this.#settle(frameIndex)
    } else if (index < hour.index) return
    hour.watched++
    if (score > hour.score) hour.score = score
  }

  /** An alert of these seconds was right: its hours are not ordinary. */
  exclude(from: number, to: number): void {
    const [first, last] = [Math.floor(from / HOUR_SECONDS), Math.floor(to / HOUR_SECONDS)]
    this.#hours = this.#hours.filter(({ index }) => index < first || index > last)
  }

  status(): HostLevelStatus {
    const needed = Math.ceil(24 / this.#perDay) - 1
    return {
      factor: this.#factor,
      hours: this.#ordinary,
      needed: Math.max(1, needed),
      ...(this.#rank === 0 ? {} : { alertHoursMax: this.#rank / (this.#ordinary + 1) }),
    }
  }

  snapshot(): KeptHostLevel {
    return {
      hours: this.#hours.map(({ index, score, watched }) => [
        index,
        Math.round(score * 1000) / 1000,
        watched,
      ]),
      factor: this.#factor,
      day: this.#day,
      dayFactor: this.#dayFactor,
    }
  }

  /** Our own writing, but from a disk: what is not whole is left out. */
  restore(kept: unknown): void {
    const { hours, factor, day, dayFactor } = (kept ?? {}) as Partial<KeptHostLevel>
    if (!Array.isArray(hours) || typeof day !== 'number') return
    if (!isFactor(factor) || !isFactor(dayFactor)) return
    this.#hours = hours
      .filter((hour) => Array.isArray(hour) && hour.length === 3 && hour.every(Number.isFinite))
      .map(([index, score, watched]) => ({ index, score, watched }))
      .sort((a, b) => a.index - b.index)
      .slice(-HOST_HOURS_MAX)
    this.#factor = factor
    this.#dayFactor = dayFactor
    this.#day = day
  }

  /** An hour is over: which hours are ordinary, and what level they give. */
  #settle(frameIndex: number): void {
    const scores = this.#hours
      .slice(0, -1)
      .filter(({ watched }) => watched >= HOST_LEVEL.watchedSeconds)
      .filter(({ index, score }) => score < 1 || frameIndex - index * HOUR_SECONDS >= DAY_SECONDS)
      .map(({ score }) => score)
      .sort((a, b) => b - a)
    this.#ordinary = scores.length
    this.#rank = Math.min(scores.length, Math.floor(((scores.length + 1) * this.#perDay) / 24))
    const wanted = this.#rank === 0 ? 1 : scores[this.#rank - 1]!
    const day = Math.floor(frameIndex / DAY_SECONDS)
    if (day !== this.#day) {
      this.#day = day
      this.#dayFactor = this.#factor
    }
    const most = Math.min(HOST_LEVEL.most, this.#dayFactor * HOST_LEVEL.liftPerDay)
    this.#factor = Math.max(1, Math.min(wanted, most))
  }
}

function isFactor(value: unknown): value is number {
  return typeof value === 'number' && value >= 1 && value <= HOST_LEVEL.most
}
