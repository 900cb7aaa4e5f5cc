/**
 * Gives back resident memory that only starting needed: pages of files that are mapped and were not
 * written (code, the code and data that the binary carries), and free memory of the C library.
 *
 * Nothing is lost: only mappings are dropped of which no page is a copy of this process
 * (`Anonymous: 0`), so the file has all of it, and what is needed again comes back from the page
 * cache by a minor fault. MADV_DONTNEED and not MADV_PAGEOUT: the latter passes over pages that
 * another process maps (our helpers run the same file) and over those of files that were just
 * written (27 MB of ONNX Runtime after the first start, measured).
 */
import { dlopen, FFIType } from 'bun:ffi'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { compiled } from './embedded.ts'

const MADV_DONTNEED = 4
const MADV_DONTDUMP = 16
/** The largest that a kernel for arm64 may have; 4096 elsewhere. */
const PAGE_BYTES = 65_536
const PAYLOAD = '.bun'

export interface Mapping {
  readonly start: number
  readonly bytes: number
  readonly access: string
  readonly path: string
  /** Of its pages, those that are no longer the file's. */
  readonly anonymousKb: number
}

/** Reading the table of mappings and coming back cost some 10 ms. */
export function giveBackPages(): void {
  if (!compiled) return
  payload ??= separatePayload()
  const { madvise, malloc_trim: trim } = library()
  for (const mapping of mappings(readFileSync('/proc/self/smaps', 'utf8')))
    if (canGoBack(mapping, payload)) madvise(mapping.start, mapping.bytes, MADV_DONTNEED)
  trim(0)
}

interface Range {
  readonly start: number
  readonly bytes: number
}

/** Private mappings of files alone: of shared ones a page may be dirty. */
export function canGoBack(mapping: Mapping, writable: Range): boolean {
  const { start, bytes, access, path, anonymousKb } = mapping
  if (!path.startsWith('/') || anonymousKb > 0) return false
  if (/^r-.p$/.test(access)) return true
  return (
    access === 'rw-p' && start >= writable.start && start + bytes <= writable.start + writable.bytes
  )
}

/** @param smaps text of /proc/PID/smaps */
export function mappings(smaps: string): Mapping[] {
  const found: Mapping[] = []
  let open: Omit<Mapping, 'anonymousKb'> | undefined
  for (const line of smaps.split('\n')) {
    const [, from, to, access, path] =
      /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line) ?? []
    if (from !== undefined && to !== undefined) {
      const start = Number.parseInt(from, 16)
      open = { start, bytes: Number.parseInt(to, 16) - start, access: access!, path: path! }
      continue
    }
    const anonymous = /^Anonymous: +(\d+) kB/.exec(line)?.[1]
    if (anonymous !== undefined && open !== undefined)
      found.push({ ...open, anonymousKb: Number(anonymous) })
  }
  return found
}

let payload: Range | undefined

/**
 * What the build has put into the runtime (our code, the model, libraries) lies in one writable
 * segment with the runtime's variables. Nothing writes to it; a flag of its own makes it a mapping
 * of its own, whose written pages are counted apart.
 */
function separatePayload(): Range {
  const range = payloadOf(process.execPath) ?? { start: 0, bytes: 0 }
  if (range.bytes > 0) library().madvise(range.start, range.bytes, MADV_DONTDUMP)
  return range
}

/** Whole pages of the section that Bun puts our code into. @param path of an ELF file, 64 bits */
export function payloadOf(path: string): Range | undefined {
  const file = openSync(path, 'r')
  try {
    const part = (at: number, bytes: number) => {
      const buffer = Buffer.alloc(bytes)
      readSync(file, buffer, 0, bytes, at)
      return buffer
    }
    const header = part(0, 64)
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2) return undefined
    const at = Number(header.readBigUInt64LE(40))
    const [size, count, named] = [58, 60, 62].map((offset) => header.readUInt16LE(offset))
    const sections = part(at, size! * count!)
    const word = (section: number, offset: number) =>
      Number(sections.readBigUInt64LE(section * size! + offset))
    const names = part(word(named!, 24), word(named!, 32)).toString('latin1')
    for (let section = 0; section < count!; section++) {
      const name = sections.readUInt32LE(section * size!)
      if (names.slice(name, names.indexOf('\0', name)) !== PAYLOAD) continue
      const [address, bytes] = [word(section, 16), word(section, 32)]
      const start = Math.ceil(address / PAGE_BYTES) * PAGE_BYTES
      const end = Math.floor((address + bytes) / PAGE_BYTES) * PAGE_BYTES
      return end > start ? { start, bytes: end - start } : undefined
    }
    return undefined
  } finally {
    closeSync(file)
  }
}

let libc: ReturnType<typeof open> | undefined

function library() {
  libc ??= open()
  return libc
}

function open() {
  return dlopen('libc.so.6', {
    madvise: { args: [FFIType.u64, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
    malloc_trim: { args: [FFIType.u64], returns: FFIType.i32 },
  }).symbols
}
