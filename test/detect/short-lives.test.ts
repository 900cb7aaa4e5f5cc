import { expect, test } from 'bun:test'
import { ShortLives } from '../../src/detect/short-lives.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Process } from '../../src/domain/process.ts'

const T = 1_800_000_000

/**
 * A frame in which each process calls read (1) `count` times and, if its pid is even, write (2)
 * once.
 */
function frame(
  index: number,
  processes: readonly (Partial<Process> & { pid: number })[],
  count = 3,
): Frame {
  const syscalls: number[] = []
  const counts: number[] = []
  const offsets = [0]
  for (const { pid } of processes) {
    syscalls.push(1)
    counts.push(count)
    if (pid % 2 === 0) {
      syscalls.push(2)
      counts.push(1)
    }
    offsets.push(syscalls.length)
  }
  return {
    index,
    processes: processes.map((process) => ({ startMs: index * 1000, name: 'nc', ...process })),
    offsets: Uint32Array.from(offsets),
    syscalls: Uint16Array.from(syscalls),
    counts: Uint32Array.from(counts),
    lost: 0,
  }
}

test('ShortLives.push() adds up what is started anew every second, under a pid that cannot be one', () => {
  const short = new ShortLives()
  short.push(frame(T, [{ pid: 1, name: 'init' }]))
  for (let i = 1; i < 3; i++) {
    const one = frame(T + i, [{ pid: 10 + i }])
    expect(short.push(one)).toBe(one)
  }
  const third = short.push(frame(T + 3, [{ pid: 13 }, { pid: 14 }]))
  expect(third.processes).toHaveLength(3)
  expect(third.processes[2]).toMatchObject({
    pid: -11,
    startMs: (T + 1) * 1000,
    name: 'nc',
    latest: 14,
  })
  expect([...third.syscalls.subarray(third.offsets[2]!)]).toEqual([1, 2])
  expect([...third.counts.subarray(third.offsets[2]!)]).toEqual([6, 1])
  // The group keeps its pid, so that its seconds become one sequence.
  expect(short.push(frame(T + 4, [{ pid: 15 }])).processes[1]!.pid).toBe(-11)
})

test('ShortLives.push() leaves long-lived processes and single starts alone', () => {
  const short = new ShortLives()
  const old = { startMs: (T - 100) * 1000, name: 'nginx' }
  for (let i = 0; i < 30; i++) {
    const one = frame(T + i, [
      { pid: 1, ...old },
      { pid: 2, ...old },
      { pid: 3, ...old },
    ])
    expect(short.push(one)).toBe(one)
  }
  for (let i = 30; i < 60; i++) {
    const one = frame(T + i, [{ pid: 50, startMs: (T + 30) * 1000 }])
    expect(short.push(one)).toBe(one)
  }
})

test('ShortLives.push() takes what was there when we came for old', () => {
  const short = new ShortLives()
  const five = [1, 2, 3, 4, 5].map((pid) => ({ pid, startMs: T * 1000 }))
  expect(short.push(frame(T, five)).processes).toHaveLength(5)
})

test('ShortLives.push() keeps parents apart where they are known', () => {
  const short = new ShortLives()
  short.push(frame(T, []))
  const three = [
    { pid: 11, ppid: 7 },
    { pid: 12, ppid: 7 },
    { pid: 13, ppid: 8 },
  ]
  expect(short.push(frame(T + 1, three)).processes).toHaveLength(3)
})

test('ShortLives keeps its bound: the longest silent group goes first', () => {
  const short = new ShortLives({ max: 2 })
  short.push(frame(T, []))
  for (let i = 0; i < 4; i++) short.push(frame(T + 1, [{ pid: 20 + i, name: `n${i}` }]))
  expect(short.evicted).toBe(2)
})
