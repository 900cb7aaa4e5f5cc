/** rpm's files may be a container's: whatever stands in them, reading ends and nothing is thrown. */
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
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

test('headers of random bytes name no files', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      expect([...parseRpmHeader(bytes)]).toEqual([])
    }),
  )
})
