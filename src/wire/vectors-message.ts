/**
 * `callsign/v1/<site>/<host>/vectors`: up to ten seconds of sparse count vectors, for hosts whose
 * classification runs in an aggregator, as the paper's runs in a monitoring server.
 *
 * CBOR with readable keys outside; `frames` is what vectors-pack.ts makes, compressed with raw
 * deflate [RFC 1951]. Bounded whatever the host does: where a message would be longer than its
 * bound, the processes with the fewest calls are left out and named, so that the receiver knows
 * that they were not silent.
 *
 * Decoding checks every number, and unpacks no more than VECTORS_UNPACKED_BYTES_MAX.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { encode } from 'cborg'
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import {
  PAYLOAD_BYTES_MAX,
  TOPIC_PART_CHARS_MAX,
  VECTORS_BYTES_MAX,
  VECTORS_FRAMES_MAX,
  VECTORS_OMITTED_MAX,
  VECTORS_UNPACKED_BYTES_MAX,
} from '../domain/limits.ts'
import { type Decoded, Fields, reading, refuse } from '../domain/untrusted.ts'
import { parseCbor } from './cbor.ts'
import type { Origin } from './origin.ts'
import { isHostName, isTopicPart } from './topics.ts'
import { packVectors, rowsOf, unpackVectors, type VectorRow } from './vectors-pack.ts'

export interface VectorsMessage extends Origin {
  readonly v: 1
  /** Ascending seconds, within VECTORS_FRAMES_MAX of the first. */
  readonly frames: readonly Frame[]
}

export interface EncodedVectors {
  readonly payload: Uint8Array
  /** Processes that found no room. */
  readonly omitted: number
}

/**
 * @param frames not empty, ascending, within VECTORS_FRAMES_MAX seconds; where the clock was set
 *   before one of them, that is the first
 */
export function encodeVectors(
  frames: readonly Frame[],
  origin: Origin,
  bytesMax: number = VECTORS_BYTES_MAX,
): EncodedVectors {
  const rows = rowsOf(frames)
  const whole = encodeRows(frames, rows, [], origin)
  if (whole.byteLength <= bytesMax) return { payload: whole, omitted: 0 }
  const busiest = [...rows].sort((a, b) => b.calls - a.calls || a.process.pid - b.process.pid)
  let bytes = whole.byteLength
  let count = rows.length
  for (;;) {
    // By proportion, and a little less: what is left out still takes its pid.
    count = Math.min(count - 1, Math.floor(count * (bytesMax / bytes) * 0.95))
    const kept = new Set(busiest.slice(0, Math.max(0, count)))
    const left = rows.filter((row) => !kept.has(row))
    const payload = encodeRows(
      frames,
      rows.filter((row) => kept.has(row)),
      left,
      origin,
    )
    if (payload.byteLength <= bytesMax || count <= 0) return { payload, omitted: left.length }
    bytes = payload.byteLength
  }
}

function encodeRows(
  frames: readonly Frame[],
  kept: readonly VectorRow[],
  left: readonly VectorRow[],
  { site, host, boot, seq }: Origin,
): Uint8Array {
  const first = frames[0]!
  // More than can be named: then nothing of these seconds is whole.
  const named = left.length <= VECTORS_OMITTED_MAX ? left.map(({ process }) => process.pid) : []
  const told =
    left.length <= VECTORS_OMITTED_MAX
      ? frames
      : frames.map((frame) => ({ ...frame, lost: Math.max(1, frame.lost) }))
  return encode({
    ...{ v: 1, site, host, boot, seq, from: first.index },
    seconds: frames.reduce((bits, { index }) => bits + 2 ** (index - first.index), 0),
    ...defined({ clockSet: first.clockSetSeconds }),
    omitted: left.length,
    frames: deflateRawSync(packVectors(told, kept, named)),
  })
}

export function decodeVectors(payload: Uint8Array): Decoded<VectorsMessage> {
  return reading(() => {
    if (payload.byteLength > PAYLOAD_BYTES_MAX) refuse('too-long')
    const fields = new Fields(parseCbor(payload), '')
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    const from = fields.integer('from')
    const bits = fields.integer('seconds', 1, 2 ** VECTORS_FRAMES_MAX - 1)
    const indexes = Array.from({ length: VECTORS_FRAMES_MAX }, (_, second) => second)
      .filter((second) => (bits & (1 << second)) !== 0)
      .map((second) => from + second)
    const packed = fields.raw('frames')
    if (!(packed instanceof Uint8Array) || indexes[0] !== from) refuse('bad-field(frames)')
    const frames = unpackVectors(inflated(packed as Uint8Array), indexes)
    const [first, ...rest] = frames
    const clockSetSeconds = fields.has('clockSet')
      ? fields.integer('clockSet', Number.MIN_SAFE_INTEGER)
      : undefined
    return {
      v: 1,
      ...{ site, host, boot: fields.integer('boot'), seq: fields.integer('seq', 1) },
      frames: [{ ...first!, ...defined({ clockSetSeconds }) }, ...rest],
    } satisfies VectorsMessage
  })
}

function inflated(packed: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(packed, { maxOutputLength: VECTORS_UNPACKED_BYTES_MAX })
  } catch {
    return refuse('not-deflate')
  }
}
