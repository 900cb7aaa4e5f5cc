import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { RECEIPT_RANGES_MAX } from '../../src/domain/limits.ts'
import { cloudEvent, compareOrigin } from '../../src/wire/origin.ts'
import { decodeReceipt, encodeReceipts } from '../../src/wire/receipt-message.ts'
import {
  decodeAggregatorStatus,
  decodeStatus,
  encodeAggregatorStatus,
  encodeStatus,
} from '../../src/wire/status-message.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

const WEB_1 = { site: 'lab', host: 'web-1' }

describe('encodeReceipts()', () => {
  test('covers exactly what was stored, in any order, over boots and payloads', () => {
    const rows = fc.array(
      fc.record({ boot: fc.integer({ min: 1, max: 3 }), seq: fc.integer({ min: 1, max: 60 }) }),
    )
    fc.assert(
      fc.property(rows, (stored) => {
        const covered = new Set<string>()
        for (const payload of encodeReceipts(WEB_1, stored, 3)) {
          const decoded = decodeReceipt(payload)
          if (!decoded.ok) throw new Error(decoded.reason)
          for (const { boot, from, to } of decoded.value.stored) {
            for (let seq = from; seq <= to; seq++) covered.add(`${boot}-${seq}`)
          }
        }
        expect([...covered].sort()).toEqual(
          [...new Set(stored.map(({ boot, seq }) => `${boot}-${seq}`))].sort(),
        )
      }),
    )
  })

  test('says a whole window in one range', () => {
    const stored = Array.from({ length: 256 }, (_, i) => ({ boot: 7, seq: i + 1 }))
    expect(
      encodeReceipts(WEB_1, stored).map((payload) => new TextDecoder().decode(payload)),
    ).toEqual(['{"v":1,"site":"lab","host":"web-1","stored":[[7,1,256]]}'])
  })

  test('the worst window fits into what the agent reads', () => {
    const worst = Array.from({ length: RECEIPT_RANGES_MAX }, (_, i) => ({
      boot: 1_795_447_003_377,
      seq: 9_000_000_000_000 + 2 * i,
    }))
    expect(encodeReceipts(WEB_1, worst).every((payload) => decodeReceipt(payload).ok)).toBe(true)
  })
})

test.each([
  ['a text', 'x'],
  ['no list', { v: 1, stored: 5 }],
  ['a pair', { v: 1, stored: [[1, 2]] }],
  ['a range backward', { v: 1, stored: [[1, 5, 2]] }],
  ['a negative number', { v: 1, stored: [[1, -5, 2]] }],
  ['texts', { v: 1, stored: [['1', '2', '3']] }],
  ['too many ranges', { v: 1, stored: new Array(5_000).fill([1, 1, 1]) }],
])('decodeReceipt() refuses %s', (_, value) => {
  expect(decodeReceipt(bytes(value)).ok).toBe(false)
})

describe('decodeStatus()', () => {
  const status = {
    v: 1,
    state: 'offline',
    site: 'lab',
    host: 'web-1',
    boot: 3,
    time: 1_700_000_000,
    version: '0.1.0',
    model: 'sha256:0',
    source: 'sysdig',
    reason: 'lost',
  } as const

  test('reads back what was sent', () => {
    expect(decodeStatus(encodeStatus(status))).toEqual({ ok: true, value: status })
  })

  test.each([
    ['an unknown state', { ...status, state: 'asleep' }],
    ['an unknown reason', { ...status, reason: 'bored' }],
    ['no boot', { ...status, boot: null }],
    ['the host of the aggregator', { ...status, host: 'aggregator' }],
  ])('refuses %s', (_, value) => {
    expect(decodeStatus(bytes(value)).ok).toBe(false)
  })

  test('decodeAggregatorStatus() reads back what was sent, and nothing else', () => {
    const aggregator = { v: 1, state: 'online', site: 'lab', version: '0.1.0', time: 1 } as const
    expect(decodeAggregatorStatus(encodeAggregatorStatus(aggregator))).toEqual({
      ok: true,
      value: aggregator,
    })
    expect(decodeAggregatorStatus(bytes({ ...aggregator, state: 'x' })).ok).toBe(false)
    expect(decodeAggregatorStatus(bytes({ ...aggregator, site: '+' })).ok).toBe(false)
  })
})

test('cloudEvent() gives the required attributes, and a time however odd the clock', () => {
  expect(cloudEvent('alert', { site: 'lab', host: 'ä b', boot: 3, seq: 7 }, 1_700_000_000)).toEqual(
    {
      specversion: '1.0',
      id: '3-7',
      source: '/callsign/lab/%C3%A4%20b',
      type: 'callsign.alert.v1',
      time: '2023-11-14T22:13:20.000Z',
    },
  )
  expect(cloudEvent('summary', { site: 's', host: 'h', boot: 0, seq: 1 }, 1e18).time).toBe(
    '9999-12-31T23:59:59.000Z',
  )
})

test('compareOrigin() orders by boot, then by number', () => {
  expect(compareOrigin({ boot: 2, seq: 1 }, { boot: 1, seq: 9 })).toBeGreaterThan(0)
  expect(compareOrigin({ boot: 2, seq: 1 }, { boot: 2, seq: 9 })).toBeLessThan(0)
})
