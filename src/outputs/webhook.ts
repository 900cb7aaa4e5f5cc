/**
 * Notices by HTTP to a chat, a pager or a program of the operator's own: one POST an incident and
 * change, tried again until it is taken (retrying-sender.ts). A server that says 4xx will say so
 * again: such a notice is given up at once. With a secret each request is signed:
 * `X-Callsign-Signature: sha256=HMAC(secret, timestamp + "." + body)`.
 */

import { createHmac } from 'node:crypto'
import { WEBHOOK_TIMEOUT_MS } from '../domain/limits.ts'
import { Notices } from './notices.ts'
import type { Output } from './output.ts'
import { type KeptQueue, RetryingSender, type Trouble } from './retrying-sender.ts'
import { type Request, requestOf, type WebhookTemplate } from './webhook-templates.ts'

export interface WebhookOptions {
  readonly url: string
  readonly template: WebhookTemplate
  /** Signs requests; of PagerDuty the routing key. */
  readonly secret?: string
  /** What waits, over restarts. */
  readonly queue: KeptQueue
  readonly now: () => number
  readonly retryMs?: number
}

export function webhookOutput(options: WebhookOptions): Output {
  const sender = new RetryingSender({
    ...{ receiver: 'webhook', queue: options.queue, isItem: isRequest, retryMs: options.retryMs },
    deliver: (request) => post(options, request),
  })
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

async function post(
  { url, secret, now }: WebhookOptions,
  { body, headers }: Request,
): Promise<Trouble | undefined> {
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

function isRequest(value: unknown): value is Request {
  const { body, headers } = (value ?? {}) as Partial<Request>
  return typeof body === 'string' && typeof headers === 'object' && headers !== null
}
