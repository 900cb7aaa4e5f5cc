/**
 * Log lines on stderr. Levels: error = data lost or action needed; warn = unexpected, but
 * recovered; info = started, stopped, loaded; debug = at most once a second, never per call.
 * Messages are constant and values are fields, so that lines can be searched.
 *
 * `AGENT_LOG` sets the level (default info), `AGENT_LOG_FORMAT=json` gives one object per line.
 * Values are sanitised for terminals, because a process can choose its own name.
 */
import { fstatSync, writeSync } from 'node:fs'
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
  /** For journald: a priority instead of a time, which the journal has itself. */
  readonly journal?: boolean
  /** Takes a finished line, newline included. */
  readonly write?: (line: string) => void
  readonly now?: () => number
}

export function parseLogLevel(text: string | undefined): LogLevel | undefined {
  return LEVELS.find((level) => level === text?.toLowerCase())
}

export function createLog(options: LogOptions = {}): Log {
  const { json = false, journal = false, write = toStderr, now = Date.now } = options
  const say =
    (at: LogLevel) =>
    (words: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(at) < LEVELS.indexOf(options.level ?? processLevel)) return
      if (journal && !json) return write(`${PRIORITIES[at]}${line(words, fields)}`)
      const time = new Date(now()).toISOString()
      write(json ? jsonLine(time, at, words, fields) : textLine(time, at, words, fields))
    }
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}

let processLevel: LogLevel = parseLogLevel(process.env.AGENT_LOG) ?? 'info'

/** The default level, set by cli.ts once the settings are known. */
export function setLogLevel(level: LogLevel): void {
  processLevel = level
}

/** The log of this process. */
export const log: Log = createLog({
  json: process.env.AGENT_LOG_FORMAT === 'json',
  journal: isJournal(2),
})

/** Whether a descriptor is the very stream that systemd connected to the journal. */
export function isJournal(descriptor: number): boolean {
  const stream = process.env.JOURNAL_STREAM
  if (stream === undefined) return false
  try {
    const { dev, ino } = fstatSync(descriptor)
    return stream === `${dev}:${ino}`
  } catch {
    return false
  }
}

/** [sd-daemon(3)] */
const PRIORITIES: Readonly<Record<LogLevel, string>> = {
  debug: '<7>',
  info: '<6>',
  warn: '<4>',
  error: '<3>',
}

function textLine(time: string, level: LogLevel, words: string, fields: LogFields): string {
  return `${time} ${level.padEnd(5)} ${line(words, fields)}`
}

function line(words: string, fields: LogFields): string {
  let line = words
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

/** Synchronous, so that the last lines before an exit are written; errors of stderr are ignored. */
function toStderr(line: string): void {
  try {
    writeSync(2, line)
  } catch {
    // stderr is closed.
  }
}
