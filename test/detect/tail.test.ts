import { describe, expect, test } from 'bun:test'
import { Levels } from '../../src/detect/calibration.ts'
import { fitTail, levelFor, rateAt } from '../../src/detect/tail.ts'
import { Random } from '../../src/train/random.ts'
import { calibration } from './toy.ts'

const BUDGETS = [0.1, 1, 10, 100]
const NAMES = 60

/** Share of a day's hours and names whose evidence passes a level. */
type Survival = (level: number) => number

/** Null streams whose law is known, by the level that a share u of them passes. */
const NULLS: readonly [string, (u: number) => number, Survival][] = [
  ['exponential', (u) => -3 * Math.log(u), (x) => Math.exp(-x / 3)],
  [
    'with most names silent',
    (u) => Math.max(0, -4 * Math.log(5 * u)),
    (x) => Math.min(1, Math.exp(-x / 4) / 5),
  ],
  ['heavy', (u) => (2.5 / 0.2) * (u ** -0.2 - 1), (x) => (1 + (0.2 * x) / 2.5) ** -5],
]

describe('fitTail()', () => {
  test('takes no tail for heavier than a few peaks can show', () => {
    const peaks = Array.from({ length: 100 }, (_, i) => 5 / ((i + 1) / 100) ** 1.5)
    expect(fitTail(peaks, 10, 0.1).shape).toBe(0.3)
  })

  test('takes no shape from fewer than eight peaks', () => {
    const shape = (count: number) =>
      fitTail(
        Array.from({ length: count + 1 }, (_, i) => 5 / ((i + 1) / count)),
        10,
        0.1,
      ).shape
    expect(shape(7)).toBe(0)
    expect(shape(8)).toBeGreaterThan(0)
  })

  test.each(NULLS)(
    'keeps budgets of 0.1 to 100 a day within a factor of 2: %s',
    (_, peakAt, survival) => {
      const days = 10
      const random = new Random(5)
      const peaks = Array.from({ length: days * 24 * NAMES }, () => peakAt(1 - random.next()))
      const tail = fitTail(peaks, days, 1)
      for (const budget of BUDGETS) {
        const rate = 24 * NAMES * survival(levelFor(tail, budget))
        expect(rate).toBeGreaterThan(budget / 2)
        expect(rate).toBeLessThan(budget * 2)
      }
    },
  )

  test('keeps them for the running sums of windows that overlap by nine tenths', () => {
    const random = new Random(8)
    // What a name of a quiet host shows in an hour, in windows of ten seconds.
    const peakOfHour = () => {
      const past = new Float64Array(10)
      let sum = 0
      let level = 0
      let peak = 0
      for (let t = 0; t < 1_200; t++) {
        const fresh = random.next() < 0.02 ? 3 : 0
        sum += fresh - past[t % 10]!
        past[t % 10] = fresh
        level = Math.max(0, level + sum / 10 - 0.3)
        if (level > peak) peak = level
      }
      return peak
    }
    const hours = (count: number) => Array.from({ length: count * 20 }, peakOfHour)
    const tail = fitTail(hours(120), 5, 0.5)
    const later = hours(600)
    for (const budget of [1, 10, 100]) {
      const level = levelFor(tail, budget)
      const rate = later.filter((peak) => peak > level).length / 25
      expect(rate).toBeGreaterThan(budget / 2)
      expect(rate).toBeLessThan(budget * 2)
    }
  })

  test('takes no tail to fall faster than it is told', () => {
    const tail = fitTail(new Array<number>(50).fill(8), 1, 2)
    expect(levelFor(tail, 10)).toBe(8)
    expect(levelFor(tail, 10 / Math.E)).toBeCloseTo(10, 6)
  })

  test('of nothing asks for as little as one odd second cannot give', () => {
    expect(levelFor(fitTail([], 1, 2), 1)).toBe(4)
    expect(levelFor(fitTail([0, 0, 0], 1, 2), 1_000)).toBe(4)
  })
})

test('rateAt() undoes levelFor()', () => {
  const random = new Random(6)
  const peaks = Array.from({ length: 2_000 }, () => -5 * Math.log(1 - random.next()))
  const tail = fitTail(peaks, 2, 1)
  for (const budget of [0.3, 1, 10])
    expect(rateAt(tail, levelFor(tail, budget))).toBeCloseTo(budget, 6)
  expect(rateAt(tail, levelFor(tail, 200))).toBeGreaterThan(100)
  expect(rateAt(tail, levelFor(tail, 200))).toBeLessThan(400)
})

test('Levels.of() gives a name that the model gets wrong its own level, never below the common one', () => {
  const own = (name: string, level: number) =>
    ({ name, stream: 'claim', stage: 'cold', level }) as const
  const levels = new Levels({ ...calibration, own: [own('wrong', 61), own('fine', 1)] }, 1)
  const common = levels.of('claim', 'cold', 'nginx')
  expect(common).toBe(12)
  expect(levels.of('claim', 'cold', 'wrong')).toBe(61)
  expect(levels.of('claim', 'cold', 'fine')).toBe(common)
  expect(levels.of('claim', 'warm', 'wrong')).toBe(common)
  expect(levels.of('malice', 'cold', 'wrong')).toBe(common)
})
