import { describe, expect, test } from 'bun:test'
import { openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Alert } from '../../src/domain/alert.ts'
import type { OutboxLedger } from '../../src/domain/ledger.ts'
import type { Summary } from '../../src/domain/summary.ts'
import { createLog } from '../../src/platform/log.ts'
import { Outbox, type OutboxOptions, type OutboxRow } from '../../src/publish/outbox.ts'
import { decodeAlert } from '../../src/wire/alert-message.ts'
import { decodeSummary } from '../../src/wire/summary-message.ts'
import { canMount, smallDisks } from '../support/small-disk.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const directory = temporaryDirectories()
const disk = smallDisks()
const log = createLog({ write: () => {} })

function open(options: Partial<OutboxOptions> = {}, path = join(directory(), 'outbox.db')) {
  return Outbox.open(path, { site: 'lab', host: 'web-1', log, ...options })
}

const alert = (id: string, state: Alert['state'] = 'open', time = 100): Alert => ({
  ...sampleAlert,
  id,
  state,
  time,
})
const minute = (n: number): Summary => ({ ...sampleSummary, from: 60 * n, to: 60 * n + 59 })

const sumOf = (counts: Readonly<Record<string, number>>) =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

/** The law of the outbox. */
function expectBooksToClose({ created, acknowledged, queued, merged, dropped }: OutboxLedger) {
  expect(created).toBe(acknowledged + queued + merged + sumOf(dropped))
}

const rangeOf = ({ boot, seq }: OutboxRow) => ({ boot, from: seq, to: seq })

function idOf(row: OutboxRow): string {
  const decoded = decodeAlert(row.payload)
  if (!decoded.ok) throw new Error(decoded.reason)
  return decoded.value.id
}

function spanOf(row: OutboxRow): number[] {
  const decoded = decodeSummary(row.payload)
  if (!decoded.ok) throw new Error(decoded.reason)
  return [decoded.value.from, decoded.value.to]
}

describe('Outbox.put()', () => {
  test('gives no number again after its disk was restored from a snapshot', () => {
    const path = join(directory(), 'outbox.db')
    open({ now: () => 5_000 }, path).close()
    const snapshot = readFileSync(path)
    const before = open({ now: () => 6_000 }, path)
    before.close()
    writeFileSync(path, snapshot)
    const restored = open({ now: () => 7_000 }, path)
    expect([before.boot, restored.boot]).toEqual([6_000, 7_000])
    restored.close()
  })

  test('numbers messages within a boot, and boots over restarts', () => {
    const path = join(directory(), 'outbox.db')
    const first = open({ now: () => 5_000 }, path)
    first.put([alert('a'), alert('b')], minute(1))
    expect(first.take(9).map(({ boot, seq, kind }) => [boot, seq, kind])).toEqual([
      [5_000, 1, 'alert'],
      [5_000, 2, 'alert'],
      [5_000, 3, 'summary'],
    ])
    first.close()
    const second = open({ now: () => 1 }, path)
    expect(second.boot).toBe(5_001)
    second.put([alert('c')])
    expect(second.take(9).map(({ boot, seq }) => [boot, seq])).toEqual([
      [5_000, 1],
      [5_000, 2],
      [5_001, 1],
      [5_000, 3],
    ])
    second.close()
  })

  test('writes the number into the message', () => {
    const outbox = open({ now: () => 7 })
    outbox.put([alert('a')])
    const [row] = outbox.take(1)
    expect(decodeAlert(row!.payload)).toMatchObject({
      ok: true,
      value: { boot: 7, seq: 1, id: 'a' },
    })
    outbox.close()
  })

  test('lets the next message about an alert overtake an update that nobody has seen', () => {
    const outbox = open()
    outbox.put([alert('a'), alert('a', 'update', 101), alert('a', 'update', 102)])
    outbox.put([alert('a', 'closed', 103)])
    const rows = outbox.take(9)
    expect(rows.map(({ time }) => time)).toEqual([100, 103])
    expect(outbox.ledger()).toMatchObject({ created: 4, merged: 2, queued: 2 })
    outbox.close()
  })

  test('never changes a message that was handed out', () => {
    const outbox = open()
    outbox.put([alert('a', 'update', 101)])
    const [before] = outbox.take(1)
    outbox.takeBack()
    outbox.put([alert('a', 'update', 102)])
    expect(outbox.take(9).map(({ time }) => time)).toEqual([101, 102])
    expect(before?.time).toBe(101)
    expect(outbox.ledger().merged).toBe(0)
    outbox.close()
  })
})

describe('a summary that was handed out', () => {
  test('is merged with none, at the bound either, for it may have arrived', () => {
    const outbox = open({ bytesMax: 8_000 })
    outbox.put([], minute(0))
    outbox.put([], minute(1))
    const before = outbox.take(2)
    outbox.takeBack()
    for (let n = 2; n < 80; n++) outbox.put([], minute(n))
    expect(outbox.ledger().merged).toBeGreaterThan(50)
    const after = outbox.take(200)
    for (const row of before) {
      const same = after.find(({ seq }) => seq === row.seq)
      expect(same?.payload).toEqual(row.payload)
    }
    expectBooksToClose(outbox.ledger())
    outbox.close()
  })
})

