/**
 * Settings and their origins: flag over `AGENT_*` over the settings file over default. One table
 * defines every key; its name gives the flag (`--false-alarms-per-day`), the variable
 * (`AGENT_FALSE_ALARMS_PER_DAY`) and the key of the file (`false_alarms_per_day`). Keys of the
 * aggregator are in the file's `[aggregate]` table.
 *
 * An unknown key is an error that suggests the nearest one: a misspelt setting that is silently
 * ignored is worse than an agent that does not start. Secrets have no flag (command lines are
 * visible on a host): they come from a file or from the environment.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { FLEET_SUBJECTS, type FleetSubject } from '../domain/fleet-state.ts'
import { safeName } from '../domain/process.ts'
import { isRecord } from '../domain/untrusted.ts'
import { requireOwnFile, troubleWithOwner } from '../platform/linux/private-directory.ts'
import { nearest } from './nearest.ts'
import {
  between,
  brokerUrl,
  durationMs,
  listOf,
  loopbackAddress,
  mailAddresses,
  oneOf,
  promFile,
  publicKeys,
  text,
  topicLevel,
  webUrl,
} from './values.ts'

export type Origin = 'flag' | 'environment' | 'file' | 'default'
export type Environment = Readonly<Record<string, string | undefined>>

interface Key<T> {
  readonly describe: string
  /** How the value is written in help. */
  readonly hint: string
  /** @throws Error with what is wrong with the value. */
  readonly parse: (value: unknown) => T
  readonly default: (env: Environment) => T
  readonly table?: 'aggregate'
  /** Never a flag, never shown. */
  readonly secret?: true
}

const key = <T>(key: Key<T>): Key<T> => key

