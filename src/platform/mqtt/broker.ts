/**
 * An MQTT broker inside the aggregator's process, MQTT 5 and 3.1.1, for one purpose: many hosts
 * send to the aggregator and receive receipts. Messages of clients go to `onMessage` and otherwise
 * only to readers; only the aggregator itself publishes to hosts.
 *
 * Why our own: a general broker keeps queues and sessions for strangers, which cost 220 MB and 0.8
 * ms a connection at 20,000 hosts, and its queue of messages without a subscriber could end the
 * process. Here there are no sessions and no queues: a PUBACK leaves when the message has been
 * settled, so what is acknowledged is on disk, and a client that has too much under way is not read
 * from until it is settled.
 *
 * Bounded: connections, bytes of a packet, messages and bytes under way (of one client and of all),
 * bytes that wait for a slow reader, retained messages. Does not promise: sessions, shared
 * subscriptions, exactly-once (QoS 2 is answered, and repeats are the receiver's to recognise).
 */
import type { Socket, TCPSocketListener } from 'bun'
import { AgentError } from '../../domain/error.ts'
import {
  BROKER_CHUNKS_MAX,
  BROKER_FILTERS_MAX,
  CLIENT_ID_CHARS_MAX,
  CONNECT_BYTES_MAX,
  GATHERED_BYTES_SPARED,
} from '../../domain/limits.ts'
import * as mqtt from './packets.ts'
import { Malformed, REASON } from './packets.ts'

/** Who a client is, as far as that is known. */
export interface Peer {
  /** Proven by password or certificate; undefined for a client that proved nothing. */
  readonly identity: string | undefined
  readonly address: string
  /** Serial number of its certificate, hex, where it brought one. */
  readonly serial?: string | undefined
}

export interface BrokerRules {
  /**
   * The identity that a name and password prove; undefined refuses. Absent: everyone is admitted,
   * without a proven identity.
   */
  readonly authenticate?: (
    name: string,
    password: string,
    address: string,
  ) => Promise<string | undefined>
  /**
   * Why a client may not publish this, or undefined. Wills are asked about when the client
   * connects.
   */
  readonly mayPublish: (
    peer: Peer,
    message: { readonly topic: string; readonly retain: boolean; readonly bytes: number },
  ) => string | undefined
  readonly maySubscribe: (peer: Peer, filter: string) => string | undefined
  /** Whether a certificate, by its serial number, is no longer valid. */
  readonly isRevoked?: (serial: string) => boolean
  /** A client has gone for good: what was remembered of it may be forgotten. */
  readonly forget?: (peer: Peer) => void
}

export interface BrokerMessage {
  readonly topic: string
  /** Valid until `settled` is called. */
  readonly payload: Uint8Array
  readonly retain: boolean
  readonly signature: string | undefined
  readonly peer: Peer
}

/**
 * Why a message was not taken: the sender is to send it again later, or (refused) it will never be
 * taken.
 */
export type Unsettled = 'overloaded' | 'not-stored' | 'refused'

const UNSETTLED_REASON: Readonly<Record<Unsettled, number>> = {
  overloaded: REASON.quotaExceeded,
  'not-stored': REASON.notStored,
  refused: REASON.payloadInvalid,
}

export interface BrokerOptions {
  readonly host: string
  /** 0 takes a free one; see `Broker.port`. */
  readonly port: number
  /**
   * PEM texts. With `clientCa` every client must bring a certificate of it, and is proven to be its
   * common name.
   */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly connectionsMax: number
  /** A longer packet ends its connection as soon as its header is read. */
  readonly packetBytesMax: number
  /** Bytes of all clients that are gathered or not yet settled; beyond it sockets are not read. */
  readonly inFlightBytesMax: number
  /** Messages of one client that are not yet settled. */
  readonly inFlightMessagesMax: number
  /** Bytes that wait for one client to read; a slower one is let go. */
  readonly backlogBytesMax: number
  readonly retainedMax: number
  readonly rules: BrokerRules
  /** A message that the rules allow. The PUBACK goes when `settled` is called without a reason. */
  readonly onMessage: (message: BrokerMessage, settled: (unsettled?: Unsettled) => void) => void
  /** A filter that the rules allow, before its retained messages are looked up. */
  readonly onSubscribe?: (filter: string) => void
  readonly onRefused: (reason: string) => void
}

