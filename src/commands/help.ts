/**
 * `--help` at every level: what it does, how it is called, flags, examples. citty's own usage has
 * no examples and asks every sub-command to load first; this one prints in the time that
 * `--version` takes.
 */
import type { ArgDef, ArgsDef, CommandDef } from 'citty'
import { EXIT_CODES } from '../domain/error.ts'
import { kebab } from '../settings/keys.ts'
import { argsOf, resolved } from './arguments.ts'
import { columns, paintFor } from './common.ts'

export interface Listed {
  readonly name: string
  readonly summary: string
}

const EXITS = `Exit codes: ${Object.entries(EXIT_CODES)
  .map(([code, meaning]) => `${code} ${meaning}`)
  .join(', ')
  .replace(/(.{60,90}), /g, '$1,\n')}.\n`

export function rootHelp(
  description: string,
  groups: ReadonlyMap<string, readonly Listed[]>,
): string {
  const paint = paintFor()
  let text = `${description}\n\n${paint.bold('Usage:')} agent COMMAND [FLAGS]\n`
  const width = Math.max(...[...groups.values()].flat().map(({ name }) => name.length))
  for (const [title, commands] of [...groups].filter(([, listed]) => listed.length > 0))
    text += `\n${paint.bold(title)}\n${columns(
      commands.map(({ name, summary }) => [name.padEnd(width), summary]),
      '  ',
    )}`
  text += `\n${paint.bold('Flags')}\n${columns(
    [
      ['--help', 'this help; "agent COMMAND --help" has details'],
      ['--version', 'version, commit and platform'],
    ],
    '  ',
  )}`
  text += `\n${paint.bold('Examples')}\n${columns(
    [
      ['agent demo', 'half a minute of recorded activity, with alerts'],
      ['agent watch', 'watch this host'],
      ['agent doctor', 'check what is missing on this host'],
    ],
    '  ',
  )}`
  return `${text}\n${EXITS}`
}

export async function commandHelp(path: string, command: CommandDef): Promise<string> {
  const paint = paintFor()
  const meta = (await resolved(command.meta)) ?? {}
  const args = await argsOf(command)
  const subCommands = (await resolved(command.subCommands)) ?? {}
  const words = Object.keys(subCommands).length > 0 ? [Object.keys(subCommands).join('|')] : []
  for (const [name, definition] of Object.entries(args))
    if (definition.type === 'positional') words.push(positional(name, definition))
  const flags = Object.entries(args).filter(([, { type }]) => type !== 'positional')
  let text = `${meta.description ?? path}\n\n${paint.bold('Usage:')} ${[path, ...words].join(' ')} [FLAGS]\n`

  if (Object.keys(subCommands).length > 0) {
    const rows: string[][] = []
    for (const [name, sub] of Object.entries(subCommands)) {
      const subMeta = await resolved((await resolved(sub))?.meta)
      rows.push([name, subMeta?.description ?? ''])
    }
    text += `\n${paint.bold('Commands')}\n${columns(rows, '  ')}`
  }
  const positionals = Object.entries(args).filter(([, { type }]) => type === 'positional')
  if (positionals.length > 0)
    text += `\n${paint.bold('Arguments')}\n${columns(
      positionals.map(([name, definition]) => [
        positional(name, definition),
        described(definition),
      ]),
      '  ',
    )}`
  text += `\n${paint.bold('Flags')}\n${columns(
    [
      ...flags.map(([name, definition]) => [flag(name, definition), described(definition)]),
      ['--help', 'this help'],
    ],
    '  ',
  )}`
  const examples = meta.examples ?? []
  if (examples.length > 0)
    text += `\n${paint.bold('Examples')}\n${columns(
      examples.map((example) => example.split(/\s+# /)),
      '  ',
    )}`
  return text
}

function positional(name: string, definition: ArgsDef[string]): string {
  const shown = definition.valueHint ?? name.toUpperCase()
  return definition.required === false || definition.default !== undefined ? `[${shown}]` : shown
}

function flag(name: string, definition: ArgDef): string {
  const aliases = 'alias' in definition ? [definition.alias ?? []].flat() : []
  const short = aliases.filter((alias) => alias.length === 1).map((alias) => `-${alias}, `)
  return `${short.join('')}--${kebab(name)}${value(name, definition)}`
}

function value(name: string, definition: ArgDef): string {
  if (definition.type === 'enum') return ` ${definition.options?.join('|') ?? 'WORD'}`
  if (definition.type !== 'string') return ''
  return ` ${definition.valueHint ?? kebab(name).toUpperCase()}`
}

function described(definition: ArgDef): string {
  const { description = '', default: standard } = definition
  return standard === undefined || standard === false
    ? description
    : `${description} (default ${standard})`
}
