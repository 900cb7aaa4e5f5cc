/**
 * What all commands share, so that they feel like one program: shared flags, output, the shutdown
 * signal.
 *
 * A command is `export default defineCommand({ meta, args, run })` of citty and returns its exit
 * code (nothing = 0) or throws an AgentError. It never exits, never handles signals and never
 * prints errors: cli.ts does. Its data goes to stdout by `writeOut`, messages go to stderr by
 * `note` or the log.
 *
 * Conventions that cli.ts relies on:
 * - `meta.examples` are shown by `--help`; every command has at least one.
 * - A positional argument that takes many has a `valueHint` ending in `…`; read them from `args._`.
 * - A flag that is a setting comes from `settingArgs(…)` and has no default here: the settings know
 *   it.
 * - Interrupted (SIGINT) and complete anyway → 0; interrupted with work undone →
 *   `EXIT.interrupted`.
 */
import type { ArgsDef, CommandMeta } from 'citty'
import { AgentError } from '../domain/error.ts'
import { safeName } from '../domain/process.ts'
import { KEYS, type SettingName, type Settings } from '../settings/keys.ts'
import { secretIn } from '../settings/settings.ts'
import { durationMs } from '../settings/values.ts'

declare module 'citty' {
  interface CommandMeta {
    /** Whole command lines, with what they do after ` # `. */
    examples?: readonly string[]
  }
}

export { coloured, type Paint, paintFor, writeJson, writeOut } from '../platform/terminal.ts'
export type { CommandMeta }

// --- Flags --------------------------------------------------------------------------------------

export const jsonArg = {
  json: { type: 'boolean', description: 'output as JSON, one object per line' },
} as const satisfies ArgsDef

/** Flags for settings, by their names in `settings/keys.ts`. */
export function settingArgs<const N extends SettingName>(
  ...names: N[]
): { [K in N]: { type: 'string'; description: string; valueHint: string } } {
  const entries = names.map((name) => [
    name,
    { type: 'string', description: KEYS[name].describe, valueHint: KEYS[name].hint },
  ])
  return Object.fromEntries(entries) as {
    [K in N]: { type: 'string'; description: string; valueHint: string }
  }
}

/** Values of a flag that takes several: `--train a b --train c` → a, b, c. */
export function listOf(rawArgs: readonly string[], flag: string): string[] {
  const values: string[] = []
  for (let i = 0; i < rawArgs.length; i++) {
    const arg = rawArgs[i]!
    if (arg.startsWith(`--${flag}=`)) values.push(arg.slice(flag.length + 3))
    else if (arg === `--${flag}`)
      while (i + 1 < rawArgs.length && !rawArgs[i + 1]!.startsWith('--')) values.push(rawArgs[++i]!)
  }
  return values
}

/** A flag that is a whole number; undefined where it is not given. */
export function wholeNumber(
  value: string | undefined,
  flag: string,
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!/^[-+]?\d+$/.test(value) || number < min || number > max)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --${flag} "${value}": it must be a whole number from ${min} to ${max}`,
    )
  return number
}

// --- Shutdown -----------------------------------------------------------------------------------

const shutdown = new AbortController()

let listen = () => {}

/**
 * Aborted by the first SIGINT or SIGTERM: finish what is accepted, flush, return within a second. A
 * command that never asks for it ends at once at a signal; then whatever it writes must be whole at
 * any moment.
 */
export function shutdownSignal(): AbortSignal {
  listen()
  listen = () => {}
  return shutdown.signal
}

/** The shutdown signal, or the end of a time as `--duration` takes it (20, 30s, 10m). */
export function shutdownAfter(duration: string | undefined): AbortSignal {
  const asked = shutdownSignal()
  if (duration === undefined) return asked
  let ms: number
  try {
    ms = durationMs(duration)
  } catch (cause) {
    throw new AgentError('ERR_USAGE', `Cannot use --duration: ${(cause as Error).message}`, {
      cause,
    })
  }
  return AbortSignal.any([asked, AbortSignal.timeout(ms)])
}

/** For cli.ts only: installs the signal handlers; called when a command first asks for them. */
export function onShutdownAsked(listener: () => void): void {
  listen = listener
}

/** For cli.ts only. */
export function requestShutdown(by: NodeJS.Signals): void {
  shutdown.abort(new DOMException(by, 'AbortError'))
}

let reload: (() => void) | undefined

/** Called at each SIGHUP of a process without a terminal; a terminal that closes still ends it. */
export function onReload(listener: () => void): void {
  reload = listener
  shutdownSignal()
}

/** For cli.ts only. @returns false where no command reads its settings again */
export function requestReload(): boolean {
  reload?.()
  return reload !== undefined
}

// --- Output -------------------------------------------------------------------------------------

/** One line for the person at the terminal. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Text from outside (names, hosts, reasons), safe on a terminal. */
export const safeText = safeName

/** Rows with columns aligned; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell))
    })
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) =>
        i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - Bun.stringWidth(cell)),
      )
      .join('  ')
  return rows.map((row) => `${indent}${line(row)}\n`).join('')
}

/** @throws AgentError ERR_USAGE where it is no duration */
export function durationOf(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined
  try {
    return durationMs(text)
  } catch (cause) {
    throw new AgentError('ERR_USAGE', `Cannot use --${flag}: ${(cause as Error).message}`, {
      hint: `For example --${flag} 30d`,
    })
  }
}

/** The outputs that the settings ask for, as `chosenOutputs` takes them. */
export function outputsIn(settings: Settings) {
  const { alertFile, alertFormat, syslog, ca, webhook, mailTo, mailServer } = settings
  const { webhookTemplate, webhookSecretFile } = settings
  const secret =
    webhookSecretFile === undefined ? undefined : secretIn(webhookSecretFile, 'the webhook secret')
  return {
    ...{ alertFile, alertFormat, syslog, ca, webhook, webhookTemplate, webhookSecret: secret },
    ...{ mailTo, mailServer },
  }
}
