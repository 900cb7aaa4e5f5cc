/**
 * Who reads which topics of the broker, and the retained messages: filters without wildcards are
 * looked up, those with one (which only readers have) are gone through.
 */
import type * as mqtt from './packets.ts'

/** A message as it is handed to readers. */
export interface Delivered {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
  readonly signature?: string | undefined
}

export interface Reader {
  readonly filters: ReadonlyMap<string, mqtt.Subscription>
  /** @param filter the one of its filters that the topic falls under */
  send(message: Delivered, filter: string): void
}

export interface Retained {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: true
  readonly signature: string | undefined
}

export class Subscriptions {
  readonly #exact = new Map<string, Set<Reader>>()
  readonly #wild = new Set<Reader>()
  readonly #retained = new Map<string, Retained>()
  readonly #retainedMax: number

  constructor(retainedMax: number) {
    this.#retainedMax = retainedMax
  }

  get retained(): number {
    return this.#retained.size
  }

  subscribe(reader: Reader, filter: string): void {
    if (isWild(filter)) this.#wild.add(reader)
    else {
      const readers = this.#exact.get(filter)
      if (readers === undefined) this.#exact.set(filter, new Set([reader]))
      else readers.add(reader)
    }
  }

  unsubscribe(reader: Reader, filter: string): void {
    const readers = this.#exact.get(filter)
    readers?.delete(reader)
    if (readers?.size === 0) this.#exact.delete(filter)
  }

  leave(reader: Reader): void {
    this.#wild.delete(reader)
    for (const filter of reader.filters.keys()) this.unsubscribe(reader, filter)
  }

  retainedFor(filter: string): Iterable<Retained> {
    if (isWild(filter))
      return [...this.#retained.values()].filter(({ topic }) => matches(filter, topic))
    const found = this.#retained.get(filter)
    return found === undefined ? [] : [found]
  }

  /** An empty payload removes what is retained. @returns false where there is no room */
  retain({ topic, payload, signature }: mqtt.Will | Omit<Retained, 'retain'>): boolean {
    if (payload.byteLength === 0) {
      this.#retained.delete(topic)
      return true
    }
    if (!this.#retained.has(topic) && this.#retained.size >= this.#retainedMax) return false
    this.#retained.set(topic, { topic, payload: payload.slice(), retain: true, signature })
    return true
  }

  /** Each reader gets it once, however many of its filters match. */
  deliver(message: Delivered): void {
    const exact = this.#exact.get(message.topic)
    if (exact !== undefined) for (const reader of exact) reader.send(message, message.topic)
    for (const reader of this.#wild) {
      if (exact?.has(reader)) continue
      for (const filter of reader.filters.keys())
        if (isWild(filter) && matches(filter, message.topic)) {
          reader.send(message, filter)
          break
        }
    }
  }
}

function isWild(filter: string): boolean {
  return filter.includes('+') || filter.includes('#')
}

/**
 * Whether a topic falls under a filter [MQTT 5, 4.7]; topics that begin with `$` are not for
 * wildcards.
 */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [at, part] of wanted.entries()) {
    if (part === '#') return true
    if (at >= levels.length || (part !== '+' && part !== levels[at])) return false
  }
  return wanted.length === levels.length
}
