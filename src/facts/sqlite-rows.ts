/**
 * Reads the rows of one table of an SQLite file, page by page, and nothing else of it: rpm keeps
 * its packages so. [SQLite database file format, 1.5 and 2.1]
 *
 * Own code because the file may be a container's, and the facts reader, which holds rights over all
 * processes, must not run a database engine on it. What is damaged ends the walk; nothing is
 * written, no lock is taken, and what stands in a write-ahead log only is not seen.
 */

import { PACKAGE_PAGES_MAX } from '../domain/limits.ts'

/** A page by its number, from 1; undefined beyond the end. Valid until the next call. */
export type ReadPage = (page: number) => Uint8Array | undefined

export interface SqliteFile {
  readonly pageBytes: number
  /** Without what each page reserves at its end. */
  readonly usableBytes: number
}

export interface Row {
  /** Of the page that holds it, with `rowid` what `rowAt` finds it again by. */
  readonly page: number
  readonly rowid: number
  /** Its columns as bytes; empty where they are numbers or NULL. */
  readonly columns: readonly Uint8Array[]
}

const MAGIC = 'SQLite format 3\0'
const LEAF = 13
const INTERIOR = 5
const DEEPEST = 20
const SCHEMA_PAGE = 1
const HEADER_BYTES = 100
/** The shortest cell. */
const CELL_BYTES = 4

/** @param head the first hundred bytes */
export function parseSqliteHeader(head: Uint8Array): SqliteFile | undefined {
  if (head.length < HEADER_BYTES || latin1(head.subarray(0, 16)) !== MAGIC) return undefined
  const stored = (head[16]! << 8) | head[17]!
  const pageBytes = stored === 1 ? 65_536 : stored
  if (pageBytes < 512 || (pageBytes & (pageBytes - 1)) !== 0) return undefined
  return { pageBytes, usableBytes: pageBytes - head[20]! }
}

/** First page of a table, by its name. */
export function rootOfTable(file: SqliteFile, read: ReadPage, table: string): number | undefined {
  for (const { columns } of rowsOf(file, read, SCHEMA_PAGE, 65_536)) {
    const [type, name, , root] = columns
    if (type === undefined || name === undefined || root === undefined) continue
    if (latin1(type) === 'table' && latin1(name) === table) return integer(root)
  }
  return undefined
}

/**
 * All rows of a table in the order of their ids.
 * @param bytesMax of a row; larger ones are left out
 */
export function* rowsOf(
  file: SqliteFile,
  read: ReadPage,
  root: number,
  bytesMax: number,
): Generator<Row> {
  const seen = new Set<number>()
  const waiting: { page: number; depth: number }[] = [{ page: root, depth: 0 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { page, depth } = next
    // A tree with a way back has no end.
    if (depth > DEEPEST || seen.has(page) || seen.size >= PACKAGE_PAGES_MAX) continue
    seen.add(page)
    const bytes = read(page)?.slice()
    if (bytes === undefined) continue
    const at = page === SCHEMA_PAGE ? HEADER_BYTES : 0
    if (bytes[at] === LEAF) yield* cellsOf(file, read, page, bytes, bytesMax)
    else if (bytes[at] === INTERIOR)
      for (const child of childrenOf(bytes, at).reverse())
        waiting.push({ page: child, depth: depth + 1 })
  }
}

/** A row where `rowsOf` found it. */
export function rowAt(
  file: SqliteFile,
  read: ReadPage,
  { page, rowid }: Pick<Row, 'page' | 'rowid'>,
  bytesMax: number,
): Row | undefined {
  const bytes = read(page)?.slice()
  if (bytes?.[page === SCHEMA_PAGE ? HEADER_BYTES : 0] !== LEAF) return undefined
  for (const row of cellsOf(file, read, page, bytes, bytesMax)) if (row.rowid === rowid) return row
  return undefined
}

function childrenOf(bytes: Uint8Array, at: number): number[] {
  const cells = pointersOf(bytes, at, 12).map((from) => number32(bytes, from))
  return [...cells, number32(bytes, at + 8)]
}

function* cellsOf(
  file: SqliteFile,
  read: ReadPage,
  page: number,
  bytes: Uint8Array,
  bytesMax: number,
): Generator<Row> {
  const at = page === SCHEMA_PAGE ? HEADER_BYTES : 0
  let left = bytes.length
  for (const from of pointersOf(bytes, at, 8)) {
    const [length, afterLength] = varint(bytes, from)
    // Cells of a page do not overlap: a page that says so could be read for ever.
    left -= Math.max(CELL_BYTES, Math.min(length, hereOf(file, length)))
    if (left < 0) return
    const [rowid, afterId] = varint(bytes, afterLength)
    if (length <= 0 || length > bytesMax) continue
    const payload = payloadOf(file, read, bytes, afterId, length)
    if (payload !== undefined) yield { page, rowid, columns: columnsOf(payload) }
  }
}

function pointersOf(bytes: Uint8Array, at: number, headerBytes: number): number[] {
  const count = (bytes[at + 3]! << 8) | bytes[at + 4]!
  const pointers: number[] = []
  for (let i = 0; i < count; i++) {
    const place = at + headerBytes + 2 * i
    if (place + 2 > bytes.length) break
    const pointer = (bytes[place]! << 8) | bytes[place + 1]!
    if (pointer < bytes.length) pointers.push(pointer)
  }
  return pointers
}

/** How much of a payload is in its cell. */
function hereOf({ usableBytes }: SqliteFile, length: number): number {
  const most = usableBytes - 35
  const least = Math.floor(((usableBytes - 12) * 32) / 255) - 23
  const rest = least + ((length - least) % (usableBytes - 4))
  return length <= most ? length : rest <= most ? rest : least
}

/** What does not fit a page goes on in a chain of overflow pages. */
function payloadOf(
  file: SqliteFile,
  read: ReadPage,
  bytes: Uint8Array,
  from: number,
  length: number,
): Uint8Array | undefined {
  const { usableBytes } = file
  const here = hereOf(file, length)
  if (from + here > bytes.length) return undefined
  const payload = new Uint8Array(length)
  payload.set(bytes.subarray(from, from + here))
  let next = here < length ? number32(bytes, from + here) : 0
  for (let at = here; at < length; ) {
    const page = next === 0 ? undefined : read(next)
    if (page === undefined) return undefined
    const part = page.subarray(4, 4 + Math.min(usableBytes - 4, length - at))
    if (part.length === 0) return undefined
    payload.set(part, at)
    at += part.length
    next = number32(page, 0)
  }
  return payload
}

const NUMBER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0] as const

function columnsOf(payload: Uint8Array): Uint8Array[] {
  const [headerBytes, first] = varint(payload, 0)
  const columns: Uint8Array[] = []
  let at = first
  let from = headerBytes
  while (at < headerBytes && at < payload.length) {
    const [type, next] = varint(payload, at)
    at = next
    const bytes = type < 12 ? (NUMBER_BYTES[type] ?? 0) : Math.floor((type - 12) / 2)
    columns.push(payload.subarray(from, from + bytes))
    from += bytes
  }
  return columns
}

/** @returns the number and where the next byte is */
function varint(bytes: Uint8Array, from: number): [value: number, next: number] {
  let value = 0
  for (let i = 0; i < 8; i++) {
    const byte = bytes[from + i] ?? 0
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, from + i + 1]
  }
  return [value * 256 + (bytes[from + 8] ?? 0), from + 9]
}

function integer(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0)
}

function number32(bytes: Uint8Array, at: number): number {
  return integer(bytes.subarray(at, at + 4))
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes)
}
