/**
 * Where a message comes from, and its number. An aggregator keeps one message per (site, host,
 * boot, seq): at least once on the way becomes exactly once in the store.
 *
 * `boot` grows with each start of the agent on one state directory (as Sparkplug's bdSeq); a new or
 * lost state starts at the clock's milliseconds, so its numbers are not taken for repeats of old
 * ones. `seq` starts at 1 with each boot. Of two messages about one alert id, the one with the
 * higher (boot, seq) is the newer, in whatever order they arrive.
 */
export interface Origin {
  readonly site: string
  readonly host: string
  readonly boot: number
  readonly seq: number
}

/** Above 0 where `a` was made after `b`, by the same host. */
export function compareOrigin(
  a: Pick<Origin, 'boot' | 'seq'>,
  b: Pick<Origin, 'boot' | 'seq'>,
): number {
  return a.boot - b.boot || a.seq - b.seq
}

/** What waits in the outbox for a receipt. */
export type EventKind = 'alert' | 'summary'

/**
 * The CloudEvents attributes that go as MQTT 5 user properties [CloudEvents MQTT binding, binary
 * mode].
 */
export function cloudEvent(
  kind: EventKind | 'vectors',
  origin: Origin,
  time: number,
): Record<string, string> {
  return {
    specversion: '1.0',
    id: `${origin.boot}-${origin.seq}`,
    source: `/callsign/${encodeURIComponent(origin.site)}/${encodeURIComponent(origin.host)}`,
    type: `callsign.${kind}.v1`,
    time: new Date(Math.min(Math.max(time, 0), 253_402_300_799) * 1000).toISOString(),
  }
}

export const CONTENT_TYPE = {
  alert: 'application/json',
  summary: 'application/cbor',
  vectors: 'application/cbor',
  status: 'application/json',
  receipt: 'application/json',
  windows: 'application/json',
} as const
