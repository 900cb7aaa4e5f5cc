/**
 * Reads numbers from bytes in place. Each returns NaN or a negative constant for invalid input;
 * nothing throws.
 */

/** No process: `<NA>`, -1, 0. */
export const NO_PID = 0
/** Not a pid. */
export const BAD_PID = -1

const ZERO = 48

/**
 * A run of digits as a number; NaN if there is any other byte, none at all, or more than 15 digits.
 */
export function readNumber(bytes: Uint8Array, from: number, to: number): number {
  if (to <= from || to - from > 15) return Number.NaN
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = bytes[i]! - ZERO
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/**
 * A pid or tid as sysdig prints it: `<NA>` and numbers below 1 are NO_PID, anything else BAD_PID.
 */
export function readPid(bytes: Uint8Array, from: number, to: number): number {
  const value = readNumber(bytes, from, to)
  if (value > 0 && value <= 0x7fff_ffff) return value
  if (value === 0 || isNotAvailable(bytes, from, to)) return NO_PID
  if (bytes[from] === 45 && readNumber(bytes, from + 1, to) > 0) return NO_PID
  return BAD_PID
}

export function isNotAvailable(bytes: Uint8Array, from: number, to: number): boolean {
  return (
    to - from === 4 &&
    bytes[from] === 60 &&
    bytes[from + 1] === 78 &&
    bytes[from + 2] === 65 &&
    bytes[from + 3] === 62
  )
}

/**
 * Nanoseconds since 1970 as Unix ms: the digits are over 2^53, so the last six are checked and left
 * out.
 */
export function readRawTime(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < 7 || to - from > 19) return Number.NaN
  if (Number.isNaN(readNumber(bytes, to - 6, to))) return Number.NaN
  return readNumber(bytes, from, to - 6)
}
