import { describe, expect, test } from 'bun:test'
import type { LiveProcess } from '../../src/agent/live-view.ts'
import { arranged, keyLine, pressed, TOP_VIEW, type TopView } from '../../src/commands/top-keys.ts'

const after = (keys: string, view: TopView = TOP_VIEW): TopView | 'quit' => {
  let now: TopView | 'quit' = view
  for (const key of keys) {
    if (now === 'quit') break
    now = pressed(now, key)
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
    expect(after('/qc')).toEqual({ order: 'evidence', filter: 'qc', isTyping: true })
    expect(after('/ssh\x7f\rc')).toEqual({ order: 'calls', filter: 'ss', isTyping: false })
    expect(after('/ssh\x1b')).toEqual(TOP_VIEW)
    expect(after('/ssh\r\x1b')).toEqual(TOP_VIEW)
    expect(after(`/${'x'.repeat(500)}\t`)).toMatchObject({ filter: 'x'.repeat(64) })
  })
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
