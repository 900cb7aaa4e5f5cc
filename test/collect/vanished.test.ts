import { beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VanishedPrograms } from '../../src/collect/vanished.ts'
import { VANISHED_NAMED_MAX, VANISHED_SLEEPS_MIN } from '../../src/domain/limits.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
let proc = ''
beforeEach(() => {
  proc = directory()
})

/** A process as /proc shows it. */
function runs(pid: number, name: string, sleeps: number, { ppid = 1, start = 100 } = {}): void {
  const at = join(proc, String(pid))
  mkdirSync(at, { recursive: true })
  writeFileSync(
    join(at, 'status'),
    `Name:\t${name}\nPPid:\t${ppid}\nvoluntary_ctxt_switches:\t${sleeps}\nnonvoluntary_ctxt_switches:\t9\n`,
  )
  const zeros = Array.from({ length: 18 }, () => '0').join(' ')
  writeFileSync(join(at, 'stat'), `${pid} (${name}) S ${zeros} ${start} 0 0\n`)
}
const lines = (text: string) => new TextEncoder().encode(text)
const enough = VANISHED_SLEEPS_MIN

describe('VanishedPrograms', () => {
  test('names what has slept and was not seen, from the second look on', () => {
    const vanished = new VanishedPrograms([], proc)
    runs(5, 'nginx', 100)
    runs(6, 'redis (a)', 100)
    expect(vanished.look()).toEqual([])
    vanished.push(lines('@1700000000 5 L read=3 nginx\n@1700000000 . 0\n'))
    runs(5, 'nginx', 100 + enough)
    runs(6, 'redis (a)', 100 + enough)
    expect(vanished.look()).toEqual(['redis (a) (6)'])
    expect(vanished.look()).toEqual([])
  })

  test('does not name what only computes, kernel threads, ours, and a pid that came back', () => {
    const vanished = new VanishedPrograms([9], proc)
    runs(5, 'miner', 100)
    runs(7, 'kworker/0:1', 0, { ppid: 2 })
    runs(9, 'agent', 0)
    runs(10, 'old', 0)
    vanished.look()
    runs(5, 'miner', 100 + enough - 1)
    runs(7, 'kworker/0:1', 1_000, { ppid: 2 })
    runs(9, 'agent', 1_000)
    runs(10, 'new', 1_000, { start: 200 })
    expect(vanished.look()).toEqual([])
  })

  test('names so many at most, the most active first, and survives what ends meanwhile', () => {
    const vanished = new VanishedPrograms([], proc)
    for (let pid = 10; pid < 40; pid++) runs(pid, 'x', 0)
    vanished.look()
    for (let pid = 10; pid < 40; pid++) runs(pid, 'x', enough + pid)
    rmSync(join(proc, '39', 'stat'))
    const named = vanished.look()
    expect(named).toHaveLength(VANISHED_NAMED_MAX)
    expect(named[0]).toBe('x (38)')
  })
})
