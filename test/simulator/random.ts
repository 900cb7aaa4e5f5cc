/** Every chance of a simulated world, from one seed. */
import { mulberry32 } from '../support/frames.ts'

export class Random {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = mulberry32(seed)
  }

  /** 0 ≤ x < 1 */
  unit(): number {
    return this.#next()
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)]!
  }
}
