import { expect, test } from 'bun:test'
import { Unrest } from '../../src/detect/unrest.ts'
import { detectorWith, live, PLACES, type Standing, T } from './toy.ts'

/** Seconds in which so many of ten processes are strange. */
function lived(unrest: Unrest, seconds: number, strange: number, of = 10): Unrest {
  for (let second = 0; second < seconds; second++) {
    for (let i = 0; i < of; i++) unrest.see(i < strange ? 3 : 0.2)
    unrest.endSecond()
  }
  return unrest
}

test('Unrest.calm is 1 while few are strange at a time, 0 when many are, and comes back', () => {
  const unrest = new Unrest()
  expect(unrest.calm).toBe(1)
  expect(lived(unrest, 600, 0).calm).toBe(1)
  expect(lived(unrest, 3, 6).calm).toBeGreaterThan(0.9)
  expect(lived(unrest, 60, 6).calm).toBe(0)
  expect(unrest.share).toBeCloseTo(0.57, 1)
  expect(lived(unrest, 120, 0).calm).toBe(1)
})

test('one strange process on a host of few says nothing of the host', () => {
  expect(lived(new Unrest(), 600, 1, 7).calm).toBe(1)
})

test('Detector: where all of a host is strange nobody stands out, and a miner is still one', () => {
  const named = (at: readonly [number, number]): Standing[] =>
    Array.from({ length: 20 }, (_, i) => ({ pid: i + 1, name: 'nginx', at }))
  const detector = detectorWith()
  live(detector, T - 800, 800, named(PLACES.nginx))
  const starved = [...named([2, 2]), { pid: 50, name: 'top', at: PLACES.miner }]
  live(detector, T, 60, (second) => named(second % 2 === 0 ? PLACES.nginx : [2, 2]))
  const kinds = live(detector, T + 60, 60, starved).map(({ kind }) => kind)
  expect(kinds).toContain('non-grata')
  expect(kinds).not.toContain('masquerade')
})
