/**
 * Exponential back-off with full jitter: a random wait up to a bound that doubles each time, so
 * that 20,000 agents do not reconnect at once when their aggregator returns (a TLS handshake costs
 * it 1–2.5 ms).
 */
import { RETRY_WAIT_MIN_MS } from '../domain/limits.ts'

export class BackOff {
  readonly #minMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 0

  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = minMs
    this.#maxMs = maxMs
    this.#random = random
  }

  next(): number {
    const ceiling = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    return Math.max(RETRY_WAIT_MIN_MS, ceiling * this.#random())
  }

  reset(): void {
    this.#failures = 0
  }
}
