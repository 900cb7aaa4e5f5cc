/**
 * MQTT 3.1.1 and 5 as bytes: what our own broker reads from clients and writes to them, and no
 * more.
 *
 * A reader checks every length before it follows it and throws `Malformed` with a reason; the
 * broker ends that connection. Properties of MQTT 5 are walked once: those that the broker acts on
 * are kept, the others are skipped by their type [MQTT 5, 2.2.2.2]. Payloads are views into the
 * bytes that were read, not copies.
 */
import { BROKER_FILTERS_MAX } from '../../domain/limits.ts'

export const CONNECT = 1
export const PUBLISH = 3
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const UNSUBSCRIBE = 10
export const PINGREQ = 12
export const DISCONNECT = 14

/**
 * Reason codes [MQTT 5, 2.4] that the broker gives; 3.1.1 has numbers of its own for CONNACK and
 * SUBACK.
 */
export const REASON = {
  success: 0,
  malformed: 0x81,
  protocolError: 0x82,
  notStored: 0x83,
  unsupportedVersion: 0x84,
  badCredentials: 0x86,
  notAuthorized: 0x87,
  serverBusy: 0x89,
  takenOver: 0x8e,
  topicInvalid: 0x90,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  payloadInvalid: 0x99,
} as const

export type Protocol = 4 | 5

/** Bytes that are no MQTT; the message is a reason to be counted. */
export class Malformed extends Error {}

export interface Will {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
  /** Of the MQTT 5 user properties the one named `sig`. */
  readonly signature?: string | undefined
}

export interface Connect {
  readonly protocol: Protocol
  readonly clientId: string
  readonly keepaliveSeconds: number
  readonly will: Will | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  /**
   * What the client takes [MQTT 5, 3.1.2.11]: messages not acknowledged, and bytes of one packet.
   */
  readonly receiveMax: number
  readonly packetBytesMax: number
}

export interface Publish {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** 0 where the message asks for no answer. */
  readonly packetId: number
  /** Of the MQTT 5 user properties the one named `sig`. */
  readonly signature: string | undefined
}

export interface Subscription {
  readonly filter: string
  readonly qos: 0 | 1
  readonly retainAsPublished: boolean
}

const fatalUtf8 = new TextDecoder('utf-8', { fatal: true })
const utf8 = new TextEncoder()

/** Where a packet ends. @returns undefined where its length is not whole yet */
export function packetLength(
  bytes: Uint8Array,
  at: number,
): { readonly body: number; readonly end: number } | undefined {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + 1 + i]
    if (byte === undefined) return undefined
    length |= (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return { body: at + 2 + i, end: at + 2 + i + length }
  }
  throw new Malformed('packet-length')
}

