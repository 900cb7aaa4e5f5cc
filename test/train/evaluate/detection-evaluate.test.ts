import { expect, test } from 'bun:test'
import type { Happening } from '../../../src/train/data/scenarios.ts'
import { detectionFigures, detectOn } from '../../../src/train/evaluate/detection-evaluate.ts'
import { poissonInterval, wilsonInterval } from '../../../src/train/evaluate/intervals.ts'
import { calibration, classes, PLACES, predictions, type Standing, T } from '../../detect/toy.ts'

const happening = (more: Partial<Happening>): Happening => ({
  from: T + 100,
  to: T + 140,
  host: 'h',
  kind: 'masquerade',
  scenario: 'cron-as-nginx',
  claimed: 'nginx',
  program: 'cron',
  names: new Set(['nginx']),
  pids: new Set([2]),
  ...more,
})

/**
 * A quiet host with one process that turns into something in seconds 100 to 140, and one that is
 * wrong later.
 */
const second = (t: number): Standing[] => [
  { pid: 1, name: 'nginx', at: PLACES.nginx },
  ...(t >= 100 && t <= 140 ? [{ pid: 2, name: 'nginx', at: PLACES.cron } as const] : []),
  ...(t >= 100 && t <= 140 ? [{ pid: 3, name: 'worker', at: PLACES.miner } as const] : []),
  ...(t >= 300 ? [{ pid: 9, name: 'sshd', at: PLACES.cron } as const] : []),
]

const evaluate = async (happenings: readonly Happening[], trainedOn = (_: Happening) => false) => {
  const about = { classes, calibration, happenings, trainedOn, falseAlertsPerDay: 1 }
  const host = {
    host: 'h',
    predictions: Array.from({ length: 400 }, (_, t) => predictions(T + t, second(t))),
    seconds: 400,
    vectors: 1_000,
  }
  return detectionFigures(about, [await detectOn(host, about)])
}

const all = [
  happening({}),
  happening({ kind: 'non-grata', scenario: 'miner', program: 'miner', pids: new Set([3]) }),
  happening({ kind: 'novelty', scenario: 'jq', program: 'jq', pids: new Set([4]) }),
]

test('detectionFigures() counts what was found, how soon, and what was raised for nothing', async () => {
  const figures = await evaluate(all)
  expect(figures.detection.masquerade).toMatchObject({ found: 1, of: 1, sameKind: 1 })
  expect(figures.detection['non-grata']).toMatchObject({ found: 1, of: 1 })
  expect(figures.detection.novelty).toMatchObject({ found: 0, of: 1, medianDelaySeconds: null })
  expect(figures.detection.masquerade.medianDelaySeconds).toBeLessThan(10)
  expect(figures.falseOnes).toMatchObject([{ name: 'sshd', kind: 'masquerade' }])
  expect(figures.falseAlertsPerHostDay).toBeCloseTo(86_400 / 400)
  expect(figures.falseAlertsPerHostDayHigh).toBeGreaterThan(figures.falseAlertsPerHostDay)
  expect(figures.coverage).toBeLessThan(1)
})

test('detectionFigures() keeps what was trained on out of the shares', async () => {
  const figures = await evaluate(all, ({ kind }) => kind === 'non-grata')
  expect(figures.detection['non-grata'].of).toBe(0)
  expect(figures.trainedOn).toEqual({ found: 1, of: 1 })
})

test('detectionFigures() accepts a masquerade by a malicious program as non-grata, and tells it apart', async () => {
  const figures = await evaluate([happening({ pids: new Set([3]) })])
  expect(figures.detection.masquerade).toMatchObject({ found: 1, sameKind: 0 })
})

test('detectionFigures() does not accept an alert before, after, or of another host', async () => {
  for (const wrong of [
    { from: T + 141, to: T + 160 },
    { from: T + 10, to: T + 101 },
    { host: 'other' },
  ]) {
    const figures = await evaluate([happening(wrong)])
    expect(figures.detection.masquerade.found).toBe(0)
  }
})

// Garwood's exact bounds, from the tables.
test.each([
  [0, 0, 3.689],
  [1, 0.0253, 5.572],
  [5, 1.623, 11.668],
  [20, 12.217, 30.888],
])('poissonInterval(%p) is %p to %p', (count, low, high) => {
  const interval = poissonInterval(count)
  expect(interval.low).toBeCloseTo(low, 2)
  expect(interval.high).toBeCloseTo(high, 2)
})

test('wilsonInterval() of 23 in 25', () => {
  const { low, high } = wilsonInterval(23, 25)
  expect(low).toBeCloseTo(0.7503, 3)
  expect(high).toBeCloseTo(0.9778, 3)
})
