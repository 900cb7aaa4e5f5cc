/**
 * One simulated host: a socket with just enough MQTT 5 of a client. 20,000 of a real client
 * would measure that client. It keeps what is not receipted and sends it again, as an agent does.
 */
import type { Socket } from 'bun'
import { defined } from '../domain/defined.ts'
import * as mqtt from '../platform/mqtt/packets.ts'
import { cloudEvent } from '../wire/origin.ts'
import { decodeReceipt } from '../wire/receipt-message.ts'
import type { Signer } from '../wire/signed.ts'
import { encodeStatus, type StatusMessage } from '../wire/status-message.ts'
import { type AgentTopics, agentTopics } from '../wire/topics.ts'

export interface HostOptions {
  readonly hostname: string
  readonly port: number
  readonly tls?: Bun.TLSOptions
  readonly site: string
  readonly host: string
  readonly boot: number
  /** Signs what it sends, as an agent does. */
  readonly signer: Signer
  readonly username?: string
  readonly password?: string
  readonly onReceipt: (kind: Kind, waitedMs: number) => void
  readonly onPuback: (waitedMs: number) => void
  /** The connection broke, not by us. */
  readonly onLost: () => void
}

export type Kind = 'alert' | 'summary'

interface Waiting {
  readonly kind: Kind
  readonly sentMs: number
  readonly payload: Uint8Array
}

const KEEPALIVE_S = 60
/** An alert without a receipt is sent again after this; summaries are not kept. */
const AGAIN_MS = 5_000

export class SimulatedHost {
  readonly #options: HostOptions
  readonly #topics: AgentTopics
  readonly #waiting = new Map<number, Waiting>()
  readonly #pubacks = new Map<number, number>()
  #socket: Socket<undefined> | undefined
  #rest = new Uint8Array(0)
  #backlog: Uint8Array[] = []
  #packetId = 0
  #open = false
  #going = false
  seq = 0

  constructor(options: HostOptions) {
    this.#options = options
    this.#topics = agentTopics(options.site, options.host)
  }

  get open(): boolean {
    return this.#open
  }

  get unreceipted(): number {
    return [...this.#waiting.values()].filter(({ kind }) => kind === 'alert').length
  }

  /** @returns whether it was let in */
  async connect(): Promise<boolean> {
    const { hostname, port, tls, host, site, username, password } = this.#options
    const opened = Promise.withResolvers<boolean>()
    this.#going = false
    this.#rest = new Uint8Array(0)
    this.#backlog = []
    this.#pubacks.clear()
    const payload = this.#status('offline')
    const signature = this.#options.signer.sign(payload)
    const will = { topic: this.#topics.status, payload, retain: true, signature }
    try {
      this.#socket = await Bun.connect<undefined>({
        hostname,
        port,
        ...defined({ tls }),
        socket: {
          data: (_, chunk) => this.#read(chunk, opened.resolve),
          drain: () => this.#drain(),
          close: () => {
            const was = this.#open
            this.#open = false
            opened.resolve(false)
            if (was && !this.#going) this.#options.onLost()
          },
          error: () => opened.resolve(false),
          connectError: () => opened.resolve(false),
        },
      })
    } catch {
      return false
    }
    this.#write(
      mqtt.connect({
        clientId: `sim-${site}-${host}`,
        keepaliveSeconds: KEEPALIVE_S,
        will,
        ...defined({ username, password }),
      }),
    )
    const admitted = await opened.promise
    if (!admitted) return false
    this.#write(mqtt.subscribe(1, [this.#topics.receipt, this.#topics.aggregatorStatus]))
    this.#publish(this.#topics.status, this.#status('online'), true)
    return true
  }

  send(kind: Kind, payload: Uint8Array, seq: number, nowMs: number): void {
    if (!this.#open) return
    const { site, host, boot } = this.#options
    this.#waiting.set(seq, { kind, sentMs: nowMs, payload })
    const id = this.#publish(
      this.#topics[kind],
      payload,
      false,
      cloudEvent(kind, { site, host, boot, seq }, Math.floor(Date.now() / 1000)),
    )
    this.#pubacks.set(id, nowMs)
  }

