import { describe, expect, test } from 'bun:test'
import {
  isPoor,
  SIGHT_NAMES,
  SIGHTS,
  seenBy,
  sysdigEventsPerCall,
  sysdigSight,
} from '../../src/domain/sight.ts'
import { numberTables } from '../../src/domain/syscall-numbers.ts'
import { SYSCALLS, syscallIndexOf } from '../../src/domain/syscalls.ts'
import { frameOf } from '../support/hand-frames.ts'

test.each(SIGHT_NAMES)('%s: each call that it cannot see is one that we know, once', (name) => {
  const { unseen, readAs = {}, recognition } = SIGHTS[name]
  const calls = [...unseen, ...Object.keys(readAs)]
  expect(new Set(calls).size).toBe(calls.length)
  for (const call of [...calls, ...Object.values(readAs)])
    expect(syscallIndexOf(call), call).toBeDefined()
  expect(recognition.precision).toBeGreaterThan(0.9)
  expect(recognition.recall).toBeGreaterThan(0.9)
})

test('sysdig never shows what never returns, and an old one not what is newer', () => {
  expect(SIGHTS.sysdig.unseen).toEqual(['exit', 'exit_group', 'rt_sigreturn'].sort())
  const old = SIGHTS['sysdig-0.29'].unseen
  for (const call of ['exit_group', 'statx', 'rseq', 'io_uring_enter', 'pidfd_open'])
    expect(old).toContain(call)
  for (const call of ['read', 'openat', 'newfstatat', 'clone3', 'getrandom'])
    expect(old).not.toContain(call)
})

test('arm64 lacks each call that its own are read as, but those that it reads x86 calls as', () => {
  const here = new Set(numberTables('arm64').native)
  for (const [call, as] of Object.entries(SIGHTS['kernel-arm64'].readAs ?? {})) {
    const isOfArm = here.has(syscallIndexOf(call)!)
    expect(here.has(syscallIndexOf(as)!), `${call} as ${as}`).toBe(!isOfArm)
  }
  for (const call of SIGHTS['kernel-arm64'].unseen)
    expect(here.has(syscallIndexOf(call)!), call).toBe(false)
})

describe.each([
  ['0.29.3', 'sysdig-0.29', 2],
  ['0.40.1', 'sysdig', 2],
  ['0.41.4', 'sysdig', 1],
  ['1.0.0', 'sysdig', 1],
  ['of unknown version', 'sysdig', 1],
] as const)('sysdig %s', (version, sight, events) => {
  test(`sees as ${sight}, with ${events} events a call`, () => {
    expect(sysdigSight(version)).toBe(sight)
    expect(sysdigEventsPerCall(version)).toBe(events)
  })
})

test('a source is poor where it costs recall', () => {
  expect(SIGHT_NAMES.filter(isPoor)).toEqual(['sysdig', 'sysdig-0.29'])
})

describe('seenBy()', () => {
  const frame = {
    ...frameOf(5, [
      { pid: 1, counts: { read: 3, exit_group: 1, statx: 2 } },
      { pid: 2, counts: { exit_group: 1 } },
      { pid: 3, counts: { statx: 7, openat: 1 } },
    ]),
    cpuMs: Uint32Array.of(10, 20, 30),
    silent: [{ process: { pid: 9, startMs: 0, name: 'miner' }, cpuMs: 900 }],
  }
  const shown = (frame: ReturnType<typeof seenBy>) =>
    frame.processes.map(({ pid }, i) => {
      const cells = [...frame.syscalls.keys()].slice(frame.offsets[i], frame.offsets[i + 1])
      return [pid, ...cells.map((k) => `${SYSCALLS[frame.syscalls[k]!]} ${frame.counts[k]}`)]
    })

  test('leaves calls out that the source cannot see, and processes that made no other', () => {
    expect(shown(seenBy(frame, 'sysdig-0.29'))).toEqual([
      [1, 'read 3'],
      [3, 'openat 1'],
    ])
    expect(shown(seenBy(frame, 'sysdig'))).toEqual([
      [1, 'read 3', 'statx 2'],
      [3, 'openat 1', 'statx 7'],
    ])
  })

  test('adds up what is read as the same call, in the order of the calls', () => {
    const arm = frameOf(5, [
      { pid: 1, counts: { epoll_pwait: 4, epoll_wait: 1, write: 9, rmdir: 2 } },
    ])
    expect(shown(seenBy(arm, 'kernel-arm64'))).toEqual([
      [1, 'write 9', 'epoll_wait 5', 'unlinkat 2'],
    ])
    expect(seenBy(arm, 'kernel')).toEqual(arm)
  })

  test('keeps CPU times for the kernel source alone', () => {
    expect(seenBy(frame, 'kernel')).toEqual(frame)
    const { cpuMs: _, silent: __, ...calls } = frame
    expect(seenBy(frame, 'bpftrace')).toEqual(calls)
    expect(seenBy(frame, 'sysdig').cpuMs).toBeUndefined()
  })
})
