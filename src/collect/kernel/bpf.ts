/**
 * bpf(2), as far as the counter needs it: maps, programs, raw tracepoints, draining.
 *
 * Results are values or negative errno (platform/linux/libc.ts); `BpfError` is thrown only where a
 * caller can do nothing but give up or try a lesser variant. The verifier's log is asked for only
 * after a refusal: writing it costs milliseconds.
 *
 * Everything made here lives by its descriptor: when the process ends, however it ends, the kernel
 * closes them and takes the programs off. Nothing is pinned.
 */
import { closeSync } from 'node:fs'
import { addressOf, bpfSyscall, ENOSPC, nativeBytes, zeroEnded } from '../../platform/linux/libc.ts'

const COMMAND = {
  mapCreate: 0,
  mapLookup: 1,
  mapUpdate: 2,
  progLoad: 5,
  progNextId: 11,
  objectInfo: 15,
  rawTracepointOpen: 17,
  mapLookupAndDeleteBatch: 25,
  linkCreate: 28,
  iterCreate: 33,
} as const

const MAP_KINDS = {
  hash: 1,
  array: 2,
  'shared array': 2,
  'array per CPU': 6,
  'recent hash': 9,
} as const
const MAPPABLE = 1 << 10
const PROGRAM_RAW_TRACEPOINT = 17
const PROGRAM_TRACING = 26
const TRACE_ITER = 28

/**
 * Helpers that look into the kernel are for GPL-compatible programs only; this text is MIT, which
 * is.
 */
const LICENSE = 'Dual MIT/GPL'
const LOG_BYTES = 1 << 20

const attributes = nativeBytes(128)
const view = new DataView(attributes.buffer)

/** One bpf(2) call: `fill` writes the attributes, the rest is zero as the kernel demands. */
function bpf(command: number, size: number, fill: (view: DataView) => void): number {
  attributes.fill(0)
  fill(view)
  return bpfSyscall(command, addressOf(attributes), size)
}

function setAddress(at: number, bytes: NodeJS.TypedArray): void {
  view.setBigUint64(at, BigInt(addressOf(bytes)), true)
}

export class BpfError extends Error {
  readonly errno: number
  /** What the verifier wrote; '' where it was not asked. */
  readonly log: string

  constructor(action: string, errno: number, log = '') {
    super(`${action}: errno ${errno}`)
    this.errno = errno
    this.log = log
  }
}

export class MapRefused extends BpfError {}

export interface MapShape {
  /** A shared array can be mapped into our memory; a recent hash gives up its oldest entries. */
  readonly kind: keyof typeof MAP_KINDS
  readonly keyBytes: number
  readonly valueBytes: number
  readonly entries: number
}

/**
 * @returns its descriptor. Hash maps are allocated at once: a full one refuses, it never evicts
 *   silently as LRU does.
 */
export function createMap(name: string, shape: MapShape): number {
  const descriptor = bpf(COMMAND.mapCreate, 48, (a) => {
    a.setUint32(0, MAP_KINDS[shape.kind], true)
    a.setUint32(4, shape.keyBytes, true)
    a.setUint32(8, shape.valueBytes, true)
    a.setUint32(12, shape.entries, true)
    a.setUint32(16, shape.kind === 'shared array' ? MAPPABLE : 0, true)
    setName(28, name)
  })
  if (descriptor < 0) throw new MapRefused(`Cannot create map "${name}"`, -descriptor)
  return descriptor
}

/**
 * @param iteratorType for a program that walks over the kernel's objects: the type of the walk's
 *   function
 * @returns its descriptor
 */
export function loadProgram(name: string, code: Uint8Array, iteratorType = 0): number {
  const license = zeroEnded(LICENSE)
  const load = (log?: Uint8Array) =>
    bpf(COMMAND.progLoad, iteratorType === 0 ? 72 : 112, (a) => {
      a.setUint32(0, iteratorType === 0 ? PROGRAM_RAW_TRACEPOINT : PROGRAM_TRACING, true)
      if (iteratorType !== 0) {
        a.setUint32(68, TRACE_ITER, true)
        a.setUint32(108, iteratorType, true)
      }
      a.setUint32(4, code.length / 8, true)
      setAddress(8, code)
      setAddress(16, license)
      if (log !== undefined) {
        a.setUint32(24, 1, true)
        a.setUint32(28, log.length, true)
        setAddress(32, log)
      }
      setName(48, name)
    })
  const descriptor = load()
  if (descriptor >= 0) return descriptor
  const log = nativeBytes(LOG_BYTES)
  const again = load(log)
  if (again >= 0) return again
  const end = log.indexOf(0)
  throw new BpfError(
    `Cannot load program "${name}"`,
    -again === ENOSPC ? -descriptor : -again,
    new TextDecoder().decode(log.subarray(0, end < 0 ? log.length : end)),
  )
}

