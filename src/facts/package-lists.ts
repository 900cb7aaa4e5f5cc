/**
 * Understands the lists of installed packages: dpkg's md5sums and apk's database. Pure.
 *
 * A list of a hundred thousand files is kept as three numbers a file (of its path, of its content,
 * where it was read), 1.2 MB; a hit is looked up in the list's text again, so that hash collisions
 * do no harm.
 */
import { PACKAGE_FILES_MAX } from '../domain/limits.ts'

export interface PackageFile {
  /** With its slash; /usr is left out where it doubles /bin, /sbin and /lib. */
  readonly path: string
  /** Of its content, hexadecimal. */
  readonly digest: string
  readonly package: string
}

/** Files of packages in the order of their lists. */
export interface PackageTable {
  readonly length: number
  readonly paths: Uint32Array
  readonly contents: Uint32Array
  /** Number of the list that a file stands in. */
  readonly lists: Uint32Array
}

export class TableBuilder {
  #length = 0
  #paths = new Uint32Array(16_384)
  #contents = new Uint32Array(16_384)
  #lists = new Uint32Array(16_384)

  add(path: string, digest: string, list: number): void {
    if (this.#length >= PACKAGE_FILES_MAX) return
    if (this.#length === this.#paths.length) {
      this.#paths = doubled(this.#paths)
      this.#contents = doubled(this.#contents)
      this.#lists = doubled(this.#lists)
    }
    this.#paths[this.#length] = pathNumber(path)
    this.#contents[this.#length] = contentNumber(digest)
    this.#lists[this.#length] = list
    this.#length++
  }

  take(): PackageTable {
    const length = this.#length
    return {
      length,
      paths: this.#paths.slice(0, length),
      contents: this.#contents.slice(0, length),
      lists: this.#lists.slice(0, length),
    }
  }
}

/** Numbers of the lists that may hold a file of this path. */
export function listsWithPath(table: PackageTable, path: string): number[] {
  return listsWith(table, table.paths, pathNumber(path))
}

/** Numbers of the lists that may hold a file of this content. */
export function listsWithContent(table: PackageTable, digest: string): number[] {
  return listsWith(table, table.contents, contentNumber(digest))
}

function listsWith(table: PackageTable, column: Uint32Array, number: number): number[] {
  const lists: number[] = []
  for (let at = column.indexOf(number); at >= 0; at = column.indexOf(number, at + 1))
    lists.push(table.lists[at]!)
  return lists
}

function doubled(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(array.length * 2)
  grown.set(array)
  return grown
}

/** One name for a file that may be told with /usr or without. */
export function plainPath(path: string): string {
  const absolute = path.startsWith('/') ? path : `/${path}`
  return absolute.replace(/^\/usr(?=\/(bin|sbin|lib)\/)/, '')
}

function pathNumber(path: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function contentNumber(digest: string): number {
  return Number.parseInt(digest.slice(0, 8), 16) >>> 0
}

/** Lines of a package's md5sums: "<32 hex>  usr/bin/find". */
export function* parseMd5sums(text: string, packageName: string): Generator<PackageFile> {
  for (let from = 0; from < text.length; ) {
    let to = text.indexOf('\n', from)
    if (to < 0) to = text.length
    // 32 digits, two spaces, a path.
    if (to - from > 34 && text.charCodeAt(from + 32) === 32)
      yield {
        path: plainPath(text.slice(from + 34, to)),
        digest: text.slice(from, from + 32),
        package: packageName,
      }
    from = to + 1
  }
}

/** "libc6:amd64.md5sums" → "libc6" */
export function packageOfList(file: string): string {
  return file.replace(/\.md5sums$/, '').replace(/:.*$/, '')
}

/** apk's database: P: package, F: directory, R: file, Z: its digest (Q1 and base64 of SHA-1). */
export function* parseApk(text: string): Generator<PackageFile> {
  let name = ''
  let directory = ''
  let file = ''
  for (const line of text.split('\n')) {
    const value = line.slice(2)
    if (line.startsWith('P:')) name = value
    else if (line.startsWith('F:')) directory = value
    else if (line.startsWith('R:')) file = value
    else if (line.startsWith('Z:Q1') && file !== '') {
      const digest = Buffer.from(value.slice(2), 'base64').toString('hex')
      yield { path: plainPath(`${directory}/${file}`), digest, package: name }
      file = ''
    }
  }
}
