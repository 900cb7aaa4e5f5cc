/**
 * Count vectors on their way to an aggregator that classifies for this host: gathers ten seconds,
 * makes one message of them, and keeps messages in memory until the broker has them.
 *
 * Not on disk and not receipted, unlike alerts: vectors are a stream, and what is lost of it is ten
 * seconds that nobody judges. They are counted here, and seen as a gap by the receiver. At the
 * bound the oldest message goes.
 *
 * Spans are cut by event time, at a phase derived from site and host, so that a fleet's messages
 * spread over the ten seconds.
 */
import type { Frame } from '../domain/frame.ts'
import {
  VECTORS_BYTES_MAX,
  VECTORS_FRAMES_MAX,
  VECTORS_WAITING_BYTES_MAX,
} from '../domain/limits.ts'
import { encodeVectors } from '../wire/vectors-message.ts'
import { phaseOf } from './summariser.ts'

export interface VectorsQueueOptions {
  readonly site: string
  readonly host: string
  readonly boot: number
  readonly messageBytesMax?: number
  readonly waitingBytesMax?: number
}

export interface VectorsRow {
  readonly seq: number
  /** Unix seconds of the first frame. */
  readonly time: number
  readonly seconds: number
  readonly payload: Uint8Array
}

/** Seconds by what became of them; created = sent + queued + dropped. */
export interface VectorsLedger {
  readonly created: number
  readonly sent: number
  readonly queued: number
  readonly dropped: number
  /** Processes that found no room in their message, once per message. */
  readonly omitted: number
}

export class VectorsQueue {
  readonly #options: VectorsQueueOptions
  readonly #phase: number
  #span: Frame[] = []
  /** By number; those handed out as well, until they are sent. */
  readonly #rows = new Map<number, VectorsRow>()
  readonly #handedOut = new Set<number>()
  #bytes = 0
  #seq = 0
  #created = 0
  #sent = 0
  #dropped = 0
  #omitted = 0
  #onPut: () => void = () => {}

  constructor(options: VectorsQueueOptions) {
    this.#options = options
    this.#phase = phaseOf(options.site, options.host, VECTORS_FRAMES_MAX)
  }

  /** Called after each message that is made, so that the publisher does not poll. */
  set onPut(listener: () => void) {
    this.#onPut = listener
  }

  get boot(): number {
    return this.#options.boot
  }

  /** Messages that are not sent yet. */
  get queued(): number {
    return this.#rows.size
  }

  push(frame: Frame): void {
    const first = this.#span[0]
    const last = this.#span.at(-1)
    const begins =
      first === undefined ||
      last === undefined ||
      frame.index <= last.index ||
      this.#spanOf(frame) !== this.#spanOf(first) ||
      frame.clockSetSeconds !== undefined
    if (begins) this.flush()
    this.#span.push(frame)
    const isLast = (frame.index + 1 - this.#phase) % VECTORS_FRAMES_MAX === 0
    if (isLast) this.flush()
  }

  /** The seconds gathered so far become a message. */
  flush(): void {
    const [first] = this.#span
    if (first === undefined) return
    const { site, host, boot, messageBytesMax, waitingBytesMax } = this.#options
    const seq = ++this.#seq
    const encoded = encodeVectors(
      this.#span,
      { site, host, boot, seq },
      messageBytesMax ?? VECTORS_BYTES_MAX,
    )
    const { payload, omitted } = encoded
    const row = { seq, time: first.index, seconds: this.#span.length, payload }
    this.#created += row.seconds
    this.#omitted += omitted
    this.#bytes += payload.byteLength
    this.#rows.set(seq, row)
    this.#span = []
    for (const oldest of this.#rows.values()) {
      if (this.#bytes <= (waitingBytesMax ?? VECTORS_WAITING_BYTES_MAX)) break
      this.#dropped += oldest.seconds
      this.#remove(oldest)
    }
    this.#onPut()
  }

  /** The oldest message that is not handed out. */
  take(): VectorsRow | undefined {
    for (const row of this.#rows.values()) {
      if (this.#handedOut.has(row.seq)) continue
      this.#handedOut.add(row.seq)
      return row
    }
    return undefined
  }

  /** The broker has it. */
  sent(row: VectorsRow): void {
    if (this.#rows.has(row.seq)) this.#sent += row.seconds
    this.#remove(row)
  }

  /** The connection was lost: what the broker did not acknowledge is taken again. */
  takeBack(): void {
    this.#handedOut.clear()
  }

  /** It can never be delivered. */
  giveUp(row: VectorsRow): void {
    if (this.#rows.has(row.seq)) this.#dropped += row.seconds
    this.#remove(row)
  }

  ledger(): VectorsLedger {
    let queued = this.#span.length
    for (const { seconds } of this.#rows.values()) queued += seconds
    return {
      created: this.#created + this.#span.length,
      sent: this.#sent,
      queued,
      dropped: this.#dropped,
      omitted: this.#omitted,
    }
  }

  #spanOf({ index }: Frame): number {
    return Math.floor((index - this.#phase) / VECTORS_FRAMES_MAX)
  }

  #remove({ seq, payload }: VectorsRow): void {
    if (!this.#rows.delete(seq)) return
    this.#handedOut.delete(seq)
    this.#bytes -= payload.byteLength
  }
}
