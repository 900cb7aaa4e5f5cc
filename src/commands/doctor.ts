/** `agent doctor`: what this host offers, what is missing, and the next step for each. */
import { defineCommand } from 'citty'
import { AgentError, EXIT } from '../domain/error.ts'
import { diagnose, type Finding } from '../operate/diagnosis.ts'
import { BROKER_SETTINGS } from '../settings/keys.ts'
import { loadSettings, type ResolvedSettings } from '../settings/settings.ts'
import { jsonArg, paintFor, safeText, settingArgs, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'doctor',
    description: 'Checks what this host supports and what is missing, with the next step for each',
    examples: [
      'agent doctor # exit 3 if something is wrong',
      'agent doctor --broker mqtts://mq.example:8883 --ca ca.pem # also whether the broker answers',
      'agent doctor --json # one finding per line',
    ],
  },
  args: { ...settingArgs('state', 'source', 'model', ...BROKER_SETTINGS), ...jsonArg },
  async run({ args }) {
    let wrong = 0
    for await (const finding of diagnose(settingsOrError(args))) {
      if (finding.state === 'wrong') wrong += 1
      await (args.json ? writeJson(finding) : writeOut(shown(finding)))
    }
    if (!args.json)
      await writeOut(
        wrong === 0
          ? '\nReady\n'
          : `\n${wrong} ${wrong === 1 ? 'problem' : 'problems'} must be fixed before the agent can run\n`,
      )
    return wrong === 0 ? EXIT.ok : EXIT.degraded
  },
})

function settingsOrError(flags: Readonly<Record<string, unknown>>): ResolvedSettings | AgentError {
  try {
    return loadSettings(flags)
  } catch (error) {
    if (error instanceof AgentError && error.code === 'ERR_CONFIG') return error
    throw error
  }
}

function shown({ check, state, found, next }: Finding): string {
  const paint = paintFor()
  const mark = { ok: paint.green('ok   '), optional: paint.dim('note '), wrong: paint.red('wrong') }
  const lines = [`${mark[state]}  ${check.padEnd(13)} ${safeText(found)}`]
  if (next !== undefined) lines.push(`${' '.repeat(21)}→ ${next}`)
  return `${lines.join('\n')}\n`
}
