/**
 * Alerts that recur for days: what is raised under one name, user and unit on one day after the
 * other is this host's life, and no news. The days of each are remembered, bounded.
 *
 * The caller asks this only of medium and low severity: a critical one is news each time.
 */
import { RECURRENCES_MAX } from '../domain/limits.ts'
import { RECURRENCE } from './thresholds.ts'

const DAY_SECONDS = 86_400

export interface RecurringSubject {
  readonly kind: string
  readonly behaviour?: string
  readonly name: string
  readonly user?: string
  readonly unit?: string
}

export class Recurrence {
  /** Days since the Unix epoch, ascending; the subject that was longest not seen comes first. */
  readonly #days = new Map<string, readonly number[]>()

  /** Notes an alert. @returns the earlier days with the same, where those make it usual */
  note(of: RecurringSubject, frameIndex: number): number | undefined {
    const key = [of.kind, of.behaviour, of.name, of.user, of.unit].join('\n')
    const today = Math.floor(frameIndex / DAY_SECONDS)
    const earlier = (this.#days.get(key) ?? []).filter(
      (day) => day < today && day > today - RECURRENCE.withinDays,
    )
    this.#days.delete(key)
    this.#days.set(key, [...earlier, today])
    if (this.#days.size > RECURRENCES_MAX) this.#days.delete(this.#days.keys().next().value!)
    return earlier.length >= RECURRENCE.usualAfterDays ? earlier.length : undefined
  }

  snapshot(): readonly (readonly [key: string, days: readonly number[]])[] {
    return [...this.#days]
  }

  /** What is not whole is left out. */
  restore(kept: unknown): void {
    this.#days.clear()
    if (!Array.isArray(kept)) return
    for (const entry of kept.slice(-RECURRENCES_MAX)) {
      const [key, days] = Array.isArray(entry) ? entry : []
      if (typeof key === 'string' && Array.isArray(days) && days.every(Number.isInteger))
        this.#days.set(key, days.slice(-RECURRENCE.withinDays))
    }
  }
}
