/** `agent config show`: every setting, its value, and where the value came from. */
import { defineCommand } from 'citty'
import {
  fileKeyOf,
  flagNames,
  KEYS,
  loadSettings,
  type SettingName,
  settingNames,
  variableOf,
} from '../settings/settings.ts'
import { columns, jsonArg, note, settingArgs, writeJson, writeOut } from './common.ts'

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
      'secret' in KEYS[name] && settings[name] !== undefined ? '(set, not shown)' : settings[name]
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

export default defineCommand({
  meta: {
    name: 'config',
    description:
      'Shows the settings in use: flag over AGENT_* over /etc/callsign/agent.toml over default',
    examples: ['agent config show'],
  },
  subCommands: { show },
})

/** As one would write it: the largest unit that divides it. */
function durationText(value: unknown): string {
  const ms = Number(value)
  const units = { h: 36e5, m: 6e4, s: 1e3 }
  for (const [unit, length] of Object.entries(units))
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}
