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
import { listenError } from '../listen-error.ts'
import { Client, type ClientsBroker } from './broker-client.ts'
import type { Broker, BrokerLoad, BrokerOptions } from './broker-options.ts'
import type * as mqtt from './packets.ts'
import { REASON } from './packets.ts'
import { type Delivered, type Retained, Subscriptions } from './subscriptions.ts'

const SWEEP_EVERY_MS = 1_000
const END_WITHIN_MS = 2_000

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new OpenBroker(options)
  broker.listen()
  return broker
}

class OpenBroker implements Broker, ClientsBroker {
  readonly options: BrokerOptions
  readonly #clients = new Set<Client>()
  readonly #byName = new Map<string, Client>()
  readonly #subscriptions: Subscriptions
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
    this.#subscriptions = new Subscriptions(options.retainedMax)
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
      retained: this.#subscriptions.retained,
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

  admit(client: Client, name: string): void {
    this.#byName.get(name)?.end('taken-over', REASON.takenOver)
    this.#byName.set(name, client)
  }

  leave(client: Client, name: string | undefined): void {
    this.#clients.delete(client)
    this.#held.delete(client)
    if (name !== undefined && this.#byName.get(name) === client) this.#byName.delete(name)
    this.#subscriptions.leave(client)
  }

  subscribe(client: Client, filter: string): void {
    this.#subscriptions.subscribe(client, filter)
  }

  unsubscribe(client: Client, filter: string): void {
    this.#subscriptions.unsubscribe(client, filter)
  }

  retainedFor(filter: string): Iterable<Retained> {
    return this.#subscriptions.retainedFor(filter)
  }

  retain(message: mqtt.Will | Omit<Retained, 'retain'>): void {
    if (!this.#subscriptions.retain(message)) this.options.onRefused('too-many-retained')
  }

  deliver(message: Delivered): void {
    this.#subscriptions.deliver(message)
  }

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
