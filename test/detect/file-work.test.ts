/** Whose files are looked at: by counts of a few seconds, and once a while. */
import { expect, test } from 'bun:test'
import { FileWork } from '../../src/detect/file-work.ts'
import { frameOf } from '../support/hand-frames.ts'

const seconds = (counts: Record<string, number>, count: number) => {
  const work = new FileWork()
  return Array.from(
    { length: count },
    (_, i) => work.push(frameOf(1000 + i, [{ pid: 10, counts }])).length,
  )
}

test('a dozen files in a second is enough, and then not again for half a minute', () => {
  const found = seconds({ unlink: 12, write: 12 }, 40)
  expect(found.flatMap((n, i) => (n > 0 ? [i] : []))).toEqual([0, 30])
})

test('one file a second comes to be seen, too', () => {
  expect(seconds({ rename: 1, write: 1 }, 20).reduce((a, b) => a + b)).toBe(1)
})

test('a file in three seconds comes to be seen, seldom; one in a quarter of a minute does not', () => {
  const every = (pause: number) => {
    const work = new FileWork()
    const found = Array.from({ length: 150 }, (_, i) => {
      const counts: Record<string, number> =
        i % pause === 0 ? { unlink: 1, write: 2 } : { clock_nanosleep: 1 }
      return work.push(frameOf(1000 + i, [{ pid: 10, counts }]))
    })
    return found.flatMap((workers, i) => workers.map(({ isSlow }) => (isSlow ? i : -1)))
  }
  expect(every(3)).toEqual([12, 132])
  expect(every(15)).toEqual([])
})

test('who only reads, only removes or only appends is not', () => {
  for (const counts of [{ read: 900, openat: 900 }, { unlink: 900 }, { write: 900 }])
    expect(seconds(counts, 20).reduce((a, b) => a + b)).toBe(0)
})

test('in place: opened, read and written by the dozen', () => {
  expect(seconds({ openat: 20, read: 30, write: 20 }, 5).reduce((a, b) => a + b)).toBe(1)
})

test('files that are removed now and then are no fast work, however many they become', () => {
  const work = new FileWork()
  const calls = [{ pid: 10, counts: { rename: 4, write: 4 } }]
  const found = [0, 10, 20, 30].flatMap((s) => work.push(frameOf(1000 + s, calls)))
  expect(found.filter(({ isSlow }) => !isSlow)).toEqual([])
})

test.each([
  [{ openat: 14, read: 14, write: 14 }, 0],
  [{ openat: 16, read: 16, write: 16 }, 1],
  [{ openat: 28, mmap: 28, munmap: 28 }, 0],
  [{ openat: 32, mmap: 32, munmap: 32 }, 1],
])('%p in one second: %d', (counts, found) => {
  expect(seconds(counts, 1)).toEqual([found])
})

test.each([
  [4, 0],
  [5, 1],
])('%d files removed in one second: %d', (files, found) => {
  expect(seconds({ unlink: files, write: files }, 1)).toEqual([found])
})

test.each([
  [7, []],
  [8, [8]],
])('four files, and one more after %d seconds: slow work at %p', (pause, expected) => {
  const work = new FileWork()
  const at = (s: number, files: number) =>
    work
      .push(frameOf(1_000 + s, [{ pid: 10, counts: { unlink: files, write: files } }]))
      .flatMap(({ isSlow }) => (isSlow ? [s] : []))
  expect([...at(0, 4), ...at(pause, 1)]).toEqual(expected)
})

test.each([
  [7, 0],
  [9, 1],
])('of %d tools in a second: %d', (count, found) => {
  const born = { ppid: 10, startMs: 1_000_000, counts: { openat: 2, read: 2, write: 2 } }
  const tools = Array.from({ length: count }, (_, i) => ({ ...born, pid: 100 + i }))
  const all = new FileWork().push(frameOf(1_000, [{ pid: 10, counts: { wait4: 1 } }, ...tools]))
  expect(all).toHaveLength(found)
})

