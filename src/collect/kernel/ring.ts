/**
 * Which second of the ring is to be drained next, and what it is called. Pure: times are
 * CLOCK_MONOTONIC milliseconds given by the caller, so a suspended machine or a stopped agent is a
 * number in a test.
 *
 *        second      7        8        9       10       11
 *        map         3        0        1        2        3      (second mod 4)
 *                            over     over    now
 *                         └ drained after its grace, then the map is given to second 12
 *
 * A map takes one second only (turns.ts). A collector that is more than three seconds late still
 * finds four whole seconds; those after them had no map, or one for their rest only: they are told
 * as lost, in part or whole.
 *
 * Labels: a second of the ring has the Unix second in which it lay when it was drained. The ring
 * was laid on whole seconds at start; a step of the wall clock moves the labels by whole seconds,
 * and within a minute back they stay where they are instead (a second must not come twice).
 */
import { CLOCK_BACK_MS } from '../../domain/limits.ts'
import { SLOTS } from './layout.ts'

export interface RingShape {
  readonly originMs: number
  readonly secondMs: number
  /** How long after its end a second is left alone. */
  readonly graceMs: number
}

export class Ring {
  readonly #shape: RingShape
  /** The first second that was not drained. */
  #next: number
  /** Calls that came too late for a map, by the second they were made in. */
  readonly #late = new Map<number, number>()

  constructor(shape: RingShape, nowMs: number) {
    this.#shape = shape
    this.#next = Math.max(0, this.secondAt(nowMs))
  }

  get next(): number {
    return this.#next
  }

  secondAt(nowMs: number): number {
    return Math.floor((nowMs - this.#shape.originMs) / this.#shape.secondMs)
  }

  startOf(second: number): number {
    return this.#shape.originMs + second * this.#shape.secondMs
  }

  /** When `next` may be drained. */
  get dueMs(): number {
    return this.startOf(this.#next + 1) + this.#shape.graceMs
  }

  mapOf(second: number): number {
    return ((second % SLOTS) + SLOTS) % SLOTS
  }

  /**
   * `next` has been drained, and its map given to the second SLOTS later.
   * @param lateCalls calls that found the map still taken
   * @returns how many calls of the drained second itself had no map
   */
  drained(lateCalls: number, nowMs: number): number {
    const second = this.#next++
    const own = this.#late.get(second) ?? 0
    this.#late.delete(second)
    if (lateCalls > 0) this.#spread(second, lateCalls, nowMs)
    return own
  }

  /**
   * Goes on with the present after a long standstill, once all maps were drained. @returns the new
   * `next`
   */
  skip(nowMs: number): number {
    const to = Math.max(this.#next, this.secondAt(nowMs))
    let late = 0
    for (const calls of this.#late.values()) late += calls
    this.#late.clear()
    // It has begun without a map, whatever was seen of it.
    this.#late.set(to, Math.max(1, late))
    this.#next = to
    return to
  }

  /**
   * Calls of the next second that has this map, and of the one that has it now, which are not told
   * apart.
   */
  #spread(second: number, calls: number, nowMs: number): void {
    const first = second + SLOTS
    const now = this.secondAt(nowMs)
    const last = first + Math.max(0, Math.floor((now - first) / SLOTS)) * SLOTS
    const ofLast = last > first && last <= now ? 1 : 0
    this.#add(first, calls - ofLast)
    if (ofLast > 0) this.#add(last, ofLast)
  }

  #add(second: number, calls: number): void {
    this.#late.set(second, (this.#late.get(second) ?? 0) + calls)
  }
}

/** Unix seconds for seconds of the ring. */
export class Labels {
  readonly #ring: Ring
  #last = Number.NEGATIVE_INFINITY
  #lastSecond = 0

  constructor(ring: Ring) {
    this.#ring = ring
  }

  /** @param wallOffsetMs wall clock minus CLOCK_MONOTONIC, now */
  label(second: number, wallOffsetMs: number): number {
    const computed = Math.round((this.#ring.startOf(second) + wallOffsetMs) / 1000)
    const following = this.#last + (second - this.#lastSecond)
    const back = following - computed
    const steppedLittle = back > 0 && back * 1000 < CLOCK_BACK_MS
    this.#last = steppedLittle ? following : computed
    this.#lastSecond = second
    return this.#last
  }
}
