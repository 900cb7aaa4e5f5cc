/** How rows go into PostgreSQL: many as one value, and by which day they are apart. */
import { DAY_MS } from './bounds.ts'

export const HOURS_A_DAY = 24

export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS)
}

/** The first value of a statement, a list of objects in JSON, as rows. */
export function rowsOf(columns: string): string {
  return `json_to_recordset($1::text::json) AS x (${columns})`
}

/** Of an alert, by which its incident is added up. */
export const SUM_COLUMNS =
  'incident text, severity bigint, confirmed bigint, first bigint, last bigint'