class Reader {
  readonly #bytes: Uint8Array
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  byte(): number {
    if (this.#at >= this.#end) throw new Malformed('packet-ends-early')
    return this.#bytes[this.#at++]!
  }

  word(): number {
    return (this.byte() << 8) | this.byte()
  }

  dword(): number {
    return this.word() * 65_536 + this.word()
  }

  varint(): number {
    let value = 0
    for (let i = 0; i < 4; i++) {
      const byte = this.byte()
      value |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return value
    }
    throw new Malformed('packet-length')
  }

  take(length: number): Uint8Array {
    if (length > this.left) throw new Malformed('packet-ends-early')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    const bytes = this.take(this.word())
    try {
      return fatalUtf8.decode(bytes)
    } catch {
      throw new Malformed('not-utf-8')
    }
  }

  rest(): Uint8Array {
    return this.take(this.left)
  }

  /** The properties that stand here, by identifier; of user properties only `sig`. */
  properties(): { numbers: Map<number, number>; signature: string | undefined } {
    const numbers = new Map<number, number>()
    const inner = this.take(this.varint())
    const reader = new Reader(inner, 0, inner.length)
    let signature: string | undefined
    while (reader.left > 0) {
      const identifier = reader.varint()
      switch (PROPERTY_TYPE[identifier]) {
        case 'byte':
          numbers.set(identifier, reader.byte())
          break
        case 'word':
          numbers.set(identifier, reader.word())
          break
        case 'dword':
          numbers.set(identifier, reader.dword())
          break
        case 'varint':
          reader.varint()
          break
        case 'bytes':
          reader.take(reader.word())
          break
        case 'pair':
          if (isSig(reader.take(reader.word()))) signature = reader.text()
          else reader.take(reader.word())
          break
        default:
          throw new Malformed('unknown-property')
      }
    }
    return { numbers, signature }
  }
}

function isSig(key: Uint8Array): boolean {
  return key.length === 3 && key[0] === 0x73 && key[1] === 0x69 && key[2] === 0x67
}

const RECEIVE_MAXIMUM = 0x21
const MAXIMUM_PACKET_SIZE = 0x27
const PROPERTY_TYPE: Readonly<
  Record<number, 'byte' | 'word' | 'dword' | 'varint' | 'bytes' | 'pair' | undefined>
> = {
  1: 'byte',
  2: 'dword',
  3: 'bytes',
  8: 'bytes',
  9: 'bytes',
  11: 'varint',
  17: 'dword',
  21: 'bytes',
  22: 'bytes',
  23: 'byte',
  24: 'dword',
  25: 'byte',
  31: 'bytes',
  [RECEIVE_MAXIMUM]: 'word',
  34: 'word',
  35: 'word',
  38: 'pair',
  [MAXIMUM_PACKET_SIZE]: 'dword',
}

// --- From clients --------------------------------------------------------------------------------

/** A client of another protocol; the broker says so in the way that this one understands. */
export class UnsupportedVersion extends Malformed {
  readonly level: number
  constructor(level: number) {
    super('unsupported-protocol')
    this.level = level
  }
}

export function readConnect(bytes: Uint8Array, body: number, end: number): Connect {
  const reader = new Reader(bytes, body, end)
  const name = reader.text()
  const level = reader.byte()
  if (name !== 'MQTT' || (level !== 4 && level !== 5)) throw new UnsupportedVersion(level)
  const flags = reader.byte()
  if ((flags & 1) !== 0) throw new Malformed('reserved-flag')
  const keepaliveSeconds = reader.word()
  const properties = level === 5 ? reader.properties().numbers : new Map<number, number>()
  const clientId = reader.text()
  let will: Will | undefined
  if ((flags & 0x04) !== 0) {
    if (((flags >> 3) & 3) === 3) throw new Malformed('qos-3')
    const signature = level === 5 ? reader.properties().signature : undefined
    const topic = reader.text()
    // A copy: it outlives the bytes that it came in.
    const payload = reader.take(reader.word()).slice()
    will = { topic, payload, retain: (flags & 0x20) !== 0, signature }
  }
  const username = (flags & 0x80) === 0 ? undefined : reader.text()
  const password = (flags & 0x40) === 0 ? undefined : toText(reader.take(reader.word()))
  if (reader.left > 0) throw new Malformed('packet-too-long')
  return {
    protocol: level,
    clientId,
    keepaliveSeconds,
    will,
    username,
    password,
    receiveMax: properties.get(RECEIVE_MAXIMUM) ?? 65_535,
    packetBytesMax: properties.get(MAXIMUM_PACKET_SIZE) ?? Number.POSITIVE_INFINITY,
  }
}

/** A password is bytes; one that is no UTF-8 matches no secret of ours. */
function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

export function readPublish(
  protocol: Protocol,
  bytes: Uint8Array,
  flags: number,
  body: number,
  end: number,
): Publish {
  const qos = (flags >> 1) & 3
  if (qos === 3) throw new Malformed('qos-3')
  const reader = new Reader(bytes, body, end)
  const topic = reader.text()
  if (topic === '' || /[+#\0]/.test(topic)) throw new Malformed('topic-invalid')
  const packetId = qos === 0 ? 0 : reader.word()
  if (qos > 0 && packetId === 0) throw new Malformed('packet-id-0')
  const signature = protocol === 5 ? reader.properties().signature : undefined
  return {
    topic,
    payload: reader.rest(),
    qos: qos as 0 | 1 | 2,
    retain: (flags & 1) !== 0,
    packetId,
    signature,
  }
}

export function readSubscribe(
  protocol: Protocol,
  bytes: Uint8Array,
  body: number,
  end: number,
): { packetId: number; subscriptions: Subscription[] } {
  const reader = new Reader(bytes, body, end)
  const packetId = reader.word()
  if (packetId === 0) throw new Malformed('packet-id-0')
  if (protocol === 5) reader.properties()
  const subscriptions: Subscription[] = []
  while (reader.left > 0) {
    if (subscriptions.length === BROKER_FILTERS_MAX) throw new Malformed('too-many-filters')
    const filter = reader.text()
    const options = reader.byte()
    if ((options & 3) === 3) throw new Malformed('qos-3')
    subscriptions.push({
      filter,
      qos: (options & 3) === 0 ? 0 : 1,
      retainAsPublished: protocol === 5 && (options & 8) !== 0,
    })
  }
  if (subscriptions.length === 0) throw new Malformed('no-filter')
  return { packetId, subscriptions }
}

export function readUnsubscribe(
  protocol: Protocol,
  bytes: Uint8Array,
  body: number,
  end: number,
): { packetId: number; filters: string[] } {
  const reader = new Reader(bytes, body, end)
  const packetId = reader.word()
  if (protocol === 5) reader.properties()
  const filters: string[] = []
  while (reader.left > 0) {
    if (filters.length === BROKER_FILTERS_MAX) throw new Malformed('too-many-filters')
    filters.push(reader.text())
  }
  return { packetId, filters }
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP all begin with it. */
export function readPacketId(bytes: Uint8Array, body: number, end: number): number {
  return new Reader(bytes, body, end).word()
}

/** Whether the client wants its last will to be sent all the same [MQTT 5, 3.14.2.1]. */
export function readDisconnect(
  protocol: Protocol,
  bytes: Uint8Array,
  body: number,
  end: number,
): boolean {
  return protocol === 5 && end > body && bytes[body] === 0x04
}

// --- To clients ----------------------------------------------------------------------------------

export interface Granted {
  readonly receiveMax: number
  readonly packetBytesMax: number
  /** Where the client brought none. */
  readonly assignedClientId?: string
}

/** @param reason one of REASON; 3.1.1 is given its own number for it */
export function connack(protocol: Protocol, reason: number, granted: Granted): Uint8Array {
  if (protocol === 4) return Uint8Array.of(0x20, 2, 0, connackCode(reason))
  if (reason !== 0) return Uint8Array.of(0x20, 3, 0, reason, 0)
  const id = granted.assignedClientId === undefined ? [] : [0x12, ...text(granted.assignedClientId)]
  const properties = [
    ...[RECEIVE_MAXIMUM, granted.receiveMax >> 8, granted.receiveMax & 255],
    ...[MAXIMUM_PACKET_SIZE, ...dword(granted.packetBytesMax)],
    // No session is kept, and no subscription is shared.
    ...[0x11, 0, 0, 0, 0],
    ...[0x2a, 0],
    ...id,
  ]
  return Uint8Array.of(
    0x20,
    ...varint(3 + properties.length),
    0,
    0,
    properties.length,
    ...properties,
  )
}

function connackCode(reason: number): number {
  if (reason === REASON.success) return 0
  if (reason === REASON.unsupportedVersion) return 1
  if (reason === REASON.serverBusy) return 3
  return reason === REASON.badCredentials ? 4 : 5
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. 3.1.1 has no reasons. */
export function acknowledgement(
  protocol: Protocol,
  type: number,
  packetId: number,
  reason: number = REASON.success,
): Uint8Array {
  const first = (type << 4) | (type === PUBREL ? 2 : 0)
  return protocol === 4 || reason === REASON.success
    ? Uint8Array.of(first, 2, packetId >> 8, packetId & 255)
    : Uint8Array.of(first, 3, packetId >> 8, packetId & 255, reason)
}

/** @param reasons granted QoS or a reason, one a filter */
export function suback(
  protocol: Protocol,
  packetId: number,
  reasons: readonly number[],
): Uint8Array {
  const codes = protocol === 5 ? reasons : reasons.map((reason) => Math.min(reason, 0x80))
  return withId(0x90, protocol, packetId, codes)
}

export function unsuback(protocol: Protocol, packetId: number, count: number): Uint8Array {
  return withId(0xb0, protocol, packetId, protocol === 5 ? new Array(count).fill(0) : [])
}

function withId(
  first: number,
  protocol: Protocol,
  packetId: number,
  codes: readonly number[],
): Uint8Array {
  const properties = protocol === 5 ? [0] : []
  const length = 2 + properties.length + codes.length
  return Uint8Array.of(
    first,
    ...varint(length),
    packetId >> 8,
    packetId & 255,
    ...properties,
    ...codes,
  )
}

export const PINGRESP = Uint8Array.of(0xd0, 0)

/** 3.1.1 has no DISCONNECT from a server. */
export function disconnect(protocol: Protocol, reason: number): Uint8Array | undefined {
  return protocol === 5 ? Uint8Array.of(0xe0, 1, reason) : undefined
}

/** @param packetId 0 for QoS 0 */
export function publish(
  protocol: Protocol,
  message: {
    readonly topic: string
    readonly payload: Uint8Array
    readonly retain: boolean
    readonly signature?: string | undefined
    readonly userProperties?: Readonly<Record<string, string>>
  },
  packetId: number,
): Uint8Array {
  const topic = utf8.encode(message.topic)
  const properties = protocol === 4 ? [] : withLength(userProperties(message))
  const length =
    2 + topic.length + (packetId === 0 ? 0 : 2) + properties.length + message.payload.length
  const head = [0x30 | (packetId === 0 ? 0 : 2) | (message.retain ? 1 : 0), ...varint(length)]
  const bytes = new Uint8Array(head.length + length)
  bytes.set(head)
  let at = head.length
  bytes[at++] = topic.length >> 8
  bytes[at++] = topic.length & 255
  bytes.set(topic, at)
  at += topic.length
  if (packetId !== 0) {
    bytes[at++] = packetId >> 8
    bytes[at++] = packetId & 255
  }
  bytes.set(properties, at)
  bytes.set(message.payload, at + properties.length)
  return bytes
}

function userProperties(message: {
  readonly signature?: string | undefined
  readonly userProperties?: Readonly<Record<string, string>>
}): number[] {
  const { signature, userProperties: others = {} } = message
  const all = signature === undefined ? others : { ...others, sig: signature }
  return Object.entries(all).flatMap(([key, value]) => [0x26, ...text(key), ...text(value)])
}

// --- As a client ---------------------------------------------------------------------------------

/** A clean session of MQTT 5. */
export function connect(options: {
  readonly clientId: string
  readonly keepaliveSeconds: number
  readonly will: Will
  readonly username?: string
  readonly password?: string
}): Uint8Array {
  const { clientId, keepaliveSeconds, will, username, password } = options
  const flags =
    0x02 |
    0x04 |
    0x08 |
    (will.retain ? 0x20 : 0) |
    (username === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40)
  const body = [
    ...text('MQTT'),
    ...[5, flags, keepaliveSeconds >> 8, keepaliveSeconds & 255, 0],
    ...text(clientId),
    ...withLength(userProperties(will)),
    ...[...text(will.topic), will.payload.length >> 8, will.payload.length & 255, ...will.payload],
    ...(username === undefined ? [] : text(username)),
    ...(password === undefined ? [] : text(password)),
  ]
  return Uint8Array.of(CONNECT << 4, ...withLength(body))
}

/** QoS 1, MQTT 5. */
export function subscribe(packetId: number, filters: readonly string[]): Uint8Array {
  const body = [packetId >> 8, packetId & 255, 0, ...filters.flatMap((one) => [...text(one), 1])]
  return Uint8Array.of((SUBSCRIBE << 4) | 2, ...withLength(body))
}

export const CONNACK = 2
export const DISCONNECT_PACKET = Uint8Array.of(DISCONNECT << 4, 0)

function varint(value: number): number[] {
  const bytes: number[] = []
  let left = value
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
    left >>>= 7
  } while (left > 0)
  return bytes
}

function withLength(bytes: readonly number[]): number[] {
  return [...varint(bytes.length), ...bytes]
}

function dword(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

function text(value: string): number[] {
  const bytes = utf8.encode(value)
  return [bytes.length >> 8, bytes.length & 255, ...bytes]
}
