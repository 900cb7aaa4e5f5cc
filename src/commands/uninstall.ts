/**
 * `agent uninstall`: removes what install.sh put here: this binary, its record, and the service
 * that runs it. With `--purge` also the state. What it did not install it does not touch, and it
 * stops nothing else.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { compiled } from '../platform/embedded.ts'
import { runCommand } from '../platform/linux/child.ts'
import { loadSettings } from '../settings/settings.ts'
import { note, settingArgs } from './common.ts'

const UNIT = '/etc/systemd/system/callsign.service'
/** Longer than the unit's own TimeoutStopSec. */
const SYSTEMCTL_MS = 40_000
const UNIT_MARK = '# Installed by install.sh of Callsign'

export default defineCommand({
  meta: {
    name: 'uninstall',
    description:
      'Removes this agent from the host: the binary, its service, and with --purge its state',
    examples: [
      'agent uninstall --dry-run # prints what would be removed',
      'agent uninstall --purge',
    ],
  },
  args: {
    ...settingArgs('state'),
    purge: {
      type: 'boolean',
      description: 'also remove the state: buffer, outbox, baseline',
    },
    dryRun: { type: 'boolean', description: 'print what would be removed' },
  },
  async run({ args }) {
    const binary = process.execPath
    const record = join(dirname(dirname(binary)), 'share/callsign/installed')
    if (!compiled || !existsSync(record))
      throw new AgentError(
        'ERR_USAGE',
        `Cannot uninstall "${binary}": it was not installed by install.sh`,
        {
          hint: 'Remove the file manually',
        },
      )
    const unit = isOurUnit(binary) ? [UNIT] : []
    const directory = loadSettings(args).settings.state
    const state = args.purge ? stateOf(directory) : []
    const all = [...unit, binary, record, ...state]
    if (args.dryRun) {
      note(`Would remove: ${all.join(' ')}`)
      return
    }
    if (unit.length > 0) await systemctl('disable', '--now', '--quiet', 'callsign.service')
    try {
      for (const path of all) rmSync(path, { recursive: state.includes(path), force: true })
    } catch (cause) {
      throw new AgentError(
        'ERR_PERMISSION',
        `Cannot remove everything: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          hint: 'Run this as the user that installed it',
          cause,
        },
      )
    }
    removeIfEmpty(dirname(record))
    if (state.length > 0) removeIfEmpty(directory)
    if (unit.length > 0) await systemctl('daemon-reload')
    note(`Removed: ${all.join(' ')}`)
  },
})

async function systemctl(...words: string[]): Promise<void> {
  const { code, stderr } = await runCommand(['systemctl', ...words], SYSTEMCTL_MS)
  if (code !== 0) note(`systemctl ${words[0]}: ${stderr.trim() || `exit ${code}`}`)
}

function isOurUnit(binary: string): boolean {
  if (!existsSync(UNIT)) return false
  const text = readFileSync(UNIT, 'utf8')
  return text.startsWith(UNIT_MARK) && text.includes(`ExecStart=${binary} watch`)
}

/** What agents keep in their state, by name: a mistyped --state must not cost somebody his home. */
function stateOf(directory: string): string[] {
  if (!existsSync(directory)) return []
  const ours = /^((lock|frames|outbox|local|aggregate)\.db.*|lib|models|chisels)$/
  return readdirSync(directory)
    .filter((name) => ours.test(name))
    .map((name) => join(directory, name))
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // Something else lies there: it stays.
  }
}
