import { describe, expect, test } from 'bun:test'
import type { LiveProcess } from '../../src/agent/live-view.ts'
import {
  arranged,
  keyLine,
  keysOf,
  pressed,
  TOP_VIEW,
  type TopView,
} from '../../src/commands/top-keys.ts'

const ROWS = ['1@5', '2@5', '3@5']
const after = (keys: string, view: TopView = TOP_VIEW): TopView | 'quit' => {
  let now: TopView | 'quit' = view
  for (const key of keysOf(keys)) {
    if (now === 'quit') break
    now = pressed(now, key, ROWS)
  }
  return now
}
const processOf = (more: Partial<LiveProcess>): LiveProcess => ({
  ...{ pid: 1, start: 1, name: 'nginx', calls: 1, claims: true, suspicion: 0, ...more },
})

describe('pressed()', () => {
  test('orders by a letter, and quits by q and Ctrl-C', () => {
    expect(after('c')).toMatchObject({ order: 'calls' })
    expect(after('np')).toMatchObject({ order: 'pid' })
    expect(after('x')).toEqual(TOP_VIEW)
    for (const keys of ['q', 'Q', '\x03', '/ab\x03']) expect(after(keys)).toBe('quit')
  })

  test('takes letters for the filter until Enter, and Esc clears it', () => {
    expect(after('/qc')).toMatchObject({ order: 'evidence', filter: 'qc', isTyping: true })
    expect(after('/ssh\x7f\rc')).toMatchObject({ order: 'calls', filter: 'ss', isTyping: false })
    expect(after('/ssh\x1b')).toEqual(TOP_VIEW)
    expect(after('/ssh\r\x1b')).toEqual(TOP_VIEW)
    expect(after(`/${'x'.repeat(500)}\t`)).toMatchObject({ filter: 'x'.repeat(64) })
  })
})

describe('pressed() on rows', () => {
  test.each([
    ['j', '1@5'],
    ['jj', '2@5'],
    ['jjjjj', '3@5'],
    ['jjk', '1@5'],
    ['jkk', '1@5'],
    ['\x1b[B\x1b[B', '2@5'],
    ['\x1b[B\x1b[B\x1b[A', '1@5'],
    ['jjc', '2@5'],
    ['jj\x1b', undefined],
  ])('%j chooses %p', (keys, chosen) =>
    expect(after(keys)).toMatchObject({ chosen, isOpen: false } as object),
  )

  test('Enter opens the chosen one, and Enter or Esc closes it; without one it does nothing', () => {
    expect(after('jj\r')).toMatchObject({ chosen: '2@5', isOpen: true })
    expect(after('jj\rc')).toMatchObject({ order: 'evidence', isOpen: true })
    expect(after('jj\r\r')).toMatchObject({ chosen: '2@5', isOpen: false })
    expect(after('jj\r\x1b')).toMatchObject({ chosen: '2@5', isOpen: false })
    expect(after('\r')).toEqual(TOP_VIEW)
    expect(after('jj\rq')).toBe('quit')
  })

  test('a chosen process that has gone leaves the choice to the first row', () => {
    expect(pressed({ ...TOP_VIEW, chosen: '9@9' }, 'j', ROWS)).toMatchObject({ chosen: '1@5' })
    expect(pressed(TOP_VIEW, 'j', [])).toMatchObject({ chosen: undefined })
  })

  test('m shows command lines and units by turns', () => {
    expect(after('m')).toMatchObject({ hasCommands: true })
    expect(after('mm')).toMatchObject({ hasCommands: false })
    expect(keyLine(after('m') as TopView)).toContain('m units')
  })
})

test('keysOf() takes an arrow for one key, and Esc for another', () => {
  expect(keysOf('a\x1b[A\x1bé\n')).toEqual(['a', '\x1b[A', '\x1b', 'é', '\n'])
})

test('arranged() filters by name, class and pid, and orders', () => {
  const processes = [
    processOf({ pid: 30, name: 'sshd', calls: 5 }),
    processOf({ pid: 4, name: 'Nginx', calls: 9 }),
    processOf({ pid: 200, name: 'bash', calls: 1, class: 'sshd', suspicion: 0.4 }),
  ]
  const pids = (view: Partial<TopView>) =>
    arranged(processes, { ...TOP_VIEW, ...view }).map(({ pid }) => pid)
  expect(pids({})).toEqual([200, 4, 30])
  expect(pids({ order: 'calls' })).toEqual([4, 30, 200])
  expect(pids({ order: 'name' })).toEqual([4, 200, 30])
  expect(pids({ order: 'pid' })).toEqual([4, 30, 200])
  expect(pids({ filter: 'SSH' })).toEqual([200, 30])
  expect(pids({ filter: 'nginx' })).toEqual([4])
  expect(pids({ filter: '20' })).toEqual([200])
})

test('keyLine() says which keys there are, and what they have done', () => {
  expect(keyLine(TOP_VIEW)).toEndWith('(by evidence)')
  expect(keyLine({ ...TOP_VIEW, filter: 'ssh' })).toContain('filter "ssh" (Esc clears it)')
  expect(keyLine({ ...TOP_VIEW, filter: 'ss', isTyping: true })).toStartWith('Filter: ss_')
})
