/**
 * The one door to aedes: an MQTT 3.1.1 broker inside the aggregator's own process.
 *
 * Why embedded: 19,800 hosts cost a fifth of one core this way and nothing else has to be installed. What
 * is added to aedes is what a broker open to strangers needs: a bound on connections and on packets (aedes
 * would gather 256 MB before it looks), wills checked when they are made and not when they are used, no
 * sessions that queue in memory for clients that never return, and a PUBACK that waits until the message
 * has been settled, so that what is acknowledged is on disk and a flood is slowed by its own unread bytes.
 *
 * Does not promise: MQTT 5 (aedes has none; clients fall back), retained messages over a restart (agents
 * send their birth again), QoS 2 beyond what aedes does.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import { Aedes } from 'aedes'
import { AgentError } from '../../domain/error.ts'

export interface BrokerRules {
  /** The identity that a name and password prove; undefined refuses. Absent: everyone may come, nobody is proven. */
  readonly authenticate?: (name: string, password: string) => Promise<string | undefined>
  /** Why a client may not publish this, or undefined. Wills are asked about when the client connects. */
  readonly mayPublish: (
    identity: string | undefined,
    message: { topic: string; retain: boolean; bytes: number },
  ) => string | undefined
  readonly maySubscribe: (identity: string | undefined, filter: string) => string | undefined
}

export interface BrokerOptions {
  readonly host: string
  /** 0 takes a free one; see `Broker.port`. */
  readonly port: number
  /** PEM texts. With `clientCa` every client must bring a certificate of it, and is proven to be its common name. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly connectionsMax: number
  /** A longer packet ends its connection as soon as its header is read. */
  readonly packetBytesMax: number
  /** Packets over this may be under way only `largePacketsMax` at a time, over all connections. */
  readonly smallPacketBytes: number
  readonly largePacketsMax: number
  readonly rules: BrokerRules
  /** A message that the rules allow. The PUBACK goes when `settled` is called; an error ends the connection instead. */
  readonly onMessage: (
    message: { topic: string; payload: Uint8Array; retain: boolean },
    settled: (error?: Error) => void,
  ) => void
  /** A filter that the rules allow, before its retained messages are looked up. */
  readonly onSubscribe?: (filter: string) => void
  readonly onRefused: (reason: string) => void
}

export interface Broker {
  readonly host: string
  readonly port: number
  readonly connections: () => number
  publish(topic: string, payload: string | Uint8Array, retain: boolean): void
  close(): Promise<void>
}

/** What we use of aedes's client beyond its types. `packet.length` is -1 until a packet's length is known. */
type InnerClient = Omit<ReturnType<Aedes['handle']>, 'id'> & {
  id: string
  readonly _will?: Outgoing
  readonly _parser: { parse(chunk: Buffer): number; readonly packet: { readonly length: number } }
}
/** aedes's publish() as its own handlers call it: with the client, or with the callback in its place. */
type Distribute = (packet: Outgoing, client: unknown, done?: (error?: Error) => void) => void
type Outgoing = { topic: string; payload: string | Buffer; retain?: boolean }

