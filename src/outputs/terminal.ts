/** Alerts on the terminal. @param host printed before each line if there are several hosts */
import { writeOut } from '../platform/terminal.ts'
import { alertLines } from './alert-words.ts'
import type { Output } from './output.ts'

export function terminalOutput(host?: string): Output {
  return {
    name: 'terminal',
    refused: {},
    take: async ({ alerts }) => {
      for (const alert of alerts) await writeOut(alertLines(alert, host))
    },
  }
}