/**
 * Names came with 4.15, and raw tracepoints with 4.17: nothing to fall back for. At most 15 bytes.
 */
function setName(at: number, name: string): void {
  attributes.set(new TextEncoder().encode(name.slice(0, 15)), at)
}

/** @returns the descriptor that keeps the program attached */
export function attachRawTracepoint(tracepoint: string, program: number): number {
  const name = zeroEnded(tracepoint)
  const descriptor = bpf(COMMAND.rawTracepointOpen, 16, (a) => {
    setAddress(0, name)
    a.setUint32(8, program, true)
  })
  if (descriptor < 0) throw new BpfError(`Cannot attach to "${tracepoint}"`, -descriptor)
  return descriptor
}

/** @returns the descriptor that walks are made from */
export function attachIterator(program: number): number {
  const descriptor = bpf(COMMAND.linkCreate, 16, (a) => {
    a.setUint32(0, program, true)
    a.setUint32(8, TRACE_ITER, true)
  })
  if (descriptor < 0) throw new BpfError('Cannot attach an iterator', -descriptor)
  return descriptor
}

/** One walk. @returns the descriptor to read it from, or a negative errno */
export function createIteration(link: number): number {
  return bpf(COMMAND.iterCreate, 8, (a) => a.setUint32(0, link, true))
}

export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) closeSync(descriptor)
}

// --- Elements ------------------------------------------------------------------------------------

function element(command: number, map: number, key: Uint8Array, value?: Uint8Array): number {
  return bpf(command, 32, (a) => {
    a.setUint32(0, map, true)
    setAddress(8, key)
    if (value !== undefined) setAddress(16, value)
  })
}

export function lookUp(map: number, key: Uint8Array, value: Uint8Array): number {
  return element(COMMAND.mapLookup, map, key, value)
}

export function update(map: number, key: Uint8Array, value: Uint8Array): number {
  return element(COMMAND.mapUpdate, map, key, value)
}

/** Room for everything that a drained map can hold. */
export interface DrainBuffer {
  readonly keys: Uint8Array<ArrayBuffer>
  readonly values: Uint8Array<ArrayBuffer>
  readonly shape: MapShape
}

export function drainBuffer(shape: MapShape): DrainBuffer {
  return {
    keys: nativeBytes(shape.keyBytes * shape.entries),
    values: nativeBytes(shape.valueBytes * shape.entries),
    shape,
  }
}

const positions = [nativeBytes(8), nativeBytes(8)] as const

/**
 * Drains a hash map that is not written to at present. 0.3–0.4 ms for 1,000 keys.
 * @returns how many elements lie in the buffer, or a negative errno
 */
export function drainBatch(map: number, into: DrainBuffer): number {
  const { shape } = into
  let taken = 0
  for (let round = 0; ; round++) {
    const room = shape.entries - taken
    if (room === 0) return taken
    const result = bpf(COMMAND.mapLookupAndDeleteBatch, 56, (a) => {
      if (round > 0) setAddress(0, positions[(round + 1) & 1]!)
      setAddress(8, positions[round & 1]!)
      a.setBigUint64(16, BigInt(addressOf(into.keys) + taken * shape.keyBytes), true)
      a.setBigUint64(24, BigInt(addressOf(into.values) + taken * shape.valueBytes), true)
      a.setUint32(32, room, true)
      a.setUint32(36, map, true)
    })
    const count = view.getUint32(32, true)
    // ENOENT ends the walk, and may bring the last elements.
    if (result === 0 || result === -2) taken += count
    if (result === -2) return taken
    if (result < 0) return result
  }
}

/** Ids of all programs in the kernel, ours and others'; empty without the right to ask. */
export function programIds(): number[] {
  const ids: number[] = []
  for (let id = 0; ; ) {
    const at = id
    const result = bpf(COMMAND.progNextId, 12, (a) => a.setUint32(0, at, true))
    if (result < 0) return ids
    id = view.getUint32(4, true)
    ids.push(id)
  }
}
