/**
 * How many alerts may be opened in a minute and confirmed in a day. Of both a quarter is left to
 * the worse severities, so that a flood of lesser alerts cannot suppress them.
 */
import type { Certainty } from '../domain/alert.ts'
import { compareSeverity, type Severity } from '../domain/behaviour.ts'
import type { Crossing } from './crossing.ts'
import { Quotas } from './quotas.ts'
import { LESSER_SHARE } from './thresholds.ts'

const DAY_SECONDS = 86_400
export interface NotificationLimits {
  readonly perMinute: number
  readonly confirmedPerDay: number
  /** Of these, how many may be novelties. */
  readonly noveltiesPerDay: number
}

export class Notifications {
  readonly #limits: NotificationLimits
  readonly #opened = new Quotas(60)
  /** Frames of the day's confirmations. */
  readonly #confirmedAt: number[] = []
  readonly #noveltiesAt: number[] = []

  constructor(limits: NotificationLimits) {
    this.#limits = limits
  }

  /** The clock was set, or time was not watched: what was opened before is not of this minute. */
  resume(): void {
    this.#opened.clear()
  }

  /** Confirmations of an earlier run, in any order. @param first frame of each alert */
  restore(alerts: readonly { readonly isNovelty: boolean; readonly first: number }[]): void {
    for (const { isNovelty, first } of alerts) {
      this.#confirmedAt.push(first)
      if (isNovelty) this.#noveltiesAt.push(first)
    }
    this.#confirmedAt.sort((a, b) => a - b)
    this.#noveltiesAt.sort((a, b) => a - b)
  }

  /**
   * Of all that may be opened in a minute, one user may use a half, and one class of his half of
   * that: a flood costs itself. Of each, a quarter is left to the worse severities.
   */
  mayOpen({ severity, process, predicted }: Crossing, frameIndex: number): boolean {
    const kind = severity === 'low' ? 'observations' : 'alerts'
    const user = `${kind} of ${process.uid ?? process.container ?? ''}`
    const all = this.#limits.perMinute * shareOf(severity, 'high')
    return this.#opened.take(frameIndex, [
      [kind, all],
      ...(process.uid === undefined && process.container === undefined
        ? []
        : ([
            [user, all / 2],
            [`${user} as ${predicted.class}`, all / 4],
          ] as const)),
    ])
  }

  /** What becomes of a crossing's certainty under the day's budget of notifications. */
  certaintyOf(
    { kind, severity, certainty }: Crossing,
    before: Certainty,
    frameIndex: number,
  ): Certainty {
    if (before === 'confirmed' || certainty === 'provisional' || severity === 'low') return before
    const { noveltiesPerDay } = this.#limits
    const isNovelty = kind === 'novelty'
    if (isNovelty && !hasRoom(this.#noveltiesAt, frameIndex, DAY_SECONDS, noveltiesPerDay))
      return before
    const room = this.#limits.confirmedPerDay * shareOf(severity, 'critical')
    return hasRoom(this.#confirmedAt, frameIndex, DAY_SECONDS, room) ? 'confirmed' : before
  }
}

/**
 * @param from the severity from which all the room may be used; the others leave a quarter of it
 */
function shareOf(severity: Severity, from: Severity): number {
  return severity === 'low' || compareSeverity(severity, from) <= 0 ? 1 : LESSER_SHARE
}

/** Takes a place where there is one. @param at frames of those taken, ascending */
function hasRoom(at: number[], frameIndex: number, spanSeconds: number, room: number): boolean {
  while (at.length > 0 && frameIndex - at[0]! >= spanSeconds) at.shift()
  if (at.length >= room) return false
  at.push(frameIndex)
  return true
}
