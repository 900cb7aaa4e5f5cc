import { describe, expect, test } from 'bun:test'
import type { LiveProcess } from '../../src/agent/live-view.ts'
import type { Paint } from '../../src/commands/common.ts'
import { detailLines } from '../../src/commands/top-detail.ts'

const same = (text: string) => text
const plain: Paint = { bold: same, dim: same, red: same, yellow: same, green: same }
const process: LiveProcess = {
  ...{ pid: 812, start: 1_700_000_000, name: 'nginx', calls: 1_234, class: 'nginx' },
  ...{ confidence: 0.984, claims: true, suspicion: 0.42 },
}
const size = { columns: 60, rows: 20 }

describe('detailLines()', () => {
  test('says who a process is and what it behaves like', () => {
    const look = {
      user: 'www-data',
      exe: '/usr/sbin/nginx',
      parents: [{ pid: 1, name: 'systemd' }],
    }
    const lines = detailLines(process, look, undefined, 'KEYS', plain, size)
    expect(lines[0]).toBe('nginx (pid 812): no alert')
    const text = lines.join('\n')
    for (const part of [
      'nginx (98 %)',
      '42 % of what an alert takes',
      '/usr/sbin/nginx',
      'systemd (1)',
    ])
      expect(text).toContain(part)
    expect(lines.at(-1)).toBe('KEYS')
  })

  test('accuses nobody by a class that is a guess', () => {
    const ls = { ...process, name: 'ls', class: 'linpeas.sh', confidence: 0.43, suspicion: 0 }
    const text = detailLines(ls, undefined, undefined, '', plain, size).join('\n')
    expect(text).not.toContain('linpeas')
    expect(text).toContain('not known')
  })

  test('names a group of short-lived processes as one', () => {
    const [first] = detailLines({ ...process, pid: -7 }, undefined, undefined, '', plain, size)
    expect(first).toBe('Short-lived processes named nginx: no alert')
  })

  test('shows the explanation of an alert instead, as far as the screen goes', () => {
    const long = Array.from({ length: 50 }, (_, i) => `line ${i} ${'x'.repeat(100)}`).join('\n')
    const lines = detailLines(process, undefined, long, 'KEYS', plain, size)
    expect(lines).toHaveLength(20)
    expect(lines[0]).toStartWith('line 0')
    for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(60)
  })

  test('says that a process has gone', () =>
    expect(detailLines(undefined, undefined, undefined, 'KEYS', plain, size)[0]).toContain('ended'))

  test('a command line cannot move the cursor', () => {
    const look = { command: 'a\x1b[2Jb\nc' }
    const lines = detailLines(process, look, undefined, '', plain, size)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left
    for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f]/)
  })
})
