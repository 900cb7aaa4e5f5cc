import { expect, test } from 'bun:test'
import { mayVote, Unrest } from '../../src/detect/unrest.ts'
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

test('a process is strange beyond what is usual, and one second of all is a twentieth', () => {
  const one = (distance: number) => {
    const unrest = new Unrest()
    for (let i = 0; i < 10; i++) unrest.see(distance)
    unrest.endSecond()
    return unrest.share
  }
  expect([0.9, 1.2].map(one)).toEqual([0, 0.05])
})

test.each([
  [9, 1],
  [11, 0.9],
  [15, 0.5],
  [19, 0.1],
  [21, 0],
])('where %d of a hundred are strange for long, masquerades weigh %d', (strange, calm) => {
  expect(lived(new Unrest(), 600, strange, 100).calm).toBeCloseTo(calm, 2)
})

test('eight processes are enough to tell of their host', () => {
  expect([7, 8].map((of) => lived(new Unrest(), 600, of, of).calm)).toEqual([1, 0])
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

test('Unrest.share leaves out the one user or container that alone deviates', () => {
  const unrest = new Unrest()
  const second = (others: number) => {
    for (let i = 0; i < 20; i++) unrest.see(i < others ? 3 : 0.2, { uid: 0 })
    for (let i = 0; i < 12; i++) unrest.see(3, { uid: 1000 })
    unrest.endSecond()
  }
  for (let i = 0; i < 120; i++) second(0)
  expect(unrest.calm).toBe(1)
  expect(unrest.most).toEqual({ uid: 1000, strange: 12, seen: 12 })
  for (let i = 0; i < 120; i++) second(16)
  expect(unrest.calm).toBe(0)
})

test.each([
  ['containers that it names', (i: number) => ({ uid: 1000, container: `c${i}` })],
  ['users that its account has', (i: number) => ({ uid: 100_000 + 5_000 * i })],
])('Unrest.share leaves out one account, whichever %s', (_, as) => {
  const unrest = new Unrest()
  for (let second = 0; second < 120; second++) {
    for (let i = 0; i < 20; i++) unrest.see(0.2, { uid: i % 3, container: `web-${i % 4}` })
    for (let i = 0; i < 12; i++) unrest.see(3, as(i))
    unrest.endSecond()
  }
  expect(unrest.calm).toBe(1)
})

test('Unrest.share leaves out what one parent started where all are of one user', () => {
  const unrest = new Unrest()
  const second = (others: number) => {
    for (let i = 0; i < 20; i++) unrest.see(i < others ? 3 : 0.2, { uid: 0, ppid: 1 + (i % 4) })
    for (let i = 0; i < 12; i++) unrest.see(3, { uid: 0, ppid: 900 })
    unrest.endSecond()
  }
  for (let i = 0; i < 120; i++) second(0)
  expect(unrest.calm).toBe(1)
  for (let i = 0; i < 120; i++) second(16)
  expect(unrest.calm).toBe(0)
})

test('Detector: a dozen strange processes of one user switch off no masquerade alert', () => {
  const detector = detectorWith()
  const usual: Standing[] = Array.from({ length: 20 }, (_, i) => ({
    ...{ pid: i + 1, name: 'nginx', at: PLACES.nginx, uid: 0 },
  }))
  const decoys: Standing[] = Array.from({ length: 12 }, (_, i) => ({
    ...{ pid: i + 100, name: 'nginx', at: [2, 2], uid: 1000, startMs: T * 1000 },
  }))
  live(detector, T - 800, 800, usual)
  live(detector, T, 60, [...usual, ...decoys])
  expect(detector.unrest.share).toBeLessThan(0.1)
  const cover: Standing = { pid: 50, name: 'nginx', at: PLACES.cron, uid: 33 }
  const alerts = live(detector, T + 60, 60, [...usual, ...decoys, cover])
  expect(alerts.filter(({ process }) => process.pid === 50).map(({ kind }) => kind)).toContain(
    'masquerade',
  )
})

test('mayVote() is for what was there before, or was usual for long', () => {
  expect(mayVote({ startMs: 99_000 }, 0, 100)).toBe(true)
  expect(mayVote({ startMs: 101_000 }, 0, 100)).toBe(false)
  expect(mayVote({ startMs: 101_000 }, 299, 100)).toBe(false)
  expect(mayVote({ startMs: 101_000 }, 300, 100)).toBe(true)
})
