/**
 * The baseline of a host as bytes: a header in JSON, then the states of all prototypes, one byte a
 * component, with a checksum over both. What is not whole, or of another model, is not read.
 */
import {
  MEMORY_NAMES_MAX,
  MEMORY_PENDING_PER_NAME_MAX,
  MEMORY_PROTOTYPES_MAX,
  MEMORY_PROTOTYPES_PER_NAME_MAX,
} from '../domain/limits.ts'
import { isCount, isRecord } from '../domain/untrusted.ts'
import { add, noPoints, type Points, STEP } from './prototypes.ts'

const MAGIC = 0x4d454d31 // MEM1

/** What is known of one name. */
export interface NameMemory {
  first: number
  last: number
  /** Distinct seconds in which it was judged, and distinct hours in which it was seen. */
  seconds: number
  hours: number
  /** Seconds among them that showed what was not near anything known. */
  surprises: number
  /**
   * Judged seconds of processes whose name claims a class, and those in which the model spoke
   * against it.
   */
  claims: number
  contradictions: number
  /** When a strange behaviour was last taken in; 0 for never. */
  strange: number
  /** When a process of the name, remembered before, was proven malicious; 0 for never. */
  poisoned: number
  usual: Points
  pending: Points
}

export interface Snapshot {
  readonly names: Map<string, NameMemory>
  readonly since: number
  /** Of `Recurrence.restore`. */
  readonly recurring: unknown
}

/** All of it as bytes, with a checksum. */
export function encodeSnapshot(
  modelId: string,
  size: number,
  { names, since, recurring }: Snapshot,
): Uint8Array {
  const header = new TextEncoder().encode(
    JSON.stringify({
      model: modelId,
      size,
      since,
      recurring,
      names: [...names].map(([name, m]) => ({
        name,
        first: m.first,
        last: m.last,
        seconds: m.seconds,
        hours: m.hours,
        surprises: m.surprises,
        claims: m.claims,
        contradictions: m.contradictions,
        strange: m.strange,
        poisoned: m.poisoned,
        usual: listed(m.usual),
        pending: listed(m.pending),
      })),
    }),
  )
  let count = 0
  for (const { usual, pending } of names.values()) count += usual.count + pending.count
  const bytes = new Uint8Array(12 + header.length + count * size)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, header.length)
  bytes.set(header, 12)
  const states = new Int8Array(bytes.buffer, 12 + header.length)
  let at = 0
  for (const { usual, pending } of names.values()) {
    for (const { at: from, count } of [usual, pending]) {
      for (let i = 0; i < count * size; i++) states[at++] = Math.round(from[i]! / STEP)
    }
  }
  view.setUint32(8, checksum(bytes))
  return bytes
}

/** [seen, first, last, anchor] of each. */
function listed({ seen, first, last, anchor, count }: Points): number[][] {
  return Array.from({ length: count }, (_, i) => [seen[i]!, first[i]!, last[i]!, anchor[i]!])
}

function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) {
    if (i < 8 || i >= 12) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  }
  return hash >>> 0
}

/** @returns undefined where it is no whole snapshot of this model */
export function readSnapshot(
  bytes: Uint8Array,
  modelId: string,
  size: number,
): Snapshot | undefined {
  if (bytes.length < 12) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(4)
  if (view.getUint32(0) !== MAGIC || length > bytes.length - 12) return undefined
  if (view.getUint32(8) !== checksum(bytes)) return undefined
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + length)))
  } catch {
    return undefined
  }
  if (!isRecord(header) || header.model !== modelId || header.size !== size) return undefined
  if (!isUint32(header.since) || !Array.isArray(header.names)) return undefined
  if (header.names.length > MEMORY_NAMES_MAX) return undefined
  const names = new Map<string, NameMemory>()
  let at = 12 + length
  let total = 0
  const take = (rows: unknown, max: number): Points | undefined => {
    if (!Array.isArray(rows) || rows.length > max) return undefined
    if (at + rows.length * size > bytes.length) return undefined
    const taken = noPoints()
    const state = new Float32Array(size)
    for (const row of rows) {
      if (!Array.isArray(row) || row.length !== 4 || !row.every(isUint32)) return undefined
      for (let i = 0; i < size; i++) state[i] = view.getInt8(at++) * STEP
      const [seen, first, last, anchor] = row as [number, number, number, number]
      add(taken, state, first, size, anchor === 1)
      taken.seen[taken.count - 1] = seen
      taken.last[taken.count - 1] = last
    }
    return taken
  }
  for (const entry of header.names) {
    if (!isRecord(entry) || typeof entry.name !== 'string') return undefined
    // Snapshots of the first versions do not count claims, and know of no poison.
    const { first, last, seconds, surprises, strange, claims = 0, contradictions = 0 } = entry
    const { poisoned = 0, hours = 1 } = entry
    const numbers = [first, last, seconds, hours, surprises, strange]
    numbers.push(claims, contradictions, poisoned)
    if (!numbers.every(isUint32)) return undefined
    const usual = take(entry.usual, MEMORY_PROTOTYPES_PER_NAME_MAX)
    const pending = usual && take(entry.pending, MEMORY_PENDING_PER_NAME_MAX)
    if (usual === undefined || pending === undefined) return undefined
    total += usual.count
    names.set(entry.name, {
      first: first as number,
      last: last as number,
      seconds: seconds as number,
      hours: hours as number,
      surprises: surprises as number,
      claims: claims as number,
      contradictions: contradictions as number,
      strange: strange as number,
      poisoned: poisoned as number,
      usual,
      pending,
    })
  }
  if (at !== bytes.length || total > MEMORY_PROTOTYPES_MAX) return undefined
  return { names, since: header.since, recurring: header.recurring }
}

const isUint32 = (value: unknown): value is number => isCount(value, 0xffff_ffff)
