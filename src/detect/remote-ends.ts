/**
 * How many different remote ends there were in the last ten to twenty seconds, from sketches of
 * single seconds. A sketch of m bits of which z are zero stands for m·ln(m/z) ends (linear
 * counting); all bits set means more than can be told apart.
 */
const WORDS = 4
const BITS = 32 * WORDS
/** Half of the time that is remembered, seconds. */
const SPAN = 10
/** With one zero bit: 128·ln 128. */
export const MOST_ENDS = Math.round(BITS * Math.log(BITS))

export class RemoteEnds {
  #latest = new Uint32Array(WORDS)
  #before = new Uint32Array(WORDS)
  #from = 0

  /** @param index of the second, not before that of the last call */
  add(sketch: readonly number[], index: number): void {
    this.#turn(index)
    for (let i = 0; i < WORDS; i++) this.#latest[i]! |= sketch[i] ?? 0
  }

  /** Estimated, at most MOST_ENDS. */
  count(index: number): number {
    this.#turn(index)
    let zeros = 0
    for (let i = 0; i < WORDS; i++) zeros += 32 - ones(this.#latest[i]! | this.#before[i]!)
    return zeros === 0 ? MOST_ENDS : Math.round(BITS * Math.log(BITS / zeros))
  }

  #turn(index: number): void {
    const passed = index - this.#from
    if (passed < SPAN) return
    this.#before = passed < 2 * SPAN ? this.#latest : new Uint32Array(WORDS)
    this.#latest = new Uint32Array(WORDS)
    this.#from = index
  }
}

function ones(word: number): number {
  let count = 0
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++
  return count
}
