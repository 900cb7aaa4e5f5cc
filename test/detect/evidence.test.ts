import { expect, test } from 'bun:test'
import { accumulate, average, Evidence } from '../../src/detect/evidence.ts'

const T = 1_800_000_000
const process = { pid: 5, startMs: T * 1000, name: 'cron' }

test('accumulate() never falls below zero, so earlier benign windows offset nothing', () => {
  const { claim } = new Evidence().at(process, T)
  for (let i = 0; i < 1000; i++) accumulate(claim, -2, T + i)
  expect(claim.level).toBe(0)
  for (let i = 0; i < 3; i++) accumulate(claim, 2, T + 1000 + i)
  expect(claim).toMatchObject({ level: 6, from: T + 1000, windows: 3, peak: 6 })
})

test('accumulate() has a ceiling, so that a process can recover', () => {
  const { claim } = new Evidence().at(process, T)
  for (let i = 0; i < 1000; i++) accumulate(claim, 4, T + i)
  expect(claim.level).toBe(60)
})

test('average() follows the newest window by a fifth', () => {
  const one = new Evidence().at(process, T)
  accumulate(one.claim, 1, T)
  average(one, Float32Array.of(1, 0), 0, 2)
  average(one, Float32Array.of(0, 1), 0, 2)
  expect(Array.from(one.mean!, (share) => Math.round(share * 1000) / 1000)).toEqual([0.8, 0.2])
})

test('Evidence.at() fades over seconds without a window', () => {
  const evidence = new Evidence()
  accumulate(evidence.at(process, T).claim, 10, T)
  expect(evidence.at(process, T + 1).claim.level).toBe(10)
  expect(evidence.at(process, T + 62).claim.level).toBeCloseTo(10 / Math.E, 5)
})

test('Evidence.hold() keeps evidence as it is over a window that nobody judged', () => {
  const evidence = new Evidence()
  accumulate(evidence.at(process, T).claim, 10, T)
  for (let i = 0; i < 4; i++) evidence.hold(process)
  expect(evidence.at(process, T + 5).claim.level).toBe(10)
  // Four windows were there to be judged, and 31 seconds of silence.
  for (let i = 0; i < 4; i++) evidence.hold(process)
  expect(evidence.at(process, T + 5 + 5 + 31).claim.level).toBeCloseTo(10 * Math.exp(-31 / 60), 5)
  expect(evidence.peek({ ...process, pid: 6 })).toBeUndefined()
})

test('Evidence.at() stays with pid@start through a change of name, and not through a reuse of the pid', () => {
  const evidence = new Evidence()
  accumulate(evidence.at(process, T).claim, 10, T)
  expect(evidence.at({ ...process, name: 'nginx' }, T + 1).claim.level).toBe(10)
  expect(evidence.at({ ...process, startMs: process.startMs + 60_000 }, T + 2).claim.level).toBe(0)
})

test('Evidence.at() lets a process go on with the malice of the last of its line, faded, and with nothing else', () => {
  const evidence = new Evidence()
  const last = evidence.at(process, T, 3)
  accumulate(last.malice, 10, T)
  accumulate(last.claim, 10, T)
  const next = evidence.at({ ...process, pid: 6 }, T + 61, 3)
  expect(next.malice.level).toBeCloseTo(10 / Math.E, 5)
  expect(next.claim.level).toBe(0)
  expect(evidence.at({ ...process, pid: 7 }, T + 61, 4).malice.level).toBe(0)
  expect(evidence.at({ ...process, pid: 8 }, T + 61).malice.level).toBe(0)
})

test('Evidence keeps its bound: the longest silent goes first', () => {
  const gone: number[] = []
  const evidence = new Evidence({ max: 2, onForget: (of) => gone.push(of.process.pid) })
  for (const pid of [1, 2, 1, 3]) evidence.at({ ...process, pid }, T)
  expect(gone).toEqual([2])
  expect(evidence).toMatchObject({ size: 2, evicted: 1 })
})

test('Evidence.at() goes on in a child of the same program whose parent is silent, not beside it', () => {
  const parent = { pid: 50, startMs: T * 1000, name: 'relay', exe: '/tmp/relay' }
  const child = { ...parent, pid: 51, ppid: 50, startMs: (T + 8) * 1000, name: 'other' }
  const begun = () => {
    const evidence = new Evidence()
    for (let i = 0; i < 5; i++) accumulate(evidence.at(parent, T + 3 + i).malice, 2, T + 3 + i)
    return evidence
  }
  const { malice } = begun().at(child, T + 11)
  expect(malice.level).toBeCloseTo(10 * Math.exp(-3 / 60), 5)
  expect(malice).toMatchObject({ from: T + 3, windows: 5 })
  const beside = begun()
  beside.at(parent, T + 11)
  expect(beside.at(child, T + 11).malice.level).toBe(0)
  expect(begun().at({ ...child, exe: '/usr/bin/ls' }, T + 11).malice.level).toBe(0)
  expect(begun().at({ ...child, ppid: 7 }, T + 11).malice.level).toBe(0)
})

test('Evidence.at() does not go on in children of a shell, whatever it calls itself', () => {
  const evidence = new Evidence()
  const shell = { pid: 50, startMs: T * 1000, name: 'deploy', exe: '/bin/bash' }
  accumulate(evidence.at(shell, T).malice, 10, T)
  const subshell = { ...shell, pid: 51, ppid: 50, startMs: (T + 2) * 1000 }
  expect(evidence.at(subshell, T + 5).malice.level).toBe(0)
})
