/**
 * What one host may send in any 24 hours (20 MB). Kept by the hour: 25 numbers, so the bound holds
 * for every span of 24 hours and not only between midnights. Alerts have a share of their own. Not
 * kept over a restart.
 */
import { WIRE_BYTES_ALERTS_ONLY, WIRE_BYTES_PER_DAY_MAX } from '../domain/limits.ts'
import type { EventKind } from '../wire/origin.ts'

/** What MQTT, our properties and the signature add to a payload, roughly. */
export const MESSAGE_OVERHEAD_BYTES = 456

const HOURS = 25
const HOUR_MS = 3_600_000

export class ByteBudget {
  readonly #perDayMax: number
  readonly #alertsOnly: number
  readonly #hours = new Float64Array(HOURS)
  #hour = 0

  constructor(perDayMax = WIRE_BYTES_PER_DAY_MAX, alertsOnly = WIRE_BYTES_ALERTS_ONLY) {
    this.#perDayMax = perDayMax
    this.#alertsOnly = Math.min(alertsOnly, perDayMax)
  }

  /** Bytes that this kind may still send. @param nowMs of a monotonic clock */
  left(kind: EventKind, nowMs: number): number {
    this.#advance(nowMs)
    const max = kind === 'alert' ? this.#perDayMax : this.#perDayMax - this.#alertsOnly
    return Math.max(0, max - this.spent)
  }

  spend(bytes: number, nowMs: number): void {
    this.#advance(nowMs)
    this.#hours[this.#hour % HOURS]! += bytes
  }

  get spent(): number {
    return this.#hours.reduce((sum, bytes) => sum + bytes, 0)
  }

  #advance(nowMs: number): void {
    const hour = Math.floor(nowMs / HOUR_MS)
    for (let step = 1; step <= Math.min(hour - this.#hour, HOURS); step++) {
      this.#hours[(this.#hour + step) % HOURS] = 0
    }
    this.#hour = Math.max(this.#hour, hour)
  }
}
