import { describe, expect, test } from 'bun:test'
import { fixture } from '../support/fixture.ts'
import { parseAll } from '../support/parse.ts'

const json = (text: string) => parseAll('sysdig-json', text)
const line = (fields: Record<string, unknown>) => `${JSON.stringify(fields)}\n`
const call = (more: Record<string, unknown> = {}) =>
  `{"evt.rawtime":1700000000123456789,${line({
    'proc.name': 'x',
    'proc.pid': 5,
    'syscall.type': 'read',
    'thread.tid': 5,
    ...more,
  }).slice(1)}`

describe('SysdigJsonParser', () => {
  test('keeps the time, though it is beyond 2^53', () => {
    const sink = json(call())
    expect(sink.calls).toEqual({ '1700000000 5 x read': 1 })
    expect(sink.lastMs).toBe(1_700_000_000_123)
  })

  test('keeps a newline inside a name, where text would be forged', () => {
    const { calls, drops } = json(call({ 'proc.name': 'new\nline 1 2 x' }))
    expect(calls).toEqual({ '1700000000 5 new?line 1 2 x read': 1 })
    expect(drops).toEqual({})
  })

  test.each([
    ['quotes and backslashes', 'a"b\\c', 'a"b\\c'],
    ['an escape sequence', '\u001b[31m', '?[31m'],
    ['replaced bytes', '\ufffd\ufffd', '??'],
    ['an accent', 'été', 'été'],
    ['a brace', '},{', '},{'],
    ['nothing', '', ''],
  ])('keeps %s', (_, name, want) => {
    expect(json(call({ 'proc.name': name })).calls).toEqual({ [`1700000000 5 ${want} read`]: 1 })
  })

  test('reads the default keys: time of output, thread only, direction', () => {
    const defaults = (more: Record<string, unknown>) =>
      `{"evt.outputtime":1700000000123456789,${line({ 'evt.cpu': 0, 'evt.dir': '<', 'evt.info': 'a "b" ', 'evt.num': 1, 'evt.type': 'read', 'proc.name': 'x', 'thread.tid': 5, ...more }).slice(1)}`
    expect(json(defaults({})).calls).toEqual({ '1700000000 5 x read': 1 })
    expect(json(defaults({ 'evt.dir': '>' })).calls).toEqual({})
    expect(json(defaults({ 'evt.dir': '>', 'evt.type': 'procexit' })).exits).toEqual([
      '1700000000 5',
    ])
  })

  test('reads a time in two parts', () => {
    const text = line({
      'evt.rawtime.s': 1_700_000_000,
      'evt.rawtime.ns': 5e8,
      'proc.pid': 5,
      'evt.type': 'read',
    })
    expect(json(text).lastMs).toBe(1_700_000_000_500)
  })

  test.each([
    ['null as its type', call({ 'syscall.type': null }), {}],
    ['null as its pid', call({ 'proc.pid': null }), { 'no-process': 1 }],
    ['pid -1', call({ 'proc.pid': -1 }), { 'no-process': 1 }],
    ['a type that nobody knows', call({ 'syscall.type': 'frobnicate' }), { 'unknown-syscall': 1 }],
    ['no time', line({ 'proc.pid': 5, 'syscall.type': 'read' }), { 'no-time': 1 }],
    ['a nested value', '{"proc.pid":{"a":1}}\n', { malformed: 1 }],
    ['half an object', '{"evt.rawtime":17000000', { malformed: 1 }],
    ['two objects', `${call().trim()}${call()}`, { malformed: 1 }],
    ['a number', '5\n', { malformed: 1 }],
  ])('does not count a line with %s', (_, text, drops) => {
    const sink = json(text)
    expect(sink.calls).toEqual({})
    expect(sink.drops).toEqual(drops)
  })

  test('counts a program with odd names as recorded, without one reject', () => {
    const sink = json(new TextDecoder().decode(fixture('sysdig/odd-names.jsonl.gz')))
    expect(sink.drops).toEqual({})
    const names = new Set(Object.keys(sink.calls).map((key) => /^\d+ \d+ (.*) \S+$/s.exec(key)![1]))
    expect([...names]).toEqual(
      expect.arrayContaining([
        'a b',
        'tab?here',
        'new?line 1 2 x',
        '????',
        'été',
        '',
        'quote"x\'\\',
        '%proc.name',
        '(deleted) ',
        'ends  ',
      ]),
    )
  })
})
