/**
 * Alerts on stdout. Where that is the journal, each line has the alert's priority [sd-daemon(3)],
 * so that `journalctl -p warning` shows what it should.
 */
import { isJournal } from '../platform/log.ts'
import { writeOut } from '../platform/terminal.ts'
import { alertLines } from './alert-words.ts'
import type { Output } from './output.ts'
import { SEVERITIES } from './syslog.ts'

/** @param host printed before each line if there are several hosts */
export function terminalOutput(host?: string, journal = isJournal(1)): Output {
  return {
    name: 'terminal',
    refused: {},
    take: async ({ alerts }) => {
      for (const alert of alerts) {
        const lines = alertLines(alert, host)
        const priority = `<${SEVERITIES[alert.severity]}>`
        await writeOut(journal ? lines.replace(/^(?=.)/gm, priority) : lines)
      }
    },
  }
}
