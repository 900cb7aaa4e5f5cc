/**
 * The one door to MQTT.js: one connection, made once, never remade behind our back.
 *
 * Reconnecting, queueing and what counts as delivered belong to the caller (MQTT.js's own store
 * loses what it holds in a crash: 100 of 100 messages, measured). This door adds what a client
 * needs towards brokers that are old, slow or hostile: MQTT 5 with 3.1.1 as fallback, a timeout
 * around the whole handshake (MQTT.js never settles when a TLS server refuses the client
 * certificate), a look at each packet's length before MQTT.js gathers it, and a bound on
 * unsolicited packets per second.
 *
 * Errors are AgentErrors: ERR_BROKER where waiting may help, ERR_PERMISSION where the broker
 * refuses us, ERR_CONFIG where the address, a certificate or a key is wrong.
 */
import { readFileSync } from 'node:fs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import {
  CONNECT_TIMEOUT_MS,
  INBOUND_BYTES_MAX,
  INBOUND_PER_SECOND_MAX,
} from '../../domain/limits.ts'
import { safeName } from '../../domain/process.ts'
import { requireOwnFile } from '../linux/private-directory.ts'

export interface BrokerAddress {
  /** As given, without user name: for messages. */
  readonly url: string
  readonly tls: boolean
  readonly host: string
  readonly port: number
  readonly username?: string
}

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface MqttMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
  /** The MQTT 5 user property `sig`. */
  readonly signature?: string
}

export interface MqttWill {
  readonly topic: string
  readonly payload: Uint8Array
  readonly contentType: string
  /** MQTT 5 only: the user property `sig`. */
  readonly signature?: string
}

export interface MqttConnectOptions {
  readonly clientId: string
  readonly username?: string
  readonly password?: string
  readonly tls?: TlsFiles
  /** Asked for with each protocol that is tried. */
  readonly will?: (protocol: 5 | 4) => MqttWill
  readonly onMessage: (message: MqttMessage) => void
  /** Only this protocol; by default 5, and 3.1.1 where the broker does not speak 5. */
  readonly protocol?: 5 | 4
  readonly keepaliveSeconds?: number
  readonly timeoutMs?: number
  readonly inboundBytesMax?: number
  readonly inboundPerSecondMax?: number
  readonly signal?: AbortSignal
}

export interface MqttPublishOptions {
  readonly retain?: boolean
  readonly contentType?: string
  readonly expirySeconds?: number
  /** MQTT 5 only. */
  readonly userProperties?: Readonly<Record<string, string>>
  /** MQTT 5 only: the user property `sig`. */
  readonly signature?: string
}

export interface MqttConnection {
  readonly protocol: 5 | 4
  /** The broker takes no longer packet [MQTT-3.2.2.3.6]; Infinity where it does not say. */
  readonly packetBytesMax: number
  /** Resolves with the reason once the connection is gone, whoever ended it. */
  readonly closed: Promise<string>
  /**
   * QoS 1: resolves at the PUBACK; rejects where the broker refuses the message or the connection
   * ends.
   */
  publish(topic: string, payload: Uint8Array, options?: MqttPublishOptions): Promise<void>
  /** QoS 1 for all. */
  subscribe(filters: readonly string[]): Promise<void>
  unsubscribe(filters: readonly string[]): Promise<void>
  /** Disconnects cleanly, so that the broker does not publish the will. */
  end(): Promise<void>
  /** Drops the connection without a word. */
  destroy(): void
}

/** What MQTT 5 has where a broker names no receive maximum. */
const RECEIVE_MAXIMUM = 65_535
const SESSION_TAKEN_OVER = 0x8e
const RETAIN_NOT_SUPPORTED = 0x9a
const QOS_NOT_SUPPORTED = 0x9b
/** How long a clean disconnect may take. */
const END_TIMEOUT_MS = 1_000

export function parseBrokerUrl(text: string): BrokerAddress {
  const shown = safeName(text.replace(/\/\/[^@/]*@/, '//…@')).slice(0, 200)
  const wrong = (why: string, hint: string) =>
    new AgentError('ERR_CONFIG', `Cannot use broker "${shown}": ${why}`, { hint })
  const form = 'Give it as mqtt://HOST:PORT or mqtts://HOST:PORT'
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw wrong('it is no URL', form)
  }
  if (url.protocol !== 'mqtt:' && url.protocol !== 'mqtts:') {
    throw wrong(`"${url.protocol}//" is not supported`, form)
  }
  if (url.password !== '') {
    throw wrong(
      'a password does not belong in an address',
      'Put it into a file or into AGENT_BROKER_PASSWORD: process lists show addresses',
    )
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (host === '') throw wrong('it has no host', form)
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw wrong('it must end with the port', form)
  }
  const tls = url.protocol === 'mqtts:'
  const port = url.port === '' ? (tls ? 8883 : 1883) : Number(url.port)
  if (port === 0) throw wrong('port 0 is no port', form)
  return {
    url: `${url.protocol}//${url.hostname}:${port}`,
    tls,
    host,
    port,
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
  }
}

