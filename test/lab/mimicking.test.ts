import { expect, test } from 'bun:test'
import { added, atRate, leastRate, mimicking, secondsOf } from '../../scripts/mimicking.ts'
import type { Process } from '../../src/domain/process.ts'

const T = 1_800_000_000
const helper: Process = { pid: 7, startMs: T * 1000, name: 'helper' }

test.each([
  [10, { syscalls: [1, 4, 9], counts: [1, 2, 7] }],
  [3, { syscalls: [4, 9], counts: [1, 2] }],
  [1_000, { syscalls: [1, 4, 9], counts: [100, 200, 700] }],
])('atRate() gives whole numbers that add up to %d', (rate, expected) => {
  expect(atRate({ syscalls: [1, 4, 9], counts: [1, 2, 7] }, rate)).toEqual(expected)
})

test('added() sums the calls of both, in order', () => {
  const sum = added({ syscalls: [2, 5], counts: [1, 1] }, { syscalls: [0, 5], counts: [3, 4] })
  expect(sum).toEqual({ syscalls: [0, 2, 5], counts: [3, 1, 5] })
})

test('mimicking() repeats the work, with what is added beside it, and secondsOf() reads it back', () => {
  const work = [
    { syscalls: [3], counts: [2] },
    { syscalls: [], counts: [] },
    { syscalls: [5], counts: [1] },
  ]
  const alone = [...mimicking(helper, { work, cover: [] }, { rate: 0, seconds: 5 })]
  expect(alone.map(({ index }) => index - T)).toEqual([0, 1, 2, 3, 4])
  expect(alone.map(({ processes }) => processes.length)).toEqual([1, 0, 1, 1, 0])
  expect(secondsOf(alone, ({ pid }) => pid === 7)).toEqual([...work, work[0]!])
  const cover = [{ syscalls: [3, 8], counts: [1, 1] }]
  const busy = [...mimicking(helper, { work, cover }, { rate: 10, seconds: 2 })]
  expect(secondsOf(busy, ({ pid }) => pid === 7)).toEqual([
    { syscalls: [3, 8], counts: [7, 5] },
    { syscalls: [3, 8], counts: [5, 5] },
  ])
})

test('leastRate() is the first that raises nothing', async () => {
  expect(await leastRate([1, 10, 100], async (rate) => rate < 10)).toBe(10)
  expect(await leastRate([1, 10], async () => true)).toBeUndefined()
})
