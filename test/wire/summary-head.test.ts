import { describe, expect, test } from 'bun:test'
import { encode } from 'cborg'
import fc from 'fast-check'
import { readSummaryHead } from '../../src/wire/summary-head.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { sampleOrigin, sampleSummary } from './samples.ts'

const payload = encodeSummary(sampleSummary, sampleOrigin)

describe('readSummaryHead()', () => {
  test('says what decodeSummary() says, without the processes', () => {
    const reduced = { seconds: [1, 2, 3] as const, windows: 40 }
    for (const summary of [
      sampleSummary,
      { ...sampleSummary, agent: { ...sampleSummary.agent, reduced } },
    ]) {
      const bytes = encodeSummary(summary, sampleOrigin)
      const head = readSummaryHead(bytes)
      const whole = decodeSummary(bytes)
      if (!head.ok || !whole.ok) throw new Error('refused')
      expect(whole.value).toMatchObject(head.value)
      expect(Object.keys(head.value)).toHaveLength(11)
    }
  })

  test('takes a reason that is no UTF-8 as decodeSummary() does: readable, and refused by neither', () => {
    const bytes = payload.slice()
    bytes[Buffer.from(bytes).indexOf('late')] = 0x80
    const head = readSummaryHead(bytes)
    const whole = decodeSummary(bytes)
    if (!head.ok || !whole.ok) throw new Error('refused')
    expect(head.value.dropped).toEqual(whole.value.dropped)
  })

  test('steps over what a newer agent adds, of any kind', () => {
    const message = {
      v: 1,
      later: [1, -5, 1.5, true, null, 'text', new Uint8Array(40), { deep: [{ er: 2 ** 40 }] }],
      ...{ site: 'lab', host: 'web-1', boot: 2 ** 41, seq: 7, from: 1, to: 60 },
      ...{ strings: [], syscalls: [], processes: [], calls: 0, dropped: {}, alertsOpen: 0 },
      agent: [1, 2, 3, 4],
    }
    expect(readSummaryHead(encode(message))).toMatchObject({ ok: true, value: { boot: 2 ** 41 } })
  })

  test.each([
    ['nothing', [], 'not-cbor'],
    ['a list', [0x80], 'not-cbor'],
    ['an empty map', [0xa0], 'unknown-version'],
    ['half a summary', [...payload.subarray(0, payload.length - 3)], 'not-cbor'],
    ['more than a summary', [...payload, 0], 'not-cbor'],
    ['an indefinite map', [0xbf, 0xff], 'not-cbor'],
    ['a list longer than memory', [0xa1, 0x61, 0x78, 0x9b, 0, 1, 0, 0, 0, 0, 0, 0], 'not-cbor'],
    [
      'a depth that breaks parsers',
      [0xa1, 0x61, 0x78, ...new Array(5_000).fill(0x81), 0],
      'not-cbor',
    ],
    ['a field twice', [0xa2, 0x61, 0x76, 1, 0x61, 0x76, 1], 'not-cbor'],
  ])('refuses %s', (_, bytes, reason) =>
    expect(readSummaryHead(Uint8Array.from(bytes))).toEqual({ ok: false, reason }),
  )

  test('takes whatever decodeSummary() takes, and never throws (property)', () => {
    const at = fc.integer({ min: 0, max: payload.length - 1 })
    const byte = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(fc.array(fc.tuple(at, byte), { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = payload.slice()
        for (const [i, value] of changes) bytes[i] = value
        const head = readSummaryHead(bytes)
        const whole = decodeSummary(bytes)
        if (whole.ok && head.ok) expect(whole.value).toMatchObject(head.value)
        if (whole.ok && !head.ok) expect(head.reason).toBe('accepted by the other')
      }),
      { numRuns: 2_000, seed: 16 },
    )
  })
})