test.each([
  ['a child of two seconds', 2, 1, 1],
  ['a child of three seconds', 3, 1, 0],
  ['a child of a child of a child', 0, 3, 1],
  ['one further down', 0, 4, 0],
])('what %s writes belongs to who removes: %d, %d', (_, age, depth, found) => {
  const startMs = (1_000 - age) * 1_000
  const chain = Array.from({ length: depth }, (_, i) => ({
    ...{ pid: 11 + i, ppid: 10 + i, startMs },
    counts: i === depth - 1 ? { write: 12 } : { wait4: 1 },
  }))
  const frame = frameOf(1_000, [{ pid: 10, counts: { unlink: 12 } }, ...chain])
  expect(new FileWork().push(frame)).toHaveLength(found)
})

test('tools that are started once a file count to their parent', () => {
  const work = new FileWork()
  const found = []
  for (let s = 0; s < 4; s++) {
    const index = 1000 + s
    const born = { startMs: index * 1000, ppid: 10 }
    found.push(
      ...work.push(
        frameOf(index, [
          { pid: 10, counts: { clone: 8, wait4: 8 } },
          { pid: 100 + s * 10, ...born, counts: { openat: 4, write: 4 } },
          { pid: 101 + s * 10, ...born, counts: { unlinkat: 3 } },
        ]),
      ),
    )
  }
  expect(found.map(({ process }) => process.pid)).toEqual([10])
  expect(found[0]?.unlinked).toBeGreaterThan(4)
})

test('a chain of processes that each end after some seconds is one worker', () => {
  const work = new FileWork()
  const found: number[] = []
  // Two files each, three seconds long: not enough for any of them.
  for (let s = 0; s < 12; s++) {
    const link = Math.floor(s / 3)
    const of = { pid: 100 + link, ppid: 99 + link, startMs: (1000 + 3 * link) * 1000 }
    const calls = { ...of, name: `job-${link}`, exe: '/tmp/job', counts: { rename: 1, write: 1 } }
    found.push(...work.push(frameOf(1000 + s, [calls])).map(({ process }) => process.pid))
  }
  expect(found.length).toBeGreaterThan(0)
  expect(found[0]).toBeGreaterThan(100)
})

test('files that are mapped and unmapped, with msync or without', () => {
  expect(seconds({ openat: 20, mmap: 20, msync: 20, munmap: 20 }, 5).reduce((a, b) => a + b)).toBe(
    1,
  )
  expect(seconds({ openat: 30, mmap: 30, munmap: 30 }, 5).reduce((a, b) => a + b)).toBe(1)
  expect(seconds({ openat: 30, mmap: 30 }, 5).reduce((a, b) => a + b)).toBe(0)
})

/** In each second a tool of a shell that a search has started, and what the search removes. */
const byTools = (tool: Record<string, number>, searching: Record<string, number>) => {
  const work = new FileWork()
  return Array.from({ length: 12 }, (_, s) => {
    const index = 1000 + s
    const born = (pid: number, ppid: number) => ({ pid, ppid, startMs: index * 1000 })
    return work.push(
      frameOf(index, [
        { pid: 10, counts: { ...searching, getdents64: 1 } },
        ...[0, 1].flatMap((i) => [
          { ...born(100 + s * 10 + 2 * i, 10), counts: { wait4: 1 } },
          { ...born(101 + s * 10 + 2 * i, 100 + s * 10 + 2 * i), counts: tool },
        ]),
      ]),
    )
  })
    .flat()
    .filter(({ process }) => process.pid === 10).length
}

test('what tools write and their starter removes is one work', () => {
  expect(byTools({ openat: 4, read: 4, write: 2 }, { unlinkat: 2 })).toBe(1)
})

test('tools that overwrite files one after the other are worth a look, those that only read are not', () => {
  expect(byTools({ openat: 4, read: 4, write: 2 }, {})).toBe(1)
  expect(byTools({ openat: 4, read: 4 }, {})).toBe(0)
})