  /** Alerts without a receipt are sent once more; such summaries are discarded. */
  sendAgain(nowMs: number): void {
    for (const [seq, { kind, sentMs, payload }] of [...this.#waiting]) {
      if (nowMs - sentMs < AGAIN_MS) continue
      if (kind === 'alert') this.send(kind, payload, seq, nowMs)
      else this.#waiting.delete(seq)
    }
  }

  /** Not read from any more: what is sent to it fills its buffers. */
  stall(): void {
    this.#socket?.pause()
  }

  writeRaw(bytes: Uint8Array): void {
    this.#write(bytes)
  }

  /** Without a word, as a network that fails. */
  drop(): void {
    this.#going = true
    this.#open = false
    this.#socket?.terminate()
  }

  end(): void {
    this.#going = true
    this.#open = false
    this.#write(mqtt.DISCONNECT_PACKET)
    this.#socket?.end()
  }

  #status(state: StatusMessage['state']): Uint8Array {
    const { site, host, boot } = this.#options
    return encodeStatus({
      ...{ v: 1, state, site, host, boot, time: Math.floor(Date.now() / 1000) },
      ...{ version: 'simulated', model: 'simulated', source: 'simulated' },
    })
  }

  #publish(
    topic: string,
    payload: Uint8Array,
    retain: boolean,
    userProperties: Readonly<Record<string, string>> = {},
  ): number {
    this.#packetId = (this.#packetId % 65_535) + 1
    const signature = this.#options.signer.sign(payload)
    const message = { topic, payload, retain, userProperties, signature }
    this.#write(mqtt.publish(5, message, this.#packetId))
    return this.#packetId
  }

  #write(bytes: Uint8Array): void {
    if (this.#socket === undefined) return
    const written = this.#backlog.length > 0 ? 0 : Math.max(0, this.#socket.write(bytes))
    if (written < bytes.length) this.#backlog.push(bytes.subarray(written))
  }

  #drain(): void {
    const waiting = this.#backlog.splice(0)
    for (const bytes of waiting) this.#write(bytes)
  }

  #read(chunk: Uint8Array, opened: (admitted: boolean) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const length = mqtt.packetLength(bytes, at)
      if (length === undefined || length.end > bytes.length) break
      this.#take(bytes, at, length.body, length.end, opened)
      at = length.end
    }
    this.#rest = bytes.slice(at)
  }

  #take(
    bytes: Uint8Array,
    from: number,
    body: number,
    end: number,
    opened: (admitted: boolean) => void,
  ): void {
    const type = bytes[from]! >> 4
    if (type === mqtt.CONNACK) {
      this.#open = bytes[body + 1] === 0
      opened(this.#open)
    } else if (type === mqtt.PUBACK) {
      const id = mqtt.readPacketId(bytes, body, end)
      const sentMs = this.#pubacks.get(id)
      this.#pubacks.delete(id)
      if (sentMs !== undefined) this.#options.onPuback(performance.now() - sentMs)
    } else if (type === mqtt.PUBLISH) {
      const message = mqtt.readPublish(5, bytes, bytes[from]! & 15, body, end)
      if (message.packetId !== 0)
        this.#write(mqtt.acknowledgement(5, mqtt.PUBACK, message.packetId))
      if (message.topic === this.#topics.receipt) this.#takeReceipt(message.payload)
    }
  }

  #takeReceipt(payload: Uint8Array): void {
    const receipt = decodeReceipt(payload)
    if (!receipt.ok) return
    const nowMs = performance.now()
    for (const { boot, from, to } of receipt.value.stored) {
      if (boot !== this.#options.boot) continue
      for (let seq = from; seq <= to; seq++) {
        const waiting = this.#waiting.get(seq)
        if (waiting === undefined) continue
        this.#waiting.delete(seq)
        this.#options.onReceipt(waiting.kind, nowMs - waiting.sentMs)
      }
    }
  }
}
