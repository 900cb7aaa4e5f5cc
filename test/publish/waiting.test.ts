import { describe, expect, test } from 'bun:test'
import { BackOff } from '../../src/publish/back-off.ts'
import { ByteBudget } from '../../src/publish/byte-budget.ts'

describe('BackOff.next()', () => {
  test('doubles to its bound, and begins anew when reset', () => {
    const backOff = new BackOff(100, 1_000, () => 1)
    expect([1, 2, 3, 4, 5, 6].map(() => backOff.next())).toEqual([100, 200, 400, 800, 1_000, 1_000])
    backOff.reset()
    expect(backOff.next()).toBe(100)
  })

  test('spreads hosts over the whole of the wait, and never waits nothing', () => {
    expect(new BackOff(100, 1_000, () => 0.5).next()).toBe(50)
    expect(new BackOff(100, 1_000, () => 0).next()).toBe(10)
  })

  test('stays finite after a year of failures', () => {
    const backOff = new BackOff(100, 1_000, () => 1)
    for (let i = 0; i < 10_000; i++) backOff.next()
    expect(backOff.next()).toBe(1_000)
  })
})

describe('ByteBudget', () => {
  const hour = 3_600_000

  test('lets no 24 hours have more than a day, wherever they begin', () => {
    const budget = new ByteBudget(1_000, 0)
    const sent: [at: number, bytes: number][] = []
    for (let t = 0; t < 100 * hour; t += hour / 7) {
      const bytes = Math.min(90, budget.left('alert', t))
      budget.spend(bytes, t)
      sent.push([t, bytes])
    }
    for (const [from] of sent) {
      const day = sent.filter(([t]) => t >= from && t < from + 24 * hour)
      expect(day.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThanOrEqual(1_000)
    }
    // And it does not starve: on most days most of it is used.
    expect(sent.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeGreaterThan(3_000)
  })

  test('keeps a share for alerts', () => {
    const budget = new ByteBudget(1_000, 200)
    budget.spend(800, 0)
    expect(budget.left('summary', 0)).toBe(0)
    expect(budget.left('alert', 0)).toBe(200)
  })

  test('forgets after more than a day of silence', () => {
    const budget = new ByteBudget(1_000, 0)
    budget.spend(1_000, 0)
    expect(budget.left('alert', 24 * hour)).toBe(0)
    expect(budget.left('alert', 26 * hour)).toBe(1_000)
    expect(budget.left('alert', 1_000_000 * hour)).toBe(1_000)
  })
})
