/**
 * The aggregator's sandbox: it takes bytes from the network, so it gives up what it does not need
 * before it takes the first. As for the agent (collect/kernel/source.ts) the process executes itself
 * anew, because Landlock and capabilities are a thread's and Bun has many: the new image reads and
 * writes its own files alone, runs no program, and where the kernel knows of ports (6.7) takes and
 * makes connections on its own only.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isPostgres } from '../aggregator/store/open.ts'
import { compiled } from '../platform/embedded.ts'
import {
  type Capability,
  execWithoutCapabilities,
  heldCapabilities,
} from '../platform/linux/capabilities.ts'
import { landlockVersion } from '../platform/linux/landlock.ts'
import { endAtOnceBySignals } from '../platform/linux/libc.ts'
import { handOver, successorOf, type User, userFor } from '../platform/linux/owner.ts'
import { cacheHome, isNoexec, privateDirectory } from '../platform/linux/private-directory.ts'
import { sandboxFor } from '../platform/linux/sandbox.ts'
import { log } from '../platform/log.ts'
import type { Settings } from '../settings/keys.ts'
import { isStateFile } from '../settings/state-directory.ts'

/** The pid of the image that follows, so that no child of it takes itself for it. */
const CONFINED = 'CALLSIGN_CONFINED'
const DNS_PORT = 53
const POSTGRES_PORT = 5432
const LAST_ROOTS_PORT = 1023
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  ...{ 'http:': 80, 'https:': 443, 'mqtt:': 1883, 'mqtts:': 8883, 'ws:': 80, 'wss:': 443 },
  ...{
    'udp:': 514,
    'tcp:': 514,
    'tls:': 6514,
    'postgres:': POSTGRES_PORT,
    'postgresql:': POSTGRES_PORT,
  },
}

export interface AggregatorFiles {
  /** As `storeOf` has it. */
  readonly store: string
  readonly settings: Settings
  readonly settingsFile: string | undefined
  /** Files that flags name: certificates, keys, passwords. */
  readonly given: readonly (string | undefined)[]
  readonly readyFile: string | undefined
  /** Of its listeners; 0 is any. */
  readonly ports: readonly number[]
}

/**
 * Returns in the confined image, or where there is nothing to confine it with.
 * @throws what the signal was aborted with
 */
export async function confineAggregator(
  files: AggregatorFiles,
  signal: AbortSignal,
): Promise<void> {
  const isConfined = process.env[CONFINED] === String(process.pid)
  delete process.env[CONFINED]
  if (isConfined || (landlockVersion() === 0 && heldCapabilities() === 0n)) return
  const { settings, store, readyFile, ports } = files
  const database = isPostgres(store) ? undefined : dirname(resolve(store))
  const user = nextUser(files, database)
  const places = [database, readyFile && dirname(resolve(readyFile))]
  const write: [string, ...string[]] = [
    resolve(settings.state),
    ...places.filter((path) => path !== undefined),
    ...libraryPlaces(settings.state),
  ]
  // A signal to this image would be unknown to the next.
  endAtOnceBySignals()
  await Bun.sleep(1)
  signal.throwIfAborted()
  const isRoot = (user?.uid ?? process.geteuid?.()) === 0
  const access = sandboxFor({ write, read: readsOf(files) }, isRoot)
  execWithoutCapabilities(
    [process.execPath, ...(compiled ? [] : [Bun.main]), ...process.argv.slice(2)],
    {
      ...process.env,
      [CONFINED]: String(process.pid),
      AGENT_STATE: resolve(settings.state),
      ...(database === undefined ? {} : { SQLITE_TMPDIR: database }),
    },
    {
      keep: kept(files, isRoot, database),
      user,
      files: { ...access, bind: ports, connect: connectPorts(settings, store) },
    },
  )
}

/** Whose the store is; a state directory of root's is handed over, as by the agent. */
function nextUser(files: AggregatorFiles, database: string | undefined): User | undefined {
  if (database === undefined) return undefined
  const program = process.execPath
  const owner = userFor(database, program)
  if (owner !== undefined) return owner
  const state = resolve(files.settings.state)
  if (database !== state) return undefined
  const next = successorOf(state, {
    ...{ program, reads: filesOf(files) },
    writes: files.readyFile === undefined ? [] : [dirname(resolve(files.readyFile))],
    isOurs: (name) => isStateFile(state, name),
  })
  if (next === undefined) return undefined
  try {
    if ('why' in next) throw new Error(next.why)
    handOver(state, next.user)
    return next.user
  } catch (error) {
    log.info('Stays root, without most capabilities', { why: (error as Error).message })
    return undefined
  }
}

function filesOf({ settings, settingsFile, given }: AggregatorFiles): string[] {
  const { model, ca, cert, key, brokerPasswordFile, webhookSecretFile } = settings
  return [settingsFile, ca, cert, key, brokerPasswordFile, webhookSecretFile, model, ...given]
    .filter((path) => path !== undefined)
    .map((path) => resolve(path))
}

function readsOf(files: AggregatorFiles): string[] {
  const { ca, cert, key } = files.settings
  // Read at each connection: renewed, they are new files of the same names.
  const renewed = [ca, cert, key].filter((path) => path !== undefined)
  const bundles = [process.env.SSL_CERT_FILE, process.env.NODE_EXTRA_CA_CERTS]
  return [
    ...filesOf(files),
    ...renewed.map((path) => dirname(resolve(path))),
    ...bundles.filter((path) => path !== undefined),
  ]
}

/** Beside the state directory: where libraries are unpacked if that cannot be (native.ts). */
function libraryPlaces(state: string): string[] {
  const own = join(state, 'lib')
  if (privateDirectory(own) === undefined && !isNoexec(own)) return []
  const cache = join(cacheHome(), 'callsign')
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 })
  } catch {
    // Then it is the temporary directory.
  }
  return [cache, tmpdir()]
}

/** What root keeps: ports below 1024, and files that it was given of other users. */
function kept(files: AggregatorFiles, isRoot: boolean, database: string | undefined): Capability[] {
  const ports = files.ports.some((port) => port > 0 && port <= LAST_ROOTS_PORT)
  const places = [...filesOf(files), ...(database === undefined ? [] : [database])]
  const others =
    isRoot && places.some((path) => existsSync(path) && userFor(path, '/') !== undefined)
  return [
    ...(ports ? (['netBindService'] as const) : []),
    ...(others ? (['dacOverride'] as const) : []),
  ]
}

/** Undefined where an address does not tell its port: then connections are not restricted. */
function connectPorts(
  { broker, webhook, syslog }: Settings,
  store: string,
): readonly number[] | undefined {
  const proxies = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']
  const addresses = [
    ...[broker, webhook, syslog, ...proxies.map((name) => process.env[name] || undefined)],
    isPostgres(store) ? store : undefined,
  ]
  const ports = addresses
    .filter((address) => address !== undefined)
    .map((address) => portOf(address))
  return ports.includes(undefined)
    ? undefined
    : [DNS_PORT, ...ports.filter((port) => port !== undefined), ...postgresPort()]
}

function portOf(address: string): number | undefined {
  const url = URL.parse(address)
  if (url === null) return undefined
  return url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port)
}

function postgresPort(): number[] {
  const port = Number(process.env.PGPORT)
  return Number.isInteger(port) && port > 0 && port < 65_536 ? [port] : []
}
