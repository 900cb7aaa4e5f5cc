import { expect, test } from 'bun:test'
import { Quotas } from '../../src/detect/quotas.ts'

test('Quotas.take() takes a place under every key or under none, and gives it back later', () => {
  const quotas = new Quotas(60)
  const take = (second: number, key: string) =>
    quotas.take(second, [
      ['all', 3],
      [key, 2],
    ])
  expect([take(0, 'a'), take(1, 'a'), take(2, 'a')]).toEqual([true, true, false])
  // What was refused under "a" has taken nothing of all.
  expect([take(2, 'b'), take(2, 'c')]).toEqual([true, false])
  expect([take(60, 'a'), take(60, 'a')]).toEqual([true, false])
  quotas.clear()
  expect(take(60, 'a')).toBe(true)
})
