/**
 * From words to a command and its arguments, strictly. citty parses leniently: an unknown flag, a
 * missing value and surplus words pass in silence. For an agent that watches a host, `--brokr`
 * silently ignored means alerts that are not delivered, so each is an error (exit code 2) that
 * suggests the nearest name.
 */
import { type ArgsDef, type CommandDef, parseArgs } from 'citty'
import { AgentError } from '../domain/error.ts'
import { kebab } from '../settings/keys.ts'
import { nearest } from '../settings/nearest.ts'

export interface ParsedCall {
  readonly rawArgs: string[]
  readonly args: ReturnType<typeof parseArgs>
}

/** @throws AgentError ERR_USAGE */
export function parseCall(path: string, args: ArgsDef, rawArgs: string[]): ParsedCall {
  const positionals = checkFlags(path, args, rawArgs)
  checkPositionals(path, args, positionals)
  try {
    return { rawArgs, args: parseArgs(rawArgs, args) }
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause)
    throw usage(path, Bun.stripANSI(words).replace(/\.$/, ''), cause)
  }
}

function checkFlags(path: string, args: ArgsDef, rawArgs: readonly string[]): string[] {
  const flags = flagsOf(args)
  const positionals: string[] = []
  for (let i = 0; i < rawArgs.length; i++) {
    const arg = rawArgs[i]!
    if (arg === '--') return [...positionals, ...rawArgs.slice(i + 1)]
    if (!arg.startsWith('-') || arg === '-') {
      positionals.push(arg)
      continue
    }
    const [name, ...rest] = arg.split('=')
    const type = flags.get(name!)
    if (type === undefined) throw unknownFlag(path, name!, [...flags.keys()])
    if (type === 'boolean') {
      if (rest.length > 0 && !/^(true|false)$/.test(rest.join('=')))
        throw usage(path, `${name} takes no value`)
    } else if (rest.length === 0) {
      const value = rawArgs[++i]
      if (value === undefined || value.startsWith('--')) throw usage(path, `${name} needs a value`)
    } else if (rest.join('=') === '') throw usage(path, `${name} needs a value`)
  }
  return positionals
}

/** Every spelling of a flag → its type. */
function flagsOf(args: ArgsDef): Map<string, 'boolean' | 'value'> {
  const flags = new Map<string, 'boolean' | 'value'>()
  for (const [name, definition] of Object.entries(args)) {
    if (definition.type === 'positional') continue
    const type = definition.type === 'string' || definition.type === 'enum' ? 'value' : 'boolean'
    flags.set(`--${kebab(name)}`, type)
    const aliases = 'alias' in definition ? [definition.alias ?? []].flat() : []
    for (const alias of aliases) flags.set(alias.length === 1 ? `-${alias}` : `--${alias}`, type)
    if (type === 'boolean') flags.set(`--no-${kebab(name)}`, type)
  }
  return flags
}

function checkPositionals(path: string, args: ArgsDef, given: readonly string[]): void {
  const declared = Object.values(args).filter(({ type }) => type === 'positional')
  if (takesMany(args)) return
  const surplus = given[declared.length]
  if (surplus !== undefined) throw usage(path, `Unexpected argument "${surplus}"`)
}

/**
 * Whether a positional argument (`FILE…`) or a flag (`--train FRAMES…`) takes any number of values;
 * a list in one value (`KEY,…`) does not.
 */
export function takesMany(args: ArgsDef): boolean {
  return Object.values(args).some(({ valueHint = '' }) => /^[A-Z]+…$/.test(valueHint))
}

export function unknownCommand(path: string, name: string, known: readonly string[]): AgentError {
  const near = nearest(name, known)
  const hint = near === undefined ? `Run "${path} --help"` : `Did you mean "${path} ${near}"?`
  return new AgentError('ERR_USAGE', `Unknown command "${path} ${name}"`, { hint })
}

function unknownFlag(path: string, name: string, known: readonly string[]): AgentError {
  const near = nearest(name, known)
  const hint = near === undefined ? `Run "${path} --help"` : `Did you mean "${near}"?`
  return new AgentError('ERR_USAGE', `Unknown flag "${name}" for "${path}"`, { hint })
}

function usage(path: string, message: string, cause?: unknown): AgentError {
  return new AgentError('ERR_USAGE', message, { hint: `Run "${path} --help"`, cause })
}

/** citty lets each part of a definition be a value, a promise or a function of either. */
export async function resolved<T>(
  part: T | Promise<T> | (() => T) | (() => Promise<T>) | undefined,
): Promise<T | undefined> {
  return typeof part === 'function' ? await (part as () => T | Promise<T>)() : await part
}

export async function argsOf(command: CommandDef): Promise<ArgsDef> {
  return (await resolved(command.args)) ?? {}
}
