/**
 * Where the signature of a message stands. With MQTT 5 it is the user property `sig` and the
 * payload is as it is. MQTT 3.1.1 has no properties: there the payload has one more member at its
 * end, `"sig":"…"`, and the signature is over the bytes without it. JSON and CBOR stay valid.
 *
 * Pure: who signs and who verifies is given (`platform/identity.ts`).
 */

export interface Signer {
  /** @returns SIGNATURE_CHARS characters of base64url */
  sign(payload: Uint8Array): string
}

export interface SignedPayload {
  /** What the signature is over. */
  readonly payload: Uint8Array
  readonly signature: string | undefined
  /** It stood in the payload. */
  readonly inPayload: boolean
}

export const SIGNATURE_CHARS = 128

const latin1 = new TextDecoder('latin1')
const ascii = new TextEncoder()
const JSON_HEAD = ascii.encode(',"sig":"')
const JSON_END = ascii.encode('"}')
const BRACE = JSON_END.subarray(1)
const NOTHING = new Uint8Array(0)
/** In CBOR: the text "sig" and the head of a text of 128 bytes. */
const CBOR_HEAD = Uint8Array.of(0x63, 0x73, 0x69, 0x67, 0x78, SIGNATURE_CHARS)
/** A map whose count stands in its first byte, with room for one more [RFC 8949, 3]. */
const CBOR_MAP = 0xa0
const CBOR_MEMBERS = 22

/** The payload with its signature as the last member. @param payload an object of JSON or CBOR */
export function attachSignature(payload: Uint8Array, signature: string): Uint8Array {
  const text = ascii.encode(signature)
  if (!isCbor(payload[0])) return concat(payload.subarray(0, -1), JSON_HEAD, text, JSON_END)
  const signed = concat(payload, CBOR_HEAD, text)
  signed[0]!++
  return signed
}

/**
 * Takes the signature out of a payload.
 * @param property of MQTT 5; where there is one, the payload is what was signed
 */
export function detachSignature(payload: Uint8Array, property: string | undefined): SignedPayload {
  if (property !== undefined) return { payload, signature: property, inPayload: false }
  const isMap = isCbor(payload[0])
  const [head, end] = isMap ? [CBOR_HEAD, NOTHING] : [JSON_HEAD, JSON_END]
  const from = payload.length - end.length - SIGNATURE_CHARS - head.length
  const has = from > 0 && standsAt(payload, from, head) && standsAt(payload, -end.length, end)
  if (!has) return { payload, signature: undefined, inPayload: false }
  const signature = latin1.decode(payload.subarray(from + head.length, payload.length - end.length))
  const rest = concat(payload.subarray(0, from), isMap ? NOTHING : BRACE)
  if (isMap) rest[0]!--
  return { payload: rest, signature, inPayload: true }
}

/** A message as it is published to a broker of this protocol. */
export function signedFor(
  protocol: 5 | 4,
  payload: Uint8Array,
  signer: Signer | undefined,
): { readonly payload: Uint8Array; readonly signature?: string } {
  if (signer === undefined) return { payload }
  const signature = signer.sign(payload)
  return protocol === 5 ? { payload, signature } : { payload: attachSignature(payload, signature) }
}

function isCbor(first: number | undefined): boolean {
  return first !== undefined && first >= CBOR_MAP && first <= CBOR_MAP + CBOR_MEMBERS + 1
}

function standsAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  const from = at < 0 ? bytes.length + at : at
  return wanted.every((byte, i) => bytes[from + i] === byte)
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
