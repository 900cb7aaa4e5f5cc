/**
 * `agent config show`: every setting, its value, and where the value came from. `check`: whether
 * all can be used.
 */

import { accessSync, constants } from 'node:fs'
import { defineCommand } from 'citty'
import { AgentError, EXIT } from '../domain/error.ts'
import { openModelInUse } from '../operate/models.ts'
import {
  fileKeyOf,
  flagNames,
  KEYS,
  type SettingName,
  type Settings,
  settingNames,
  variableOf,
} from '../settings/keys.ts'
import { checkSettings, loadSettings } from '../settings/settings.ts'
import { columns, jsonArg, note, safeText, settingArgs, writeJson, writeOut } from './common.ts'

const show = defineCommand({
  meta: {
    name: 'show',
    description: 'Prints every setting with its value and its origin',
    examples: [
      'agent config show',
      'AGENT_SITE=lab agent config show --json # one object per setting',
    ],
  },
  args: { ...settingArgs(...flagNames()), ...jsonArg },
  async run({ args }) {
    const { settings, origins, file } = loadSettings(args)
    const shown = (name: SettingName) =>
      'secret' in KEYS[name] && settings[name] !== undefined
        ? '(set, not shown)'
        : withoutPassword(settings[name])
    if (args.json) {
      for (const name of settingNames())
        await writeJson({
          name: fileKeyOf(name),
          value: shown(name) ?? null,
          origin: origins[name],
          variable: variableOf(name),
        })
      return
    }
    note(file === undefined ? 'No settings file' : `Settings file: ${file}`)
    await writeOut(
      columns(
        settingNames().map((name) => [
          fileKeyOf(name),
          KEYS[name].hint === 'TIME' ? durationText(settings[name]) : String(shown(name) ?? '-'),
          origins[name],
        ]),
      ),
    )
  },
})

/** The address of a database may hold one. */
function withoutPassword<T>(value: T): T | string {
  return typeof value === 'string' ? value.replace(/^(\w+:\/\/[^:@/]*):[^@]*@/, '$1:…@') : value
}

/** Settings that name a file which must be readable. */
const FILES = ['ca', 'cert', 'key', 'brokerPasswordFile'] as const

const check = defineCommand({
  meta: {
    name: 'check',
    description: 'Checks all settings and lists every problem; starts nothing',
    examples: [
      'agent config check # exit 5 if something is wrong',
      'agent config check ./agent.toml # before it is put in place',
    ],
  },
  args: {
    file: {
      type: 'positional',
      description: 'settings file; default: the one in use',
      valueHint: 'FILE',
      required: false,
    },
    ...jsonArg,
  },
  async run({ args }) {
    const env = args.file === undefined ? process.env : { ...process.env, AGENT_CONFIG: args.file }
    const { problems: wrong, resolved } = checkSettings(env)
    const problems = [
      ...wrong,
      ...unreadable(resolved.settings),
      ...(await modelTrouble(resolved.settings)),
    ]
    if (args.json) {
      for (const { code, message, hint } of problems)
        await writeJson({ code, message, hint: hint ?? null })
    } else {
      for (const { message, hint } of problems)
        await writeOut(`${safeText(message)}\n${hint === undefined ? '' : `  ${safeText(hint)}\n`}`)
      const where =
        resolved.file === undefined
          ? 'No settings file'
          : `Settings file: ${safeText(resolved.file)}`
      note(
        `${where}; ${problems.length === 0 ? 'all settings can be used' : `${problems.length} problems`}`,
      )
    }
    return problems.length === 0 ? EXIT.ok : problems[0]!.exitCode
  },
})

function unreadable(settings: Settings): AgentError[] {
  return FILES.flatMap((name) => {
    const path = settings[name]
    if (path === undefined) return []
    try {
      accessSync(path, constants.R_OK)
      return []
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? String(cause)
      return [
        new AgentError(
          'ERR_CONFIG',
          `Cannot use ${fileKeyOf(name)}: "${path}" cannot be read (${code})`,
          {
            hint: 'Check the path, and that the user of the agent may read it',
          },
        ),
      ]
    }
  })
}

async function modelTrouble({ model, state }: Settings): Promise<AgentError[]> {
  if (model === undefined) return []
  try {
    const opened = await openModelInUse(model, state)
    await opened.close()
    return []
  } catch (error) {
    if (error instanceof AgentError) return [error]
    throw error
  }
}

export default defineCommand({
  meta: {
    name: 'config',
    description:
      'Shows the settings in use: flag over AGENT_* over /etc/callsign/agent.toml over default',
    examples: ['agent config show', 'agent config check'],
  },
  subCommands: { show, check },
})

/** As one would write it: the largest unit that divides it. */
function durationText(value: unknown): string {
  const ms = Number(value)
  const units = { h: 36e5, m: 6e4, s: 1e3 }
  for (const [unit, length] of Object.entries(units))
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}
