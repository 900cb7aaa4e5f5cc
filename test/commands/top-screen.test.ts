import { describe, expect, test } from 'bun:test'
import type { LiveDocument, LiveProcess } from '../../src/agent/live-view.ts'
import type { Paint } from '../../src/commands/common.ts'
import { rowKey, TOP_VIEW, type TopView } from '../../src/commands/top-keys.ts'
import { screenLines } from '../../src/commands/top-screen.ts'

const marked = (mark: string) => (text: string) => `<${mark}>${text}</${mark}>`
const paint: Paint = {
  ...{ bold: marked('b'), dim: marked('d'), red: marked('r') },
  ...{ yellow: marked('y'), green: marked('g') },
}
const plain: Paint = {
  ...{ bold: (text) => text, dim: (text) => text, red: (text) => text },
  ...{ yellow: (text) => text, green: (text) => text },
}
const processOf = (more: Partial<LiveProcess> = {}): LiveProcess => ({
  ...{ pid: 812, start: 1, name: 'nginx', calls: 1_234, class: 'nginx', confidence: 0.984 },
  ...{ claims: true, suspicion: 0, ...more },
})
const documentOf = (processes: readonly LiveProcess[], more: Partial<LiveDocument> = {}) => ({
  v: 1 as const,
  time: 1_700_000_000,
  processes,
  processesOmitted: 0,
  agent: {
    ...{ host: 'web', source: 'kernel', cpuShare: 0.0123, rssBytes: 131e6, callsPerSecond: 5_000 },
    ...{ lagMs: 1_600, level: 0, does: 'every window is classified', alertsOpen: 1, dropped: {} },
  },
  ...more,
})

