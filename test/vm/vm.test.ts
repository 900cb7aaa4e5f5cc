/**
 * The parts of scripts/vm that need no virtual machine: what a guest's facts become, which results
 * are kept, and the page that is made of them.
 */
import { describe, expect, test } from 'bun:test'
import { CHECKS } from '../../scripts/vm/checks.ts'
import { MACHINES } from '../../scripts/vm/machines.ts'
import { groupsOf } from '../../scripts/vm/plan.ts'
import { platformsPage, resultsTable } from '../../scripts/vm/platforms-page.ts'
import {
  factsIn,
  passed,
  type Result,
  readResults,
  replaceResult,
} from '../../scripts/vm/results.ts'

const result = (more: Partial<Result> = {}): Result => ({
  machine: 'bookworm',
  check: 'conservation',
  kernel: '6.1.0-50-amd64',
  architecture: 'amd64',
  source: 'kernel',
  date: '2026-11-30',
  agent: '0.1.0',
  notes: [],
  met: 3,
  unmet: [],
  bootSeconds: 20,
  seconds: 90,
  ...more,
})

test('each check is unique and names machines that exist', () => {
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length)
  const known = MACHINES.map(({ name }) => name)
  for (const { name, machines, scripts } of CHECKS) {
    expect(machines.length, name).toBeGreaterThan(0)
    expect(machines.filter((machine) => !known.includes(machine))).toEqual([])
    // Each script states what it expects.
    for (const script of scripts) expect(script, name).toMatch(/\b(expect|counted) /)
  }
})

describe('groupsOf()', () => {
  const names = (words: string[]) =>
    groupsOf(words).map(
      ({ machine, checks }) => `${machine.name}: ${checks.map(({ name }) => name).join(' ')}`,
    )

  test('checks that want the same boot share it, in the order of the list', () =>
    expect(names(['watch@trixie', 'conservation@trixie', 'watch@bullseye'])).toEqual([
      'trixie: conservation watch',
      'bullseye: watch',
    ]))

  test('what ends the counting of a machine comes after all others of its boot', () => {
    const [first] = names(['@bullseye'])
    expect(first).toMatch(/^bullseye: conservation watch .*lockdown-integrity lockdown-refused$/)
  })

  test('a check of several boots, and one of another machine, have their own', () =>
    expect(names(['service@bookworm', 'conservation@bookworm', 'memory'])).toEqual([
      'bookworm: conservation',
      'bookworm: service',
      'bookworm: memory',
    ]))

  test('all is every check on every machine that it names, once', () => {
    const all = groupsOf(['all']).flatMap(({ checks }) => checks)
    expect(all.length).toBe(CHECKS.reduce((sum, { machines }) => sum + machines.length, 0))
  })

  test.each(['nothing', 'watch@nowhere', '@nowhere'])('%p is refused', (word) =>
    expect(() => groupsOf([word])).toThrow('No '),
  )
})

test('the results that are kept are of checks and machines that exist, with the calls they made', () => {
  for (const { machine, check, made = 0, counted = 0 } of readResults()) {
    expect(CHECKS.map(({ name }) => name)).toContain(check)
    expect(MACHINES.map(({ name }) => name)).toContain(machine)
    expect(counted).toBeLessThanOrEqual(made)
  }
})

test('factsIn() gathers the values of a name in their order', () => {
  const facts = factsIn('kernel 6.1.0\nok one\nok two words\nmade 12\nempty\n')
  expect([...facts]).toEqual([
    ['kernel', ['6.1.0']],
    ['ok', ['one', 'two words']],
    ['made', ['12']],
    ['empty', ['']],
  ])
})

test.each([
  [3, [], true],
  [0, [], false],
  [3, ['a fault'], false],
])('a result with %p expectations met and %p not: passed is %p', (met, unmet, expected) =>
  expect(passed(result({ met, unmet }))).toBe(expected),
)

test('replaceResult() keeps the latest of a machine and check, in order', () => {
  const old = [result({ machine: 'trixie' }), result({ date: '2026-01-01' })]
  expect(replaceResult(old, result())).toEqual([result(), result({ machine: 'trixie' })])
})

describe('the page', () => {
  const page = platformsPage(
    [
      result({ made: 366_001, counted: 366_001, notes: ['doctor: counts in the kernel (direct)'] }),
      result({ machine: 'bullseye', kernel: '5.10.0-32-amd64', check: 'watch', alert: 'none' }),
      result({ check: 'clock', unmet: ['each step is told'] }),
    ],
    '<!-- generated -->\n',
  )

  test('has a section for each machine, and says what was counted', () => {
    expect(page).toContain('## Debian bookworm, amd64, Linux 6.1.0-50-amd64')
    expect(page).toContain('## Debian bullseye, amd64, Linux 5.10.0-32-amd64')
    expect(page).toContain('| 366,001 of 366,001 |')
    expect(page).toContain('ok (3); doctor: counts in the kernel (direct)')
  })

  test('does not hide what failed', () => expect(page).toContain('not ok: each step is told'))
})

test('the table of a run has the time of each boot', () =>
  expect(resultsTable([result()])).toContain('| 20 | 90 |'))
