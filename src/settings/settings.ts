/**
 * Settings and their origins: flag over `AGENT_*` over the settings file over default. The table of
 * keys is in keys.ts.
 *
 * An unknown key is an error that suggests the nearest one: a misspelt setting that is silently
 * ignored is worse than an agent that does not start.
 */
import { existsSync, readFileSync } from 'node:fs'
import { parse as parseToml } from 'smol-toml'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { isRecord } from '../domain/untrusted.ts'
import { requireOwnFile, troubleWithOwner } from '../platform/linux/private-directory.ts'
import {
  type BROKER_SETTINGS,
  type Environment,
  fileKeyOf,
  KEYS,
  type Key,
  kebab,
  type SettingName,
  type Settings,
  settingNames,
  variableOf,
} from './keys.ts'
import { nearest } from './nearest.ts'

export type Origin = 'flag' | 'environment' | 'file' | 'default'

export interface ResolvedSettings {
  readonly settings: Settings
  readonly origins: Readonly<Record<SettingName, Origin>>
  /** The settings file that was read; undefined where there was none. */
  readonly file: string | undefined
}

const OWNED = "Make it yours or root's and writable for the owner alone (chown, chmod go-w)"

export const DEFAULT_FILE = '/etc/callsign/agent.toml'
const PREFIX = 'AGENT_'
/** Variables of ours that are not settings. */
const OTHER_VARIABLES = ['AGENT_CONFIG', 'AGENT_LOG_FORMAT']

/**
 * @param flags by setting name; undefined where not given
 * @throws AgentError ERR_USAGE for a flag, ERR_CONFIG for a variable or the file
 */
export function loadSettings(
  flags: Readonly<Record<string, unknown>> = {},
  env: Environment = process.env,
): ResolvedSettings {
  return resolveSettings(flags, env, (error) => {
    throw error
  })
}

/**
 * Everything that is wrong with the settings, not only the first. @returns them as far as they can
 * be used, too
 */
export function checkSettings(env: Environment = process.env): {
  readonly problems: readonly AgentError[]
  readonly resolved: ResolvedSettings
} {
  const problems: AgentError[] = []
  const resolved = resolveSettings({}, env, (error) => problems.push(error))
  return { problems, resolved }
}

/** @param report receives each problem; if it returns, the default is used */
function resolveSettings(
  flags: Readonly<Record<string, unknown>>,
  env: Environment,
  report: (error: AgentError) => void,
): ResolvedSettings {
  const file = readSettingsFile(env, report)
  const values: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  rejectUnknownVariables(env, report)
  for (const [name, entry] of Object.entries(KEYS) as [SettingName, Key<unknown>][]) {
    const found = find(name, entry, flags, env, file?.values)
    origins[name] = found.origin
    if (found.origin === 'default') values[name] = entry.default(env)
    else
      try {
        values[name] = entry.parse(found.value)
      } catch (cause) {
        values[name] = entry.default(env)
        report(
          new AgentError(
            found.origin === 'flag' ? 'ERR_USAGE' : 'ERR_CONFIG',
            `Cannot use ${found.where}: ${cause instanceof Error ? cause.message : String(cause)}`,
            { hint: `It takes ${entry.hint}: ${entry.describe}` },
          ),
        )
      }
  }
  return {
    settings: values as unknown as Settings,
    origins: origins as Record<SettingName, Origin>,
    file: file?.path,
  }
}

export type BrokerSettings = Pick<
  Settings,
  Exclude<(typeof BROKER_SETTINGS)[number], 'broker'> | 'brokerPassword'
>

