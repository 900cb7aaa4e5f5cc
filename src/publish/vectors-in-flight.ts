/**
 * Sends vectors behind alerts and summaries: at most VECTORS_IN_FLIGHT_MAX at a time, and a PUBACK
 * is enough for them (vectors-queue.ts).
 */
import { VECTORS_IN_FLIGHT_MAX } from '../domain/limits.ts'
import type { MqttConnection } from '../platform/mqtt/client.ts'
import { CONTENT_TYPE, cloudEvent } from '../wire/origin.ts'
import { signedFor } from '../wire/signed.ts'
import { MESSAGE_OVERHEAD_BYTES } from './byte-budget.ts'
import type { PublisherOptions } from './publisher-options.ts'
import type { VectorsQueue } from './vectors-queue.ts'

/** How long a broker keeps vectors for a consumer that is not connected. */
const EXPIRY_SECONDS = 3_600

export class VectorsInFlight {
  readonly #queue: VectorsQueue
  readonly #topic: string
  readonly #options: PublisherOptions
  #count = 0
  /** Messages of an earlier session settle late: they are none of this one. */
  #session = 0

  constructor(queue: VectorsQueue, topic: string, options: PublisherOptions) {
    this.#queue = queue
    this.#topic = topic
    this.#options = options
  }

  get queued(): number {
    return this.#queue.queued
  }

  /**
   * Sends what may be sent now.
   * @param onSettled a message was taken (undefined) or refused (why), and another may go
   */
  send(connection: MqttConnection, onSettled: (error: unknown) => void): void {
    const { site, host, signer } = this.#options
    const queue = this.#queue
    const session = this.#session
    while (this.#count < VECTORS_IN_FLIGHT_MAX) {
      const row = queue.take()
      if (row === undefined) return
      if (row.payload.byteLength + MESSAGE_OVERHEAD_BYTES > connection.packetBytesMax) {
        queue.giveUp(row)
        continue
      }
      this.#count += 1
      const origin = { site, host, boot: queue.boot, seq: row.seq }
      const { payload, ...signature } = signedFor(connection.protocol, row.payload, signer)
      connection
        .publish(this.#topic, payload, {
          ...signature,
          contentType: CONTENT_TYPE.vectors,
          expirySeconds: EXPIRY_SECONDS,
          userProperties: cloudEvent('vectors', origin, row.time),
        })
        .then(
          () => {
            queue.sent(row)
            return undefined
          },
          (error: unknown) => error,
        )
        .then((error) => {
          if (session === this.#session) this.#count -= 1
          onSettled(error)
        })
    }
  }

  /** The session has ended: what has no PUBACK is sent again in the next. */
  takeBack(): void {
    this.#session += 1
    this.#count = 0
    this.#queue.takeBack()
  }
}
