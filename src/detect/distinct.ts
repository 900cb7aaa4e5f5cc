/**
 * How many different things (remote ends, names) there were in the last ten to twenty seconds, from
 * sketches of single seconds. A sketch of m bits of which z are zero stands for m·ln(m/z) of them
 * (linear counting); all bits set means more than can be told apart.
 */
export class Distinct {
  readonly #words: number
  readonly #span: number
  #latest: Uint32Array
  #before: Uint32Array
  #from = 0

  /**
   * @param bits of a sketch, a multiple of 32
   * @param span half of the time that is remembered, seconds
   */
  constructor(bits: number, span = 10) {
    this.#span = span
    this.#words = bits / 32
    this.#latest = this.#none()
    this.#before = this.#none()
  }

  /** @param index of the second; where the clock was set back, nothing before it counts */
  add(sketch: readonly number[], index: number): void {
    this.#turn(index)
    for (let i = 0; i < this.#words; i++) this.#latest[i]! |= sketch[i] ?? 0
  }

  /** Estimated; the most that m bits tell is m·ln m. */
  count(index: number): number {
    this.#turn(index)
    let zeros = 0
    for (let i = 0; i < this.#words; i++) zeros += 32 - ones(this.#latest[i]! | this.#before[i]!)
    const bits = 32 * this.#words
    return Math.round(bits * Math.log(bits / Math.max(1, zeros)))
  }

  #turn(index: number): void {
    const passed = index - this.#from
    if (passed >= 0 && passed < this.#span) return
    this.#before = passed >= 0 && passed < 2 * this.#span ? this.#latest : this.#none()
    this.#latest = this.#none()
    this.#from = index
  }

  #none(): Uint32Array {
    return new Uint32Array(this.#words)
  }
}

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++
  return count
}
