/** Who answers for a process: whoever has lived for a while, the process itself first. */
import { expect, test } from 'bun:test'
import { Lineage } from '../../src/detect/lineage.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

const at = (pid: number, start: number, ppid?: number, more: Partial<Calls> = {}): Calls => ({
  ...{ pid, startMs: start * 1000, counts: { read: 1 } },
  ...(ppid === undefined ? {} : { ppid }),
  ...more,
})

function lineageOf(...seconds: [second: number, processes: Calls[]][]) {
  const lineage = new Lineage()
  const seen = new Map<number, ReturnType<typeof frameOf>['processes'][number]>()
  for (const [second, processes] of seconds) {
    const frame = frameOf(second, processes)
    lineage.push(frame)
    for (const process of frame.processes) seen.set(process.pid, process)
  }
  return (pid: number) => lineage.responsible(seen.get(pid)!).pid
}

test('a tool is its starter, through others as short-lived; a grown process is itself', () => {
  const shell = at(7, 10)
  const responsible = lineageOf(
    [100, [shell, at(8, 100, 7), at(9, 100, 8)]],
    [101, [shell, at(20, 50, 7)]],
  )
  expect([9, 8, 7, 20].map(responsible)).toEqual([7, 7, 7, 20])
})

test('a process answers for itself after three seconds', () => {
  const seconds = (last: number): [number, Calls[]][] =>
    [100, last].map((second) => [second, [at(7, 10), at(8, 100, 7)]])
  expect([102, 103].map((last) => lineageOf(...seconds(last))(8))).toEqual([7, 8])
})

test('a chain in which each forks the next and ends is its first link, or who started that', () => {
  const links = Array.from({ length: 30 }, (_, i): [number, Calls[]] => [
    100 + i,
    [at(50 + i, 100 + i, i === 0 ? 7 : 49 + i)],
  ])
  expect(lineageOf([99, [at(7, 10)]], ...links)(79)).toBe(7)
  expect(lineageOf(...links)(79)).toBe(50)
})

test('the way up ends at what starts everything, and at the wall of a container', () => {
  const cron = at(7, 10, 1, { name: 'cron' })
  const within = { container: 'aaaaaaaaaaaa' }
  const responsible = lineageOf([
    100,
    [cron, at(8, 100, 7), at(9, 100, 8), at(30, 10), at(31, 100, 30, within)],
  ])
  expect([9, 8, 31].map(responsible)).toEqual([8, 8, 31])
})

test('a number that is used again is no parent of those before it', () => {
  expect(lineageOf([100, [at(9, 100, 8)]], [101, [at(8, 101)]])(9)).toBe(9)
})
