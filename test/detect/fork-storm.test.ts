/** Hundreds of processes at a time are a storm; as many one after the other are a script. */
import { expect, test } from 'bun:test'
import { ForkStorm } from '../../src/detect/fork-storm.ts'
import { Lineage } from '../../src/detect/lineage.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

/**
 * @param each children started in a second
 * @param stays seconds that each is there, two for one that is at work over the turn
 * @param staying how many of each second's stay
 */
function storms(each: number, stays: number, seconds = 10, staying = each) {
  const lineage = new Lineage()
  const storm = new ForkStorm(lineage)
  const starter: Calls = { pid: 7, name: 'bash', startMs: 1_000, counts: { clone: each } }
  return Array.from({ length: seconds }, (_, s) => {
    const children = Array.from({ length: Math.min(stays, s + 1) }, (_, back) =>
      Array.from({ length: back === 0 ? each : staying }, (_, i): Calls => {
        const born = 1_000 + s - back
        const pid = 1_000 + (s - back) * 1_000 + i
        return { pid, name: 'bash', startMs: born * 1_000, ppid: 7, counts: { nanosleep: 1 } }
      }),
    ).flat()
    const frame = frameOf(1_000 + s, [starter, ...children])
    lineage.push(frame)
    return storm.push(frame)
  }).flat()
}

test('hundreds that stay and hundreds more are told once, of who starts them', () => {
  expect(storms(300, 2)).toMatchObject([
    { process: { pid: 7 }, finding: { question: 'fork-storm', says: 'proves' } },
  ])
})

test('in the third second of it, not before', () => {
  expect(storms(300, 2, 3)).toEqual([])
  expect(storms(300, 2, 4)).toHaveLength(1)
})

test.each([
  ['240 that stay', 240, 2, 240, 0],
  ['260 that stay', 260, 2, 260, 1],
  ['190 new ones, of three seconds each', 190, 3, 190, 0],
  ['210 new ones, of three seconds each', 210, 3, 210, 1],
  ['210 new ones, of which a hundred grow old', 210, 5, 100, 0],
])('%s', (_, each, stays, staying, told) => {
  expect(storms(each, stays, 10, staying)).toHaveLength(told)
})

test('a script starts as many one after the other, and a build has a few at a time', () => {
  expect(storms(600, 1)).toEqual([])
  expect(storms(40, 3)).toEqual([])
})
