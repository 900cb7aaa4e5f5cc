/**
 * What a report of a problem needs: findings, settings, the saved ledger and the service's last log
 * lines, redacted.
 */
import { readFileSync } from 'node:fs'
import { hostname, release, totalmem, userInfo } from 'node:os'
import { commit, target, version } from '../platform/embedded.ts'
import { findProgram, runCommand } from '../platform/linux/child.ts'
import { fileKeyOf, KEYS, type SettingName, settingNames } from '../settings/keys.ts'
import { checkSettings } from '../settings/settings.ts'
import { diagnose } from './diagnosis.ts'
import { Redactor } from './redact.ts'
import { readSavedStatus } from './saved-status.ts'

const LOG_LINES = 200
const LOG_MS = 10_000

export async function supportBundle(state: string): Promise<unknown> {
  const { problems, resolved } = checkSettings()
  const { settings, origins } = resolved
  const findings: unknown[] = []
  for await (const finding of diagnose({ ...resolved, settings: { ...settings, state } }))
    findings.push(finding)
  const redactor = new Redactor({
    host: [hostname(), hostname().split('.')[0], settings.host],
    site: [settings.site === 'default' ? undefined : settings.site],
    user: [userName(), process.env.SUDO_USER, settings.brokerUser],
  })
  return redactor.value({
    v: 1,
    agent: { version, commit, target },
    system: {
      kernel: release(),
      distribution: distribution(),
      memoryMiB: Math.round(totalmem() / 1_048_576),
    },
    problems: problems.map(({ code, message }) => ({ code, message })),
    settings: Object.fromEntries(
      settingNames()
        .filter((name) => origins[name] !== 'default')
        .map((name) => [fileKeyOf(name), shown(name, settings[name])]),
    ),
    findings,
    status: savedStatus(state),
    log: await serviceLog(),
  })
}

function shown(name: SettingName, value: unknown): unknown {
  return 'secret' in KEYS[name] ? '(set, not shown)' : value
}

/** Samples of refused input are parts of files and lines that may hold anything. */
function savedStatus(state: string): unknown {
  try {
    const saved = readSavedStatus(state, Date.now())
    if (saved === undefined) return null
    const { samples: _, ...status } = saved.status
    return { ...saved, status }
  } catch (error) {
    return { error: String(error) }
  }
}

async function serviceLog(): Promise<string[]> {
  const journalctl = findProgram('journalctl')
  if (journalctl === undefined) return []
  const { stdout } = await runCommand(
    [
      journalctl,
      '--unit=callsign',
      `--lines=${LOG_LINES}`,
      '--output=short-iso',
      '--no-hostname',
      '--quiet',
    ],
    LOG_MS,
  )
  return stdout.split('\n').filter((line) => line !== '')
}

function distribution(): string | undefined {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** root is everybody's. */
function userName(): string | undefined {
  try {
    const { username } = userInfo()
    return username === 'root' ? undefined : username
  } catch {
    return undefined
  }
}
