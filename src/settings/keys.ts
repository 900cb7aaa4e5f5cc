/**
 * Every setting, in one table: what it is, how its value is read, its default. Its name gives the
 * flag (`--false-alarms-per-day`), the variable (`AGENT_FALSE_ALARMS_PER_DAY`) and the key of the
 * file (`false_alarms_per_day`). Keys of the aggregator are in the file's `[aggregate]` table.
 *
 * Secrets have no flag (command lines are visible on a host): they come from a file or from the
 * environment.
 */
import { existsSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { FLEET_WORDS, type FleetWord } from '../domain/fleet-state.ts'
import { safeName } from '../domain/process.ts'
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

export type Environment = Readonly<Record<string, string | undefined>>

export interface Key<T> {
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
  acceptFleet: key<readonly FleetWord[]>({
    describe:
      'what this host takes from its aggregator: policy, model ("agent model push"), windows (gives those of its alerts to "agent fetch-windows"); default: none',
    hint: 'policy,model,windows',
    parse: listOf(...FLEET_WORDS),
    default: () => [],
  }),
  modelKey: key<string | undefined>({
    describe:
      'Ed25519 public key (PEM): models of the fleet must be signed with it ("agent model sign"); default: the signature of the aggregator is enough',
    hint: 'FILE',
    parse: text,
    default: () => undefined,
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
