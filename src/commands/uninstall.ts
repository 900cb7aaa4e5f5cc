/**
 * `agent uninstall`: removes what install.sh put here: this binary, its record, and the service of
 * systemd or OpenRC that runs it. With `--purge` also the state and the service's user. What it did
 * not install it does not touch, and it stops nothing else.
 */
import { existsSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import { installRecord, packageCommands, stateFiles } from '../operate/installation.ts'
import { compiled } from '../platform/embedded.ts'
import { runCommand } from '../platform/linux/child.ts'
import { cacheHome } from '../platform/linux/private-directory.ts'
import { loadSettings } from '../settings/settings.ts'
import { note, settingArgs } from './common.ts'

interface Service {
  readonly file: string
  /** Its line that runs a binary. */
  readonly starts: (binary: string) => string
  /** What stops it before its file goes, and what is said afterwards. */
  readonly before: readonly (readonly string[])[]
  readonly after: readonly (readonly string[])[]
}

const SERVICES: readonly Service[] = [
  {
    file: '/etc/systemd/system/callsign.service',
    starts: (binary) => `ExecStart=${binary} watch`,
    before: [['systemctl', 'disable', '--now', '--quiet', 'callsign.service']],
    after: [['systemctl', 'daemon-reload']],
  },
  {
    file: '/etc/init.d/callsign',
    starts: (binary) => `command=${binary}`,
    before: [
      ['rc-service', 'callsign', 'stop'],
      ['rc-update', '--quiet', '--all', 'delete', 'callsign'],
    ],
    after: [],
  },
]
const PACKAGED_UNITS = [
  '/usr/lib/systemd/system/callsign.service',
  '/lib/systemd/system/callsign.service',
]
const SERVICE_STATE = '/var/lib/callsign'
/** Longer than the unit's own TimeoutStopSec. */
const SERVICE_MS = 40_000
const MARK = '# Installed by install.sh of Callsign'

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
    const record = installRecord(binary)
    if (!compiled || !existsSync(record)) throw notOurs(binary)
    const services = SERVICES.filter((service) => isOurs(service, binary))
    const directory = loadSettings(args).settings.state
    const other = otherService(binary)
    const shares = other !== undefined && resolve(directory) === SERVICE_STATE
    if (args.purge && shares)
      note(`The service of ${other} uses ${directory} and its user: they stay`)
    const purge = args.purge && !shares
    const state = purge ? [...stateFiles(directory), ...cacheOf()] : []
    const all = [...services.map(({ file }) => file), binary, record, ...state]
    if (args.dryRun) {
      note(`Would remove: ${all.join(' ')}`)
      return
    }
    for (const { before } of services) for (const words of before) await run(words)
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
    for (const { after } of services) for (const words of after) await run(words)
    if (purge && other === undefined && services.length > 0) await run(['userdel', 'callsign'])
    note(`Removed: ${all.join(' ')}`)
  },
})

function notOurs(binary: string): AgentError {
  const packaged = compiled ? packageCommands(binary) : undefined
  const why = packaged === undefined ? 'was not installed by install.sh' : 'belongs to a package'
  return new AgentError('ERR_USAGE', `Cannot uninstall "${binary}": it ${why}`, {
    hint:
      packaged === undefined ? 'Remove the file manually' : `Use its manager: ${packaged.remove}`,
  })
}

async function run(words: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(words, SERVICE_MS)
  if (code !== 0) note(`${words.join(' ')}: ${stderr.trim() || `exit ${code}`}`)
}

/** Set up by install.sh for this very binary. */
function isOurs({ file, starts }: Service, binary: string): boolean {
  if (!existsSync(file)) return false
  const text = readFileSync(file, 'utf8')
  return text.includes(MARK) && text.includes(starts(binary))
}

/** The file of a service that runs another binary, with the same state and user. */
function otherService(binary: string): string | undefined {
  const ours = SERVICES.filter((service) => isOurs(service, binary)).map(({ file }) => file)
  const files = [...SERVICES.map(({ file }) => file), ...PACKAGED_UNITS]
  // A unit that is masked is a link to /dev/null.
  return files.find((file) => !ours.includes(file) && isFile(file))
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Libraries that were unpacked for commands which may not use the state directory. */
function cacheOf(): string[] {
  const cache = join(cacheHome(), 'callsign')
  return existsSync(cache) ? [cache] : []
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // Something else lies there: it stays.
  }
}
