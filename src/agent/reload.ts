/**
 * Settings read again while the agent runs (SIGHUP). A few take effect at once; for the others the
 * pipeline would have to be built anew, which is what a restart does without losing a second or an
 * alert, so they are named and left as they are.
 *
 * Rules of `agent allow` and severities of `agent policy` need no signal: the agent looks for them.
 */
import { log, setLogLevel } from '../platform/log.ts'
import { fileKeyOf, type SettingName, type Settings } from '../settings/keys.ts'
import type { Agent } from './agent.ts'

const AT_ONCE = ['cpuMax', 'learn', 'log', 'send'] as const satisfies SettingName[]

export interface Reloaded {
  /** Keys of the file whose new values are in force. */
  readonly applied: readonly string[]
  /** Keys whose new values wait for a restart. */
  readonly restart: readonly string[]
}

/** @param used those of the agent's start */
export function reload(agent: Agent, used: Settings, next: Settings): Reloaded {
  const { governor, detector, outputs } = agent.stages
  governor.cpuMax = next.cpuMax
  detector.learnSeconds = next.learn / 1000
  outputs.sendCommandLines = next.send.includes('command-lines')
  setLogLevel(next.log)
  const changed = (Object.keys(next) as SettingName[]).filter(
    (name) => name !== 'brokerPassword' && !Bun.deepEquals(used[name], next[name]),
  )
  const isAtOnce = (name: SettingName) => (AT_ONCE as readonly string[]).includes(name)
  const keys = (names: readonly SettingName[]) => names.map(fileKeyOf).sort()
  return {
    applied: keys(changed.filter(isAtOnce)),
    restart: keys(changed.filter((name) => !isAtOnce(name))),
  }
}

/** What came of it, for the log. */
export function tellReloaded({ applied, restart }: Reloaded): void {
  const list = (keys: readonly string[]) => (keys.length === 0 ? 'none' : keys.join(', '))
  log.info('Settings were read again', { changed: list(applied) })
  if (restart.length > 0)
    log.warn('Some settings take effect at the next restart', { settings: restart.join(', ') })
}
