/**
 * Converts a second's counts to one row of the net's input, by the model's recipe.
 *
 * With the recipe `frequency` this is the paper's example [Paper III-B]: counts divided by their
 * sum. (The example does not agree with itself: its list of calls holds four reads and three
 * writes, its table three and two; the normalised row 0.142 0.428 0.285 0.142 follows the table,
 * cut instead of rounded.)
 *
 * An idle second is a row of zeros, never NaN (the authors' own code divides by zero there). A call
 * whose name the model does not know goes to its `other` component, so that shares still sum to 1.
 */
import { assert } from '../domain/assert.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import type { Recipe } from './recipe.ts'

/** Above this many calls a second, `quiet` says no more. */
const QUIET_CALLS = 3
const QUIET_SCALE = Math.log(1 + QUIET_CALLS)

export class Normaliser {
  /** d: numbers in a row. */
  readonly width: number
  /**
   * Name of each share; a family has the name of its first member. What the rate adds comes after
   * these.
   */
  readonly components: readonly string[]
  /** Component of each syscall index (domain/syscalls.ts). */
  readonly componentOf: Uint16Array
  readonly #power: number
  readonly #rate: Recipe['rate']

  /** @param vocabulary ordered names, `other` among them */
  constructor(vocabulary: readonly string[], recipe: Recipe) {
    const headOf = new Map<string, string>()
    for (const family of recipe.families) for (const name of family) headOf.set(name, family[0]!)
    const components: string[] = []
    const indexOf = new Map<string, number>()
    for (const name of vocabulary) {
      const head = headOf.get(name) ?? name
      if (indexOf.has(head)) continue
      indexOf.set(head, components.length)
      components.push(head)
    }
    const other = indexOf.get('other')
    assert(other !== undefined, 'a vocabulary holds "other"')
    const known = new Set(vocabulary)
    this.components = components
    // A member of a family that the vocabulary lacks still belongs to the family where another
    // member is there.
    this.componentOf = Uint16Array.from(SYSCALLS, (name) => {
      if (known.has(name) || headOf.has(name)) return indexOf.get(headOf.get(name) ?? name) ?? other
      return other
    })
    this.#power = recipe.power
    this.#rate = recipe.rate
    this.width =
      recipe.rate === 'none'
        ? components.length
        : recipe.rate !== 'log-counts'
          ? components.length + 1
          : 2 * components.length
  }

  /**
   * Writes one row into out[at, at + width), which must be zeros.
   * @param syscalls syscall indexes, of which [from, to) is read, with their counts beside
   * @returns the sum of the counts
   */
  row(
    syscalls: ArrayLike<number>,
    counts: ArrayLike<number>,
    from: number,
    to: number,
    out: Float32Array,
    at: number,
  ): number {
    let total = 0
    const componentOf = this.componentOf
    for (let k = from; k < to; k++) {
      const count = counts[k]!
      total += count
      out[at + componentOf[syscalls[k]!]!]! += count
    }
    this.#finish(total, componentOf, syscalls, from, to, out, at)
    return total
  }

  /**
   * As `row`, from counts by component, each component at most once: what training keeps and
   * varies.
   */
  rowOfComponents(
    components: ArrayLike<number>,
    counts: ArrayLike<number>,
    from: number,
    to: number,
    out: Float32Array,
    at: number,
  ): void {
    let total = 0
    for (let k = from; k < to; k++) {
      total += counts[k]!
      out[at + components[k]!] = counts[k]!
    }
    this.#finish(total, undefined, components, from, to, out, at)
  }

  #finish(
    total: number,
    componentOf: Uint16Array | undefined,
    indexes: ArrayLike<number>,
    from: number,
    to: number,
    out: Float32Array,
    at: number,
  ): void {
    if (total === 0) return
    const size = this.components.length
    // Two calls of a family share a component: a share is written negative when it is first met,
    // and turned at the end.
    for (let k = from; k < to; k++) {
      const i = at + (componentOf === undefined ? indexes[k]! : componentOf[indexes[k]!]!)
      const count = out[i]!
      if (count <= 0) continue
      if (this.#rate === 'log-counts') out[i + size] = Math.log1p(count) / 10
      const share = count / total
      out[i] = -(this.#power === 1
        ? share
        : this.#power === 0.5
          ? Math.sqrt(share)
          : share ** this.#power)
    }
    for (let k = from; k < to; k++) {
      const i = at + (componentOf === undefined ? indexes[k]! : componentOf[indexes[k]!]!)
      if (out[i]! < 0) out[i] = -out[i]!
    }
    if (this.#rate === 'log-total') out[at + size] = Math.log1p(total) / 10
    if (this.#rate === 'quiet')
      out[at + size] = Math.log(1 + Math.min(total, QUIET_CALLS)) / QUIET_SCALE
  }
}
