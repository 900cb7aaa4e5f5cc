/** A clock that stands still until the test moves it. */
import type { Clock } from '../../src/platform/clock.ts'

export interface ManualClock extends Clock {
  /** Both times go on by so many ms. */
  advance(ms: number): void
  /** The wall clock is set, as an administrator or NTP does; the monotonic one does not notice. */
  set(nowMs: number): void
}

export function manualClock(startMs = 1_700_000_000_000): ManualClock {
  let now = startMs
  let monotonic = 0
  return {
    now: () => now,
    monotonic: () => monotonic,
    advance(ms) {
      now += ms
      monotonic += ms
    },
    set(nowMs) {
      now = nowMs
    },
  }
}
