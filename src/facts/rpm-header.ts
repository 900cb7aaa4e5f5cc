/**
 * Understands what rpm keeps of an installed package: its header, a table of tags and their store.
 * [rpm.org, "Header Structure"] Only its name and its files with their digests are read. Pure.
 */
import { type PackageFile, plainPath } from './package-lists.ts'

/** Of FILEDIGESTALGO, as PGP numbers them. Packages of before 2009 have MD5. */
const SHA256 = 8

const TAGS = {
  name: 1000,
  digests: 1035,
  folderOf: 1116,
  names: 1117,
  folders: 1118,
  algorithm: 5011,
}
const INT32 = 4
const STRING = 6
const STRINGS = 8
const MOST_TAGS = 10_000

interface Entry {
  readonly type: number
  readonly offset: number
  readonly count: number
}

/** @param header as the database holds it: without the magic number of a package file */
export function* parseRpmHeader(header: Uint8Array): Generator<PackageFile> {
  if (header.length < 8) return
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const count = view.getUint32(0)
  const storeFrom = 8 + 16 * count
  if (count > MOST_TAGS || storeFrom > header.length) return
  const entries = new Map<number, Entry>()
  for (let at = 8; at < storeFrom; at += 16)
    entries.set(view.getUint32(at), {
      type: view.getUint32(at + 4),
      offset: view.getUint32(at + 8),
      count: view.getUint32(at + 12),
    })
  const store = header.subarray(storeFrom)
  const [algorithm] = numbers(store, entries.get(TAGS.algorithm))
  const [name] = strings(store, entries.get(TAGS.name))
  if (algorithm !== SHA256 || name === undefined) return
  const digests = strings(store, entries.get(TAGS.digests))
  const names = strings(store, entries.get(TAGS.names))
  const folders = strings(store, entries.get(TAGS.folders))
  const folderOf = numbers(store, entries.get(TAGS.folderOf))
  for (const [i, file] of names.entries()) {
    const folder = folders[folderOf[i] ?? -1]
    const digest = digests[i] ?? ''
    // Directories and links have none.
    if (folder === undefined || digest === '') continue
    yield { path: plainPath(`${folder}${file}`), digest, package: name }
  }
}

function strings(store: Uint8Array, entry: Entry | undefined): string[] {
  if (entry === undefined || (entry.type !== STRING && entry.type !== STRINGS)) return []
  const texts: string[] = []
  const decoder = new TextDecoder('latin1')
  for (let at = entry.offset; texts.length < entry.count && at < store.length; ) {
    const end = store.indexOf(0, at)
    if (end < 0) break
    texts.push(decoder.decode(store.subarray(at, end)))
    at = end + 1
  }
  return texts
}

function numbers(store: Uint8Array, entry: Entry | undefined): number[] {
  if (entry === undefined || entry.type !== INT32) return []
  const { offset, count } = entry
  const most = Math.min(count, Math.floor((store.length - offset) / 4))
  if (most <= 0) return []
  const view = new DataView(store.buffer, store.byteOffset + offset, 4 * most)
  return Array.from({ length: most }, (_, i) => view.getUint32(4 * i))
}
