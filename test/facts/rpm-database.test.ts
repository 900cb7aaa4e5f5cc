/** rpm's files may be a container's: whatever stands in them, reading ends and nothing is thrown. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { readIndex } from '../../src/facts/package-database.ts'
import { parseRpmHeader } from '../../src/facts/rpm-header.ts'
import {
  parseSqliteHeader,
  type ReadPage,
  rootOfTable,
  rowAt,
  rowsOf,
} from '../../src/facts/sqlite-rows.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const temporary = temporaryDirectories()

/** A file with a hundred rows of the given sizes. */
function sqliteFile(sizes: readonly number[]): Uint8Array {
  const path = join(temporary(), 'x.sqlite')
  const database = new Database(path)
  database.run(
    'CREATE TABLE other (a); CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)',
  )
  const insert = database.prepare('INSERT INTO Packages VALUES (?, ?)')
  for (const [i, size] of sizes.entries()) insert.run(i + 1, new Uint8Array(size).fill(i + 1))
  database.close()
  return new Uint8Array(readFileSync(path))
}

function tableOf(bytes: Uint8Array) {
  const file = parseSqliteHeader(bytes.subarray(0, 100))
  if (file === undefined) return undefined
  const read: ReadPage = (page) => {
    const from = (page - 1) * file.pageBytes
    return from + file.pageBytes <= bytes.length
      ? bytes.subarray(from, from + file.pageBytes)
      : undefined
  }
  const root = rootOfTable(file, read, 'Packages')
  return root === undefined ? undefined : { file, read, root }
}

test('rowsOf() and rowAt() give what SQLite wrote, also what spills over a page', () => {
  const sizes = Array.from({ length: 300 }, (_, i) => (i % 7 === 0 ? 9_000 + i : 10 * i + 1))
  const { file, read, root } = tableOf(sqliteFile(sizes))!
  const rows = [...rowsOf(file, read, root, 1e6)]
  expect(rows.map(({ rowid }) => rowid)).toEqual(sizes.map((_, i) => i + 1))
  expect(rows.map(({ columns }) => columns[1]?.length)).toEqual(sizes)
  expect(rows.every(({ rowid, columns }) => columns[1]!.every((b) => b === rowid % 256))).toBe(true)
  expect(rowAt(file, read, rows[77]!, 1e6)?.columns[1]).toEqual(rows[77]!.columns[1]!)
  expect(rowAt(file, read, { page: rows[77]!.page, rowid: 9_999 }, 1e6)).toBeUndefined()
})

test('a damaged file ends the walk', () => {
  const whole = sqliteFile([5, 9_000, 300, 20_000, 40])
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.nat(whole.length), (changes, length) => {
      const bytes = whole.slice(0, length)
      for (const { at, byte } of changes) if (at < length) bytes[at] = byte
      const table = tableOf(bytes)
      if (table === undefined) return
      for (const { columns } of rowsOf(table.file, table.read, table.root, 1e6))
        for (const column of columns) expect([...parseRpmHeader(column)]).toBeArray()
    }),
    { numRuns: 300 },
  )
})

test('a page whose cells lie over each other is not read again and again', () => {
  const bytes = sqliteFile([2_000])
  const { file, read, root } = tableOf(bytes)!
  const page = read(root)!
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  const cell = view.getUint16(8)
  view.setUint16(3, 1_000)
  for (let i = 0; i < 1_000; i++) view.setUint16(8 + 2 * i, cell)
  expect([...rowsOf(file, read, root, 1e6)].length).toBeLessThanOrEqual(2)
})

test('of a database that is larger than any nothing is known', () => {
  const root = temporary()
  const info = join(root, 'var/lib/dpkg/info')
  mkdirSync(info, { recursive: true })
  for (let i = 0; i < 20; i++)
    writeFileSync(join(info, `p${i}.md5sums`), `${'a'.repeat(32)}  usr/bin/p${i}\n`)
  const database = { kind: 'dpkg', path: '/var/lib/dpkg/info', key: 'k', stamp: 's' } as const
  expect(readIndex(root, database)?.lists).toHaveLength(20)
  expect(readIndex(root, database, 500)).toBeUndefined()
})

test('headers of random bytes name no files', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect([...parseRpmHeader(bytes)]).toEqual([])
    }),
  )
})
