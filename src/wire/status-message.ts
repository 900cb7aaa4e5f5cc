/**
 * Retained online and offline status: published when a session begins, and left with the broker as
 * the MQTT will.
 *
 * The will is written before the session begins, so its `time` is the start of the session, and
 * `reason` distinguishes an agent that ended from one that was lost. `boot` says which session a
 * late `offline` belongs to, and `session` which connection of that boot: a will that arrives after
 * the host is back is outdated.
 */
import { FLEET_STATES, FLEET_SUBJECTS, type FleetStates } from '../domain/fleet-state.ts'
import { STATUS_BYTES_MAX, TOPIC_PART_CHARS_MAX, WIRE_TEXT_CHARS_MAX } from '../domain/limits.ts'
import { type Decoded, type Fields, parseJson, reading, refuse } from '../domain/untrusted.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface StatusMessage {
  readonly v: 1
  readonly state: 'online' | 'offline'
  readonly site: string
  readonly host: string
  readonly boot: number
  /**
   * Unix ms at which the connection began; grows within a boot. The will has that of its own
   * connection. Absent: an agent before 0.2, whose late will cannot be told from a new one.
   */
  readonly session?: number
  /** Unix seconds. */
  readonly time: number
  readonly version: string
  readonly model: string
  readonly source: string
  /** What it has made of its fleet's documents; absent where it accepts none. */
  readonly fleet?: FleetStates
  /** Only with `offline`: `ended` by a clean shutdown, or `lost` (the MQTT will). */
  readonly reason?: 'ended' | 'lost'
}

export interface AggregatorStatusMessage {
  readonly v: 1
  readonly state: 'online' | 'offline'
  readonly site: string
  readonly version: string
  readonly time: number
}

const utf8 = new TextEncoder()

export function encodeStatus(status: StatusMessage): Uint8Array {
  return utf8.encode(JSON.stringify(status))
}

export function decodeStatus(payload: Uint8Array): Decoded<StatusMessage> {
  return reading(() => {
    const fields = parseJson(payload, STATUS_BYTES_MAX)
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    return {
      v: 1,
      state: fields.oneOf('state', ['online', 'offline']),
      site,
      host,
      boot: fields.integer('boot'),
      ...(fields.has('session') ? { session: fields.integer('session') } : {}),
      time: fields.integer('time'),
      version: fields.text('version', 64, { empty: true }),
      model: fields.text('model', WIRE_TEXT_CHARS_MAX, { empty: true }),
      source: fields.text('source', 64, { empty: true }),
      ...(fields.has('fleet') ? { fleet: readFleet(fields.object('fleet')) } : {}),
      ...(fields.has('reason') ? { reason: fields.oneOf('reason', ['ended', 'lost']) } : {}),
    } satisfies StatusMessage
  })
}

function readFleet(fields: Fields): FleetStates {
  const known = FLEET_SUBJECTS.filter((what) => fields.has(what)).map((what) => {
    const one = fields.object(what)
    return [what, { version: one.integer('version'), state: one.oneOf('state', FLEET_STATES) }]
  })
  return Object.fromEntries(known) as FleetStates
}

export function encodeAggregatorStatus(status: AggregatorStatusMessage): Uint8Array {
  return utf8.encode(JSON.stringify(status))
}

export function decodeAggregatorStatus(payload: Uint8Array): Decoded<AggregatorStatusMessage> {
  return reading(() => {
    const fields = parseJson(payload, STATUS_BYTES_MAX)
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    return {
      v: 1,
      state: fields.oneOf('state', ['online', 'offline']),
      site,
      version: fields.text('version', 64, { empty: true }),
      time: fields.integer('time'),
    } satisfies AggregatorStatusMessage
  })
}
