/** Hundreds of processes at a time are a storm; as many one after the other are a script. */
import { expect, test } from 'bun:test'
import { ForkStorm } from '../../src/detect/fork-storm.ts'
import { Lineage } from '../../src/detect/lineage.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

/** @param each children started in a second @param stays seconds that each is there, two for one that is at work over the turn */
function storms(each: number, stays: number) {
  const lineage = new Lineage()
  const storm = new ForkStorm(lineage)
  const starter: Calls = { pid: 7, name: 'bash', startMs: 1_000, counts: { clone: each } }
  return Array.from({ length: 10 }, (_, s) => {
    const children = Array.from({ length: Math.min(stays, s + 1) }, (_, back) =>
      Array.from({ length: each }, (_, i): Calls => {
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

test('a script starts as many one after the other, and a build has a few at a time', () => {
  expect(storms(600, 1)).toEqual([])
  expect(storms(40, 3)).toEqual([])
})
