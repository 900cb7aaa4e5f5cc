/**
 * One connection to the embedded broker: bytes → packets → what the rules allow, and bytes out.
 *
 * It is not read from while it has too much under way, while its password is checked, and while all
 * clients together have too much (`ClientsBroker.full`).
 */
import type { Socket } from 'bun'
import {
  BROKER_CHUNKS_MAX,
  BROKER_FILTERS_MAX,
  CLIENT_ID_CHARS_MAX,
  CONNECT_BYTES_MAX,
  GATHERED_BYTES_SPARED,
} from '../../domain/limits.ts'
import type { BrokerOptions, Peer, Unsettled } from './broker-options.ts'
import * as mqtt from './packets.ts'
import { Malformed, REASON } from './packets.ts'
import type { Delivered, Reader, Retained } from './subscriptions.ts'

const UNSETTLED_REASON: Readonly<Record<Unsettled, number>> = {
  overloaded: REASON.quotaExceeded,
  'not-stored': REASON.notStored,
  refused: REASON.payloadInvalid,
}

/** A client that has not said who it is after this is let go. */
const CONNECT_WITHIN_MS = 10_000

/** The broker, as one of its clients sees it. */
export interface ClientsBroker {
  readonly options: BrokerOptions
  readonly closing: boolean
  /** All clients together have as much under way as they may. */
  readonly full: boolean
  /**
   * A newer connection under the same name ends the older [MQTT-3.1.4-2]; the name holds what was
   * proven.
   */
  admit(client: Client, name: string): void
  leave(client: Client, name: string | undefined): void
  subscribe(client: Client, filter: string): void
  unsubscribe(client: Client, filter: string): void
  retainedFor(filter: string): Iterable<Retained>
  retain(message: mqtt.Will | Omit<Retained, 'retain'>): void
  deliver(message: Delivered): void
  /**
   * Counts bytes that a client begins or ceases to have under way; reads on where there is room
   * again.
   */
  weigh(bytes: number): void
  holdUntilRoom(client: Client): void
  /** Ends the socket, and cuts it off if the peer does not end its side. */
  part(socket: Socket<Client>): void
}

export class Client implements Reader {
  readonly filters = new Map<string, mqtt.Subscription>()
  readonly #broker: ClientsBroker
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

  constructor(broker: ClientsBroker, socket: Socket<Client>) {
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
  send(message: Delivered, filter: string): void {
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
