/**
 * CBOR payloads [RFC 8949] become values: definite lengths, finite numbers within 2^53, no tags, no
 * repeated keys. Within `reading` only (domain/untrusted.ts).
 */
import { decode } from 'cborg'
import { refuse } from '../domain/untrusted.ts'

export function parseCbor(payload: Uint8Array): unknown {
  try {
    return decode(payload, {
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
      allowBigInt: false,
      rejectDuplicateMapKeys: true,
    })
  } catch {
    return refuse('not-cbor')
  }
}
