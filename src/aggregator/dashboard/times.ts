/** Points in time as the page writes them: local or UTC as the reader chose, with their zone. */

export type Zone = 'local' | 'utc'

let zone: Zone = 'local'

export function setZone(to: Zone): void {
  zone = to
}

export function chosenZone(): Zone {
  return zone
}

/** "10:42:07 UTC" today, "21 Nov, 10:42:07 CET" on another day, with the year where it is another. */
export function clockTime(seconds: number, nowSeconds: number): string {
  const at = parts(seconds)
  const now = parts(nowSeconds)
  const time = `${at.time} ${at.zone}`
  if (at.day === now.day && at.year === now.year) return time
  return `${at.day}${at.year === now.year ? '' : ` ${at.year}`}, ${time}`
}

/** The same with the date and the offset: for titles. */
export function fullTime(seconds: number): string {
  const date = new Date(seconds * 1_000)
  if (Number.isNaN(date.getTime())) return 'an impossible time'
  const at = parts(seconds)
  return `${at.day} ${at.year}, ${at.time} ${at.zone} (${date.toISOString().slice(0, 19)}Z)`
}

/** "23 Nov" and "08:00": for the marks of an axis. */
export function dayAndTime(seconds: number): { day: string; time: string } {
  const { day, time } = parts(seconds)
  return { day, time: time.slice(0, 5) }
}

function parts(seconds: number): { day: string; year: string; time: string; zone: string } {
  const date = new Date(seconds * 1_000)
  if (Number.isNaN(date.getTime())) return { day: '?', year: '?', time: '?', zone: '' }
  const found = new Intl.DateTimeFormat('en-GB', {
    ...(zone === 'utc' ? { timeZone: 'UTC' } : {}),
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
  }).formatToParts(date)
  const part = (type: string): string => found.find((one) => one.type === type)?.value ?? ''
  return {
    day: `${part('day')} ${part('month')}`,
    year: part('year'),
    time: `${part('hour')}:${part('minute')}:${part('second')}`,
    zone: part('timeZoneName'),
  }
}
