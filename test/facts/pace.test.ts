/** The reader's share of a core: a loop that costs too much is slowed down until it does not. */
import { expect, test } from 'bun:test'
import { READER_CPU_SHARE } from '../../src/domain/limits.ts'
import { Pace } from '../../src/facts/pace.ts'

/** Runs a loop for so many seconds. @returns its share of a core in the second half */
function shareOf(seconds: number, roundMs: number, waitMs: number): number {
  let now = 0
  let cpu = 0
  let cpuAtHalf = 0
  const pace = new Pace(
    () => cpu,
    () => now,
    0,
  )
  while (now < seconds * 1000) {
    cpu += roundMs
    now += roundMs + pace.wait(waitMs)
    if (now < seconds * 500) cpuAtHalf = cpu
  }
  return (cpu - cpuAtHalf) / (seconds * 500)
}

test('Pace.wait() is what was asked for while the share is kept', () => {
  const pace = new Pace(
    () => 0,
    () => 60_000,
  )
  expect(pace.wait(25)).toBe(25)
  expect(shareOf(20, 0.5, 25)).toBeCloseTo(0.5 / 25.5, 2)
})

test('Pace.wait() grows until a dear loop keeps the share, to a bound', () => {
  expect(shareOf(20, 5, 25)).toBeLessThan(1.4 * READER_CPU_SHARE)
  expect(shareOf(20, 5, 25)).toBeGreaterThan(0.5 * READER_CPU_SHARE)
  expect(shareOf(20, 100, 25)).toBeCloseTo(100 / 500, 1)
})

test('Pace.room() shrinks to one while too much is used', () => {
  let now = 0
  let cpu = 0
  const pace = new Pace(
    () => cpu,
    () => now,
    0,
  )
  expect(pace.room(5)).toBe(5)
  const rooms = Array.from({ length: 4 }, () => {
    now += 500
    cpu += 100
    return pace.room(5)
  })
  expect(rooms).toEqual([2, 1, 1, 1])
})

test('Pace.wait() stays short while saved time is spent, half a minute at a tenth of a core', () => {
  let now = 0
  let cpu = 0
  const pace = new Pace(
    () => cpu,
    () => now,
  )
  const waits = Array.from({ length: 120 }, () => {
    now += 500
    cpu += 50
    return pace.wait(25)
  })
  const slowed = waits.findIndex((wait) => wait > 25)
  expect((slowed * 500) / 1000).toBeGreaterThan(30)
  expect((slowed * 500) / 1000).toBeLessThan(50)
})

test('Pace.wait() shrinks again when the load is over', () => {
  let now = 0
  let cpu = 0
  const pace = new Pace(
    () => cpu,
    () => now,
    0,
  )
  for (let i = 0; i < 40; i++) {
    now += 500
    cpu += i < 20 ? 100 : 0
    if (i === 19) expect(pace.wait(25)).toBeGreaterThan(100)
    else pace.wait(25)
  }
  expect(pace.wait(25)).toBe(25)
})
