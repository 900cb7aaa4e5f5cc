/**
 * Parses times as sysdig prints them: times of day without a date, in the time zone of the machine
 * that printed them.
 *
 * The date is derived: the first time of the stream is assumed to lie within the 24 hours before
 * `endMs` (a file's mtime, or now), unless the user gives it, and each step back by more than half
 * a day is a midnight.
 */
import type { UserInput } from '../domain/source.ts'
import { readNumber } from './fields.ts'

export interface ParserOptions extends UserInput {
  /**
   * About when the stream ended, Unix ms: gives times of day their date. Default: they count from
   * 1970.
   */
  readonly endMs?: number
  /** Local time minus UTC where the stream was printed. Default 0. */
  readonly utcOffsetMs?: number
}

const DAY_MS = 86_400_000
/** September 2001: a smaller number of seconds is counted from something else than 1970. */
const FIRST_UNIX_SECOND = 1e9
/** A file may be written to a little before its last line's time. */
const SLACK_MS = 60_000

export class DayClock {
  readonly #endMs: number
  readonly #utcOffsetMs: number
  #dayMs: number
  #lastMs = Number.NaN

  constructor(options: ParserOptions) {
    this.#endMs = options.endMs ?? DAY_MS
    this.#utcOffsetMs = options.utcOffsetMs ?? 0
    this.#dayMs = options.dateMs ?? Number.NaN
  }

  /**
   * `09:38:16.582343241`, `09:38:16`, or `1795426696.582343241` (`-t a`) as Unix ms; NaN for
   * anything else.
   */
  readTimeOfDay(bytes: Uint8Array, from: number, to: number): number {
    const seconds = bytes[from + 2] === 58 ? Number.NaN : readUnixSeconds(bytes, from, to)
    if (!Number.isNaN(seconds)) return seconds
    const timeMs = readClock(bytes, from, to)
    if (Number.isNaN(timeMs)) return Number.NaN
    if (Number.isNaN(this.#dayMs)) {
      const latest = this.#endMs + this.#utcOffsetMs + SLACK_MS
      this.#dayMs = Math.floor((latest - timeMs) / DAY_MS) * DAY_MS
    } else if (timeMs < this.#lastMs - DAY_MS / 2) {
      this.#dayMs += DAY_MS
    } else if (timeMs > this.#lastMs + DAY_MS / 2) {
      // A late line of another CPU from before midnight.
      return this.#dayMs - DAY_MS + timeMs - this.#utcOffsetMs
    }
    this.#lastMs = timeMs
    return this.#dayMs + timeMs - this.#utcOffsetMs
  }

  /** `2026-11-23 09:38:16.582343241`, also with `T` and a zone (`+0000`, `Z`), as Unix ms. */
  readDateTime(bytes: Uint8Array, from: number, to: number): number {
    const year = readNumber(bytes, from, from + 4)
    const month = readNumber(bytes, from + 5, from + 7)
    const day = readNumber(bytes, from + 8, from + 10)
    if (to - from < 19 || !(month >= 1 && month <= 12) || !(day >= 1 && day <= 31))
      return Number.NaN
    let end = from + 19
    if (bytes[end] === 46) for (end++; end < to && isDigit(bytes[end]!); end++);
    const timeMs = readClock(bytes, from + 11, end)
    const zoneMs = end === to ? this.#utcOffsetMs : readZone(bytes, end, to)
    return Date.UTC(year, month - 1, day) + timeMs - zoneMs
  }
}

/**
 * `1795426696.582343241` as Unix ms, with 0 to 9 digits of the second; what counts from a start
 * (`-t r`) is NaN.
 */
export function readUnixSeconds(bytes: Uint8Array, from: number, to: number): number {
  let dot = bytes.indexOf(46, from)
  if (dot < 0 || dot > to) dot = to
  const seconds = readNumber(bytes, from, dot)
  if (!(seconds >= FIRST_UNIX_SECOND)) return Number.NaN
  if (dot === to) return seconds * 1000
  const digits = to - dot - 1
  const fraction = digits <= 9 ? readNumber(bytes, dot + 1, to) : Number.NaN
  return seconds * 1000 + Math.floor((fraction * 1000) / 10 ** digits)
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57
}

/** Milliseconds since midnight; digits after the third are checked and left out. */
function readClock(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < 8 || bytes[from + 2] !== 58 || bytes[from + 5] !== 58) return Number.NaN
  const hours = readNumber(bytes, from, from + 2)
  const minutes = readNumber(bytes, from + 3, from + 5)
  const seconds = readNumber(bytes, from + 6, from + 8)
  if (!(hours < 24 && minutes < 60 && seconds <= 60)) return Number.NaN
  let ms = 0
  if (to - from > 8) {
    if (bytes[from + 8] !== 46) return Number.NaN
    const digits = to - from - 9
    const fraction = readNumber(bytes, from + 9, to)
    if (Number.isNaN(fraction)) return Number.NaN
    ms = Math.floor((fraction * 1000) / 10 ** digits)
  }
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
}

/** `Z`, `+0100`, `-03:30` in ms; NaN for anything else. */
function readZone(bytes: Uint8Array, from: number, to: number): number {
  if (to - from === 1 && bytes[from] === 90) return 0
  const sign = bytes[from] === 43 ? 1 : bytes[from] === 45 ? -1 : Number.NaN
  const minutesFrom = bytes[from + 3] === 58 ? from + 4 : from + 3
  if (to - minutesFrom !== 2) return Number.NaN
  const hours = readNumber(bytes, from + 1, from + 3)
  return sign * (hours * 60 + readNumber(bytes, minutesFrom, to)) * 60_000
}
