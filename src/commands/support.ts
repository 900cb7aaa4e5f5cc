/**
 * `agent support`: one readable JSON document to put beside the report of a problem. Nothing is
 * sent anywhere.
 */
import { writeFileSync } from 'node:fs'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { supportBundle } from '../operate/support.ts'
import { loadSettings } from '../settings/settings.ts'
import { note, settingArgs, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'support',
    description:
      'Writes findings, settings, counters and log for a problem report; hosts, sites, users and addresses are replaced',
    examples: [
      'agent support --out report.json # check it before you share it',
      'agent support | less',
    ],
  },
  args: {
    out: { type: 'string', description: 'file to write; default: stdout', valueHint: 'FILE' },
    ...settingArgs('state'),
  },
  async run({ args }) {
    const text = `${JSON.stringify(await supportBundle(stateOf(args.state)), null, 2)}\n`
    if (args.out === undefined) {
      await writeOut(text)
      return
    }
    try {
      writeFileSync(args.out, text, { mode: 0o600 })
    } catch (cause) {
      throw new AgentError('ERR_DISK', `Cannot write "${args.out}": ${(cause as Error).message}`, {
        cause,
      })
    }
    note(`Written: ${args.out}. Names of programs are in it; check it before you share it`)
  },
})

/** A settings file that cannot be used must not keep anybody from reporting it. */
function stateOf(flag: string | undefined): string {
  try {
    return loadSettings({ state: flag }).settings.state
  } catch {
    return flag ?? loadSettings({}, {}).settings.state
  }
}
