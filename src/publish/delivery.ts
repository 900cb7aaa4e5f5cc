/**
 * Rows of the outbox that are under way, and when they count as delivered: at the aggregator's
 * receipt, or at the broker's PUBACK if no aggregator has ever announced itself (`auto`).
 *
 * While no aggregator is there, the broker's other subscribers still get every row once: a row that
 * the broker has makes room for the next, stays in the outbox, and is sent again when an aggregator
 * is back.
 */
import { RESEND_AFTER_MS } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import type { Outbox, OutboxRow } from './outbox.ts'
import type { PublisherOptions, PublisherState } from './publisher-options.ts'

export interface Sending {
  readonly row: OutboxRow
  sentAt: number
  waitMs: number
  /** The broker has it (PUBACK). */
  accepted: boolean
}

type Ranges = Parameters<Outbox['acknowledge']>[0]

/**
 * After this a row that was set aside is sent again, where nothing is known of an aggregator: one
 * that may not announce itself can still be there.
 */
const TAKE_BACK_AFTER_MS = 60_000

export class Delivery {
  readonly #outbox: Outbox
  readonly #clock: Clock
  readonly #policy: NonNullable<PublisherOptions['delivery']>
  readonly #resendAfterMs: number
  readonly #sending = new Map<string, Sending>()
  #aggregator: PublisherState['aggregator'] = 'unknown'
  /** When an aggregator has had time to announce itself in this session. */
  #settledAt = Infinity
  /**
   * When rows that the broker has had are taken up again for an aggregator; Infinity where there
   * are none.
   */
  #takeBackAt = Infinity
  #lastAcknowledgedMs: number | undefined

  constructor(
    outbox: Outbox,
    clock: Clock,
    { delivery = 'auto', resendAfterMs = RESEND_AFTER_MS }: PublisherOptions,
  ) {
    this.#outbox = outbox
    this.#clock = clock
    this.#policy = delivery
    this.#resendAfterMs = resendAfterMs
  }

  get aggregator(): PublisherState['aggregator'] {
    return this.#aggregator
  }

  /** Unix ms. */
  get lastAcknowledgedMs(): number | undefined {
    return this.#lastAcknowledgedMs
  }

  get inFlight(): number {
    return this.#sending.size
  }

  get sending(): Iterable<Sending> {
    return this.#sending.values()
  }

  get needsReceipt(): boolean {
    return this.#policy === 'receipt' || (this.#policy === 'auto' && this.#outbox.aggregatorSeen)
  }

  /** Nothing is repeated to an aggregator that said it is away. */
  get isAggregatorAway(): boolean {
    return this.#aggregator === 'offline' && this.needsReceipt
  }

  /** @param settleMs how long an aggregator may take to announce itself */
  sessionBegan(settleMs: number): void {
    this.#settledAt = this.#clock.monotonic() + settleMs
  }

  begin(row: OutboxRow, now: number): Sending {
    const sending = { row, sentAt: now, waitMs: this.#resendAfterMs, accepted: false }
    this.#sending.set(keyOf(row), sending)
    return sending
  }

  /** @returns ms until the next timed action of `settle`, Infinity for none */
  waitMs(now: number): number {
    const takeBackMs = this.#aggregator === 'unknown' ? this.#takeBackAt - now : Infinity
    const isSettling = this.#settledAt > now && this.#sending.size > 0
    return isSettling ? Math.min(takeBackMs, this.#settledAt - now) : takeBackMs
  }

  /**
   * Removes what the broker has taken, if PUBACKs count; sets it aside while no aggregator is there.
   * @returns false where a PUBACK was for no row of the outbox
   */
  settle(now: number): boolean {
    const isForRows = this.#acceptSettled(now)
    this.#setAsideAccepted(now)
    return isForRows
  }

  #acceptSettled(now: number): boolean {
    if (this.needsReceipt) return true
    if (this.#policy !== 'broker' && now < this.#settledAt) return true
    const accepted = [...this.#sending.values()].filter((sending) => sending.accepted)
    return this.arrived(accepted.map(({ row: { boot, seq } }) => ({ boot, from: seq, to: seq })))
  }

  #setAsideAccepted(now: number): void {
    if (now >= this.#takeBackAt && this.#aggregator === 'unknown') this.takeBack()
    if (!this.needsReceipt || this.#aggregator === 'online' || now < this.#settledAt) return
    for (const [key, { accepted }] of this.#sending) {
      if (!accepted) continue
      this.#sending.delete(key)
      if (this.#takeBackAt === Infinity) this.#takeBackAt = now + TAKE_BACK_AFTER_MS
    }
  }

  /** All rows of the outbox are to be sent again. */
  takeBack(): void {
    this.#takeBackAt = Infinity
    this.#sending.clear()
    this.#outbox.takeBack()
  }

  /** @returns false where no row of the outbox is in the ranges */
  arrived(ranges: Ranges): boolean {
    if (ranges.length === 0) return true
    if (this.#outbox.acknowledge(ranges) === 0) return false
    this.#lastAcknowledgedMs = this.#clock.now()
    for (const [key, { row }] of this.#sending) {
      const covered = ranges.some(
        ({ boot, from, to }) => boot === row.boot && from <= row.seq && row.seq <= to,
      )
      if (covered) this.#sending.delete(key)
    }
    return true
  }

  aggregatorIs(state: 'online' | 'offline'): void {
    this.#outbox.noteAggregator()
    this.#aggregator = state
    if (state !== 'online') return
    if (this.#takeBackAt !== Infinity) this.takeBack()
    // It may have missed messages while it was unreachable: they are sent again without a long
    // wait.
    for (const sending of this.#sending.values())
      sending.waitMs = Math.min(sending.waitMs, this.#resendAfterMs)
  }
}

function keyOf({ boot, seq }: OutboxRow): string {
  return `${boot}-${seq}`
}