describe('Outbox.acknowledge()', () => {
  test('lets go only of what was handed out, however wide the receipt', () => {
    const outbox = open()
    outbox.put([alert('a'), alert('b'), alert('c')])
    const everything = { boot: outbox.boot, from: 0, to: Number.MAX_SAFE_INTEGER }
    expect(outbox.acknowledge([everything])).toBe(0)
    outbox.take(2)
    expect(outbox.acknowledge([{ ...everything, boot: outbox.boot - 1 }])).toBe(0)
    expect(outbox.acknowledge([everything, everything])).toBe(2)
    expect(outbox.acknowledge([everything])).toBe(0)
    expect(outbox.take(9).map(idOf)).toEqual(['c'])
    expectBooksToClose(outbox.ledger())
    outbox.close()
  })
})

describe('Outbox at its bound', () => {
  test('merges summaries, to an hour at most, and keeps every alert', () => {
    const outbox = open({ bytesMax: 8_000 })
    outbox.put([alert('a'), alert('b')])
    for (let n = 0; n < 100; n++) outbox.put([], minute(n))
    const ledger = outbox.ledger()
    expectBooksToClose(ledger)
    expect(ledger.merged).toBeGreaterThan(70)
    expect(ledger.dropped).toEqual({})
    expect(outbox.health().bytes).toBeLessThanOrEqual(8_000)
    const rows = outbox.take(200)
    expect(rows.filter(({ kind }) => kind === 'alert')).toHaveLength(2)
    const spans = rows.filter(({ kind }) => kind === 'summary').map(spanOf)
    // Nothing is missing and nothing is twice: span joins span.
    expect(spans[0]?.[0]).toBe(0)
    expect(spans.at(-1)?.[1]).toBe(5_999)
    for (const [i, [from]] of spans.entries()) {
      if (i > 0) expect(from).toBe(spans[i - 1]![1]! + 1)
    }
    expect(Math.max(...spans.map(([from, to]) => to! - from! + 1))).toBeLessThanOrEqual(3_600)
    outbox.close()
  })

  test('then drops the oldest summaries, and alerts last, all counted', () => {
    const outbox = open({ bytesMax: 4_000 })
    // Hours apart: none can merge.
    for (let n = 0; n < 20; n++) outbox.put([], minute(100 * n))
    expect(outbox.ledger().dropped['full(summary)']).toBeGreaterThan(0)
    for (let n = 0; n < 20; n++) outbox.put([alert(`alert-${n}`)])
    const { dropped } = outbox.ledger()
    expect(dropped['full(alert)']).toBeGreaterThan(0)
    const rows = outbox.take(99)
    expect(rows.every(({ kind }) => kind === 'alert')).toBe(true)
    expect(idOf(rows.at(-1)!)).toBe('alert-19')
    expect(idOf(rows[0]!)).toBe(`alert-${dropped['full(alert)']}`)
    expectBooksToClose(outbox.ledger())
    outbox.close()
  })

  test('keeps its file near its bound', () => {
    const path = join(directory(), 'outbox.db')
    const outbox = open({ bytesMax: 60_000 }, path)
    for (let n = 0; n < 400; n++) outbox.put([alert(`alert-${n}`)])
    outbox.close()
    expect(statSync(path).size).toBeLessThan(120_000)
  })
})

describe('Outbox over restarts and kills', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('alert' as const),
      id: fc.constantFrom('a', 'b', 'c'),
      state: fc.constantFrom('open', 'update', 'closed'),
    }),
    fc.record({ kind: fc.constant('summary' as const) }),
    fc.record({ kind: fc.constant('take' as const), count: fc.nat(5) }),
    fc.record({ kind: fc.constant('receipt' as const), which: fc.nat(9) }),
    fc.constant({ kind: 'takeBack' as const }),
    fc.constant({ kind: 'restart' as const }),
  )

  test('closes its ledger after any steps, and gives each number once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const path = join(directory(), 'outbox.db')
        let outbox = open({ bytesMax: 3_000 }, path)
        let taken: OutboxRow[] = []
        const payloads = new Map<string, string>()
        let n = 0
        for (const step of steps) {
          if (step.kind === 'alert') outbox.put([alert(step.id, step.state, ++n)])
          else if (step.kind === 'summary') outbox.put([], minute(++n))
          else if (step.kind === 'take') {
            for (const row of outbox.take(step.count)) {
              taken.push(row)
              // A number that was seen once means the same message for ever.
              const text = Buffer.from(row.payload).toString('hex')
              const key = `${row.boot}-${row.seq}`
              expect(payloads.get(key) ?? text).toBe(text)
              payloads.set(key, text)
            }
          } else if (step.kind === 'receipt') {
            const row = taken[step.which]
            if (row !== undefined) outbox.acknowledge([rangeOf(row)])
          } else if (step.kind === 'takeBack') {
            outbox.takeBack()
            taken = []
          } else {
            const before = outbox.ledger()
            outbox.close()
            outbox = open({ bytesMax: 3_000 }, path)
            expect(outbox.ledger()).toEqual(before)
            taken = []
          }
          expectBooksToClose(outbox.ledger())
          expect(outbox.health().bytes).toBeLessThanOrEqual(3_000)
        }
        outbox.close()
      }),
      { numRuns: 40 },
    )
  }, 20_000)

  test('remembers that an aggregator was there, by site', () => {
    const path = join(directory(), 'outbox.db')
    const outbox = open({}, path)
    expect(outbox.aggregatorSeen).toBe(false)
    outbox.noteAggregator()
    outbox.close()
    const again = open({}, path)
    expect(again.aggregatorSeen).toBe(true)
    again.close()
    const elsewhere = open({ site: 'other' }, path)
    expect(elsewhere.aggregatorSeen).toBe(false)
    elsewhere.close()
  })
})

