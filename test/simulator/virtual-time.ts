/**
 * Time that passes only when the simulator says so. Timers of the code under test become events in
 * one queue, ordered by time and then by when they were set, so that a seed gives the same run each
 * time.
 *
 * The globals are replaced while a world runs; the code under test is unchanged.
 */
import type { Clock } from '../../src/platform/clock.ts'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** After this many rounds of promise callbacks the code under test is considered idle. */
const SETTLE_ROUNDS = 3

const real = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  sleep: Bun.sleep,
}
const afterMicrotasks = () => new Promise<void>((resolve) => setImmediate(resolve))

export class VirtualTime {
  #nowMs = 0
  #order = 0
  readonly #events = new Map<number, Event>()

  /** Monotonic, ms since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** @returns a handle for `cancel` */
  after(ms: number, run: () => void): number {
    const order = ++this.#order
    const wait = Number.isFinite(ms) ? Math.max(0, ms) : 2 ** 31
    this.#events.set(order, { atMs: this.#nowMs + wait, order, run })
    return order
  }

  cancel(handle: number): void {
    this.#events.delete(handle)
  }

  /** Runs events until so much time has passed, or `isOver` says so after one. */
  async run(ms: number, isOver: () => boolean = () => false): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const next = this.#next()
      if (next === undefined || next.atMs > untilMs) break
      this.#events.delete(next.order)
      this.#nowMs = next.atMs
      next.run()
      await settle()
      if (isOver()) return
    }
    this.#nowMs = untilMs
  }

  #next(): Event | undefined {
    let next: Event | undefined
    for (const event of this.#events.values())
      if (next === undefined || event.atMs < next.atMs) next = event
    return next
  }

  /** Replaces the global timers until the returned function is called. */
  install(): () => void {
    const set = (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
      timer(this.after(ms, () => run(...given)))
    const clear = (handle: unknown) => this.cancel(Number(handle))
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear })
    Bun.sleep = (ms) => new Promise((resolve) => this.after(Number(ms), resolve))
    return () => {
      const { sleep, ...timers } = real
      Object.assign(globalThis, timers)
      Bun.sleep = sleep
    }
  }
}

/** What `setTimeout` gives: a number for `clearTimeout`, an object for `unref`. */
function timer(handle: number): unknown {
  return { [Symbol.toPrimitive]: () => handle, unref() {}, ref() {} }
}

/** Lets all promise callbacks run that need no timer. */
export async function settle(): Promise<void> {
  for (let round = 0; round < SETTLE_ROUNDS; round++) await afterMicrotasks()
}

/** A node's own clock: its wall clock may be wrong, and be set while the node runs. */
export class NodeClock implements Clock {
  /** Added to the wall clock, ms. */
  offsetMs = 0
  readonly #time: VirtualTime
  readonly #startMs: number

  constructor(time: VirtualTime, startMs: number) {
    this.#time = time
    this.#startMs = startMs
  }

  now(): number {
    return Math.round(this.#startMs + this.#time.nowMs + this.offsetMs)
  }

  monotonic(): number {
    return this.#time.nowMs
  }
}
