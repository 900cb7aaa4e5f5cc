/**
 * The program `agent`: finds the command, runs it, and turns what comes of it into an exit code.
 * The only place that handles signals, prints errors and ends the process.
 *
 * Commands are loaded when they are called for: `--version` must not wait for MQTT, SQLite and a
 * net (10 ms instead of 100). The directory of native libraries is set here, as soon as the state
 * directory is known, and before any command could load one (`platform/native.ts`).
 */
import type { CommandDef } from 'citty'
import { COMMANDS, SHOWN_COMMANDS } from './commands/table.ts'
import { AgentError, EXIT } from './domain/error.ts'
import { safeName } from './domain/process.ts'
import { commit, target, version } from './platform/embedded.ts'

const DESCRIPTION =
  'Callsign recognises programs by their system calls and raises alerts about processes that do not match their names.'

async function main(words: string[]): Promise<number> {
  const [first] = words
  if (first === '--version' || first === '-v') {
    process.stdout.write(`agent ${version} (${commit}, ${target})\n`)
    return EXIT.ok
  }
  const rest = first === 'help' ? [...words.slice(1), '--help'] : words
  const [name] = rest
  if (name === undefined || name === '--help' || name === '-h') return printRootHelp()
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry === undefined) {
    const { unknownCommand } = await import('./commands/arguments.ts')
    throw unknownCommand('agent', name, Object.keys(SHOWN_COMMANDS))
  }
  const command = (await entry.load()).default as CommandDef
  return runCommand(`agent ${name}`, command, rest.slice(1))
}

/** Walks down to the command that is meant, and runs it. */
async function runCommand(path: string, command: CommandDef, words: string[]): Promise<number> {
  const { argsOf, parseCall, resolved, unknownCommand } = await import('./commands/arguments.ts')
  const subCommands = (await resolved(command.subCommands)) ?? {}
  const [name] = words
  if (name !== undefined && Object.hasOwn(subCommands, name)) {
    const sub = (await resolved(subCommands[name])) as CommandDef
    return runCommand(`${path} ${name}`, sub, words.slice(1))
  }
  const end = words.indexOf('--')
  const before = end === -1 ? words : words.slice(0, end)
  if (before.includes('--help') || before.includes('-h') || command.run === undefined) {
    if (name !== undefined && !name.startsWith('-') && command.run === undefined)
      throw unknownCommand(path, name, Object.keys(subCommands))
    const { commandHelp } = await import('./commands/help.ts')
    const { writeOut } = await import('./commands/common.ts')
    await writeOut(await commandHelp(path, command))
    return EXIT.ok
  }
  const call = parseCall(path, await argsOf(command), words)
  await prepareProcess(call.args)
  const { onShutdownAsked, requestReload, requestShutdown } = await import('./commands/common.ts')
  onShutdownAsked(() => listenToSignals(requestShutdown, requestReload))
  const code: unknown = await command.run({ ...call, cmd: command })
  return typeof code === 'number' ? code : EXIT.ok
}

/**
 * What must be known before the command begins. A broken settings file is the command's to report;
 * until then defaults do.
 */
async function prepareProcess(flags: Readonly<Record<string, unknown>>): Promise<void> {
  const { defaultState } = await import('./settings/keys.ts')
  const { loadSettings } = await import('./settings/settings.ts')
  const { setNativeHome } = await import('./platform/native.ts')
  const { setLogLevel } = await import('./platform/log.ts')
  const { state, log } = flags
  try {
    const { settings } = loadSettings({ state, log })
    setNativeHome(settings.state)
    setLogLevel(settings.log)
  } catch {
    setNativeHome(typeof state === 'string' ? state : defaultState(process.env))
  }
}

/**
 * The first signal asks the command to finish; a second Ctrl-C does not wait for it. SIGHUP means
 * "read your settings again" to a service, and to a command that has none to read, or whose
 * terminal is gone, to finish.
 */
