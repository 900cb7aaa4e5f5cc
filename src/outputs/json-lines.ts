/**
 * Alerts as NDJSON on stdout, one message a line, as it is on the wire. Waits for a slow reader.
 */
import { writeJson } from '../platform/terminal.ts'
import type { Output } from './output.ts'

export function jsonLinesOutput(): Output {
  return {
    name: 'json',
    refused: {},
    take: async ({ alerts }) => {
      for (const alert of alerts) await writeJson(alert)
    },
  }
}