export interface BrokerLogin {
  readonly username?: string
  readonly password?: string
  /** Files in PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

/**
 * How to log in at the broker. @throws AgentError ERR_CONFIG where the password file cannot be read
 */
export function brokerLogin(settings: BrokerSettings): BrokerLogin {
  const { brokerUser: username, ca, cert, key } = settings
  const password = settings.brokerPassword ?? passwordIn(settings.brokerPasswordFile)
  return { ...defined({ username, password }), tls: defined({ ca, cert, key }) }
}

function passwordIn(path: string | undefined): string | undefined {
  return path === undefined ? undefined : secretIn(path, "the broker's password")
}

/**
 * The first line of a file. @throws AgentError ERR_CONFIG where it cannot be read, or others may
 * change it
 */
export function secretIn(path: string, what: string): string {
  requireOwnFile(path, `${what} in`)
  try {
    return readFileSync(path, 'utf8').split('\n')[0]!.replace(/\r$/, '')
  } catch (cause) {
    throw new AgentError('ERR_CONFIG', `Cannot read ${what} from "${path}"`, {
      hint: 'The file must exist and be readable by the agent (mode 0600, owner the agent)',
      cause,
    })
  }
}

interface Found {
  readonly origin: Origin
  readonly value?: unknown
  readonly where?: string
}

function find(
  name: SettingName,
  entry: Key<unknown>,
  flags: Readonly<Record<string, unknown>>,
  env: Environment,
  file: ReadonlyMap<string, unknown> | undefined,
): Found {
  const flag = entry.secret ? undefined : flags[name]
  if (flag !== undefined) return { origin: 'flag', value: flag, where: `--${kebab(name)}` }
  const variable = variableOf(name)
  const set = env[variable]
  if (set !== undefined && set !== '') return { origin: 'environment', value: set, where: variable }
  const path = fileKeyOf(name)
  if (file?.has(path)) return { origin: 'file', value: file.get(path), where: `"${path}"` }
  return { origin: 'default' }
}

// --- The file -----------------------------------------------------------------------------------

function readSettingsFile(
  env: Environment,
  report: (error: AgentError) => void,
): { path: string; values: ReadonlyMap<string, unknown> } | undefined {
  const given = env.AGENT_CONFIG
  const path = given || DEFAULT_FILE
  if (!given && !existsSync(path)) return undefined
  const why = existsSync(path) ? troubleWithOwner(path) : undefined
  if (why !== undefined)
    report(
      new AgentError('ERR_CONFIG', `Cannot use settings "${path}": it ${why}`, {
        hint: OWNED,
      }),
    )
  let document: Record<string, unknown>
  try {
    document = parseToml(readFileSync(path, 'utf8'))
  } catch (cause) {
    const [what] = (cause instanceof Error ? cause.message : String(cause)).split('\n')
    report(
      new AgentError('ERR_CONFIG', `Cannot read settings "${path}": ${what}`, {
        hint: 'Correct the file, or point AGENT_CONFIG to another; "agent config show" prints what is in use',
        cause,
      }),
    )
    return undefined
  }
  const values = new Map<string, unknown>()
  for (const [name, value] of Object.entries(document))
    if (isTable(value))
      for (const [inner, v] of Object.entries(value)) values.set(`${name}.${inner}`, v)
    else values.set(name, value)
  const known = settingNames().map(fileKeyOf)
  for (const name of values.keys())
    if (!known.includes(name))
      report(
        new AgentError('ERR_CONFIG', `Cannot use settings "${path}": no setting "${name}"`, {
          hint: nearestHint(name, known),
        }),
      )
  return { path, values }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && !(value instanceof Date)
}

/** Other programs use the prefix, too (build runners do), so only similar names are errors. */
function rejectUnknownVariables(env: Environment, report: (error: AgentError) => void): void {
  const known = [...settingNames().map(variableOf), ...OTHER_VARIABLES]
  const bare = known.map(withoutPrefix)
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || known.includes(name)) continue
    const near = nearest(withoutPrefix(name), bare)
    if (near !== undefined)
      report(
        new AgentError('ERR_CONFIG', `Cannot use the environment: no setting "${name}"`, {
          hint: `Did you mean "${PREFIX}${near}"? "agent config show" lists every setting`,
        }),
      )
  }
}

function withoutPrefix(name: string): string {
  return name.slice(PREFIX.length)
}

function nearestHint(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined
    ? 'Run "agent config show" to see every setting'
    : `Did you mean "${near}"? "agent config show" lists every setting`
}
