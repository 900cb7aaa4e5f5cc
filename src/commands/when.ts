/** Parses times in flags: a duration (30m, 7d) or a date (2027-01-31). */
import { AgentError } from '../domain/error.ts'
import { durationMs } from '../settings/values.ts'
import { safeText } from './common.ts'

/**
 * @param when a length of time from now, or a date
 * @param flag for the error
 * @param now Unix seconds
 * @param direction 1: the length of time lies ahead; −1: it has passed ("--since 1h")
 * @returns Unix seconds
 */
export function secondOf(when: string, flag: string, now: number, direction: 1 | -1 = 1): number {
  const date = Date.parse(when)
  if (/^\d{4}-/.test(when) && Number.isFinite(date)) return Math.floor(date / 1000)
  try {
    return now + direction * Math.ceil(durationMs(when) / 1000)
  } catch (cause) {
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use ${flag} "${safeText(when)}": it must be a duration (30m, 7d) or a date (2027-01-31)`,
      { cause },
    )
  }
}

/**
 * A moment that has passed: a time of the day (03:12:40, today's or yesterday's), a duration ago
 * (90s) or a date with time (2027-01-31T03:12:40Z), in UTC where no zone is said.
 *
 * @param now Unix seconds
 * @returns Unix seconds
 */
export function momentOf(when: string, flag: string, now: number): number {
  const time = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(when)
  if (time === null) {
    const date = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?$/.test(when)
      ? `${when.replace(' ', 'T')}Z`
      : when
    return secondOf(date, flag, now, -1)
  }
  const [hours, minutes, seconds] = [time[1], time[2], time[3] ?? '0'].map(Number)
  if (hours! > 23 || minutes! > 59 || seconds! > 59) return secondOf(when, flag, now, -1)
  const today = now - (now % DAY_SECONDS) + hours! * 3600 + minutes! * 60 + seconds!
  return today > now ? today - DAY_SECONDS : today
}

const DAY_SECONDS = 86_400