describe('screenLines()', () => {
  test('shows host, cost and a row for each process', () => {
    expect(
      screenLines(
        documentOf([
          processOf(),
          processOf({ pid: -7, class: undefined, suspicion: 0.42 } as never),
        ]),
        plain,
      ),
    ).toEqual([
      'web, kernel, 22:13:20 UTC: 5,000 calls/s, 1 alert open',
      'agent: 1.2 % of a core, 131 MB, lag 1,600 ms',
      '',
      '    PID  USER        PROCESS               BEHAVES LIKE           SURE    CALLS/S  EVIDENCE    UNIT',
      '  group              nginx                 -                                1,234  ####......',
      '    812              nginx                 nginx                  98 %      1,234',
    ])
  })

  test('shows user and unit, container or command line where there is room', () => {
    const look = { user: 'www-data', unit: 'nginx.service', command: 'nginx: worker\x1b[2J' }
    const lineAt = (columns: number, view: Partial<TopView> = {}, container?: string) =>
      screenLines(
        documentOf([processOf(container === undefined ? {} : { container })]),
        plain,
        { columns, rows: 24 },
        { ...TOP_VIEW, ...view },
        () => look,
      )[4]!
    expect(lineAt(80)).not.toContain('www-data')
    expect(lineAt(92)).toMatch(/^ {4}812 {2}www-data {4}nginx/)
    expect(lineAt(92)).not.toContain('nginx.service')
    expect(lineAt(120)).toEndWith('nginx.service')
    expect(lineAt(120, {}, 'c0ffee0123456789')).toEndWith('container c0ffee012345')
    expect(lineAt(120, { hasCommands: true })).toEndWith('nginx: worker?[2J')
  })

  test('marks the chosen row, not by colour alone, wherever it stands', () => {
    const lines = screenLines(
      documentOf([processOf({ pid: 7, calls: 9_000 }), processOf()]),
      plain,
      { columns: 80, rows: 24 },
      { ...TOP_VIEW, chosen: rowKey({ pid: 812, start: 1 }) },
    )
    expect(lines.slice(4, 6).map((line) => line.slice(0, 7))).toEqual(['      7', '>   812'])
  })

  test('names no class for what the model does not know', () => {
    const lines = screenLines(documentOf([processOf({ known: false })]), plain)
    expect(lines.at(-1)).toBe(
      '    812              nginx                 not known                        1,234',
    )
  })

  test('a class of low confidence is no accusation, unless there is evidence', () => {
    const ls = { name: 'ls', class: 'linpeas.sh', confidence: 0.43 }
    const [guess, evident] = screenLines(
      documentOf([processOf(ls), processOf({ ...ls, suspicion: 0.9, pid: 2 })]),
      plain,
    )
      .slice(4)
      .reverse()
    expect(guess).not.toContain('linpeas')
    expect(guess).toContain('not known')
    expect(evident).toContain('linpeas.sh')
  })

  test('a window like something malicious is no accusation either, unless there is evidence', () => {
    const tar = { name: 'tar', class: 'port scan', confidence: 0.9, malicious: true as const }
    const [calm, evident] = screenLines(
      documentOf([processOf(tar), processOf({ ...tar, suspicion: 0.9, pid: 2 })]),
      plain,
    )
      .slice(4)
      .reverse()
    expect(calm).not.toContain('port scan')
    expect(evident).toContain('port scan')
  })

  test('keeps the chosen row in view', () => {
    const many = Array.from({ length: 100 }, (_, i) => processOf({ pid: i + 1, calls: 100 - i }))
    const lines = screenLines(
      documentOf(many),
      plain,
      { columns: 80, rows: 12 },
      { ...TOP_VIEW, chosen: rowKey({ pid: 60, start: 1 }) },
    )
    expect(lines.filter((line) => line.startsWith('>'))).toHaveLength(1)
    expect(lines).toHaveLength(12)
  })

  test('says what is left out to spare CPU, and what was dropped', () => {
    const { agent } = documentOf([])
    const less = { ...agent, level: 2, does: 'each process is classified every 5th second' }
    const lines = screenLines(
      documentOf([], { agent: { ...less, dropped: { late: 2, 'lost(kernel)': 1_000 } } }),
      plain,
    )
    expect(lines[0]).toContain('1,002 calls dropped')
    expect(lines[1]).toContain('level 2: each process is classified every 5th second')
  })

  test('fits the screen, in both directions, and says how many rows it has not shown', () => {
    const many = Array.from({ length: 100 }, (_, i) => processOf({ pid: i }))
    for (const [columns, rows] of [
      [80, 24],
      [40, 10],
      [10, 5],
      [1, 1],
    ] as const) {
      const lines = screenLines(documentOf(many, { processesOmitted: 5 }), plain, { columns, rows })
      expect(lines.length).toBeLessThanOrEqual(Math.max(rows, 5))
      for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns)
    }
    const lines = screenLines(documentOf(many, { processesOmitted: 5 }), plain, {
      columns: 80,
      rows: 24,
    })
    expect(lines).toHaveLength(24)
    expect(lines.at(-2)).toBe('and 87 more')
    expect(lines.at(-1)).toStartWith('q quit  j k choose')
  })

  test('a name cannot move the cursor, colour the screen or push the columns', () => {
    const hostile = ['\x1b[2J', 'a\nb', '\u202eevil', '\x9b31m', '漢字'.repeat(30), 'x'.repeat(500)]
    const lines = screenLines(
      documentOf(hostile.map((name) => processOf({ name, class: name }))),
      plain,
      { columns: 80, rows: 24 },
    )
    const rows = lines.slice(4, -1)
    for (const row of rows) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left
      expect(row).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
      expect(Bun.stringWidth(row)).toBeLessThanOrEqual(80)
      expect(row).toContain('98 %      1,234')
    }
  })

  test('marks who is under suspicion', () => {
    const lines = screenLines(
      documentOf([
        processOf({ suspicion: 1.2 }),
        processOf({ suspicion: 0.6 }),
        processOf({ suspicion: 0.1 }),
      ]),
      paint,
    )
    expect(lines.slice(4).map((line) => line[1])).toEqual(['r', 'y', ' '])
  })
})
