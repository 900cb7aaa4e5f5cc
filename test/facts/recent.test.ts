/** Tables that are kept for a moment. */
import { expect, test } from 'bun:test'
import { Recent } from '../../src/facts/recent.ts'

test('Recent.get() reads once for many questions, again later, and per key', async () => {
  const recent = new Recent<number>(40, 2)
  let reads = 0
  const read = () => ++reads
  expect([recent.get('a', read), recent.get('a', read), recent.get('b', read)]).toEqual([1, 1, 2])
  await Bun.sleep(60)
  expect(recent.get('a', read)).toBe(3)
})

test('Recent.get() keeps no more keys than it may', () => {
  const recent = new Recent<number>(60_000, 2)
  let reads = 0
  for (const key of ['a', 'b', 'c', 'a']) recent.get(key, () => ++reads)
  expect(reads).toBe(4)
})
