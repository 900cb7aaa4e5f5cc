import { describe, expect, test } from 'bun:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import type { Summary } from '../../src/domain/summary.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { sampleOrigin, sampleSummary } from './samples.ts'

const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 })
const processSummary = fc.record(
  {
    pid: fc.nat(4_194_304),
    start: fc.integer({ min: 0, max: 2_000_000_000 }),
    name: text,
    container: text,
    active: fc.nat(60),
    calls: fc.nat(1_000_000_000),
    class: text,
    confidence: fc.integer({ min: 0, max: 100 }).map((n) => n / 100),
    top: fc.array(fc.tuple(fc.nat(4), fc.nat(1_000_000)), { maxLength: 3 }),
  },
  { requiredKeys: ['pid', 'start', 'name', 'active', 'calls', 'top'] },
)
const summaries: fc.Arbitrary<Summary> = fc.record({
  from: fc.constant(1_700_000_000),
  to: fc.integer({ min: 1_700_000_000, max: 1_700_000_100 }),
  syscalls: fc.constant(['read', 'write', 'epoll_wait', 'openat', 'not_a_call']),
  processes: fc.uniqueArray(processSummary, { maxLength: 30, selector: ({ pid }) => pid }),
  processesOmitted: fc.nat(100),
  calls: fc.nat(),
  dropped: fc.dictionary(fc.stringMatching(/^[a-z][a-z()-]{1,20}$/), fc.nat()),
  alertsOpen: fc.nat(10),
  agent: fc.record(
    {
      cpuSeconds: fc.nat(60_000).map((ms) => ms / 1000),
      rssBytes: fc.nat(),
      lagMs: fc.nat(10_000),
      outboxRows: fc.nat(),
      reduced: fc.record({
        seconds: fc.tuple(fc.nat(60), fc.nat(60), fc.nat(60)),
        windows: fc.nat(),
      }),
    },
    { requiredKeys: ['cpuSeconds', 'rssBytes', 'lagMs', 'outboxRows'] },
  ),
})

/** As decoding gives them: the busiest first, calls by name. */
function named(summary: Summary) {
  return {
    ...summary,
    syscalls: [],
    processes: [...summary.processes]
      .sort((a, b) => b.calls - a.calls || a.pid - b.pid)
      .map((process) => ({
        ...process,
        top: process.top.map(([at, count]) => [summary.syscalls[at], count]),
      })),
  }
}

describe('encodeSummary()', () => {
  test('is read back as what was sent', () => {
    fc.assert(
      fc.property(summaries, (summary) => {
        const decoded = decodeSummary(encodeSummary(summary, sampleOrigin))
        if (!decoded.ok) throw new Error(decoded.reason)
        const { v, site, host, boot, seq, ...rest } = decoded.value
        expect({ v, site, host, boot, seq }).toEqual({ v: 1, ...sampleOrigin })
        expect(named(rest)).toEqual(named(summary) as never)
      }),
      { numRuns: 200 },
    )
  })

  test('stays below two megabytes a day for 28 busy processes of a quiet host', () => {
    const processes = Array.from({ length: 28 }, (_, i) => ({
      pid: 300 + 37 * i,
      start: 1_699_990_000 + 3 * i,
      name: `daemon-${i}`,
      active: 20,
      calls: 900,
      class: `daemon-${i}`,
      confidence: 0.97,
      top: [[i % 3, 500] as const, [(i + 1) % 3, 300] as const, [(i + 2) % 3, 100] as const],
    }))
    const payload = encodeSummary({ ...sampleSummary, processes }, sampleOrigin)
    // Fixed header, topic, content type, expiry and the CloudEvents properties, measured.
    const mqttOverhead = 231
    expect((payload.byteLength + mqttOverhead) * 1440).toBeLessThan(2e6)
  })
})

describe('decodeSummary()', () => {
  const good = {
    v: 1,
    ...sampleOrigin,
    from: 10,
    to: 20,
    strings: ['a', 'b'],
    syscalls: [1, 'x'],
    processes: [[5, -10, 0, 1, 2, 1, 50, 0, 9]],
    containers: [0, 1],
    omitted: 0,
    calls: 2,
    dropped: { late: 1 },
    alertsOpen: 0,
    agent: [1, 2, 3, 4],
  }

  test('reads the sample', () => {
    expect(decodeSummary(encode(good)).ok).toBe(true)
  })

  test('reads four numbers of an agent as one that judged everything', () => {
    const decoded = decodeSummary(encode(good))
    if (!decoded.ok) throw new Error(decoded.reason)
    expect(decoded.value.agent).toEqual({ cpuSeconds: 0.001, rssBytes: 2, lagMs: 3, outboxRows: 4 })
  })

  test.each([
    ['a list', []],
    ['a text', 'summary'],
    ['another version', { ...good, v: 9 }],
    ['a span that ends before it begins', { ...good, from: 30 }],
    ['an index outside its table', { ...good, processes: [[5, -10, 2, 1, 2, 1, 50]] }],
    ['a negative index', { ...good, processes: [[5, -10, -1, 1, 2, 1, 50]] }],
    ['a call outside its table', { ...good, processes: [[5, -10, 0, 1, 2, 1, 50, 7, 1]] }],
    ['a pid below 0', { ...good, processes: [[-5, -10, 0, 1, 2, 1, 50]] }],
    ['half a pair', { ...good, processes: [[5, -10, 0, 1, 2, 1, 50, 0]] }],
    ['a row that is too short', { ...good, processes: [[5]] }],
    ['a row that is a map', { ...good, processes: [{}] }],
    ['a container of no row', { ...good, containers: [1, 0] }],
    ['half a container', { ...good, containers: [0] }],
    ['counts by a list', { ...good, dropped: [1] }],
    ['a negative count', { ...good, dropped: { late: -1 } }],
    [
      'a hundred reasons',
      { ...good, dropped: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`r${i}`, 1])) },
    ],
    ['an agent without numbers', { ...good, agent: ['a', 'b', 'c', 'd'] }],
    ['half of what was left out', { ...good, agent: [1, 2, 3, 4, 5, 6] }],
    ['less than nothing left out', { ...good, agent: [1, 2, 3, 4, 5, 6, 7, -8] }],
    ['a host that is a wildcard', { ...good, host: '#' }],
    ['a fraction', { ...good, calls: 1.5 }],
  ])('refuses %s', (_, value) => {
    expect(decodeSummary(encode(value)).ok).toBe(false)
  })

  test.each([
    ['nothing', []],
    ['a length without bytes', [0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['an endless list', [0x9f, 0x9f, 0x9f]],
    ['a tag', [0xc0, 0x60]],
    ['a key twice', [0xa2, 0x61, 0x76, 0x01, 0x61, 0x76, 0x01]],
    ['ten thousand nested lists', new Array(10_000).fill(0x81)],
  ])('refuses %s', (_, bytes) => {
    expect(decodeSummary(Uint8Array.from(bytes)).ok).toBe(false)
  })

  test('never throws, whatever bit is flipped', () => {
    const payload = encodeSummary(sampleSummary, sampleOrigin)
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const flipped = payload.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const decoded = decodeSummary(flipped)
      if (decoded.ok) expect(decoded.value.processes.length).toBeLessThan(10)
    }
  })
})
