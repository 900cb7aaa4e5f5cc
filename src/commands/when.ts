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
