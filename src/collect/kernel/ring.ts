/**
 * Which second of the ring may be drained, and which must not be believed. Pure: times are CLOCK_MONOTONIC
 * milliseconds given by the caller, so a suspended machine or a stopped agent is a number in a test.
 *
 *        second      7        8        9       10       11
 *        map         3        0        1        2        3      (second mod 4)
 *                            over     over    now
 *                         └ drained after its grace, before second 12 writes into map 0 again
 *
 * A collector that is more than three seconds late finds two seconds in one map. Neither can be told from
 * the other: both are *spoilt*, and what is drained is reported as lost.
 *
 * Labels: a second of the ring bears the Unix second in which it lay when it was drained. The ring was laid
 * on whole seconds at start; a step of the wall clock moves the labels by whole seconds, and
 * within a minute back they stay where they are instead (a second must not come twice).
 */
import { assert } from '../../domain/assert.ts'
import { CLOCK_JUMP_MS } from '../../domain/limits.ts'
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
  readonly #spoilt = new Set<number>()

  constructor(shape: RingShape, nowMs: number) {
    this.#shape = shape
    this.#next = Math.max(0, this.secondAt(nowMs))
  }

  /** Resumes where another image of the program stopped. */
  resumeAt(second: number): void {
    this.#next = second
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
   * To be called once `next` has been drained.
   * @param nowMs read *after* the draining: only then is it known that no later second wrote meanwhile
   * @returns false where the counts belong to several seconds and are lost
   */
  drained(nowMs: number): boolean {
    const second = this.#next++
    const spoilt = this.#spoilt.delete(second)
    const later = second + SLOTS
    if (nowMs < this.startOf(later)) return !spoilt
    // What `later` has counted so far went with this one; what it counts from now on is not all of it.
    this.#spoilt.add(later)
    return false
  }

  /**
   * After hours of standstill: skips to the last seconds, once all maps were emptied.
   * @returns how many seconds were skipped
   */
  skip(nowMs: number, keep: number): number {
    const to = this.secondAt(nowMs) - keep
    const skipped = to - this.#next
    if (skipped <= 0) return 0
    assert(keep >= 1, 'the current second is never skipped')
    this.#spoilt.clear()
    this.#next = to
    // Each map may hold a part of a second that is still to come.
    for (let second = to; second <= to + keep; second++) this.#spoilt.add(second)
    return skipped
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
    const steppedLittle = back > 0 && back * 1000 <= CLOCK_JUMP_MS
    this.#last = steppedLittle ? following : computed
    this.#lastSecond = second
    return this.#last
  }
}