describe('Outbox on a bad disk', () => {
  test('keeps rows in memory while the disk has no room, and hands them out', () => {
    const outbox = open({ pagesMax: 10 })
    for (let n = 0; n < 60; n++) outbox.put([alert(`alert-${n}`)])
    expect(outbox.health().problem).toBe('full')
    expect(outbox.health().unsaved).toBeGreaterThan(0)
    const rows = outbox.take(99)
    expect(rows.map(idOf)).toEqual(Array.from({ length: 60 }, (_, n) => `alert-${n}`))
    outbox.acknowledge(rows.map(rangeOf))
    expect(outbox.flush()).toBe(true)
    expect(outbox.health()).toMatchObject({ problem: undefined, unsaved: 0, bytes: 0 })
    expect(outbox.ledger()).toEqual({
      created: 60,
      acknowledged: 60,
      queued: 0,
      merged: 0,
      dropped: {},
    })
    outbox.close()
  })

  test('drops what memory has no room for either, summaries first, counted', () => {
    const outbox = open({ pagesMax: 10, unsavedBytesMax: 3_000 })
    for (let n = 0; n < 40; n++) outbox.put([alert(`alert-${n}`)], minute(n))
    const { dropped } = outbox.ledger()
    expect(dropped.disk).toBeGreaterThan(0)
    expectBooksToClose(outbox.ledger())
    const rows = outbox.take(99)
    expect(idOf(rows.filter(({ kind }) => kind === 'alert').at(-1)!)).toBe('alert-39')
    outbox.close()
  })

  test.skipIf(!canMount)('writes everything when space returns', () => {
    // Room for all of it twice, as it is while the log is written back.
    const { path, fill, free } = disk(4_096)
    const outbox = open({}, join(path, 'outbox.db'))
    outbox.put([alert('before')])
    fill()
    for (let n = 0; n < 400; n++) outbox.put([alert(`alert-${n}`)])
    expect(outbox.health().unsaved).toBeGreaterThan(0)
    free()
    expect(outbox.flush()).toBe(true)
    outbox.close()
    const again = open({}, join(path, 'outbox.db'))
    expect(again.ledger()).toMatchObject({ created: 401, queued: 401 })
    expect(again.take(500).map(idOf).at(-1)).toBe('alert-399')
    again.close()
  })

  test('sets a damaged file aside at start, and takes numbers that were never used', () => {
    const path = join(directory(), 'outbox.db')
    const first = open({ now: () => 1_000 }, path)
    first.put([alert('a')])
    first.close()
    writeFileSync(path, 'rubbish '.repeat(2_000))
    const again = open({ now: () => 90_000 }, path)
    expect(again.health().setAside).toBe(1)
    expect(again.boot).toBe(90_000)
    expect(again.queued).toBe(0)
    again.close()
  })

  test('starts anew when the file turns to rubbish under it, and says what was lost', () => {
    const path = join(directory(), 'outbox.db')
    const first = open({}, path)
    first.put(Array.from({ length: 9_000 }, (_, n) => alert(`alert-${n}`)))
    first.close()
    const outbox = open({}, path)
    const { size } = statSync(path)
    writeSync(openSync(path, 'r+'), Buffer.alloc(size - 4096, 0xa5), 0, size - 4096, 4096)
    outbox.take(9_000)
    outbox.put([alert('after')])
    expect(outbox.health()).toMatchObject({ setAside: 1, problem: undefined })
    const ledger = outbox.ledger()
    expect(ledger.dropped.damaged).toBeGreaterThan(8_000)
    expectBooksToClose(ledger)
    outbox.close()
    const again = open({}, path)
    expect(again.ledger()).toEqual(ledger)
    expect(again.take(9_999).map(idOf)).toContain('after')
    again.close()
  })
})