export interface BrokerLoad {
  readonly connections: number
  readonly inFlightBytes: number
  readonly retained: number
}

export interface Broker {
  readonly host: string
  readonly port: number
  load(): BrokerLoad
  publish(topic: string, payload: string | Uint8Array, retain: boolean, signature?: string): void
  /** Takes nothing more from anyone; what is under way can still be settled and answered. */
  quiesce(): void
  close(): Promise<void>
}

/** A client that has not said who it is after this is let go. */
const CONNECT_WITHIN_MS = 10_000
const SWEEP_EVERY_MS = 1_000
const END_WITHIN_MS = 2_000
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new OpenBroker(options)
  broker.listen()
  return broker
}

interface Retained {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: true
  readonly signature: string | undefined
}

class OpenBroker implements Broker {
  readonly options: BrokerOptions
  readonly #clients = new Set<Client>()
  readonly #byName = new Map<string, Client>()
  /** Clients by exact filter, and those with a wildcard, which only readers have. */
  readonly #exact = new Map<string, Set<Client>>()
  readonly #wild = new Set<Client>()
  readonly #retained = new Map<string, Retained>()
  readonly #held = new Set<Client>()
  /**
   * Sockets that were told to end, and since when: a peer that does not end its side is cut off.
   */
  readonly #ending = new Map<Socket<Client>, number>()
  #listener: TCPSocketListener<Client> | undefined
  #sweep: ReturnType<typeof setInterval> | undefined
  #bytes = 0
  #closing = false

  constructor(options: BrokerOptions) {
    this.options = options
  }

  get host(): string {
    return this.options.host
  }

  get port(): number {
    return this.#listener?.port ?? this.options.port
  }

  get closing(): boolean {
    return this.#closing
  }

  load(): BrokerLoad {
    return {
      connections: this.#clients.size,
      inFlightBytes: this.#bytes,
      retained: this.#retained.size,
    }
  }