export const KEYS = {
  state: key({
    describe: 'state directory: buffer, outbox, ledger, baseline',
    hint: 'DIR',
    parse: text,
    default: defaultState,
  }),
  model: key<string | undefined>({
    describe:
      'model directory; default: the one selected by "agent model use", else the shipped model',
    hint: 'DIR',
    parse: text,
    default: () => undefined,
  }),
  source: key({
    describe: 'auto, sysdig, kernel, bpftrace, - (a pipe) or a file',
    hint: 'S',
    parse: text,
    default: () => 'auto',
  }),
  format: key<string | undefined>({
    describe: 'the -p string of sysdig, if its lines are not in a known format',
    hint: 'STRING',
    parse: text,
    default: () => undefined,
  }),
  sysdigMode: key({
    describe: 'how sysdig is run: chisel (it counts) or lines (one line per call)',
    hint: 'MODE',
    parse: oneOf('chisel', 'lines'),
    default: () => 'chisel' as const,
  }),
  site: key({
    describe: 'name of the site in topics',
    hint: 'S',
    parse: topicLevel,
    default: () => 'default',
  }),
  host: key({
    describe: 'name of this host in topics and alerts',
    hint: 'H',
    parse: topicLevel,
    default: () =>
      safeName(hostname())
        .replace(/[/+#\s?]/g, '-')
        .slice(0, 128) || 'localhost',
  }),
  falseAlarmsPerDay: key({
    describe: 'false alarms per day that you accept for this host',
    hint: 'N',
    parse: between(0.001, 10_000),
    default: () => 1,
  }),
  cpuMax: key({
    describe:
      'percent of a core above which the agent classifies less often; counting is not throttled; 0: no limit',
    hint: 'PERCENT',
    parse: between(0, 100_000),
    default: () => 5,
  }),
  adapt: key({
    describe: "whether the agent learns this host's own programs by itself: auto or off",
    hint: 'WHEN',
    parse: oneOf('auto', 'off'),
    default: () => 'auto' as const,
  }),
  learn: key({
    describe: 'how long new programs are learned without an alert (30s, 10m, 24h)',
    hint: 'TIME',
    parse: durationMs,
    default: () => 86_400_000,
  }),
  broker: key<string | undefined>({
    describe: 'mqtt://HOST[:PORT] or mqtts://…; without it alerts stay on this host',
    hint: 'URL',
    parse: brokerUrl,
    default: () => undefined,
  }),
  brokerUser: key<string | undefined>({
    describe: 'user name for the broker',
    hint: 'NAME',
    parse: text,
    default: () => undefined,
  }),
  brokerPasswordFile: key<string | undefined>({
    describe: 'file whose first line is the password for the broker',
    hint: 'FILE',
    parse: text,
    default: (env) => credential(env, 'callsign.broker-password'),
  }),
  brokerPassword: key<string | undefined>({
    describe: 'the password itself, from the environment only',
    hint: '',
    parse: text,
    default: () => undefined,
    secret: true,
  }),
  ca: key<string | undefined>({
    describe: 'CA certificates for the broker (PEM)',
    hint: 'FILE',
    parse: text,
    default: () => undefined,
  }),
  cert: key<string | undefined>({
    describe: 'certificate of this host (PEM)',
    hint: 'FILE',
    parse: text,
    default: () => undefined,
  }),
  key: key<string | undefined>({
    describe: 'key of that certificate (PEM)',
    hint: 'FILE',
    parse: text,
    default: (env) => credential(env, 'callsign.tls-key'),
  }),
  delivery: key({
    describe:
      "what counts as delivered: the aggregator's receipt, the broker's PUBACK, or auto; file: without a broker, messages are kept for agent export",
    hint: 'auto|receipt|broker|file',
    parse: oneOf('auto', 'receipt', 'broker', 'file'),
    default: () => 'auto' as const,
  }),
  homeAssistant: key<string | undefined>({
    describe:
      'announces this host to Home Assistant below this topic (its default: homeassistant), by the same broker',
    hint: 'PREFIX',
    parse: topicLevel,
    default: () => undefined,
  }),
  aggregatorKey: key<readonly string[]>({
    describe:
      'public keys of aggregators whose receipts count; default: the first one that is seen',
    hint: 'KEY,…',
    parse: publicKeys,
    default: () => [],
  }),
  acceptFleet: key<readonly FleetSubject[]>({
    describe:
      'documents of the fleet that this host takes from its aggregator: policy; default: none',
    hint: 'policy',
    parse: listOf(...FLEET_SUBJECTS),
    default: () => [],
  }),
  alertFile: key<string | undefined>({
    describe: 'alerts as JSON lines in this file, rotated at 16 MiB, five files at most',
    hint: 'FILE',
    parse: text,
    default: () => undefined,
  }),
  alertFormat: key({
    describe: 'what a line of the alert file is: the message as on the wire, ECS 9.4 or OCSF 1.8',
    hint: 'json|ecs|ocsf',
    parse: oneOf('json', 'ecs', 'ocsf'),
    default: () => 'json' as const,
  }),
  syslog: key<string | undefined>({
    describe: 'alerts to a syslog server: udp://HOST[:PORT], tcp://… or tls://…',
    hint: 'URL',
    parse: text,
    default: () => undefined,
  }),
  webhook: key<string | undefined>({
    describe: 'confirmed incidents to this address, one POST each, resolved when over',
    hint: 'URL',
    parse: webUrl,
    default: () => undefined,
  }),
  webhookTemplate: key({
    describe: 'what the webhook receives',
    hint: 'json|slack|ntfy|alertmanager|pagerduty|otlp|ecs|ocsf',
    parse: oneOf('json', 'slack', 'ntfy', 'alertmanager', 'pagerduty', 'otlp', 'ecs', 'ocsf'),
    default: () => 'json' as const,
  }),
  webhookSecretFile: key<string | undefined>({
    describe: 'file whose first line signs the requests (of PagerDuty the routing key)',
    hint: 'FILE',
    parse: text,
    default: (env) => credential(env, 'callsign.webhook-secret'),
  }),
  mailTo: key<readonly string[]>({
    describe:
      'confirmed incidents to these addresses, one message each, through the mail server of this host',
    hint: 'ADDRESS,…',
    parse: mailAddresses,
    default: () => [],
  }),
  mailServer: key({
    describe: 'where the mail server of this host listens',
    hint: 'HOST:PORT',
    parse: loopbackAddress,
    default: () => '127.0.0.1:25',
  }),
  metrics: key<string | undefined>({
    describe: 'serves Prometheus metrics of this agent at http://HOST:PORT/metrics; loopback only',
    hint: 'HOST:PORT',
    parse: loopbackAddress,
    default: () => undefined,
  }),
  metricsFile: key<string | undefined>({
    describe:
      "writes the same metrics to this file every 15 s, for node_exporter's textfile collector (its name must end in .prom)",
    hint: 'FILE',
    parse: promFile,
    default: () => undefined,
  }),
  send: key({
    describe:
      'what else may leave this host: command-lines (of processes in alerts; secrets masked), or vectors (counts of all processes, for an aggregator that classifies them instead of this agent)',
    hint: 'WHAT',
    parse: listOf('command-lines', 'vectors'),
    default: () => [] as readonly ('command-lines' | 'vectors')[],
  }),
  log: key({
    describe: 'minimum level of log messages on stderr',
    hint: 'LEVEL',
    parse: oneOf('debug', 'info', 'warn', 'error'),
    default: () => 'info' as const,
  }),
  listen: key({
    describe: 'address of the embedded broker',
    hint: 'HOST:PORT',
    parse: text,
    default: () => '127.0.0.1:1883',
    table: 'aggregate',
  }),
  http: key({
    describe: 'address of the page, the API and the metrics',
    hint: 'HOST:PORT',
    parse: text,
    default: () => '127.0.0.1:8470',
    table: 'aggregate',
  }),
  store: key<string | undefined>({
    describe: 'SQLite file or postgres:// address; default: aggregate.db in the state directory',
    hint: 'FILE|URL',
    parse: text,
    default: () => undefined,
    table: 'aggregate',
  }),
} as const satisfies Record<string, Key<unknown>>

/** The settings that reach a broker. */
export const BROKER_SETTINGS = [
  'broker',
  'brokerUser',
  'brokerPasswordFile',
  'ca',
  'cert',
  'key',
] as const satisfies SettingName[]
/** Where alerts go beside the local store and the broker. */
export const OUTPUT_SETTINGS = [
  'alertFile',
  'alertFormat',
  'syslog',
  'webhook',
  'webhookTemplate',
  'webhookSecretFile',
  'mailTo',
  'mailServer',
] as const satisfies SettingName[]
/** What a watching agent tells about itself. */
export const METRICS_SETTINGS = ['metrics', 'metricsFile'] as const satisfies SettingName[]
/**
 * Those of a whole pipeline, live or replayed: flags of `watch` and `replay`, and all that the
 * pipeline gets.
 */
export const PIPELINE_SETTINGS = [
  'format',
  'model',
  'state',
  'site',
  'host',
  'falseAlarmsPerDay',
  'learn',
  'delivery',
  'aggregatorKey',
  'acceptFleet',
  'send',
  ...BROKER_SETTINGS,
] as const satisfies SettingName[]

export type SettingName = keyof typeof KEYS
export type Settings = { readonly [K in SettingName]: ReturnType<(typeof KEYS)[K]['parse']> } & {
  readonly [K in OptionalName]: ReturnType<(typeof KEYS)[K]['parse']> | undefined
}
type OptionalName = {
  [K in SettingName]: undefined extends ReturnType<(typeof KEYS)[K]['default']> ? K : never
}[SettingName]

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

// --- Names --------------------------------------------------------------------------------------

export function settingNames(): SettingName[] {
  return Object.keys(KEYS) as SettingName[]
}

/** Those that may stand on a command line. */
export function flagNames(): SettingName[] {
  return settingNames().filter((name) => !('secret' in KEYS[name]))
}

export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

export function variableOf(name: SettingName): string {
  const entry: Key<unknown> = KEYS[name]
  const prefix = entry.table === undefined ? 'AGENT_' : `AGENT_${entry.table.toUpperCase()}_`
  return prefix + kebab(name).replaceAll('-', '_').toUpperCase()
}

/** As written in the file: `false_alarms_per_day`, `aggregate.listen`. */
export function fileKeyOf(name: SettingName): string {
  const entry: Key<unknown> = KEYS[name]
  const snake = kebab(name).replaceAll('-', '_')
  return entry.table === undefined ? snake : `${entry.table}.${snake}`
}

function nearestHint(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined
    ? 'Run "agent config show" to see every setting'
    : `Did you mean "${near}"? "agent config show" lists every setting`
}

/** A secret that the service manager hands over [systemd.exec(5), LoadCredential]. */
function credential(env: Environment, name: string): string | undefined {
  const path = join(env.CREDENTIALS_DIRECTORY ?? '', name)
  return env.CREDENTIALS_DIRECTORY !== undefined && existsSync(path) ? path : undefined
}

/** The default state directory: the system's for root, else the user's. */
export function defaultState(env: Environment): string {
  // What the service manager made for us [systemd.exec(5), StateDirectory]; the first of several.
  const [made = ''] = (env.STATE_DIRECTORY ?? '').split(':')
  if (made !== '') return made
  if (process.geteuid?.() === 0) return '/var/lib/callsign'
  return join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'callsign')
}
