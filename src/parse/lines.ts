/**
 * Turns chunks of bytes, cut anywhere, into blocks of whole lines.
 *
 * Most of a chunk is passed on in place; only a line that the cut divides is copied. So parsers see
 * the same lines however the bytes were cut, and the cost of a cut does not depend on the line
 * count. A line longer than LINE_BYTES_MAX is skipped to its end and counted.
 */
import { LINE_BYTES_MAX } from '../domain/limits.ts'
import type { Parser } from '../domain/source.ts'
import type { TallySink } from '../domain/tally.ts'
import { sampleOf } from './sample.ts'

const NEWLINE = 10
const CARRIAGE_RETURN = 13

/** Takes one line: the bytes [from, to), without its end. */
export interface LineParser {
  line(bytes: Uint8Array, from: number, to: number): void
  /** The chunk has ended: held-back tallies go to the sink. */
  flush?(): void
}

/** Takes whole lines: bytes[to - 1] is a newline. The block is valid during the call only. */
export interface BlockParser {
  block(bytes: Uint8Array, from: number, to: number): void
  flush?(): void
}

/** Cuts blocks into lines for a parser that wants them one by one. */
export function byLine(
  parser: LineParser,
  sink: TallySink,
  lineBytesMax = LINE_BYTES_MAX,
): BlockParser {
  return {
    block(bytes, from, to) {
      let start = from
      while (start < to) {
        const end = bytes.indexOf(NEWLINE, start)
        giveLine(parser, sink, bytes, start, end, lineBytesMax)
        start = end + 1
      }
    },
    flush: () => parser.flush?.(),
  }
}

/**
 * One line without its newline: too long is counted, a trailing carriage return and empty lines are
 * ignored.
 */
export function giveLine(
  parser: LineParser,
  sink: TallySink,
  bytes: Uint8Array,
  from: number,
  end: number,
  lineBytesMax = LINE_BYTES_MAX,
): void {
  if (end - from > lineBytesMax) {
    sink.drop('too-long', 1, sampleOf(bytes, from, end))
    return
  }
  const to = end > from && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end
  if (to > from) parser.line(bytes, from, to)
}

export class Lines implements Parser {
  readonly #parser: BlockParser
  readonly #sink: TallySink
  readonly #lineBytesMax: number
  #carry = new Uint8Array(8_192)
  #carried = 0
  /** Inside a line that is too long. */
  #skipping = false

  constructor(parser: BlockParser, sink: TallySink, lineBytesMax = LINE_BYTES_MAX) {
    this.#parser = parser
    this.#lineBytesMax = lineBytesMax
    this.#sink = sink
  }

  push(chunk: Uint8Array): void {
    let from = 0
    if (this.#carried > 0 || this.#skipping) {
      const end = chunk.indexOf(NEWLINE)
      this.#keep(chunk, 0, end < 0 ? chunk.length : end + 1)
      if (end < 0) return
      this.#giveCarry()
      from = end + 1
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > from) this.#parser.block(chunk, from, end)
    this.#keep(chunk, Math.max(from, end), chunk.length)
    this.#parser.flush?.()
  }

  end(): void {
    if (this.#carried > 0) {
      this.#keep(Uint8Array.of(NEWLINE), 0, 1)
      this.#giveCarry()
    }
    this.#skipping = false
    this.#parser.flush?.()
  }

  #giveCarry(): void {
    const to = this.#carried
    this.#carried = 0
    this.#skipping = false
    if (to > 0) this.#parser.block(this.#carry, 0, to)
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    if (this.#skipping || from >= to) return
    const length = this.#carried + to - from
    // A line may end in carriage return and newline.
    if (length > this.#lineBytesMax + 2) {
      const sample =
        this.#carried > 0 ? sampleOf(this.#carry, 0, this.#carried) : sampleOf(bytes, from, to)
      this.#sink.drop('too-long', 1, sample)
      this.#carried = 0
      this.#skipping = true
      return
    }
    if (length > this.#carry.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#carry.length))
      larger.set(this.#carry.subarray(0, this.#carried))
      this.#carry = larger
    }
    this.#carry.set(bytes.subarray(from, to), this.#carried)
    this.#carried = length
  }
}
