import { describe, expect, test } from 'bun:test'
import { parseAll } from '../support/parse.ts'

const bpftrace = (...lines: unknown[]) =>
  parseAll('bpftrace-json', lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
const say = (data: string) => ({ type: 'printf', data: `${data}\n` })
const map = (name: string, data: unknown) => ({ type: 'map', data: { [name]: data } })

describe('BpftraceMapParser', () => {
  test('takes the maps of a second, and nothing outside', () => {
    const sink = bpftrace(
      { type: 'attached_probes', data: { probes: 3 } },
      map('@c0', { '5,0': 99 }),
      say('T 1700000000'),
      map('@n', { '5': 'new\nname' }),
      map('@c0', { '5,0': 3, '5,1': 2, '6,0': 1 }),
      say('X 6'),
      say('E'),
      map('@c0', { '5,0': 99 }),
    )
    expect(sink.calls).toEqual({
      '1700000000 5 new?name read': 3,
      '1700000000 5 new?name write': 2,
      '1700000000 6  read': 1,
    })
    expect(sink.exits).toEqual(['1700000000 6'])
    expect(sink.drops).toEqual({})
    expect(sink.lastMs).toBe(1_700_000_000_999)
  })

  test('reads arm64 numbers where the script says so, and counts unknown ones as other', () => {
    const sink = bpftrace(
      say('M arm64'),
      say('T 1700000000'),
      map('@c1', { '5,63': 1, '5,1000': 2 }),
    )
    expect(sink.calls).toEqual({ '1700000000 5  read': 1, '1700000000 5  other': 2 })
  })

  test('marks what bpftrace lost', () => {
    const sink = bpftrace(say('T 1700000000'), { type: 'lost_events', data: { events: 4 } })
    expect(sink.losses).toEqual({ '1700000000 lost(bpftrace)': 4 })
  })

  test('refuses what is none of its lines', () => {
    const sink = parseAll('bpftrace-json', 'Attaching 3 probes\n{"a":1}\n{"type":"map"\n')
    expect(sink.drops).toEqual({ malformed: 3 })
    const broken = bpftrace(say('T 1700000000'), map('@c0', { x: 1, '5,0': -1, '0,0': 1 }))
    expect(broken.calls).toEqual({})
    expect(broken.drops).toEqual({ malformed: 3 })
  })
})
