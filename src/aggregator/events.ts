/**
 * Server-sent events [HTML 9.2]: what a commit changed, to every page that is open.
 *
 * Events are numbered; a page that comes back says the last one it saw and gets the rest, or one
 * `reset` where that is too long ago or the aggregator was restarted: then it asks the API anew. A
 * page that does not read is disconnected when its queue is full (the browser reconnects). A
 * comment every 15 s keeps proxies from closing the connection and detects closed ones.
 */
import { EVENT_BACKLOG_BYTES_MAX, EVENT_STREAMS_MAX, EVENTS_KEPT_MAX } from '../domain/limits.ts'

export interface EventHubOptions {
  readonly streamsMax?: number
  readonly keptMax?: number
  readonly backlogBytesMax?: number
  /** Tells the numbers of this run from those of another; for tests. */
  readonly run?: string
  /** JSON that every stream is greeted with. */
  readonly hello?: () => string
}

const KEEP_ALIVE_MS = 15_000
const utf8 = new TextEncoder()

export class EventHub {
  readonly #run: string
  readonly #hello: () => string
  readonly #streamsMax: number
  readonly #keptMax: number
  readonly #backlogBytesMax: number
  readonly #kept: { number: number; bytes: Uint8Array }[] = []
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>()
  readonly #keepAlive: ReturnType<typeof setInterval>
  #number = 0

  constructor(options: EventHubOptions = {}) {
    this.#run = options.run ?? crypto.randomUUID().slice(0, 8)
    this.#hello = options.hello ?? (() => '{}')
    this.#streamsMax = options.streamsMax ?? EVENT_STREAMS_MAX
    this.#keptMax = options.keptMax ?? EVENTS_KEPT_MAX
    this.#backlogBytesMax = options.backlogBytesMax ?? EVENT_BACKLOG_BYTES_MAX
    this.#keepAlive = setInterval(() => this.#send(utf8.encode(': here\n\n')), KEEP_ALIVE_MS)
    this.#keepAlive.unref()
  }

  get streams(): number {
    return this.#streams.size
  }

  /** @param data JSON on one line */
  publish(event: 'alert' | 'host' | 'action', data: string): void {
    const number = ++this.#number
    const bytes = utf8.encode(`id: ${this.#run}-${number}\nevent: ${event}\ndata: ${data}\n\n`)
    this.#kept.push({ number, bytes })
    if (this.#kept.length > this.#keptMax) this.#kept.shift()
    this.#send(bytes)
  }

  /** @returns undefined where too many are open already */
  open(lastEventId: string | null): ReadableStream<Uint8Array> | undefined {
    if (this.#streams.size >= this.#streamsMax) return undefined
    let own: ReadableStreamDefaultController<Uint8Array> | undefined
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          own = controller
          if (lastEventId !== null) {
            for (const bytes of this.#since(lastEventId)) controller.enqueue(bytes)
          }
          // Also without news: the page learns that it is connected, and from where on.
          controller.enqueue(
            utf8.encode(
              `retry: 1000\nid: ${this.#run}-${this.#number}\nevent: hello\ndata: ${this.#hello()}\n\n`,
            ),
          )
          this.#streams.add(controller)
        },
        cancel: () => {
          if (own !== undefined) this.#streams.delete(own)
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: this.#backlogBytesMax }),
    )
  }

  close(): void {
    clearInterval(this.#keepAlive)
    for (const controller of this.#streams) this.#end(controller)
  }

  #since(lastEventId: string): Uint8Array[] {
    const [, run, digits] = /^(\w+)-(\d+)$/.exec(lastEventId) ?? []
    const last = Number(digits)
    const oldest = this.#kept[0]?.number ?? this.#number + 1
    if (run !== this.#run || last > this.#number || last + 1 < oldest) {
      return [utf8.encode(`id: ${this.#run}-${this.#number}\nevent: reset\ndata: {}\n\n`)]
    }
    return this.#kept.filter((event) => event.number > last).map((event) => event.bytes)
  }

  #send(bytes: Uint8Array): void {
    for (const controller of this.#streams) {
      if ((controller.desiredSize ?? 0) <= 0) this.#end(controller)
      else controller.enqueue(bytes)
    }
  }

  #end(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#streams.delete(controller)
    try {
      controller.close()
    } catch {
      // It has gone by itself.
    }
  }
}
