/**
 * One walk over CBOR bytes [RFC 8949] without making values of them: to find a few fields of a
 * large payload, and to know that the rest is well-formed. 5 KB take some 15 µs where decoding
 * takes 600.
 *
 * Takes what we write: definite lengths, no tags, integers within 2^53, nesting up to DEPTH.
 * Anything else is refused with a reason (`domain/untrusted.ts`).
 */
import { refuse } from '../domain/untrusted.ts'

const DEPTH = 8
// As cborg decodes: what one of the two takes, the other must take.
const utf8 = new TextDecoder()

const UNSIGNED = 0
const NEGATIVE = 1
const BYTES = 2
const TEXT = 3
const LIST = 4
const MAP = 5
const SIMPLE = 7

export class CborWalk {
  readonly #bytes: Uint8Array
  #at = 0
  #major = 0
  #value = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  map(): number {
    return this.#expect(MAP)
  }

  list(): number {
    return this.#expect(LIST)
  }

  text(): string {
    const length = this.#expect(TEXT)
    const from = this.#at
    this.#skipBytes(length)
    // Keys are short and ASCII: an own loop is faster than a decoder, which is used for the rest.
    if (length <= 16) {
      let text = ''
      for (let i = from; i < this.#at; i++) {
        const byte = this.#bytes[i]!
        if (byte >= 0x80) return this.#decode(from)
        text += String.fromCharCode(byte)
      }
      return text
    }
    return this.#decode(from)
  }

  /** A whole number of at least 0. */
  count(): number {
    return this.#expect(UNSIGNED)
  }

  /** Steps over one item and all in it. */
  skip(depth = 0): void {
    if (depth > DEPTH) refuse('not-cbor')
    this.#head()
    const length = this.#value
    switch (this.#major) {
      case UNSIGNED:
      case NEGATIVE:
        return
      case BYTES:
      case TEXT:
        this.#skipBytes(length)
        return
      case LIST:
      case MAP: {
        const items = this.#major === MAP ? 2 * length : length
        if (items > this.#bytes.length - this.#at) refuse('not-cbor')
        for (let i = 0; i < items; i++) this.skip(depth + 1)
        return
      }
      case SIMPLE:
        return
      default:
        refuse('not-cbor')
    }
  }

  #decode(from: number): string {
    return utf8.decode(this.#bytes.subarray(from, this.#at))
  }

  #expect(major: number): number {
    this.#head()
    if (this.#major !== major) refuse('not-cbor')
    return this.#value
  }

  #skipBytes(length: number): void {
    if (length > this.#bytes.length - this.#at) refuse('not-cbor')
    this.#at += length
  }

  /** Reads one head: the kind of the item, and its value or length. */
  #head(): void {
    const bytes = this.#bytes
    if (this.#at >= bytes.length) refuse('not-cbor')
    const first = bytes[this.#at++]!
    this.#major = first >> 5
    const short = first & 31
    if (short < 24) {
      this.#value = short
      return
    }
    if (short > 27) refuse('not-cbor')
    const size = 1 << (short - 24)
    if (size > bytes.length - this.#at) refuse('not-cbor')
    let value = 0
    for (let i = 0; i < size; i++) value = value * 256 + bytes[this.#at + i]!
    this.#at += size
    // Floats are skipped; their values are not used.
    if (value > Number.MAX_SAFE_INTEGER && this.#major !== SIMPLE) refuse('not-cbor')
    this.#value = value
  }
}