export async function connectMqtt(
  address: BrokerAddress,
  options: MqttConnectOptions,
): Promise<MqttConnection> {
  const pem = readTlsFiles(address, options.tls ?? {})
  let way: Way = { protocol: options.protocol ?? 5, retain: true }
  for (;;) {
    try {
      return await connectOnce(address, options, pem, way)
    } catch (error) {
      if (!(error instanceof OtherWay)) throw error
      const next = { ...way, ...error.way }
      if (options.protocol !== undefined && next.protocol !== options.protocol) throw error
      // Each step gives something up, so this ends.
      way = next
    }
  }
}

/** What is asked of a broker, the best first. */
interface Way {
  readonly protocol: 5 | 4
  /** Whether the last will is to be retained. */
  readonly retain: boolean
}

/** The broker answered, and takes us in another way only. */
class OtherWay extends AgentError {
  readonly way: Partial<Way>

  constructor(way: Partial<Way>, message: string, options: { hint?: string; cause?: unknown }) {
    super('ERR_BROKER', message, options)
    this.way = way
  }
}

function connectOnce(
  address: BrokerAddress,
  options: MqttConnectOptions,
  pem: Pem,
  way: Way,
): Promise<MqttConnection> {
  const { protocol } = way
  const client = createClient(address, clientOptions(address, options, pem, way))
  const guard = guardInbound(client, options)
  let lastError: (Error & { code?: unknown }) | undefined
  // Permanent: an unhandled 'error' would end the process.
  client.on('error', (error) => {
    lastError = error
  })
  client.on('disconnect', (packet) => {
    const code = packet.reasonCode ?? 0
    lastError = new Error(
      code === SESSION_TAKEN_OVER
        ? 'another client with the same id has connected: there may be a second agent for this host'
        : `the broker ended the connection (reason 0x${code.toString(16)})`,
    )
  })
  client.on('message', (topic, payload, packet) => {
    if (!guard.passes()) return
    const signature = packet.properties?.userProperties?.sig
    const isText = typeof signature === 'string'
    options.onMessage({ topic, payload, retain: packet.retain, ...(isText ? { signature } : {}) })
  })

  return new Promise((resolve, reject) => {
    let settled = false
    let announceClosed: (reason: string) => void = () => {}
    const closed = new Promise<string>((done) => {
      announceClosed = done
    })
    const fail = (error: AgentError) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', abort)
      if (settled) return
      settled = true
      client.end(true)
      reject(error)
    }
    const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS
    const timer = setTimeout(() => {
      fail(
        new AgentError(
          'ERR_BROKER',
          `Cannot reach broker "${address.url}": no answer in ${timeoutMs} ms`,
          {
            hint: address.tls
              ? 'Check the address, and that the broker accepts this client certificate'
              : 'Check the address, and that it is an MQTT port without TLS',
          },
        ),
      )
    }, timeoutMs)
    const abort = () => fail(new AgentError('ERR_BROKER', `Stopped connecting to "${address.url}"`))
    if (options.signal?.aborted) return abort()
    options.signal?.addEventListener('abort', abort)

    client.on('close', () => {
      const reason = guard.violation() ?? lastError?.message ?? 'the connection was closed'
      announceClosed(safeName(reason).slice(0, 200))
      fail(connectError(address, lastError, way))
      // Settles pending publishes, which an unclosed client would keep for ever.
      client.end(true)
    })
    client.on('connect', ({ properties }) => {
      if (settled) return
      if (properties?.maximumQoS === 0) {
        fail(noQos1(address))
        return
      }
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', abort)
      settled = true
      resolve(createConnection(client, protocol, closed, guard))
    })
  })
}

