import { expect, test } from 'bun:test'
import { Distinct } from '../../src/detect/distinct.ts'

/** Bits where a good hash would put so many ends. */
function sketch(from: number, count: number): number[] {
  const words = [0, 0, 0, 0]
  for (let i = from; i < from + count; i++) {
    const bit = Bun.hash.xxHash32(`${i}`) & 127
    words[bit >> 5]! |= 1 << (bit & 31)
  }
  return words
}

test.each([0, 1, 10, 60, 150, 300])('%p ends are counted within a fifth', (count) => {
  const ends = new Distinct(128)
  ends.add(sketch(0, count), 1_000)
  expect(Math.abs(ends.count(1_000) - count)).toBeLessThanOrEqual(1 + count / 5)
})

test('the same ends in another second are no new ones', () => {
  const ends = new Distinct(128)
  for (let s = 0; s < 9; s++) ends.add(sketch(0, 40), 1_000 + s)
  expect(ends.count(1_008)).toBeLessThan(50)
})

test('more than can be told apart is the most', () => {
  const ends = new Distinct(128)
  ends.add([-1, -1, -1, -1], 1_000)
  expect(ends.count(1_000)).toBe(Math.round(128 * Math.log(128)))
})

test('after ten to twenty seconds they are forgotten', () => {
  const ends = new Distinct(128)
  ends.add(sketch(0, 60), 1_000)
  expect(ends.count(1_009)).toBeGreaterThan(40)
  expect(ends.count(1_030)).toBe(0)
})

test('after the clock was set back only what comes then counts, and is forgotten in time', () => {
  const ends = new Distinct(128)
  ends.add(sketch(0, 60), 9_000)
  ends.add(sketch(100, 10), 1_000)
  expect(ends.count(1_001)).toBeLessThan(15)
  expect(ends.count(1_030)).toBe(0)
})
