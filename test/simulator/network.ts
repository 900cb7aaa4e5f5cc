/**
 * A broker and the network around it, in one process: QoS 1, retained messages, wills. What a
 * message may suffer is drawn from the seed: it is late, it arrives and its acknowledgement does
 * not, it arrives twice, its connection breaks, the broker forgets what it held.
 *
 * It stands in for what lies between agent and aggregator; both ends are the real ones.
 */
import { defined } from '../../src/domain/defined.ts'
import type {
  MqttConnection,
  MqttConnectOptions,
  MqttMessage,
  MqttPublishOptions,
  MqttWill,
} from '../../src/platform/mqtt/client.ts'
import type { Random } from './random.ts'
import type { VirtualTime } from './virtual-time.ts'

/** Probabilities of one message, 0…1. */
export interface Weather {
  readonly breaks: number
  readonly acknowledgementLost: number
  readonly twice: number
  /** Longest delay of a message, ms. */
  readonly delayMs: number
}

export const FAIR: Weather = { breaks: 0, acknowledgementLost: 0, twice: 0, delayMs: 20 }

export interface Packet extends MqttMessage {
  readonly properties: Readonly<Record<string, string>>
}

/** @returns when it is settled: rejects where the subscriber could not take it */
type Consumer = (packet: Packet) => Promise<void>

class Session {
  readonly options: MqttConnectOptions
  readonly filters = new Set<string>()
  readonly closed: Promise<string>
  readonly will: MqttWill | undefined
  open = true
  /** When the latest message to it arrives. */
  deliveredMs = 0
  close!: (reason: string) => void

  constructor(options: MqttConnectOptions) {
    this.options = options
    this.will = options.will?.(5)
    this.closed = new Promise((resolve) => {
      this.close = resolve
    })
  }
}

export class Network {
  weather: Weather = FAIR
  /** Nobody can connect, and nothing passes. */
  isDown = false
  readonly #time: VirtualTime
  readonly #random: Random
  readonly #sessions = new Set<Session>()
  readonly #retained = new Map<string, Packet>()
  #consumer: Consumer | undefined
  /** As a broker of its own does; the embedded one waits for the commit. */
  readonly #acknowledgesAtOnce: boolean

  constructor(time: VirtualTime, random: Random) {
    this.#time = time
    this.#random = random
    this.#acknowledgesAtOnce = random.chance(0.5)
  }

  /** The aggregator: hears everything. Undefined when it is gone. */
  set consumer(consumer: Consumer | undefined) {
    this.#consumer = consumer
  }

  /** As the agent's `connectMqtt`. */
  async connect(options: MqttConnectOptions): Promise<MqttConnection> {
    await this.#delay()
    if (this.isDown) throw new Error('connect ECONNREFUSED')
    for (const other of this.#sessions)
      if (other.options.clientId === options.clientId) this.#break(other, 'taken over', true)
    const session = new Session(options)
    this.#sessions.add(session)
    return {
      protocol: 5,
      packetBytesMax: Number.POSITIVE_INFINITY,
      closed: session.closed,
      publish: (topic, payload, given) => this.#fromClient(session, topic, payload, given),
      subscribe: (filters) => this.#subscribe(session, filters),
      unsubscribe: async (filters) => {
        await this.#pass(session)
        for (const filter of filters) session.filters.delete(filter)
      },
      end: async () => this.#break(session, 'ended', false),
      destroy: () => this.#break(session, 'destroyed', true),
    }
  }

  /** From the aggregator. */
  publish(topic: string, payload: Uint8Array, retain: boolean, signature?: string): void {
    const signed = defined({ signature })
    const packet: Packet = { topic, payload, retain: false, properties: {}, ...signed }
    if (retain) this.#retained.set(topic, { ...packet, retain: true })
    for (const session of this.#sessions)
      if (session.filters.has(topic)) void this.#toClient(session, packet)
  }

  /** Ends every connection. @param forgets what the broker retains as well */
  restart(forgets: boolean): void {
    for (const session of [...this.#sessions]) this.#break(session, 'broker ended', true)
    if (forgets) this.#retained.clear()
  }

  async #subscribe(session: Session, filters: readonly string[]): Promise<void> {
    await this.#pass(session)
    for (const filter of filters) {
      session.filters.add(filter)
      const retained = this.#retained.get(filter)
      if (retained !== undefined) void this.#toClient(session, retained)
    }
  }

  async #fromClient(
    session: Session,
    topic: string,
    payload: Uint8Array,
    options: MqttPublishOptions = {},
  ): Promise<void> {
    await this.#pass(session)
    const { userProperties: properties = {}, signature } = options
    const signed = defined({ signature })
    const packet: Packet = { topic, payload, retain: false, properties, ...signed }
    if (options.retain === true) this.#retained.set(topic, packet)
    const { twice, acknowledgementLost } = this.weather
    if (this.#random.chance(twice)) this.#consumeLater(packet)
    if (this.#acknowledgesAtOnce) this.#consumeLater(packet)
    else await this.#consume(packet)
    if (this.#random.chance(acknowledgementLost)) this.#break(session, 'reset', true)
    await this.#pass(session)
  }

  /** A broker keeps what nobody takes; here it is lost, which a broker without persistence does. */
  async #consume(packet: Packet): Promise<void> {
    await this.#consumer?.(packet)
  }

  /** Nobody waits for an answer. */
  #consumeLater(packet: Packet): void {
    this.#time.after(this.#late(), () => void this.#consume(packet).catch(() => {}))
  }

  /** In the order in which they were sent: one connection keeps it. */
  async #toClient(session: Session, packet: Packet): Promise<void> {
    const { nowMs } = this.#time
    session.deliveredMs = Math.max(session.deliveredMs, nowMs + this.#late())
    await new Promise<void>((resolve) => this.#time.after(session.deliveredMs - nowMs, resolve))
    if (session.open && !this.isDown) session.options.onMessage(packet)
  }

  /** One way through the network, or a broken connection. */
  async #pass(session: Session): Promise<void> {
    await this.#delay()
    if (this.isDown || this.#random.chance(this.weather.breaks)) this.#break(session, 'reset', true)
    if (!session.open) throw new Error('connection closed')
  }

  #break(session: Session, reason: string, publishesWill: boolean): void {
    if (!session.open) return
    session.open = false
    this.#sessions.delete(session)
    session.close(reason)
    if (!publishesWill || session.will === undefined) return
    const { contentType: _, ...will } = session.will
    this.#consumeLater({ ...will, retain: false, properties: {} })
  }

  #delay(): Promise<void> {
    return new Promise((resolve) => this.#time.after(this.#late(), resolve))
  }

  #late(): number {
    return this.#random.between(1, this.weather.delayMs)
  }
}
