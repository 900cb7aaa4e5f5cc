/**
 * Numbers as bytes: unsigned LEB128 of up to 53 bits, signed ones zigzag; byte strings with their
 * length before them. Small numbers take one byte, which is what columns of differences are made
 * of.
 *
 * Reading is bounds-checked: whatever the bytes are, it gives a number or throws, and a length is
 * never larger than what is left.
 */

/** Bytes. */
const LONGEST_NUMBER = 8

export class VarintWriter {
  readonly #headBytes: number
  #bytes = new Uint8Array(8192)
  #at: number

  /** @param headBytes left free at the front, for the caller to fill */
  constructor(headBytes = 0) {
    this.#headBytes = headBytes
    this.#at = headBytes
  }

  unsigned(value: number): void {
    if (this.#at + LONGEST_NUMBER > this.#bytes.length) this.#grow(LONGEST_NUMBER)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#at++] = rest
  }

  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value)
  }

  bytes(bytes: Uint8Array): void {
    this.unsigned(bytes.length)
    if (this.#at + bytes.length > this.#bytes.length) this.#grow(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** A column that is often empty costs one byte when it is. */
  column(values: readonly number[]): void {
    const present = values.some((value) => value !== 0)
    this.unsigned(present ? 1 : 0)
    if (present) for (const value of values) this.unsigned(value)
  }

  /** All of it, head included; valid until the next write. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, Math.max(this.#at, this.#headBytes))
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(2 * this.#bytes.length + bytes)
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

export class VarintReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  unsigned(): number {
    let value = 0
    let factor = 1
    for (let i = 0; i < LONGEST_NUMBER; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Error('Bytes are damaged: they end early')
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 0x80
    }
    throw new Error('Bytes are damaged: number too long')
  }

  signed(): number {
    const value = this.unsigned()
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }

  /** How many items follow: each takes at least one byte. */
  length(): number {
    const length = this.unsigned()
    if (length > this.#bytes.length - this.#at)
      throw new Error('Bytes are damaged: length beyond the end')
    return length
  }

  bytes(): Uint8Array {
    const length = this.length()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  /** Undefined items where the column is empty. */
  column(length: number): (number | undefined)[] {
    if (this.unsigned() === 0) return []
    return Array.from({ length }, () => this.unsigned())
  }
}
