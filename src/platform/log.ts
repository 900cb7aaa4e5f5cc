/**
 * Messages for the operator, on stderr, one line each. Levels say what he must do: error = data lost or
 * help needed; warn = odd, but recovered; info = started, stopped, loaded; debug = at most once a second,
 * never per call. The words are fixed and the values are fields, so that a line can be searched for.
 *
 * `AGENT_LOG` sets the level (default info), `AGENT_LOG_FORMAT=json` gives one object a line. Values are
 * made safe for a terminal: a process can choose its own name, but not what the operator's screen does.
 */
import { writeSync } from 'node:fs'
import { safeName } from '../domain/process.ts'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LEVELS)[number]
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  debug(words: string, fields?: LogFields): void
  info(words: string, fields?: LogFields): void
  warn(words: string, fields?: LogFields): void
  error(words: string, fields?: LogFields): void
}

export interface LogOptions {
  readonly level?: LogLevel
  readonly json?: boolean
  /** Takes a finished line, newline included. */
  readonly write?: (line: string) => void
  readonly now?: () => number
}

export function parseLogLevel(text: string | undefined): LogLevel | undefined {
  return LEVELS.find((level) => level === text?.toLowerCase())
}

export function createLog(options: LogOptions = {}): Log {
  const { json = false, write = toStderr, now = Date.now } = options
  const say =
    (at: LogLevel) =>
    (words: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(at) < LEVELS.indexOf(options.level ?? processLevel)) return
      const time = new Date(now()).toISOString()
      write(json ? jsonLine(time, at, words, fields) : textLine(time, at, words, fields))
    }
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}

let processLevel: LogLevel = parseLogLevel(process.env.AGENT_LOG) ?? 'info'

/** The level of every log that was created without one; for cli.ts, once the settings are known. */
export function setLogLevel(level: LogLevel): void {
  processLevel = level
}

/** The log of this process. */
export const log: Log = createLog({
  json: process.env.AGENT_LOG_FORMAT === 'json',
})

function textLine(time: string, level: LogLevel, words: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${words}`
  for (const [key, value] of Object.entries(fields))
    if (value !== undefined) line += ` ${key}=${quoted(safeName(String(value)))}`
  return `${line}\n`
}

function jsonLine(time: string, level: LogLevel, words: string, fields: LogFields): string {
  return `${JSON.stringify({ time, level, message: words, ...fields })}\n`
}

function quoted(value: string): string {
  return /^[\w.:/@%+,-]+$/.test(value) ? value : JSON.stringify(value)
}

/** Synchronous, so that the last words of a dying process arrive; a stderr that is gone or full is not our failure. */
function toStderr(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // Nobody listens any more.
  }
}
