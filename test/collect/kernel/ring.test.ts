/** The ring's arithmetic without a kernel: which seconds are believed, and what they are called. */
import { describe, expect, test } from 'bun:test'
import { Labels, Ring } from '../../../src/collect/kernel/ring.ts'

const shape = { originMs: 5_000, secondMs: 1000, graceMs: 25 }
const ringAt = (second: number) => {
  const ring = new Ring(shape, shape.originMs)
  ring.resumeAt(second)
  return ring
}

describe('Ring', () => {
  test('is due when the second and its grace are over', () => {
    const ring = ringAt(7)
    expect(ring.dueMs).toBe(5_000 + 8_000 + 25)
    expect(ring.mapOf(7)).toBe(3)
  })

  test('drained() in time believes each second once', () => {
    const ring = ringAt(0)
    for (let second = 0; second < 10; second++) {
      expect(ring.next).toBe(second)
      expect(ring.drained(ring.startOf(second + 1) + 30)).toBe(true)
    }
  })

  test('drained() up to three seconds late believes, for the map is not written again before', () => {
    const ring = ringAt(0)
    expect(ring.drained(ring.startOf(4) - 1)).toBe(true)
    expect(ring.drained(ring.startOf(4) - 1)).toBe(true)
  })

  test('drained() later than that loses both seconds that met in the map, and no other', () => {
    const ring = ringAt(0)
    const now = ring.startOf(4) + 200
    // 0 is mixed with the first 200 ms of 4; 1, 2, 3 have their maps to themselves.
    expect([0, 1, 2, 3].map(() => ring.drained(now))).toEqual([false, true, true, true])
    expect([4, 5, 6].map((second) => ring.drained(ring.startOf(second + 1) + 30))).toEqual([
      false,
      true,
      true,
    ])
  })

  test('drained() judges by the time after draining: a second that ended meanwhile counts', () => {
    const ring = ringAt(3)
    expect(ring.drained(ring.startOf(7))).toBe(false)
  })

  test('skip() forgets hours, and does not believe what the maps hold from them', () => {
    const ring = ringAt(2)
    const now = ring.startOf(10_000) + 500
    expect(ring.skip(now, 1)).toBe(9_999 - 2)
    const next = [9_999, 10_000, 10_001].map((second) => {
      expect(ring.next).toBe(second)
      return ring.drained(ring.startOf(second + 1) + 30)
    })
    expect(next).toEqual([false, false, true])
  })
})

describe('Labels', () => {
  /** Wall clock minus monotonic clock such that second 0 of the ring is Unix second 1,700,000,000. */
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

  test('label() follows a step forward, and a step back by hours', () => {
    const l = labels()
    l.label(0, offset)
    expect(l.label(1, offset + 7_200_000)).toBe(1_700_007_201)
    expect(l.label(2, offset)).toBe(1_700_000_002)
  })
})
