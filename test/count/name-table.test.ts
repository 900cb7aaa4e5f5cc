import { describe, expect, test } from 'bun:test'
import { NameTable } from '../../src/count/name-table.ts'

const bytesOf = (name: string) => new TextEncoder().encode(name)
const intern = (table: NameTable, name: string) => {
  const bytes = bytesOf(name)
  return table.intern(bytes, 0, bytes.length)
}

describe('NameTable', () => {
  test('keeps names and their ids while it grows, also those never read before', () => {
    const table = new NameTable(8_000)
    const names = Array.from({ length: 5_000 }, (_, i) => `name ${i}`)
    const ids = names.map((name) => intern(table, name))
    expect(new Set(ids).size).toBe(names.length)
    expect(names.map((name) => intern(table, name))).toEqual(ids)
    expect(ids.map((id) => table.nameOf(id))).toEqual(names)
    expect(table.size).toBe(5_000)
  })

  test('what is reclaimed makes room, and the rest keeps its id', () => {
    const table = new NameTable(100)
    const names = Array.from({ length: 100 }, (_, i) => `name ${i}`)
    const ids = names.map((name) => intern(table, name))
    expect(table.nameOf(intern(table, 'one too many'))).toBe('?')
    const used = new Set(ids.slice(0, 40))
    table.reclaim((id) => used.has(id))
    expect(table.size).toBe(40)
    expect(names.slice(0, 40).map((name) => intern(table, name))).toEqual(ids.slice(0, 40))
    const fresh = Array.from({ length: 60 }, (_, i) => intern(table, `fresh ${i}`))
    expect(fresh.map((id) => table.nameOf(id))).toEqual(
      Array.from({ length: 60 }, (_, i) => `fresh ${i}`),
    )
  })

  test('is crowded from half of its bound on', () => {
    const table = new NameTable(10)
    for (let i = 0; i < 5; i++) intern(table, `name ${i}`)
    expect(table.isCrowded).toBe(false)
    intern(table, 'one more')
    expect(table.isCrowded).toBe(true)
  })
})
