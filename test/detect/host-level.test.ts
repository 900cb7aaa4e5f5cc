import { describe, expect, test } from 'bun:test'
import { HostLevel } from '../../src/detect/host-level.ts'

/** Midnight of some day. */
const T = Math.ceil(1_800_000_000 / 86_400) * 86_400

/** Hours of life, one score each; 40 watched minutes are enough of an hour. */
function lived(level: HostLevel, scores: readonly number[], from = T, watched = 2_400): number {
  scores.forEach((score, i) => {
    for (let s = 0; s < watched; s++) level.push(from + i * 3_600 + s, s === 7 ? score : 0.1)
  })
  return from + scores.length * 3_600
}

/** Exchangeable hours without a pattern: a multiplicative congruence as its source. */
function draws(count: number, seed: number): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (state * 48_271) % 2_147_483_647
    // Heavy-tailed: evidence of ordinary life is.
    return Math.min(3, 0.4 / Math.sqrt(state / 2_147_483_647))
  })
}

describe('HostLevel', () => {
  test('promises nothing before it has seen enough hours, and says how many are missing', () => {
    const level = new HostLevel(1)
    level.push(lived(level, Array(20).fill(0.5)), 0)
    expect(level.status()).toEqual({ factor: 1, hours: 20, needed: 23 })
  })

  test('the k-th largest of N hours is the level, and k / (N + 1) the promise', () => {
    const level = new HostLevel(1)
    // Hours with an alert count after a day.
    const end = lived(level, [...Array(46).fill(0.5), 1.2, ...Array(30).fill(0.5)])
    level.push(end, 0)
    const { factor, hours, alertHoursMax } = level.status()
    expect(hours).toBe(77)
    // Three hours in 78 may hold an alert, and only one ever did: the model's own level is enough.
    expect(alertHoursMax).toBeCloseTo(3 / 78, 10)
    expect(factor).toBe(1)
  })

  test('a host whose ordinary life alarms gets a higher level, day by day and with a bound', () => {
    const level = new HostLevel(1)
    const noisy = Array(24).fill(2.4)
    // Noon to noon, so that each step holds one midnight.
    const factors = [0, 1, 2, 3, 4].map((day) => {
      level.push(lived(level, noisy, T + 43_200 + day * 86_400), 0)
      return level.factor
    })
    expect(factors[0]).toBe(1)
    for (let day = 1; day < factors.length; day++)
      expect(factors[day]! / factors[day - 1]!).toBeLessThanOrEqual(1.5)
    expect(factors.at(-1)).toBeCloseTo(2.4, 5)
  })

  test('no host gets more than two and a half times the level', () => {
    const level = new HostLevel(1)
    for (const day of [0, 1, 2, 3, 4, 5])
      level.push(lived(level, Array(24).fill(9), T + 43_200 + day * 86_400), 0)
    expect(level.factor).toBe(2.5)
  })

  test.each([
    [1_750, 0],
    [1_850, 24],
  ])('of hours that were watched for %d seconds %d of 24 count', (watched, hours) => {
    const level = new HostLevel(1)
    level.push(lived(level, Array(24).fill(0.5), T, watched), 0)
    expect(level.status().hours).toBe(hours)
  })

  test('of hours drawn alike no more than promised are above the level', () => {
    for (const perDay of [1, 4]) {
      let above = 0
      let of = 0
      for (const seed of [11, 222, 3_333, 44_444]) {
        const level = new HostLevel(perDay)
        const scores = draws(24 * 14, seed)
        let at = T
        for (const score of scores) {
          const { alertHoursMax, factor } = level.status()
          if (alertHoursMax !== undefined && at > T + 5 * 86_400) {
            of++
            if (score > factor) above++
          }
          at = lived(level, [score], at)
        }
      }
      expect(of).toBeGreaterThan(500)
      // Twice the promise would be beyond chance over so many hours.
      expect(above / of).toBeLessThan((2 * perDay) / 24)
    }
  })

  test('an hour whose alert was right is not ordinary', () => {
    const level = new HostLevel(1)
    const end = lived(level, [...Array(40).fill(0.5), 2, ...Array(30).fill(0.5)])
    level.exclude(T + 40 * 3_600 + 5, T + 40 * 3_600 + 60)
    level.push(end, 0)
    expect(level.status().hours).toBe(70)
  })

  test('is the same after a restart; a damaged snapshot is left out', () => {
    const level = new HostLevel(1)
    const end = lived(level, draws(60, 5))
    const again = new HostLevel(1)
    again.restore(JSON.parse(JSON.stringify(level.snapshot())))
    for (const one of [level, again]) one.push(end, 0)
    expect(again.status()).toEqual(level.status())
    const fresh = new HostLevel(1)
    for (const kept of [undefined, 7, {}, { hours: [[1, 'x', 2]], factor: 99, day: 1 }])
      fresh.restore(kept)
    expect(fresh.status()).toEqual(new HostLevel(1).status())
  })

  test('minutes of an hour say nothing of it, and a clock that goes back adds none', () => {
    const level = new HostLevel(1)
    for (let i = 0; i < 30; i++) for (let s = 0; s < 60; s++) level.push(T + i * 3_600 + s, 2)
    level.push(T, 2)
    expect(level.status().hours).toBe(0)
  })
})
