/**
 * Databases of installed packages: where a root has one, and what is read of it. dpkg keeps a list
 * a package, apk one file for all, rpm an SQLite table with a header a package.
 *
 * A database is trusted only if root of this host wrote it. Not read: rpm's in other formats
 * (Berkeley DB of RHEL 8 and before, ndb of SUSE) and pacman's.
 */
import { basename } from 'node:path'
import {
  PACKAGE_DATABASE_BYTES_MAX,
  PACKAGE_LIST_BYTES_MAX,
  PACKAGE_LISTS_MAX,
} from '../domain/limits.ts'
import { collectGarbage } from '../platform/heap.ts'
import {
  type PackageFile,
  type PackageTable,
  packageOfList,
  parseApk,
  parseMd5sums,
  TableBuilder,
} from './package-lists.ts'
import { entriesOf, localPathIn, readAt, statOf, withFile } from './proc-files.ts'
import { parseRpmHeader } from './rpm-header.ts'
import {
  parseSqliteHeader,
  type ReadPage,
  rootOfTable,
  rowAt,
  rowsOf,
  type SqliteFile,
} from './sqlite-rows.ts'

const DPKG_INFO = '/var/lib/dpkg/info'
const PLACES = [
  ['dpkg', DPKG_INFO],
  ['apk', '/lib/apk/db/installed'],
  ['apk', '/usr/lib/apk/db/installed'],
  ['rpm', '/usr/lib/sysimage/rpm/rpmdb.sqlite'],
  ['rpm', '/var/lib/rpm/rpmdb.sqlite'],
] as const
const ALGORITHMS = { dpkg: 'md5', apk: 'sha1', rpm: 'sha256' } as const
/** A host with fewer packages has no database worth the name. */
const PACKAGES_LEAST = 5
const BYTES = PACKAGE_LIST_BYTES_MAX
const NONE = new Uint8Array()

/** Bytes that may yet be read of a database; below zero it is too large. */
interface Budget {
  left: number
}

/** Its packages in rpm's file. */
const RPM_TABLE = 'Packages'

export type Algorithm = (typeof ALGORITHMS)[keyof typeof ALGORITHMS]

export interface Database {
  readonly kind: keyof typeof ALGORITHMS
  readonly path: string
  readonly key: string
  /** Changes with the database. */
  readonly stamp: string
}

export interface Index {
  readonly database: Database
  readonly algorithm: Algorithm
  readonly stamp: string
  readonly table: PackageTable
  /** Where each list is found again: a file, or a row of a file. */
  readonly lists: readonly string[]
}

/** Databases of a root, the authoritative one first. */
export function databasesOf(pid: number, root: string): Database[] {
  return PLACES.flatMap(([kind, path]) => {
    // A container's root may be made so that it leads elsewhere.
    if (localPathIn(pid, root, path) !== path) return []
    const stat = statOf(`${root}${path}`)
    if (stat === undefined || stat.uid !== 0 || (stat.mode & 0o022) !== 0) return []
    const key = `${stat.dev}:${stat.ino}`
    return [{ kind, path, key, stamp: `${key}:${stat.ctimeMs}:${stat.size}` }]
  })
}

/**
 * Undefined where there are too few packages for a whole root, or more is to be read than any host
 * has: a container's files may be made so that they are read for hours.
 */
export function readIndex(
  root: string,
  database: Database,
  bytesMax = PACKAGE_DATABASE_BYTES_MAX,
): Index | undefined {
  const table = new TableBuilder()
  const lists: string[] = []
  const add = (list: string, files: Iterable<PackageFile>) => {
    for (const file of files) table.add(file.path, file.digest, lists.length)
    lists.push(list)
  }
  const { kind, path, stamp } = database
  const budget = { left: bytesMax }
  if (kind === 'rpm') readRpm(`${root}${path}`, budget, add)
  else
    for (const list of textLists(root, database)) {
      if (budget.left < 0) break
      add(list, readList(root, database, list, budget))
    }
  if (budget.left < 0) return undefined
  if (kind !== 'apk' && lists.length < PACKAGES_LEAST) return undefined
  const index = { database, algorithm: ALGORITHMS[kind], stamp, table: table.take(), lists }
  // Ten megabytes of text, read for one.
  collectGarbage()
  return index
}

/** The files of one of an index's lists, read anew. */
export function filesOf(root: string, { database, lists }: Index, list: number): PackageFile[] {
  const place = lists[list]!
  const path = `${root}${database.path}`
  if (database.kind !== 'rpm') return [...readList(root, database, place)]
  return (
    withRpm(path, (file, read) => {
      const [page, rowid] = place.split(' ').map(Number)
      const row = rowAt(file, read, { page: page!, rowid: rowid! }, BYTES)
      return [...parseRpmHeader(row?.columns[1] ?? NONE)]
    }) ?? []
  )
}

function textLists(root: string, { kind, path }: Database): string[] {
  if (kind === 'apk') return [path]
  return entriesOf(`${root}${path}`, PACKAGE_LISTS_MAX)
    .filter((name) => name.endsWith('.md5sums'))
    .map((name) => `${path}/${name}`)
}

function readList(
  root: string,
  { kind }: Database,
  list: string,
  budget: Budget = { left: BYTES },
): Iterable<PackageFile> {
  const text =
    withFile(`${root}${list}`, (file, { size }) => {
      const bytes = Math.min(size, BYTES)
      budget.left -= bytes
      return new TextDecoder('latin1').decode(readAt(file, 0, bytes))
    }) ?? ''
  return kind === 'dpkg' ? parseMd5sums(text, packageOfList(basename(list))) : parseApk(text)
}

function readRpm(
  path: string,
  budget: Budget,
  add: (list: string, files: Iterable<PackageFile>) => void,
): void {
  withRpm(path, (file, readPage) => {
    const read: ReadPage = (page) => {
      budget.left -= file.pageBytes
      return budget.left < 0 ? undefined : readPage(page)
    }
    const first = rootOfTable(file, read, RPM_TABLE)
    if (first === undefined) return
    let count = 0
    for (const { page, rowid, columns } of rowsOf(file, read, first, BYTES)) {
      if (++count > PACKAGE_LISTS_MAX) break
      add(`${page} ${rowid}`, parseRpmHeader(columns[1] ?? NONE))
    }
  })
}

function withRpm<T>(path: string, act: (file: SqliteFile, read: ReadPage) => T): T | undefined {
  return withFile(path, (descriptor) => {
    const file = parseSqliteHeader(readAt(descriptor, 0, 100))
    if (file === undefined) return undefined
    const { pageBytes } = file
    const buffer = new Uint8Array(pageBytes)
    return act(file, (page) => {
      const bytes = readAt(descriptor, (page - 1) * pageBytes, pageBytes, buffer)
      return bytes.length === pageBytes ? bytes : undefined
    })
  })
}
