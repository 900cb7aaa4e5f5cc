/** The ring's arithmetic without a kernel: which seconds are believed, and what they are called. */
import { describe, expect, test } from 'bun:test'
import { Labels, Ring } from '../../../src/collect/kernel/ring.ts'

const shape = { originMs: 5_000, secondMs: 1000, graceMs: 25 }

describe('Ring', () => {
  test('is due when the second and its grace are over', () => {
    const ring = new Ring(shape, 5_000 + 7_000)
    expect(ring.dueMs).toBe(5_000 + 8_000 + 25)
    expect(ring.mapOf(7)).toBe(3)
  })

  test('drained() in time loses nothing', () => {
    const ring = new Ring(shape, 5_000)
    for (let second = 0; second < 10; second++) {
      expect(ring.next).toBe(second)
      expect(ring.drained(0, ring.startOf(second + 1) + 30)).toBe(0)
    }
  })

  test('drained() too late loses what came after, not the second itself', () => {
    const ring = new Ring(shape, 5_000)
    // 200 ms of second 4 found map 0 still taken by second 0.
    expect(ring.drained(17, ring.startOf(4) + 200)).toBe(0)
    expect([1, 2, 3].map(() => ring.drained(0, ring.startOf(4) + 200))).toEqual([0, 0, 0])
    expect([4, 5].map((second) => ring.drained(0, ring.startOf(second + 1) + 30))).toEqual([17, 0])
  })

  test('drained() after two rounds marks both seconds that had no map, and keeps the sum', () => {
    const ring = new Ring(shape, 5_000)
    const now = ring.startOf(9) - 100
    ring.drained(1_000, now)
    const lost = [1, 2, 3, 4, 5, 6, 7, 8].map(() => ring.drained(0, now))
    expect(lost).toEqual([0, 0, 0, 999, 0, 0, 0, 1])
  })

  test('skip() goes on with the present, which lacks its beginning', () => {
    const ring = new Ring(shape, 5_000)
    const now = ring.startOf(10_000) + 500
    for (let second = 0; second < 4; second++) ring.drained(10, now)
    expect(ring.skip(now)).toBe(10_000)
    expect(ring.drained(0, ring.startOf(10_001) + 30)).toBe(40)
    expect(ring.drained(0, ring.startOf(10_002) + 30)).toBe(0)
  })
})

describe('Labels', () => {
  /**
   * Wall clock minus monotonic clock such that second 0 of the ring is Unix second 1,700,000,000.
   */
  const offset = 1_700_000_000_000 - shape.originMs
  const labels = () => new Labels(new Ring(shape, shape.originMs))

  test('label() gives whole Unix seconds, ascending', () => {
    const l = labels()
    expect([0, 1, 2].map((s) => l.label(s, offset))).toEqual([
      1_700_000_000, 1_700_000_001, 1_700_000_002,
    ])
  })

  test('label() does not follow a slewed clock below half a second', () => {
    const l = labels()
    expect(l.label(0, offset + 400)).toBe(1_700_000_000)
    expect(l.label(1, offset - 400)).toBe(1_700_000_001)
  })

  test('label() never gives a second twice when the clock steps back a little', () => {
    const l = labels()
    l.label(0, offset)
    expect(l.label(1, offset - 3_000)).toBe(1_700_000_001)
    expect(l.label(2, offset - 3_000)).toBe(1_700_000_002)
  })

  test('label() follows a step back of half a minute, and small steps that add up to as much', () => {
    const l = labels()
    l.label(0, offset)
    expect(l.label(1, offset - 30_000)).toBe(1_700_000_001 - 30)
    expect(l.label(2, offset - 33_000)).toBe(1_700_000_002 - 30)
    expect(l.label(3, offset - 36_000)).toBe(1_700_000_003 - 36)
  })

  test('label() follows a step forward, and a step back by hours', () => {
    const l = labels()
    l.label(0, offset)
    expect(l.label(1, offset + 7_200_000)).toBe(1_700_007_201)
    expect(l.label(2, offset)).toBe(1_700_000_002)
  })
})
