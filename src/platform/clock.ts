/**
 * The only module that reads the time. Pure rooms of the pipeline take times as arguments; the
 * others (agent, publish, aggregator) are given a Clock, so that a test can use its own
 * (`test/support/clock.ts`) and run a day in a millisecond.
 */
export interface Clock {
  /** Unix time in ms. It may step, also backward: do not measure durations with it. */
  now(): number
  /** Monotonic milliseconds. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
