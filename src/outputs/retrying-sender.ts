/**
 * A queue in front of a receiver that may be away: delivers in order, tries again with growing
 * pauses, also after a restart (what waits is kept in the local store). At the bound the oldest
 * goes, counted. What a receiver refuses for good is given up at once, counted.
 */
import { defined } from '../domain/defined.ts'
import { WEBHOOK_QUEUE_MAX, WEBHOOK_RETRY_MS } from '../domain/limits.ts'
import { networkHint } from '../platform/linux/service-manager.ts'
import { log } from '../platform/log.ts'

export interface KeptQueue {
  put(value: unknown): boolean
  get(): unknown
}

/** Why something was not delivered; final: it will not be taken later either. */
export interface Trouble {
  readonly reason: string
  readonly isFinal: boolean
}

export interface RetryingSenderOptions<Item> {
  /** In log lines: "Cannot deliver to the webhook". */
  readonly receiver: string
  readonly queue: KeptQueue
  /** What is left of an earlier run. */
  readonly isItem: (value: unknown) => value is Item
  /** @returns undefined where it was taken */
  readonly deliver: (item: Item) => Promise<Trouble | undefined>
  readonly retryMs?: number | undefined
}

export class RetryingSender<Item> {
  readonly refused: Record<string, number> = {}
  readonly #options: RetryingSenderOptions<Item>
  readonly #waiting: Item[]
  #sending: Promise<void> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #isClosed = false

  constructor(options: RetryingSenderOptions<Item>) {
    this.#options = options
    const kept = options.queue.get()
    this.#waiting = Array.isArray(kept) ? kept.filter(options.isItem).slice(-WEBHOOK_QUEUE_MAX) : []
    this.#next()
  }

  put(item: Item): void {
    if (this.#waiting.length >= WEBHOOK_QUEUE_MAX) {
      this.#waiting.shift()
      this.count('full')
    }
    this.#waiting.push(item)
    this.#options.queue.put(this.#waiting)
    this.#next()
  }

  /** What is being sent may end; the rest waits for the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#sending
  }

  #next(): void {
    if (this.#isClosed || this.#sending !== undefined || this.#timer !== undefined) return
    const [item] = this.#waiting
    if (item === undefined) return
    this.#sending = this.#send(item).finally(() => {
      this.#sending = undefined
      this.#next()
    })
  }

  async #send(item: Item): Promise<void> {
    const { deliver, queue, receiver, retryMs = WEBHOOK_RETRY_MS } = this.#options
    const trouble = await deliver(item)
    if (trouble === undefined || trouble.isFinal) {
      if (trouble !== undefined) this.count(trouble.reason)
      this.#failures = 0
      this.#waiting.shift()
      queue.put(this.#waiting)
      return
    }
    if (this.#failures === 0)
      log.warn(`Cannot deliver to the ${receiver}; notices wait`, {
        reason: trouble.reason,
        ...defined({ hint: networkHint() }),
      })
    const waitMs = Math.min(retryMs * 2 ** this.#failures++, 120 * retryMs)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#next()
    }, waitMs)
    this.#timer.unref()
  }

  /** Something was lost, for this reason. */
  count(reason: string): void {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1
  }
}