function describe({ topic, payload, retain }: Outgoing) {
  return { topic, retain: retain === true, bytes: Buffer.byteLength(payload) }
}

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { rules, onRefused } = options
  const identities = new WeakMap<object, string>()
  const large = new Set<object>()
  const sockets = new Set<Socket>()
  let closing = false

  const refuse = (reason: string): Error => {
    onRefused(reason)
    return new Error(`Refused: ${reason}`)
  }

  const aedes = await Aedes.createBroker({
    connectTimeout: 10_000,
    drainTimeout: 30_000,
    maxClientsIdLength: 128,
    maxTopicLevels: 8,
    maxInflightInbound: 64,
    preConnect(_client, packet, done) {
      // A stored session would queue for a client that may never come back: every session starts clean
      // (agents ask again by themselves; CONNACK says "no session present").
      packet.clean = true
      done(null, true)
    },
    authenticate(client, name, password, done) {
      const admit = (identity: string | undefined): void => {
        if (identity !== undefined) {
          identities.set(client, identity)
          // A second connection under the same id ends the first [MQTT-3.1.4-2]: nobody may do that to another.
          ;(client as InnerClient).id = `${identity} ${client.id}`
        }
        const will = (client as InnerClient)._will
        const refusal = will && rules.mayPublish(identity, describe(will))
        if (refusal === undefined) done(null, true)
        else done(Object.assign(refuse(refusal), { returnCode: 5 }), false)
      }
      if (rules.authenticate === undefined) return admit(certifiedName(client))
      rules
        .authenticate(name ?? '', password?.toString('utf8') ?? '')
        .catch(() => undefined)
        .then((identity) => {
          if (identity !== undefined) return admit(identity)
          onRefused('not-authenticated')
          done(null, false)
        })
    },
    authorizePublish(client, packet, done) {
      if (client === null) return done(null)
      if (closing) return done(new Error('Broker is closing'))
      const payload = Buffer.from(packet.payload)
      const refusal = rules.mayPublish(identities.get(client), describe(packet))
      if (refusal !== undefined) return done(refuse(refusal))
      options.onMessage({ topic: packet.topic, payload, retain: packet.retain }, (error) =>
        done(error ?? null),
      )
    },
    authorizeSubscribe(client, subscription, done) {
      const refusal = rules.maySubscribe(identities.get(client), subscription.topic)
      if (refusal !== undefined) {
        // Refused by its SUBACK (0x80): the client's other subscriptions stay.
        onRefused(refusal)
        return done(null, null)
      }
      options.onSubscribe?.(subscription.topic)
      done(null, subscription)
    },
  })
  // What hosts send is for the aggregator alone (nobody else may subscribe to it), and it has it already.
  const inner = aedes as unknown as { publish: Distribute }
  const distribute = inner.publish.bind(aedes)
  inner.publish = (packet, client, done) => {
    const byClient = typeof client === 'object' && client !== null
    if (byClient && !packet.retain) done?.()
    else distribute(packet, client, done)
  }
  // A client's error is the client's end, never the broker's.
  const countFault = (error: Error): void => {
    // A client of MQTT 5 asks first and then falls back: that is no fault of its own.
    if (!/^Refused: |^unacceptable protocol/.test(error.message)) onRefused('protocol-error')
  }
  aedes.on('clientError', (_client, error) => countFault(error))
  aedes.on('connectionError', (_client, error) => countFault(error))

  function welcome(socket: Socket | TLSSocket): void {
    if (closing || sockets.size >= options.connectionsMax) {
      if (!closing) onRefused('too-many-connections')
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    const client = aedes.handle(socket) as InnerClient
    socket.on('close', () => {
      sockets.delete(socket)
      large.delete(client)
    })
    const parser = client._parser
    const parse = parser.parse.bind(parser)
    parser.parse = (chunk) => {
      const left = parse(chunk)
      const length = parser.packet.length
      if (length <= options.smallPacketBytes) large.delete(client)
      else if (!large.has(client) || length > options.packetBytesMax) {
        if (length <= options.packetBytesMax && large.size < options.largePacketsMax) {
          large.add(client)
        } else {
          onRefused('packet-too-large')
          socket.destroy()
        }
      }
      return left
    }
  }

  const server: Server = options.tls
    ? createTlsServer(
        {
          cert: options.tls.cert,
          key: options.tls.key,
          minVersion: 'TLSv1.2',
          ...(options.tls.clientCa === undefined
            ? {}
            : { ca: options.tls.clientCa, requestCert: true, rejectUnauthorized: true }),
        },
        welcome,
      ).on('tlsClientError', () => onRefused('tls-refused'))
    : createServer(welcome)

  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options.port, options.host, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    await new Promise<void>((resolve) => aedes.close(resolve))
    throw listenError('MQTT', options.host, options.port, cause)
  }
  server.on('error', () => onRefused('accept-failed'))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port

  return {
    host: options.host,
    port,
    connections: () => sockets.size,
    publish(topic, payload, retain) {
      if (closing) return
      const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload)
      aedes.publish({ cmd: 'publish', topic, payload: bytes, qos: 1, retain, dup: false }, () => {})
    },
    async close() {
      if (closing) return
      closing = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => aedes.close(resolve))
      await closed
    },
  }
}

/** The common name of the certificate that a client was admitted with; it stands for the host, as a user name does. */
function certifiedName(client: { conn: unknown }): string | undefined {
  const { conn } = client
  if (!(conn instanceof TLSSocket) || !conn.authorized) return undefined
  const name = conn.getPeerCertificate().subject?.CN
  return Array.isArray(name) ? name[0] : name
}

/** Why a listener could not be opened, with the next step. Used for the HTTP port, too. */
export function listenError(what: string, host: string, port: number, cause: unknown): AgentError {
  const code = (cause as { code?: string } | undefined)?.code
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`
  if (code === 'EADDRINUSE')
    return new AgentError('ERR_CONFIG', `Cannot listen for ${what} at ${at}: the port is in use`, {
      hint: `Find its owner with "ss -ltnp 'sport = :${port}'", or choose another port (0 takes a free one)`,
      cause,
    })
  if (code === 'EACCES')
    return new AgentError('ERR_PERMISSION', `Cannot listen for ${what} at ${at}: not allowed`, {
      hint: 'Choose a port above 1023, or give the service CAP_NET_BIND_SERVICE',
      cause,
    })
  return new AgentError(
    'ERR_CONFIG',
    `Cannot listen for ${what} at ${at}: ${cause instanceof Error ? cause.message : String(cause)}`,
    { hint: 'Give an address of this host, such as 127.0.0.1:0', cause },
  )
}
