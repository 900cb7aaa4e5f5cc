import { describe, expect, test } from 'bun:test'
import { parseAll } from '../support/parse.ts'

const frames = (...lines: unknown[]) =>
  parseAll('frames', lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
const vector = { t: 1_700_000_000, host: 'a', pid: 5, name: 'x', counts: { read: 3, write: 1 } }

describe('FramesLineParser', () => {
  test('gives each count of a vector, and what the file knows of the process', () => {
    const sink = frames({ ...vector, start: 1_699_999_990, exe: '/bin/x', label: 'y' })
    expect(sink.calls).toEqual({ '1700000000 5 x read': 3, '1700000000 5 x write': 1 })
    expect(sink.facts).toEqual({ 5: { startMs: 1_699_999_990_000, exe: '/bin/x' } })
  })

  test('reads one host of several and counts the others’ calls as dropped', () => {
    const sink = frames(vector, { ...vector, host: 'b', pid: 6 })
    expect(sink.calls).toEqual({ '1700000000 5 x read': 3, '1700000000 5 x write': 1 })
    expect(sink.drops).toEqual({ 'other-host': 4 })
  })

  test('marks losses', () => {
    expect(frames({ t: 1_700_000_000, loss: { sysdig: 12 } }).losses).toEqual({
      '1700000000 lost(sysdig)': 12,
    })
  })

  test('reads CPU times, also of a process that made no call', () => {
    const sink = frames({ ...vector, cpu: 12 }, { ...vector, pid: 6, counts: {}, cpu: 950 })
    expect(sink.cpuMs).toEqual({ '1700000000 5 x': 12, '1700000000 6 x': 950 })
    expect(sink.calls).toEqual({ '1700000000 5 x read': 3, '1700000000 5 x write': 1 })
    expect(sink.drops).toEqual({})
  })

  test('reads who was not seen whole', () => {
    const { t, host, pid, name } = vector
    const sink = frames(
      { t, host, pid, name, unseen: { reason: 'no-room', kinds: 40, lost: 7 } },
      { t, host, uid: 1000, unseen: { lost: 3 } },
      { t, host, pid, name, unseen: { reason: 'mood', kinds: 40, lost: 7 } },
    )
    expect(sink.unseen).toEqual({ '1700000000 5 x': 'no-room 40 7', '1700000000 user 1000': '3' })
    expect(sink.drops).toEqual({ malformed: 1 })
  })

  test('counts a call with an unknown name as other', () => {
    expect(frames({ ...vector, counts: { frobnicate: 2 } }).calls).toEqual({
      '1700000000 5 x other': 2,
    })
  })

  test.each([
    ['no time', { ...vector, t: undefined }],
    ['a time that is no whole second', { ...vector, t: 1.5 }],
    ['pid 0', { ...vector, pid: 0 }],
    ['no name', { ...vector, name: undefined }],
    ['a negative count', { ...vector, counts: { read: -1 } }],
    ['a count that is none', { ...vector, counts: { read: '3' } }],
    ['a CPU time that is none', { ...vector, cpu: -1 }],
    ['a list', [1]],
  ])('refuses a line with %s', (_, line) => {
    const sink = frames(line)
    expect(sink.calls).toEqual({})
    expect(sink.drops).toEqual({ malformed: 1 })
  })

  test('a name like __proto__ is a name', () => {
    const sink = parseAll('frames', '{"t":1,"pid":5,"name":"__proto__","counts":{"__proto__":1}}\n')
    expect(sink.calls).toEqual({ '1 5 __proto__ other': 1 })
  })
})
