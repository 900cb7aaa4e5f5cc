/**
 * How much of this host is known: shares of windows, and of names, that have a class of the model
 * (or of the host), that the baseline knows well, or neither.
 */

export interface Shares {
  readonly class: number
  readonly remembered: number
  readonly unknown: number
}

export type Knowledge = keyof Shares

/** Share of the newest second in the running means: about the last ten minutes count. */
const NEWEST = 1 / 600

/** Running means over seconds. */
export class Coverage {
  readonly #second = { class: 0, remembered: 0, unknown: 0 }
  readonly #means = { class: 0, remembered: 0, unknown: 0 }
  #isFirst = true

  /** One window of the second. */
  see(knowledge: Knowledge): void {
    this.#second[knowledge]++
  }

  endSecond(): void {
    const second = this.#second
    const windows = second.class + second.remembered + second.unknown
    if (windows > 0) {
      const share = this.#isFirst ? 1 : NEWEST
      for (const of of KNOWLEDGE)
        this.#means[of] += share * (second[of] / windows - this.#means[of])
      this.#isFirst = false
    }
    for (const of of KNOWLEDGE) second[of] = 0
  }

  /** Undefined before the first window. */
  get shares(): Shares | undefined {
    return this.#isFirst ? undefined : { ...this.#means }
  }
}

/** Of a list; undefined for an empty one. */
export function sharesOf(list: Iterable<Knowledge>): Shares | undefined {
  const counts = { class: 0, remembered: 0, unknown: 0 }
  let all = 0
  for (const knowledge of list) {
    counts[knowledge]++
    all++
  }
  if (all === 0) return undefined
  for (const of of KNOWLEDGE) counts[of] /= all
  return counts
}

const KNOWLEDGE: readonly Knowledge[] = ['class', 'remembered', 'unknown']