function createConnection(
  client: MqttClient,
  protocol: 5 | 4,
  closed: Promise<string>,
  guard: InboundGuard,
): MqttConnection {
  const { receiveMaximum, maximumPacketSize, retainAvailable } = client.serverProperties ?? {}
  const publish: MqttConnection['publish'] = (topic, payload, options = {}) =>
    new Promise((resolve, reject) => {
      guard.expect()
      client.publish(
        topic,
        Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
        {
          qos: 1,
          retain: options.retain === true && retainAvailable !== false,
          ...(protocol === 4 ? {} : { properties: publishProperties(options) }),
        },
        (error) => (error == null ? resolve() : reject(error)),
      )
    })
  const places = createPlaces(receiveMaximum ?? RECEIVE_MAXIMUM)
  return {
    protocol,
    packetBytesMax: maximumPacketSize ?? Infinity,
    closed,
    publish: async (topic, payload, options) => {
      await places.take()
      try {
        await publish(topic, payload, options)
      } finally {
        places.giveBack()
      }
    },
    subscribe: (filters) =>
      new Promise((resolve, reject) => {
        guard.expect()
        client.subscribe([...filters], { qos: 1 }, (error, granted = []) => {
          const refused = granted.find(({ qos }) => qos >= 128)
          if (error != null) reject(error)
          else if (refused) reject(new Error(`Subscribe error: "${refused.topic}" is refused`))
          else resolve()
        })
      }),
    unsubscribe: (filters) =>
      new Promise((resolve, reject) => {
        client.unsubscribe([...filters], (error) => (error == null ? resolve() : reject(error)))
      }),
    end: async () => {
      const ended = new Promise<void>((resolve) => client.end(false, {}, () => resolve()))
      await Promise.race([ended, closed, Bun.sleep(END_TIMEOUT_MS)])
      client.stream.destroy()
    },
    destroy: () => {
      client.stream.destroy()
    },
  }
}

function publishProperties(options: MqttPublishOptions) {
  const { contentType, expirySeconds, signature } = options
  const userProperties = { ...options.userProperties, ...defined({ sig: signature }) }
  return {
    ...defined({ contentType }),
    ...(contentType === 'application/json' ? { payloadFormatIndicator: true } : {}),
    ...defined({ messageExpiryInterval: expirySeconds }),
    ...(Object.keys(userProperties).length === 0 ? {} : { userProperties }),
  }
}

/**
 * How many messages the broker lets us have under way [MQTT-3.2.2.3.3]; the others wait for a
 * place.
 */
function createPlaces(count: number) {
  const waiting: (() => void)[] = []
  let free = count
  return {
    take: async (): Promise<void> => {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
    giveBack: (): void => {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    },
  }
}

/** Certificates and keys are looked at here, before a byte is sent. */
function createClient(address: BrokerAddress, options: IClientOptions): MqttClient {
  try {
    return mqtt.connect(options)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new AgentError(
      'ERR_CONFIG',
      `Cannot use the certificates for "${address.url}": ${text}`,
      {
        hint: 'Give PEM files with --ca, --cert and --key; the key must be that of the certificate',
        cause,
      },
    )
  }
}

function clientOptions(
  address: BrokerAddress,
  options: MqttConnectOptions,
  pem: Pem,
  { protocol, retain }: Way,
): IClientOptions {
  const will = options.will?.(protocol)
  const username = options.username ?? address.username
  return {
    protocol: address.tls ? 'mqtts' : 'mqtt',
    host: address.host,
    hostname: address.host,
    port: address.port,
    protocolVersion: protocol,
    clientId: options.clientId,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: options.timeoutMs ?? CONNECT_TIMEOUT_MS,
    keepalive: options.keepaliveSeconds ?? 30,
    ...pem,
    ...defined({ username, password: options.password }),
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: 1 as const,
            retain,
            ...(protocol === 4 ? {} : { properties: publishProperties(will) }),
          },
        }),
    ...(protocol === 4
      ? {}
      : {
          properties: {
            sessionExpiryInterval: 0,
            maximumPacketSize: options.inboundBytesMax ?? INBOUND_BYTES_MAX,
            requestProblemInformation: true,
          },
        }),
  }
}

// --- Errors --------------------------------------------------------------------------------------

