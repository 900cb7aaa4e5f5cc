/** Trees of a host come from a disk: what is not whole is not used, and never throws. */
import { describe, expect, test } from 'bun:test'
import { FOREST_NODES_MAX } from '../../src/domain/limits.ts'
import { type HostTreeTable, readTrees, vote, writeTrees } from '../../src/model/host-trees.ts'

/** Two trees over two columns: one asks both, one is a leaf alone. */
const table: HostTreeTable = {
  classes: 3,
  columns: Uint16Array.of(0, 1),
  thresholds: Float32Array.of(0.5, 0.25),
  left: Int32Array.of(-1, -2),
  right: Int32Array.of(1, -3),
  roots: Int32Array.of(0, -4),
  leaves: Uint32Array.of(0, 1, 2, 4, 5),
  leafClasses: Uint16Array.of(0, 1, 1, 2, 2),
  leafShares: Uint8Array.of(255, 255, 51, 204, 255),
}
const WIDTH = 2

test('vote() is the mean of the trees, left where the value is not greater', () => {
  const votes = (row: readonly number[]) => {
    const out = new Float32Array(3).fill(9)
    vote(table, Float32Array.from(row), out)
    return Array.from(out, (share) => Math.round(share * 1000) / 1000)
  }
  expect(votes([0.5, 1])).toEqual([0.5, 0, 0.5])
  expect(votes([0.6, 0.25])).toEqual([0, 0.5, 0.5])
  expect(votes([0.6, 0.3])).toEqual([0, 0.1, 0.9])
})

describe('readTrees()', () => {
  test('gives what was written', () => {
    expect(readTrees(JSON.parse(JSON.stringify(writeTrees(table))), WIDTH)).toEqual(table)
  })

  test.each<[string, Partial<HostTreeTable>]>([
    ['a column beyond the row', { columns: Uint16Array.of(0, 2) }],
    ['a threshold that is no number', { thresholds: Float32Array.of(0.5, Number.NaN) }],
    ['fewer thresholds than nodes', { thresholds: Float32Array.of(0.5) }],
    ['fewer left children than nodes', { left: Int32Array.of(-1) }],
    ['fewer right children than nodes', { right: Int32Array.of(1) }],
    ['a child before its parent', { right: Int32Array.of(0, -3) }],
    ['a child beyond the nodes', { right: Int32Array.of(2, -3) }],
    ['a leaf that is not there', { left: Int32Array.of(-1, -5) }],
    ['a root that is not there', { roots: Int32Array.of(2) }],
    ['no root', { roots: new Int32Array(0) }],
    ['no leaf', { leaves: Uint32Array.of(0) }],
    ['leaves that do not begin at the start', { leaves: Uint32Array.of(1, 1, 2, 4, 5) }],
    ['leaves that end too early', { leaves: Uint32Array.of(0, 1, 2, 4, 4) }],
    ['leaves that go back', { leaves: Uint32Array.of(0, 3, 2, 4, 5) }],
    ['a class that is none', { leafClasses: Uint16Array.of(0, 1, 1, 2, 3) }],
    ['fewer shares than classes', { leafShares: Uint8Array.of(255, 255, 51, 204) }],
    ['no classes', { classes: 0 }],
  ])('refuses %s', (_, spoilt) => {
    expect(readTrees(writeTrees({ ...table, ...spoilt }), WIDTH)).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'trees'],
    ['a missing part', { ...writeTrees(table), left: undefined }],
    ['half a number', { ...writeTrees(table), roots: 'AAA=' }],
    [
      'a part that is too long',
      { ...writeTrees(table), leafShares: 'A'.repeat(8 * FOREST_NODES_MAX + 4) },
    ],
    ['classes that are no number', { ...writeTrees(table), classes: '3' }],
  ])('refuses %s', (_, written) => {
    expect(readTrees(written, WIDTH)).toBeUndefined()
  })
})
