/**
 * Notices by HTTP to a chat, a pager or a program of the operator's own: one POST an incident and
 * change.
 *
 * Not delivered is tried again with growing pauses, also after a restart: what waits is kept in the
 * local store. At the bound the oldest notice goes, counted. A server that says 4xx will say so
 * again: such a notice is given up at once. With a secret each request is signed:
 * `X-Callsign-Signature: sha256=HMAC(secret, timestamp + "." + body)`.
 */

import { createHmac } from 'node:crypto'
import { defined } from '../domain/defined.ts'
import { WEBHOOK_QUEUE_MAX, WEBHOOK_RETRY_MS, WEBHOOK_TIMEOUT_MS } from '../domain/limits.ts'
import { networkHint } from '../platform/linux/service-manager.ts'
import { log } from '../platform/log.ts'
import { Notices } from './notices.ts'
import type { Output } from './output.ts'
import { type Request, requestOf, type WebhookTemplate } from './webhook-templates.ts'

export interface WebhookOptions {
  readonly url: string
  readonly template: WebhookTemplate
  /** Signs requests; of PagerDuty the routing key. */
  readonly secret?: string
  /** What waits, over restarts. */
  readonly queue: { put(value: unknown): boolean; get(): unknown }
  readonly now: () => number
  readonly retryMs?: number
}

export function webhookOutput(options: WebhookOptions): Output {
  const sender = new Sender(options)
  const notices = new Notices()
  return {
    name: 'webhook',
    leavesHost: true,
    refused: sender.refused,
    take({ alerts }) {
      for (const alert of alerts) {
        const notice = notices.push(alert)
        if (notice !== undefined) sender.put(requestOf(options.template, notice, options.secret))
      }
    },
    close: () => sender.close(),
  }
}

class Sender {
  readonly refused: Record<string, number> = {}
  readonly #options: WebhookOptions
  readonly #waiting: Request[]
  #sending: Promise<void> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #isClosed = false

  constructor(options: WebhookOptions) {
    this.#options = options
    const kept = options.queue.get()
    this.#waiting = Array.isArray(kept) ? kept.filter(isRequest).slice(-WEBHOOK_QUEUE_MAX) : []
    this.#next()
  }

  put(request: Request): void {
    if (this.#waiting.length >= WEBHOOK_QUEUE_MAX) {
      this.#waiting.shift()
      this.#count('full')
    }
    this.#waiting.push(request)
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
    const [request] = this.#waiting
    if (request === undefined) return
    this.#sending = this.#send(request).finally(() => {
      this.#sending = undefined
      this.#next()
    })
  }

  async #send(request: Request): Promise<void> {
    const trouble = await this.#post(request)
    if (trouble === undefined || trouble.isFinal) {
      if (trouble !== undefined) this.#count(trouble.reason)
      this.#failures = 0
      this.#waiting.shift()
      this.#options.queue.put(this.#waiting)
      return
    }
    if (this.#failures === 0)
      log.warn('Cannot deliver to the webhook; notices wait', {
        reason: trouble.reason,
        ...defined({ hint: networkHint() }),
      })
    const { retryMs = WEBHOOK_RETRY_MS } = this.#options
    const waitMs = Math.min(retryMs * 2 ** this.#failures++, 120 * retryMs)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#next()
    }, waitMs)
    this.#timer.unref()
  }

  async #post({
    body,
    headers,
  }: Request): Promise<{ reason: string; isFinal: boolean } | undefined> {
    const { url, secret, now } = this.#options
    const timestamp = String(Math.floor(now() / 1000))
    const signature =
      secret === undefined
        ? {}
        : {
            'X-Callsign-Timestamp': timestamp,
            'X-Callsign-Signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`,
          }
    try {
      const response = await fetch(url, {
        ...{ method: 'POST', body, headers: { ...headers, ...signature }, redirect: 'error' },
        signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
      })
      await response.body?.cancel()
      if (response.ok) return undefined
      // 408 and 429 ask to come back.
      const isFinal = response.status < 500 && ![408, 429].includes(response.status)
      return { reason: `http-${response.status}`, isFinal }
    } catch (error) {
      return { reason: error instanceof Error ? error.name : 'error', isFinal: false }
    }
  }

  #count(reason: string): void {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1
  }
}

function isRequest(value: unknown): value is Request {
  const { body, headers } = (value ?? {}) as Partial<Request>
  return typeof body === 'string' && typeof headers === 'object' && headers !== null
}
