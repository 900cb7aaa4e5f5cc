/**
 * Cursors of lists as text: what the last row of a page was ordered by. Whoever makes one up gets
 * another page, no more.
 */

export interface AlertCursor {
  readonly active: number
  readonly changed: number
  readonly row: number
}

/** Before the first row. */
export const FIRST_ALERT: AlertCursor = { active: 2, changed: 0, row: 0 }

export function showAlertCursor({ active, changed, row }: AlertCursor): string {
  return `${active}-${changed}-${row}`
}

export function readAlertCursor(text: string): AlertCursor | undefined {
  const [, active, changed, row] = /^([01])-(\d{1,15})-(\d{1,15})$/.exec(text) ?? []
  if (row === undefined) return undefined
  return { active: Number(active), changed: Number(changed), row: Number(row) }
}

export interface HostCursor {
  /** 0: has active alerts, 1: online, 2: the others; 0 for all where the order is by name. */
  readonly rank: number
  readonly site: string
  readonly host: string
}

export const FIRST_HOST: HostCursor = { rank: -1, site: '', host: '' }

export function showHostCursor({ rank, site, host }: HostCursor): string {
  return `${rank}/${site}/${host}`
}

export function readHostCursor(text: string): HostCursor | undefined {
  const [, rank, site, host] = /^([012])\/([^/]{1,256})\/([^/]{1,256})$/.exec(text) ?? []
  if (site === undefined || host === undefined) return undefined
  return { rank: Number(rank), site, host }
}

/** A part of a name for LIKE, where `\` takes the meaning from `%` and `_`. */
export function likePattern(part: string): string {
  return `%${part.replace(/[\\%_]/g, '\\$&')}%`
}

export interface IncidentCursor {
  /** Urgency, or 0 where the order is by time. */
  readonly rank: number
  readonly changed: number
  readonly row: number
}

export function showIncidentCursor({ rank, changed, row }: IncidentCursor): string {
  return `${rank}-${changed}-${row}`
}

export function readIncidentCursor(text: string): IncidentCursor | undefined {
  const [, rank, changed, row] = /^(\d)-(\d{1,15})-(\d{1,15})$/.exec(text) ?? []
  if (row === undefined) return undefined
  return { rank: Number(rank), changed: Number(changed), row: Number(row) }
}

export function showRowCursor(row: number): string {
  return String(row)
}

export function readRowCursor(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