function listenToSignals(request: (by: NodeJS.Signals) => void, reload: () => boolean): void {
  let asked = false
  const hear = (signal: NodeJS.Signals) => {
    if (asked && signal === 'SIGINT') process.exit(EXIT.interrupted)
    asked = true
    request(signal)
  }
  process.on('SIGINT', hear)
  process.on('SIGTERM', hear)
  const hasTerminal = process.stdin.isTTY || process.stderr.isTTY
  process.on('SIGHUP', (signal) => {
    if (hasTerminal || !reload()) hear(signal)
  })
}

async function printRootHelp(): Promise<number> {
  const { rootHelp } = await import('./commands/help.ts')
  const order = ['Watch', 'Look', 'Models', 'Fleet', 'Care']
  const groups = new Map<string, { name: string; summary: string }[]>(
    order.map((group) => [group, []]),
  )
  for (const [name, { group, summary }] of Object.entries(SHOWN_COMMANDS)) {
    const listed = groups.get(group) ?? []
    listed.push({ name, summary })
    groups.set(group, listed)
  }
  process.stdout.write(rootHelp(DESCRIPTION, groups))
  return EXIT.ok
}

// --- Errors --------------------------------------------------------------------------------------

function report(error: unknown, asJson: boolean): number {
  const known = error instanceof AgentError ? error : unexpected(error)
  if (asJson) {
    const { code, message, hint } = known
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint } })}\n`)
  } else {
    // File names, and what other programs said, come from outside.
    process.stderr.write(`error: ${safeLines(known.message)}\n`)
    if (known.hint !== undefined) process.stderr.write(`hint: ${safeLines(known.hint)}\n`)
  }
  if (process.env.AGENT_LOG === 'debug' && error instanceof Error)
    process.stderr.write(`${error.stack}\n`)
  return known.exitCode
}

/**
 * A verifier's message has several lines; each after the first is indented, so that none looks like
 * one of ours.
 */
function safeLines(text: string): string {
  return text.split('\n').map(safeName).join('\n  ')
}

function unexpected(error: unknown): AgentError {
  const message = error instanceof Error ? error.message : String(error)
  return new AgentError('ERR_FAILED', `Unexpected: ${message.split('\n')[0]}`, {
    hint: `This is a bug. Please report it with the output of the same command under AGENT_LOG=debug (agent ${version}, ${commit})`,
  })
}

function cannotPrint(error: Error): AgentError {
  return new AgentError('ERR_DISK', `Cannot write stdout: ${error.message}`, {
    hint: 'Free disk space there',
    cause: error,
  })
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}

// --- The process ---------------------------------------------------------------------------------

const words = process.argv.slice(2)
const asJson = words.includes('--json')

// The reader of our data has seen enough (`agent alerts | head -1`): that is no error.
process.stdout.on('error', (error) =>
  process.exit(isClosedPipe(error) ? EXIT.ok : report(cannotPrint(error), asJson)),
)
process.stderr.on('error', () => {})
process.on('uncaughtException', (error) =>
  process.exit(isClosedPipe(error) ? EXIT.ok : report(error, asJson)),
)
process.on('unhandledRejection', (error) =>
  process.exit(isClosedPipe(error) ? EXIT.ok : report(error, asJson)),
)

/**
 * Variables by which a compiled Bun program runs its caller's code. Too late for that code; but
 * whoever runs the agent as root with them should hear that root's rights go to it.
 */
function refuseForeignCode(): void {
  const set = Object.keys(process.env).filter((name) => /^BUN_(OPTIONS|BE_BUN|INSPECT)/.test(name))
  if (process.geteuid?.() !== 0 || set.length === 0) return
  throw new AgentError('ERR_PERMISSION', `Cannot run as root with ${set.join(', ')} set`, {
    hint: 'These variables load other code into the agent: unset them',
  })
}

let code: number
try {
  refuseForeignCode()
  code = await main(words)
} catch (error) {
  if (isClosedPipe(error)) code = EXIT.ok
  else if (error instanceof Error && error.name === 'AbortError') code = EXIT.interrupted
  else code = report(error, asJson)
}
// What is still on its way to a slow reader must arrive before the process ends.
await new Promise<void>((done) => {
  process.stdout.write('', () => done())
})
process.exit(code)
