import { expect, test } from 'bun:test'
import { zstdCompressSync } from 'node:zlib'
import { ADAPTATION_BYTES_MAX } from '../../src/domain/limits.ts'
import { writeHostRow } from '../../src/model/host-rows.ts'
import {
  decodeRowSet,
  encodeRowSet,
  type RowSet,
  sparseRow,
  spread,
} from '../../src/model/row-set.ts'

const dense = Float32Array.of(0, 0.5, 0, 0.25, 1)
const set: RowSet = {
  width: 5,
  rows: new Map([
    ['a', [sparseRow(dense), sparseRow(Float32Array.of(1, 0, 0, 0, 0))]],
    ['b', [sparseRow(new Float32Array(5))]],
  ]),
}

test('writeHostRow() gives means and deviations over the active seconds, and how busy they were', () => {
  const rows = Float32Array.of(0.6, 0.2, 0, 0, 0.2, 0.2)
  const calls = Float32Array.of(Math.E ** 14 - 1, 0, Math.E ** 7 - 1)
  const row = new Float32Array(7)
  writeHostRow({ rows, calls }, 0, 3, 2, row)
  expect([...row].map((value) => Math.round(value * 1000) / 1000)).toEqual([
    ...[0.4, 0.2, 0.2, 0],
    ...[0.667, 0.75, 0.25],
  ])
  writeHostRow({ rows: new Float32Array(6), calls: new Float32Array(3) }, 0, 3, 2, row)
  expect([...row]).toEqual([0, 0, 0, 0, 0, 0, 0])
})

test('encodeRowSet() and decodeRowSet() give the same rows back', () => {
  expect(decodeRowSet(encodeRowSet(set), 5)).toEqual(set)
})

test('decodeRowSet() takes no byte changed, cut or of another width', () => {
  const bytes = encodeRowSet(set)
  expect(decodeRowSet(bytes, 6)).toBeUndefined()
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice()
    changed[at]! ^= 1
    // A bit of the compression that means nothing leaves what is compressed as it is.
    expect([undefined, set]).toContainEqual(decodeRowSet(changed, 5))
    expect(decodeRowSet(bytes.slice(0, at), 5)).toBeUndefined()
  }
})

test('decodeRowSet() decompresses no more than its bound', () => {
  const bomb = new Uint8Array(zstdCompressSync(new Uint8Array(ADAPTATION_BYTES_MAX + 1)))
  expect(bomb.length).toBeLessThan(10_000)
  expect(decodeRowSet(bomb, 5)).toBeUndefined()
})

test('spread() takes so many, evenly', () => {
  expect(spread([0, 1, 2, 3, 4, 5], 3)).toEqual([0, 2, 4])
  expect(spread([0, 1], 3)).toEqual([0, 1])
})
