/**
 * Alerts as JSON lines in a file, for log shippers. At its bound the file is renamed to `<file>.1`,
 * that one to `<file>.2` and so on; the oldest goes. Opened for each write, so an outside
 * logrotate works as well.
 */
import { appendFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { ALERT_FILE_BYTES_MAX, ALERT_FILES_MAX } from '../domain/limits.ts'
import { version } from '../platform/embedded.ts'
import type { AlertMessage } from '../wire/alert-message.ts'
import { ecsOf } from './ecs.ts'
import { ocsfOf } from './ocsf.ts'
import type { Output } from './output.ts'

export const ALERT_FORMATS = ['json', 'ecs', 'ocsf'] as const
export type AlertFormat = (typeof ALERT_FORMATS)[number]

export interface FileOutputOptions {
  readonly bytesMax?: number
  readonly filesMax?: number
  /** What a line is; the message as it is on the wire where absent. */
  readonly format?: AlertFormat
}

export function fileOutput(
  path: string,
  {
    bytesMax = ALERT_FILE_BYTES_MAX,
    filesMax = ALERT_FILES_MAX,
    format = 'json',
  }: FileOutputOptions = {},
): Output {
  const refused: Record<string, number> = {}
  return {
    name: 'file',
    refused,
    take({ alerts }) {
      if (alerts.length === 0) return
      const lines = alerts.map((alert) => `${JSON.stringify(formatted(format, alert))}\n`).join('')
      try {
        const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
        if (size > 0 && size + lines.length > bytesMax) rotate(path, filesMax)
        appendFileSync(path, lines, { mode: 0o600 })
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'error'
        refused[code] = (refused[code] ?? 0) + alerts.length
      }
    },
  }
}

function formatted(format: AlertFormat, alert: AlertMessage): object {
  switch (format) {
    case 'json':
      return alert
    case 'ecs':
      return ecsOf(alert, version)
    case 'ocsf':
      return ocsfOf(alert, version)
  }
}

function rotate(path: string, filesMax: number): void {
  const names = Array.from({ length: filesMax }, (_, i) => (i === 0 ? path : `${path}.${i}`))
  rmSync(names.at(-1)!, { force: true })
  for (let i = names.length - 2; i >= 0; i--) {
    if (statSync(names[i]!, { throwIfNoEntry: false }) !== undefined)
      renameSync(names[i]!, names[i + 1]!)
  }
}
