import { describe, expect, test } from 'bun:test'
import { Counter } from '../../src/count/counter.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { coverageOf, ENFORCE_BELOW, seccompProfile } from '../../src/operate/seccomp.ts'
import { createParser } from '../../src/parse/create-parser.ts'

const T = 1_700_000_000

function frames(
  seconds: readonly Record<string, Record<string, number>>[],
  start?: number,
): Frame[] {
  const counter = new Counter()
  const parser = createParser('frames', counter)
  seconds.forEach((processes, i) => {
    for (const [name, counts] of Object.entries(processes))
      parser.push(
        Buffer.from(
          `${JSON.stringify({ t: T + i, pid: name.length, start: start ?? T, name, counts })}\n`,
        ),
      )
  })
  return counter.end()
}

describe('coverageOf()', () => {
  test('names the calls of that program alone, and estimates what is missing by those seen once', () => {
    const coverage = coverageOf('nginx', [
      ...frames([
        { nginx: { read: 3, write: 1 }, cron: { fork: 1 } },
        { nginx: { read: 1, openat: 1 } },
        { cron: { fork: 1 } },
        { nginx: { read: 1, write: 4 } },
      ]),
    ])
    expect(coverage.calls).toEqual(['openat', 'read', 'write'])
    expect(coverage).toMatchObject({
      processes: 1,
      seconds: 4,
      activeSeconds: 3,
      seenOnce: 1,
      startNotSeen: 0,
    })
    expect(coverage.missingPerDay).toBe(86_400 / 4)
  })

  test('an hour without a call seen once is no promise for a thousand days', () => {
    const hour = Array.from({ length: 3_600 }, () => ({ nginx: { read: 1 } }))
    const coverage = coverageOf('nginx', frames(hour))
    expect(coverage.seenOnce).toBe(0)
    expect(coverage.missingPerDay).toBe(24)
    expect(coverage.missingPerDay).toBeGreaterThan(ENFORCE_BELOW)
  })

  test('says of which processes the start was not seen, and what cannot be named', () => {
    const coverage = coverageOf('nginx', frames([{ nginx: { read: 1, no_such_call: 2 } }], T - 100))
    expect(coverage).toMatchObject({ startNotSeen: 1, unnamed: 2, calls: ['read'] })
  })

  test('of a name that was not there there is nothing', () => {
    expect(coverageOf('x', [])).toMatchObject({
      calls: [],
      processes: 0,
      missingPerDay: Number.POSITIVE_INFINITY,
    })
  })
})

test('seccompProfile() logs or refuses what was not seen', () => {
  const coverage = coverageOf('nginx', frames([{ nginx: { read: 1, write: 1 } }]))
  expect(seccompProfile(coverage, false)).toMatchObject({
    defaultAction: 'SCMP_ACT_LOG',
    syscalls: [{ names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' }],
  })
  expect(seccompProfile(coverage, true)).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO' })
})
