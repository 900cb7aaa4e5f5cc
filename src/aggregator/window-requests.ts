/**
 * Publishes what hosts are asked (`agent fetch-windows` puts it into the store) until they answer, every
 * few seconds: not retained, for a host that comes back tomorrow is not asked any more.
 */
import { WINDOWS_LOOK_EVERY_MS } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { requestTopic } from '../wire/topics.ts'
import { Periodic } from './periodic.ts'
import type { Store } from './store/store.ts'

export interface WindowRequestsParts {
  readonly store: Pick<Store, 'requests'>
  readonly clock: Clock
  readonly log: Log
  readonly publish: (topic: string, payload: Uint8Array) => void
}

/** @returns ends it */
export function publishWindowRequests(
  { store, clock, log, publish }: WindowRequestsParts,
  everyMs = WINDOWS_LOOK_EVERY_MS,
): () => Promise<void> {
  const utf8 = new TextEncoder()
  const looks = new Periodic(
    async () => {
      for (const { site, host, body } of await store.requests.open(Math.floor(clock.now() / 1000)))
        publish(requestTopic(site, host), utf8.encode(body))
    },
    everyMs,
    (cause, isFirst) =>
      isFirst && log.warn('Cannot read what hosts are asked', { why: String(cause) }),
  )
  return () => looks.close()
}
