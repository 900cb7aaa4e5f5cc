/**
 * Labelled rows of windows (host-rows.ts), sparse and small: what a model brings of malicious
 * behaviours and of ordinary programs elsewhere (`references.bin`), and what an agent keeps of its
 * own host's ordinary life between two adaptations. A few thousand rows are some 300 kB.
 *
 * As bytes, compressed by zstd: magic, length of the header, checksum of all else, header (JSON: width, and for each
 * label its rows' lengths), columns (u16), values (u16, in steps of 1/32768). They come from a
 * disk, so every number is checked.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import {
  ADAPTATION_BYTES_MAX,
  HOST_ROW_CELLS_MAX,
  HOST_ROWS_MAX,
  NAME_BYTES_MAX,
} from '../domain/limits.ts'

const MAGIC = 0x524f5753 // ROWS
const HEAD_BYTES = 12
const STEPS = 32_768

/** A row: columns ascending, values > 0 and below 2. */
export interface SparseRow {
  readonly columns: Uint16Array
  readonly values: Float32Array
}

export interface RowSet {
  /** Numbers of a row (hostRowWidth). */
  readonly width: number
  readonly rows: ReadonlyMap<string, readonly SparseRow[]>
}

/** The numbers of a dense row that are not zero, rounded as they are kept. */
export function sparseRow(dense: Float32Array): SparseRow {
  let length = 0
  for (let c = 0; c < dense.length; c++) if (dense[c]! > 0 && kept(dense[c]!) > 0) length++
  const columns = new Uint16Array(length)
  const values = new Float32Array(length)
  let at = 0
  for (let c = 0; c < dense.length; c++) {
    if (!(dense[c]! > 0)) continue
    const steps = kept(dense[c]!)
    if (steps === 0) continue
    columns[at] = c
    values[at++] = steps / STEPS
  }
  return { columns, values }
}

function kept(value: number): number {
  return Math.min(0xffff, Math.round(value * STEPS))
}

/** Rows spread evenly over a list, at most so many. */
export function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list]
  return Array.from({ length: most }, (_, i) => list[Math.floor((i * list.length) / most)]!)
}

/** @param level of zstd: 3 is fast; what travels with a model is worth 19 */
export function encodeRowSet({ width, rows }: RowSet, level = 3): Uint8Array {
  const labels = [...rows].filter(([, list]) => list.length > 0)
  const header = new TextEncoder().encode(
    JSON.stringify({
      width,
      labels: labels.map(([label, list]) => [label, list.map(({ columns }) => columns.length)]),
    }),
  )
  const all = labels.flatMap(([, list]) => list)
  const cells = all.reduce((sum, { columns }) => sum + columns.length, 0)
  const bytes = new Uint8Array(HEAD_BYTES + header.length + 4 * cells)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint32(4, header.length)
  bytes.set(header, HEAD_BYTES)
  let at = HEAD_BYTES + header.length
  for (const { columns, values } of all)
    for (let k = 0; k < columns.length; k++, at += 4) {
      view.setUint16(at, columns[k]!)
      view.setUint16(at + 2, kept(values[k]!))
    }
  view.setUint32(8, Bun.hash.crc32(bytes.subarray(HEAD_BYTES)))
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  return new Uint8Array(zstdCompressSync(bytes, { params }))
}

/** Undefined where the bytes are damaged, or not of rows of this width. */
export function decodeRowSet(compressed: Uint8Array, width: number): RowSet | undefined {
  const bytes = decompressed(compressed)
  if (bytes === undefined || bytes.length < HEAD_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(4)
  if (view.getUint32(0) !== MAGIC || length > bytes.length - HEAD_BYTES) return undefined
  if (view.getUint32(8) !== Bun.hash.crc32(bytes.subarray(HEAD_BYTES))) return undefined
  const labels = labelsOf(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length), width)
  if (labels === undefined) return undefined
  const rows = new Map<string, SparseRow[]>()
  let at = HEAD_BYTES + length
  for (const [label, lengths] of labels) {
    const list: SparseRow[] = []
    for (const cells of lengths) {
      if (at + 4 * cells > bytes.length) return undefined
      const row = { columns: new Uint16Array(cells), values: new Float32Array(cells) }
      for (let k = 0; k < cells; k++, at += 4) {
        row.columns[k] = view.getUint16(at)
        row.values[k] = view.getUint16(at + 2) / STEPS
        if (row.columns[k]! >= width) return undefined
      }
      list.push(row)
    }
    rows.set(label, list)
  }
  return at === bytes.length ? { width, rows } : undefined
}

/** Never more than its bound; undefined where it is no zstd. */
function decompressed(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return new Uint8Array(zstdDecompressSync(bytes, { maxOutputLength: ADAPTATION_BYTES_MAX }))
  } catch {
    return undefined
  }
}

function labelsOf(header: Uint8Array, width: number): [string, number[]][] | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(header))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { width: written, labels } = value as { width?: unknown; labels?: unknown }
  if (written !== width || !Array.isArray(labels)) return undefined
  let rows = 0
  for (const entry of labels) {
    if (!Array.isArray(entry) || entry.length !== 2) return undefined
    const [label, lengths] = entry as [unknown, unknown]
    if (typeof label !== 'string' || label.length > NAME_BYTES_MAX) return undefined
    if (!Array.isArray(lengths) || !lengths.every(isLength)) return undefined
    rows += lengths.length
    if (rows > HOST_ROWS_MAX) return undefined
  }
  return labels as [string, number[]][]
}

function isLength(value: unknown): boolean {
  return (
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= HOST_ROW_CELLS_MAX
  )
}
