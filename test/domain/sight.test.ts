import { describe, expect, test } from 'bun:test'
import {
  isPoor,
  maskOf,
  SIGHTS,
  type SightName,
  sysdigEventsPerCall,
  sysdigSight,
} from '../../src/domain/sight.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'

const names = Object.keys(SIGHTS) as SightName[]

test.each(names)('%s: each call that it cannot see is one that we know, once', (name) => {
  const { unseen, recognition } = SIGHTS[name]
  expect(unseen.filter((call) => syscallIndexOf(call) === undefined)).toEqual([])
  expect(maskOf(name).size).toBe(unseen.length)
  expect(recognition.precision).toBeGreaterThan(0.9)
  expect(recognition.recall).toBeGreaterThan(0.9)
})

test('sysdig never shows what never returns, and an old one not what is newer', () => {
  expect(SIGHTS.sysdig.unseen).toEqual(['exit', 'exit_group', 'rt_sigreturn'].sort())
  const old = maskOf('sysdig-0.29')
  for (const call of ['exit_group', 'statx', 'rseq', 'io_uring_enter', 'pidfd_open'])
    expect(old.has(syscallIndexOf(call)!)).toBe(true)
  for (const call of ['read', 'openat', 'newfstatat', 'clone3', 'getrandom'])
    expect(old.has(syscallIndexOf(call)!)).toBe(false)
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
  expect(names.filter(isPoor)).toEqual([])
})
