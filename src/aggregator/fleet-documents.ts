/**
 * Publishes the fleet's documents, retained, to their sites: what `agent policy push` put into the
 * store, within seconds, and again now and then, because a broker may have lost them or somebody may
 * have published something else there. Aggregators that share a store publish the same.
 */
import { FLEET_AGAIN_EVERY_MS, FLEET_LOOK_EVERY_MS } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { fleetPartTopic, fleetTopic } from '../wire/topics.ts'
import { Periodic } from './periodic.ts'
import type { Store } from './store/store.ts'

export interface FleetDocumentsParts {
  readonly store: Pick<Store, 'documents' | 'documentParts'>
  readonly clock: Clock
  readonly log: Log
  /** @returns undefined where nothing can be published at present; fails where the broker refuses */
  readonly retain: (topic: string, payload: Uint8Array) => Promise<void> | undefined
}

export class FleetDocuments {
  readonly #parts: FleetDocumentsParts
  readonly #looks: Periodic
  readonly #published = new Map<string, { readonly version: number; readonly at: number }>()

  constructor(parts: FleetDocumentsParts, everyMs: number = FLEET_LOOK_EVERY_MS) {
    this.#parts = parts
    this.#looks = new Periodic(
      () => this.#look(),
      everyMs,
      (cause, isFirst) =>
        isFirst && parts.log.warn('Cannot read the documents of the fleet', { why: String(cause) }),
    )
    void this.look()
  }

  look(): Promise<void> {
    return this.#looks.run()
  }

  close(): Promise<void> {
    return this.#looks.close()
  }

  async #look(): Promise<void> {
    const { store, clock, log, retain } = this.#parts
    const now = clock.monotonic()
    for (const { site, what, version, body } of await store.documents()) {
      const topic = fleetTopic(site, what)
      const before = this.#published.get(topic)
      const isNew = before?.version !== version
      if (!isNew && now - before.at < FLEET_AGAIN_EVERY_MS) continue
      const parts = await store.documentParts({ site, what, version })
      // The head last: a client that reads of a new version finds its parts.
      const sent = [
        ...parts.map((part, index) => retain(fleetPartTopic(site, index), part)),
        retain(topic, body),
      ]
      if (sent.includes(undefined)) {
        for (const one of sent) one?.catch(() => {})
        continue
      }
      this.#published.set(topic, { version, at: now })
      // Not waited for: a broker that does not answer must not keep this from its end.
      Promise.all(sent).then(
        () => isNew && log.info('Published to the fleet', { site, what, version }),
        (error) => log.warn('Cannot publish to the fleet', { site, what, why: String(error) }),
      )
    }
  }
}
