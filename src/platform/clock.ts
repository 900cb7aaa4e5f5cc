/**
 * The one place that reads the time. Rooms in the middle of the street take times as arguments; the two
 * ends (agent, publish, aggregator) are given a Clock, so that a test can bring its own
 * (`test/support/clock.ts`) and run a day in a millisecond.
 */
export interface Clock {
  /** Unix time in ms. It may step, also backward: never measure a span with it. */
  now(): number
  /** Milliseconds since some fixed moment; never steps. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
