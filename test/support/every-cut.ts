/**
 * The same bytes cut in every way that could matter, so that no parser depends on where a read
 * ended.
 */
import type { Parser } from '../../src/domain/source.ts'

/**
 * Feeds `bytes` whole, cut in two at each position, one byte at a time, and in odd pieces; gives
 * what each way came to.
 */
export function everyCut<T>(
  bytes: Uint8Array,
  make: () => { parser: Parser; result: () => T },
): T[] {
  const feed = (pieces: Iterable<Uint8Array>): T => {
    const { parser, result } = make()
    for (const piece of pieces) {
      // A source's chunk is valid until the next: give a copy, and spoil it afterwards.
      const chunk = new Uint8Array(piece)
      parser.push(chunk)
      chunk.fill(0x21)
    }
    parser.end()
    return result()
  }
  const results = [feed([bytes])]
  const step = Math.max(1, Math.floor(bytes.length / 100))
  for (let at = 1; at < bytes.length; at += step) {
    results.push(feed([bytes.subarray(0, at), bytes.subarray(at)]))
  }
  for (const size of [1, 2, 3, 7, 64]) results.push(feed(pieces(bytes, size)))
  return results
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
