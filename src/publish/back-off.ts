/**
 * How long to wait before the next attempt: doubled each time, and by chance between half and all of it, so
 * that 20,000 agents do not come back in one second (a TLS handshake costs the broker 1–2.5 ms).
 */
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
    return ceiling * (0.5 + 0.5 * this.#random())
  }

  reset(): void {
    this.#failures = 0
  }
}