  listen(): void {
    const { host, port, tls, onRefused } = this.options
    try {
      this.#listener = Bun.listen<Client>({
        hostname: host,
        port,
        ...(tls === undefined
          ? {}
          : {
              tls: {
                cert: tls.cert,
                key: tls.key,
                ...(tls.clientCa === undefined
                  ? {}
                  : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
              },
            }),
        socket: {
          open: (socket) => this.#welcome(socket),
          handshake: (socket, success, error) => {
            // Where no certificate is asked for, Bun (1.4.5) may still name an error: of that of
            // mosquitto's clients, which bring none.
            if (success && (tls?.clientCa === undefined || error == null)) return
            onRefused('tls-refused')
            socket.terminate()
          },
          data: (socket, chunk) => socket.data?.read(chunk),
          drain: (socket) => socket.data?.drain(),
          close: (socket) => {
            this.#ending.delete(socket)
            socket.data?.closed()
          },
          // A client's error is the client's end; `close` follows.
          error: () => {},
        },
      })
    } catch (cause) {
      throw listenError('MQTT', host, port, cause)
    }
    this.#sweep = setInterval(() => this.#sweepClients(), SWEEP_EVERY_MS)
  }

  publish(topic: string, payload: string | Uint8Array, retain: boolean, signature?: string): void {
    if (this.#listener === undefined) return
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    if (retain) this.retain({ topic, payload: bytes, signature })
    this.deliver({ topic, payload: bytes, retain: false, signature })
  }

  quiesce(): void {
    this.#closing = true
    this.#listener?.stop()
    for (const client of this.#clients) client.hold()
  }

  async close(): Promise<void> {
    this.#closing = true
    clearInterval(this.#sweep)
    this.#listener?.stop(true)
    this.#listener = undefined
    for (const client of [...this.#clients]) client.end(undefined)
  }

  // --- What clients ask of it --------------------------------------------------------------------

  /**
   * A newer connection under the same name ends the older [MQTT-3.1.4-2]; the name holds what was
   * proven.
   */
  admit(client: Client, name: string): void {
    this.#byName.get(name)?.end('taken-over', REASON.takenOver)
    this.#byName.set(name, client)
  }

  leave(client: Client, name: string | undefined): void {
    this.#clients.delete(client)
    this.#held.delete(client)
    this.#wild.delete(client)
    if (name !== undefined && this.#byName.get(name) === client) this.#byName.delete(name)
    for (const filter of client.filters.keys()) this.unsubscribe(client, filter)
  }

  subscribe(client: Client, filter: string): void {
    if (isWild(filter)) this.#wild.add(client)
    else {
      const clients = this.#exact.get(filter)
      if (clients === undefined) this.#exact.set(filter, new Set([client]))
      else clients.add(client)
    }
  }

  unsubscribe(client: Client, filter: string): void {
    const clients = this.#exact.get(filter)
    clients?.delete(client)
    if (clients?.size === 0) this.#exact.delete(filter)
  }

  retainedFor(filter: string): Iterable<Retained> {
    if (isWild(filter))
      return [...this.#retained.values()].filter(({ topic }) => matches(filter, topic))
    const found = this.#retained.get(filter)
    return found === undefined ? [] : [found]
  }

  retain({ topic, payload, signature }: mqtt.Will | Omit<Retained, 'retain'>): void {
    if (payload.byteLength === 0) {
      this.#retained.delete(topic)
      return
    }
    if (!this.#retained.has(topic) && this.#retained.size >= this.options.retainedMax) {
      this.options.onRefused('too-many-retained')
      return
    }
    this.#retained.set(topic, { topic, payload: payload.slice(), retain: true, signature })
  }

  deliver(message: {
    readonly topic: string
    readonly payload: Uint8Array
    readonly retain: boolean
    readonly signature?: string | undefined
  }): void {
    const exact = this.#exact.get(message.topic)
    if (exact !== undefined) for (const client of exact) client.send(message, message.topic)
    for (const client of this.#wild) {
      if (exact?.has(client)) continue
      for (const filter of client.filters.keys())
        if (isWild(filter) && matches(filter, message.topic)) {
          client.send(message, filter)
          break
        }
    }
  }

  /**
   * Counts bytes that a client begins or ceases to have under way; reads on where there is room
   * again.
   */
  weigh(bytes: number): void {
    this.#bytes += bytes
    if (bytes >= 0 || this.#held.size === 0 || this.full || this.#closing) return
    const held = [...this.#held]
    this.#held.clear()
    for (const client of held) client.resume()
  }

  get full(): boolean {
    return this.#bytes > this.options.inFlightBytesMax
  }

  holdUntilRoom(client: Client): void {
    this.#held.add(client)
  }

  // --- Connections -------------------------------------------------------------------------------

  #welcome(socket: Socket<Client>): void {
    const open = this.#clients.size + this.#ending.size
    if (this.#closing || open >= this.options.connectionsMax) {
      if (!this.#closing) this.options.onRefused('too-many-connections')
      socket.terminate()
      return
    }
    socket.setNoDelay(true)
    socket.data = new Client(this, socket)
    this.#clients.add(socket.data)
  }

  #sweepClients(): void {
    const nowMs = performance.now()
    for (const client of this.#clients) client.checkSilence(nowMs)
    for (const [socket, sinceMs] of this.#ending)
      if (nowMs - sinceMs > END_WITHIN_MS) socket.terminate()
  }

  part(socket: Socket<Client>): void {
    this.#ending.set(socket, performance.now())
    socket.end()
  }
}

class Client {
  readonly filters = new Map<string, mqtt.Subscription>()
  readonly #broker: OpenBroker
  readonly #socket: Socket<Client>
  readonly #openedMs = performance.now()
  #heardMs = performance.now()
  #connect: mqtt.Connect | undefined
  #peer: Peer
  #name: string | undefined
  /** A CONNECT waits for its password to be checked; nothing is read meanwhile. */
  #checking = false
  #ended = false
  #paused = false
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  /** Whole packets that wait, because the client may not have more under way. */
  #inFlight = 0
  #inFlightBytes = 0
  #outgoing: Uint8Array[] = []
  #outgoingBytes = 0
  #nextId = 1
  #unacknowledged = 0

  constructor(broker: OpenBroker, socket: Socket<Client>) {
    this.#broker = broker
    this.#socket = socket
    this.#peer = { identity: undefined, address: socket.remoteAddress }
  }

  // --- Bytes in ----------------------------------------------------------------------------------

  read(chunk: Uint8Array): void {
    if (this.#ended || this.#broker.closing) return
    this.#heardMs = performance.now()
    this.#gather(chunk)
    this.#work()
  }

  #gather(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.byteLength
    this.#broker.weigh(chunk.byteLength)
    if (this.#chunks.length > BROKER_CHUNKS_MAX) this.#chunks = [Buffer.concat(this.#chunks)]
  }

  /** Takes whole packets from what is gathered, as far as the client may go on. */
  #work(): void {
    if (this.#ended || this.#checking || this.#chunkBytes === 0) return
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    let at = 0
    try {
      while (at < bytes.length && this.#mayGoOn()) {
        const length = mqtt.packetLength(bytes, at)
        if (length === undefined) break
        this.#checkLength(length.end - at)
        if (this.#ended) return
        if (length.end > bytes.length) break
        const from = at
        at = length.end
        this.#take(bytes, from, length.body, length.end)
        if (this.#ended) return
        if (this.#checking) break
      }
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      this.#malformed(error)
      return
    }
    this.#keepRest(at === 0 ? bytes : bytes.subarray(at), bytes.length - at)
  }

  #keepRest(rest: Uint8Array, left: number): void {
    this.#broker.weigh(left - this.#chunkBytes)
    this.#chunks = left === 0 ? [] : [rest]
    this.#chunkBytes = left
    if (!this.#mayGoOn() || this.#checking) {
      this.#pause()
      return
    }
    if (!this.#broker.full) {
      this.resume()
      return
    }
    if (left > GATHERED_BYTES_SPARED) {
      this.end('overloaded', REASON.serverBusy)
      return
    }
    this.#broker.holdUntilRoom(this)
    this.#pause()
  }

  #mayGoOn(): boolean {
    const { inFlightMessagesMax, packetBytesMax } = this.#broker.options
    return this.#inFlight < inFlightMessagesMax && this.#inFlightBytes <= packetBytesMax
  }

  #checkLength(bytes: number): void {
    const { packetBytesMax } = this.#broker.options
    const most = this.#connect === undefined ? CONNECT_BYTES_MAX : packetBytesMax
    if (bytes > most) this.end('packet-too-large', REASON.packetTooLarge)
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  hold(): void {
    this.#pause()
  }

  resume(): void {
    if (!this.#paused || this.#ended || this.#broker.closing) return
    this.#paused = false
    this.#socket.resume()
  }

  #malformed(error: Malformed): void {
    if (error instanceof mqtt.UnsupportedVersion) {
      this.#write(
        mqtt.connack(error.level === 3 ? 4 : 5, REASON.unsupportedVersion, this.#granted()),
      )
      this.end(error.message)
      return
    }
    this.end(`protocol-error(${error.message})`, REASON.malformed)
  }

  // --- Packets -----------------------------------------------------------------------------------

  #take(bytes: Uint8Array, from: number, body: number, end: number): void {
    const type = bytes[from]! >> 4
    const flags = bytes[from]! & 15
    const connect = this.#connect
    if (connect === undefined) {
      if (type !== mqtt.CONNECT) throw new Malformed('no-connect')
      this.#begin(mqtt.readConnect(bytes, body, end))
      return
    }
    // Also a ping: a connection that says nothing else ends, too.
    if (this.#isRevoked()) {
      this.end('revoked', REASON.notAuthorized)
      return
    }
    const { protocol } = connect
    switch (type) {
      case mqtt.PUBLISH:
        this.#receive(mqtt.readPublish(protocol, bytes, flags, body, end), end - from)
        return
      case mqtt.SUBSCRIBE:
        this.#subscribe(mqtt.readSubscribe(protocol, bytes, body, end))
        return
      case mqtt.UNSUBSCRIBE: {
        const { packetId, filters } = mqtt.readUnsubscribe(protocol, bytes, body, end)
        for (const filter of filters) {
          this.filters.delete(filter)
          this.#broker.unsubscribe(this, filter)
        }
        this.#write(mqtt.unsuback(protocol, packetId, filters.length))
        return
      }
      case mqtt.PUBACK:
        mqtt.readPacketId(bytes, body, end)
        this.#unacknowledged = Math.max(0, this.#unacknowledged - 1)
        return
      case mqtt.PUBREL: {
        const id = mqtt.readPacketId(bytes, body, end)
        this.#write(mqtt.acknowledgement(protocol, mqtt.PUBCOMP, id))
        return
      }
      case mqtt.PINGREQ:
        this.#write(mqtt.PINGRESP)
        return
      case mqtt.DISCONNECT:
        if (!mqtt.readDisconnect(protocol, bytes, body, end))
          this.#connect = { ...connect, will: undefined }
        this.end(undefined)
        return
      default:
        throw new Malformed(type === mqtt.CONNECT ? 'second-connect' : 'unexpected-packet')
    }
  }

  #granted(): mqtt.Granted {
    const { inFlightMessagesMax, packetBytesMax } = this.#broker.options
    return { receiveMax: inFlightMessagesMax, packetBytesMax }
  }

  #begin(connect: mqtt.Connect): void {
    const { rules } = this.#broker.options
    if (connect.clientId.length > CLIENT_ID_CHARS_MAX) throw new Malformed('client-id')
    if (rules.authenticate === undefined) {
      this.#admit(connect, this.#certificate()?.name)
      return
    }
    this.#checking = true
    rules
      .authenticate(connect.username ?? '', connect.password ?? '', this.#peer.address)
      .catch(() => undefined)
      .then((identity) => {
        this.#checking = false
        if (this.#ended) return
        if (identity !== undefined) this.#admit(connect, identity)
        else this.#deny(connect, 'not-authenticated', REASON.badCredentials)
        this.#work()
        if (!this.#ended) this.#resumeIfFree()
      })
  }

  #resumeIfFree(): void {
    if (this.#mayGoOn() && !this.#broker.full) this.resume()
  }

  #admit(connect: mqtt.Connect, identity: string | undefined): void {
    this.#peer = { identity, address: this.#peer.address, serial: this.#certificate()?.serial }
    if (this.#isRevoked()) {
      this.#deny(connect, 'revoked', REASON.notAuthorized)
      return
    }
    const { will, protocol } = connect
    const refusal = will && this.#broker.options.rules.mayPublish(this.#peer, describe(will))
    if (refusal !== undefined) {
      this.#deny(connect, refusal, REASON.notAuthorized)
      return
    }
    const id = connect.clientId === '' ? crypto.randomUUID() : connect.clientId
    // Only whoever proves the same, or comes from the same address, may end another's connection.
    this.#name = `${identity ?? `@${this.#peer.address}`} ${id}`
    this.#connect = connect
    this.#broker.admit(this, this.#name)
    const assigned = connect.clientId === '' ? { assignedClientId: id } : {}
    this.#write(mqtt.connack(protocol, REASON.success, { ...this.#granted(), ...assigned }))
  }

  #deny(connect: mqtt.Connect, why: string, reason: number): void {
    this.#write(mqtt.connack(connect.protocol, reason, this.#granted()))
    this.end(why)
  }

  /**
   * The common name of the certificate that a client was admitted with, which stands for the host as
   * a user name does, and its serial number.
   */
  #certificate(): { readonly name: string | undefined; readonly serial: string } | undefined {
    if (this.#broker.options.tls?.clientCa === undefined) return undefined
    const socket = this.#socket as unknown as {
      getPeerCertificate?: () =>
        | { subject?: { CN?: string | string[] }; serialNumber?: string }
        | undefined
    }
    const certificate = socket.getPeerCertificate?.()
    const name = certificate?.subject?.CN
    return {
      name: Array.isArray(name) ? name[0] : name,
      serial: certificate?.serialNumber ?? '',
    }
  }

  #isRevoked(): boolean {
    const { serial } = this.#peer
    return serial !== undefined && this.#broker.options.rules.isRevoked?.(serial) === true
  }

  #receive(message: mqtt.Publish, bytes: number): void {
    const { rules, onMessage, onRefused } = this.#broker.options
    const refusal = rules.mayPublish(this.#peer, describe(message))
    if (refusal !== undefined) {
      // MQTT 5 can be told; an agent of 3.1.1 cannot, and one that goes on is not served.
      if (this.#connect!.protocol === 4 || message.qos === 0) {
        this.end(refusal, REASON.notAuthorized)
        return
      }
      onRefused(refusal)
      this.#acknowledge(message, REASON.notAuthorized)
      return
    }
    this.#inFlight++
    this.#inFlightBytes += bytes
    this.#broker.weigh(bytes)
    let open = true
    onMessage({ ...message, peer: this.#peer }, (unsettled) => {
      if (!open) return
      open = false
      this.#settle(message, bytes, unsettled)
    })
  }

  #settle(message: mqtt.Publish, bytes: number, unsettled: Unsettled | undefined): void {
    this.#inFlight--
    this.#inFlightBytes -= bytes
    this.#broker.weigh(-bytes)
    if (unsettled === undefined) {
      if (message.retain) this.#broker.retain(message)
      // Only readers hear what hosts send.
      this.#broker.deliver({ ...message, retain: false })
    }
    if (this.#ended) return
    const { protocol } = this.#connect!
    if (unsettled === undefined) this.#acknowledge(message, REASON.success)
    else if (protocol === 5) this.#acknowledge(message, UNSETTLED_REASON[unsettled])
    // 3.1.1 has no way to say "not now": the sender hears nothing and sends again in its own time.
    else if (unsettled === 'refused') this.#acknowledge(message, REASON.success)
    if (!this.#paused || !this.#mayGoOn() || this.#checking) return
    if (this.#chunkBytes > 0) queueMicrotask(() => this.#work())
    else this.#resumeIfFree()
  }

  #acknowledge({ qos, packetId }: mqtt.Publish, reason: number): void {
    if (qos === 0) return
    const type = qos === 1 ? mqtt.PUBACK : mqtt.PUBREC
    this.#write(mqtt.acknowledgement(this.#connect!.protocol, type, packetId, reason))
  }

  #subscribe({
    packetId,
    subscriptions,
  }: {
    packetId: number
    subscriptions: readonly mqtt.Subscription[]
  }): void {
    const { rules, onRefused, onSubscribe } = this.#broker.options
    const granted: mqtt.Subscription[] = []
    const reasons = subscriptions.map((subscription) => {
      const refusal =
        this.filters.size >= BROKER_FILTERS_MAX
          ? 'too-many-filters'
          : rules.maySubscribe(this.#peer, subscription.filter)
      if (refusal !== undefined) {
        // The client's other subscriptions stay.
        onRefused(refusal)
        return REASON.notAuthorized
      }
      this.filters.set(subscription.filter, subscription)
      this.#broker.subscribe(this, subscription.filter)
      granted.push(subscription)
      onSubscribe?.(subscription.filter)
      return subscription.qos
    })
    this.#write(mqtt.suback(this.#connect!.protocol, packetId, reasons))
    for (const { filter } of granted)
      for (const message of this.#broker.retainedFor(filter)) this.send(message, filter)
  }

  // --- Bytes out ---------------------------------------------------------------------------------

  /**
   * At most once: a receipt that does not arrive is asked for again by sending the message again.
   */
  send(
    message: {
      readonly topic: string
      readonly payload: Uint8Array
      readonly retain: boolean
      readonly signature?: string | undefined
    },
    filter: string,
  ): void {
    const connect = this.#connect
    if (this.#ended || connect === undefined) return
    const acknowledged = this.filters.get(filter)?.qos === 1
    if (acknowledged && this.#unacknowledged >= connect.receiveMax) {
      this.#broker.options.onRefused('reader-too-slow')
      return
    }
    let packetId = 0
    if (acknowledged) {
      this.#unacknowledged++
      packetId = this.#nextId
      this.#nextId = (this.#nextId % 65_535) + 1
    }
    const bytes = mqtt.publish(connect.protocol, message, packetId)
    if (bytes.byteLength <= connect.packetBytesMax) this.#write(bytes)
  }

  #write(bytes: Uint8Array): void {
    if (this.#ended) return
    let from = 0
    if (this.#outgoingBytes === 0) from = this.#socket.write(bytes)
    if (from < 0) {
      this.end(undefined)
      return
    }
    if (from === bytes.byteLength) return
    const rest = bytes.subarray(from)
    this.#outgoing.push(rest)
    this.#outgoingBytes += rest.byteLength
    if (this.#outgoingBytes > this.#broker.options.backlogBytesMax) this.end('reader-too-slow')
  }

  drain(): void {
    while (this.#outgoing.length > 0) {
      const first = this.#outgoing[0]!
      const written = this.#socket.write(first)
      if (written < 0) {
        this.end(undefined)
        return
      }
      this.#outgoingBytes -= written
      if (written < first.byteLength) {
        this.#outgoing[0] = first.subarray(written)
        return
      }
      this.#outgoing.shift()
    }
  }

  // --- The end -----------------------------------------------------------------------------------

  checkSilence(nowMs: number): void {
    if (this.#connect === undefined) {
      if (nowMs - this.#openedMs > CONNECT_WITHIN_MS) this.end('no-connect')
      return
    }
    const { keepaliveSeconds } = this.#connect
    // While it is not read from, its silence is ours.
    if (this.#paused) this.#heardMs = nowMs
    else if (keepaliveSeconds > 0 && nowMs - this.#heardMs > keepaliveSeconds * 1_500)
      this.end('keep-alive')
  }

  /** @param why counted; undefined for an ordinary end */
  end(why: string | undefined, reason?: number): void {
    if (this.#ended) return
    if (why !== undefined && why !== 'taken-over') this.#broker.options.onRefused(why)
    const disconnect =
      reason === undefined || this.#connect === undefined
        ? undefined
        : mqtt.disconnect(this.#connect.protocol, reason)
    if (disconnect !== undefined && this.#outgoingBytes === 0) this.#socket.write(disconnect)
    this.#finish()
    this.#broker.part(this.#socket)
  }

  /** The socket is gone. */
  closed(): void {
    this.#finish()
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    this.#broker.leave(this, this.#name)
    this.#broker.weigh(-this.#chunkBytes)
    this.#chunks = []
    this.#chunkBytes = 0
    this.#outgoing = []
    this.#outgoingBytes = 0
    const will = this.#connect?.will
    const { onMessage, rules } = this.#broker.options
    rules.forget?.(this.#peer)
    if (will === undefined || this.#broker.closing) return
    const message = { ...will, signature: will.signature, peer: this.#peer }
    onMessage(message, (unsettled) => {
      if (unsettled !== undefined) return
      if (will.retain) this.#broker.retain(will)
      this.#broker.deliver({ ...will, retain: false })
    })
  }
}

function describe({ topic, payload, retain }: mqtt.Will | mqtt.Publish) {
  return { topic, retain, bytes: payload.byteLength }
}

function isWild(filter: string): boolean {
  return filter.includes('+') || filter.includes('#')
}

/**
 * Whether a topic falls under a filter [MQTT 5, 4.7]; topics that begin with `$` are not for
 * wildcards.
 */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [at, part] of wanted.entries()) {
    if (part === '#') return true
    if (at >= levels.length || (part !== '+' && part !== levels[at])) return false
  }
  return wanted.length === levels.length
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