/** CONNACK codes by which a broker says "not you": 4 and 5 of MQTT 3.1.1, the others of MQTT 5. */
const REFUSALS = new Set<unknown>([2, 4, 5, 0x85, 0x86, 0x87, 0x8a, 0x8c])
const TLS_CODE =
  /^(CERT_|ERR_TLS|ERR_SSL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/

function connectError(
  address: BrokerAddress,
  error: (Error & { code?: unknown }) | undefined,
  { protocol, retain }: Way,
): AgentError {
  const code = error?.code
  const text = safeName(error?.message ?? 'it closed the connection').slice(0, 200)
  const options = error === undefined ? {} : { cause: error }
  const words = `Cannot reach broker "${address.url}": ${text}`
  // 1 is 3.1.1's way to say it, 0x84 is 5's; some old brokers just hang up on what they do not
  // know.
  if (protocol === 5 && (code === 1 || code === 0x84 || error === undefined)) {
    return new OtherWay({ protocol: 4 }, words, options)
  }
  if (retain && code === RETAIN_NOT_SUPPORTED)
    return new OtherWay({ retain: false }, words, options)
  if (code === QOS_NOT_SUPPORTED) return noQos1(address)
  if (REFUSALS.has(code)) {
    return new AgentError('ERR_PERMISSION', `Cannot use broker "${address.url}": ${text}`, {
      hint: 'Check the user name, the password file or the client certificate, and their permissions at the broker',
      ...options,
    })
  }
  if (address.tls && typeof code === 'string' && TLS_CODE.test(code)) {
    return new AgentError('ERR_CONFIG', `Cannot trust broker "${address.url}": ${text} (${code})`, {
      hint: 'Give the CA certificate of the broker with --ca, and the host name of its certificate',
      ...options,
    })
  }
  return new AgentError('ERR_BROKER', `Cannot reach broker "${address.url}": ${text}`, {
    hint: `Check that a broker listens there: nc -vz ${address.host} ${address.port}`,
    ...options,
  })
}

function noQos1(address: BrokerAddress): AgentError {
  return new AgentError(
    'ERR_CONFIG',
    `Cannot use broker "${address.url}": it does not offer QoS 1`,
    { hint: 'Give a broker that acknowledges messages' },
  )
}

interface Pem {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/**
 * Read anew for each connection, as certificates are renewed; at start only to see that it can be
 * done.
 * @throws AgentError ERR_CONFIG
 */
export function readTlsFiles(address: BrokerAddress, files: TlsFiles): Pem {
  const given = Object.entries(files).filter(([, path]) => path !== undefined)
  if (!address.tls) {
    if (given.length === 0) return {}
    throw new AgentError(
      'ERR_CONFIG',
      `Cannot use a certificate with "${address.url}": it is not a TLS address`,
      { hint: 'Give the address as mqtts://HOST:PORT' },
    )
  }
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw new AgentError(
      'ERR_CONFIG',
      'Cannot use a client certificate without its key, or a key alone',
      {
        hint: 'Give both --cert and --key',
      },
    )
  }
  return Object.fromEntries(
    given.map(([name, path]) => {
      requireOwnFile(path, `--${name}`)
      try {
        return [name, readFileSync(path)]
      } catch (cause) {
        throw new AgentError(
          'ERR_CONFIG',
          `Cannot read "${path}" for --${name}: ${(cause as Error).message}`,
          {
            hint: 'Give a PEM file that the agent can read',
            cause,
          },
        )
      }
    }),
  )
}

// --- What a broker may send ----------------------------------------------------------------------

const PUBACK = 4
const SUBACK = 9

interface InboundGuard {
  readonly violation: () => string | undefined
  readonly passes: () => boolean
  /** One more request is under way that will be answered. */
  readonly expect: () => void
}

/**
 * Reads the length in each packet's fixed header [MQTT-2.2.3] as the bytes come by and ends the
 * connection at the first that is too long: the parser behind it would gather up to 256 MB first.
 * Packets are also counted by the second.
 */
function guardInbound(client: MqttClient, options: MqttConnectOptions): InboundGuard {
  const bytesMax = options.inboundBytesMax ?? INBOUND_BYTES_MAX
  const perSecondMax = options.inboundPerSecondMax ?? INBOUND_PER_SECOND_MAX
  let violated: string | undefined
  let bodyLeft = 0
  let inLength = false
  let length = 0
  let factor = 1
  let second = 0
  let packets = 0
  let expected = 0

  const violate = (reason: string) => {
    violated ??= reason
    client.stream.destroy()
  }
  client.stream.on('data', (chunk: Uint8Array) => {
    let at = 0
    while (at < chunk.length && violated === undefined) {
      if (bodyLeft > 0) {
        const skipped = Math.min(bodyLeft, chunk.length - at)
        bodyLeft -= skipped
        at += skipped
      } else if (!inLength) {
        const type = chunk[at++]! >> 4
        inLength = true
        length = 0
        factor = 1
        const now = Math.floor(performance.now() / 1000)
        if (now !== second) packets = 0
        second = now
        // A PUBACK or SUBACK that we wait for is no flood, however fast they come.
        if ((type === PUBACK || type === SUBACK) && expected > 0) expected -= 1
        else if (++packets > perSecondMax)
          violate(`the broker sent over ${perSecondMax} packets a second`)
      } else {
        const byte = chunk[at++]!
        length += (byte & 0x7f) * factor
        factor *= 128
        if (length > bytesMax || factor > 128 ** 4)
          violate(`the broker sent a packet over ${bytesMax} bytes`)
        if (byte < 0x80) {
          inLength = false
          bodyLeft = length
        }
      }
    }
  })
  return {
    violation: () => violated,
    passes: () => violated === undefined,
    expect: () => {
      expected += 1
    },
  }
}
