import { afterAll, afterEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Arrival, Store, type StoreBounds } from '../../src/aggregator/store.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { defined } from '../../src/domain/defined.ts'
import { type AlertMessage, toMessage } from '../../src/wire/alert-message.ts'
import type { StatusMessage } from '../../src/wire/status-message.ts'
import { decodeSummary, encodeSummary } from '../../src/wire/summary-message.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { sampleStatus } from './running.ts'

const directory = mkdtempSync(join(tmpdir(), 'store-'))
const opened: Store[] = []
let files = 0

function open(bounds: Partial<StoreBounds> = {}, path = join(directory, `${files++}.db`)): Store {
  const store = new Store(path, bounds)
  opened.push(store)
  return store
}

afterEach(() => {
  for (const store of opened.splice(0)) store.close()
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

type Where = { host?: string; site?: string; boot?: number; seq: number }

function alert(
  changes: Partial<Alert>,
  { host = 'a', site = 'lab', boot = 1, seq }: Where,
): Arrival {
  return {
    kind: 'alert',
    message: toMessage({ ...sampleAlert, ...changes }, { site, host, boot, seq }),
  }
}

function summary(
  { host = 'a', site = 'lab', boot = 1, seq }: Where,
  from = 1_700_000_000,
): Arrival {
  const payload = encodeSummary(
    { ...sampleSummary, from, to: from + 59 },
    { site, host, boot, seq },
  )
  const decoded = decodeSummary(payload)
  if (!decoded.ok) throw new Error(decoded.reason)
  return { kind: 'summary', message: decoded.value, payload }
}

function status(changes: Partial<StatusMessage>): Arrival {
  return { kind: 'status', message: { ...sampleStatus, host: 'a', ...changes } }
}

const idsOf = (store: Store, query = {}): string[] =>
  store.alerts({ limit: 100, ...query }).bodies.map((body) => (JSON.parse(body) as AlertMessage).id)

test('Store.commit() keeps one alert however often the same message comes', () => {
  const store = open()
  const first = alert({ id: 'x' }, { seq: 1 })
  expect(store.commit([first, first], 1_000)).toHaveLength(1)
  expect(store.commit([first], 2_000)).toEqual([])
  expect(idsOf(store)).toEqual(['x'])
  expect(store.duplicates).toBe(2)
  expect(store.alert('x')?.history).toHaveLength(1)
})

test('Store.commit() keeps the newest state by boot and sequence, in whatever order they arrive', () => {
  const store = open()
  store.commit([alert({ id: 'x', state: 'closed', count: 9 }, { seq: 3 })], 1_000)
  const late = store.commit(
    [
      alert({ id: 'x', state: 'open', count: 1 }, { seq: 1 }),
      alert({ id: 'x', state: 'update', count: 4 }, { seq: 2 }),
    ],
    2_000,
  )
  expect(late).toEqual([])
  const found = store.alert('x')!
  expect(JSON.parse(found.body)).toMatchObject({ state: 'closed', count: 9, seq: 3 })
  expect(found.history.map(({ state }) => state)).toEqual(['open', 'update', 'closed'])
  store.commit([alert({ id: 'x', state: 'open', count: 1 }, { boot: 2, seq: 1 })], 3_000)
  expect(JSON.parse(store.alert('x')!.body)).toMatchObject({ state: 'open', boot: 2 })
})

test('Store.commit() keeps the alerts of two hosts apart, though they claim one id', () => {
  const store = open()
  store.commit([alert({ id: 'x', count: 1 }, { host: 'a', seq: 1 })], 1_000)
  store.commit([alert({ id: 'x', count: 666 }, { host: 'b', seq: 1 })], 2_000)
  expect(idsOf(store)).toEqual(['x', 'x'])
  expect(JSON.parse(store.alert('x')!.body).count).toBe(1)
  expect(JSON.parse(store.alert('x', { host: 'b' })!.body).count).toBe(666)
  expect(store.alert('x', { host: 'c' })).toBeUndefined()
})

test('Store.alerts() gives pages, newest first, whatever arrives in between', () => {
  const store = open()
  for (let i = 0; i < 25; i++) store.commit([alert({ id: `a${i}` }, { seq: i + 1 })], i)
  const seen: string[] = []
  let after: number | undefined
  for (let page = 0; page < 3; page++) {
    const { bodies, next } = store.alerts({ limit: 10, ...defined({ after }) })
    seen.push(...bodies.map((body) => JSON.parse(body).id))
    store.commit([alert({ id: `new${page}` }, { seq: 100 + page })], 99)
    if (next === null) break
    after = next
  }
  expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `a${24 - i}`))
})

test('Store.alerts() filters by host, site, kind and state', () => {
  const store = open()
  store.commit(
    [
      alert({ id: '1', kind: 'novelty', state: 'open' }, { host: 'a', seq: 1 }),
      alert({ id: '2', kind: 'masquerade', state: 'closed' }, { host: 'a', seq: 2 }),
      alert({ id: '3', kind: 'masquerade', state: 'update' }, { host: 'b', seq: 1 }),
      alert({ id: '4', kind: 'masquerade', state: 'open' }, { host: 'b', site: 'ward', seq: 1 }),
    ],
    1_000,
  )
  expect(idsOf(store, { host: 'a' })).toEqual(['2', '1'])
  expect(idsOf(store, { host: 'b', site: 'ward' })).toEqual(['4'])
  expect(idsOf(store, { site: 'lab', kinds: ['masquerade'] })).toEqual(['3', '2'])
  expect(idsOf(store, { states: ['open', 'update'] })).toEqual(['4', '3', '1'])
  expect(idsOf(store, { host: 'nobody' })).toEqual([])
})

test('Store.commit() is undone as a whole when a message in it cannot be stored', () => {
  const store = open()
  const broken = alert({ id: 'y' }, { seq: 2 })
  Object.assign(broken.message, { time: {} as number })
  expect(() => store.commit([alert({ id: 'x' }, { host: 'new', seq: 1 }), broken], 1_000)).toThrow()
  expect(store.hostCount).toBe(0)
  expect(store.alertCount).toBe(0)
  store.commit([alert({ id: 'x' }, { host: 'new', seq: 1 })], 2_000)
  expect(idsOf(store)).toEqual(['x'])
})

test('Store remembers over a restart what it was told', () => {
  const path = join(directory, 'again.db')
  const store = new Store(path)
  store.commit([alert({ id: 'x' }, { seq: 1 }), status({}), summary({ seq: 2 })], 5_000)
  store.close()
  const again = open({}, path)
  expect(idsOf(again)).toEqual(['x'])
  expect(again.alertCount).toBe(1)
  expect(again.sites()).toEqual(['lab'])
  expect(again.hosts({ limit: 10 }).items[0]).toMatchObject({
    host: 'a',
    state: 'online',
    lastSeen: 5,
    alerts: { active: 1, total: 1 },
  })
  expect(again.commit([alert({ id: 'x' }, { seq: 1 }), summary({ seq: 2 })], 6_000)).toEqual([])
  expect(again.duplicates).toBe(2)
})

test('Store.forgetConnections() takes nobody for connected', () => {
  const store = open()
  store.commit([status({})], 1_000)
  store.forgetConnections(9_000)
  expect(store.hosts({ limit: 1 }).items[0]).toMatchObject({
    state: 'offline',
    reason: 'unknown',
    since: 9,
  })
})

test('Store.commit() ignores the last will of an earlier life of the same agent', () => {
  const store = open()
  store.commit([status({ boot: 7 })], 1_000)
  expect(store.commit([status({ boot: 6, state: 'offline', reason: 'lost' })], 2_000)).toEqual([])
  expect(store.hostCounts()).toEqual({ online: 1, offline: 0 })
  expect(
    store.commit([status({ boot: 7, state: 'offline', reason: 'ended' })], 3_000),
  ).toMatchObject([{ kind: 'host', host: { state: 'offline', reason: 'ended', since: 3 } }])
})

test('Store.commit() tells of a host only when something about it changed', () => {
  const store = open()
  expect(store.commit([status({})], 1_000)).toHaveLength(1)
  expect(store.commit([status({})], 2_000)).toEqual([])
  expect(store.commit([status({ source: 'kernel' })], 3_000)).toHaveLength(1)
  expect(store.hosts({ limit: 1 }).items[0]).toMatchObject({ since: 1, lastSeen: 3 })
})

test('Store.latestSummary() gives the newest by sequence', () => {
  const store = open()
  store.commit([summary({ seq: 9 }, 1_700_000_060), summary({ seq: 8 }, 1_700_000_000)], 1_000)
  expect(store.latestSummary('a')?.summary?.from).toBe(1_700_000_060)
  expect(store.latestSummary('b')).toBeUndefined()
})

test('Store bounds the alerts of one host and leaves those of others', () => {
  const store = open({ alertsPerHostMax: 3 })
  store.commit([alert({ id: 'quiet' }, { host: 'b', seq: 1 })], 1)
  for (let i = 0; i < 10; i++) store.commit([alert({ id: `${i}` }, { host: 'a', seq: i + 1 })], i)
  expect(idsOf(store)).toEqual(['9', '8', '7', 'quiet'])
  expect(store.evicted.alerts).toBe(7)
})

test('Store bounds all alerts; the oldest go', () => {
  const store = open({ alertsMax: 4, alertsPerHostMax: 3 })
  for (let i = 0; i < 6; i++)
    store.commit([alert({ id: `${i}` }, { host: `h${i % 3}`, seq: i + 1 })], i)
  expect(idsOf(store)).toEqual(['5', '4', '3', '2'])
  expect(store.alertCount).toBe(4)
})

test('Store bounds the history of an alert and keeps how it began', () => {
  const store = open({ changesMax: 4 })
  for (let seq = 1; seq <= 9; seq++)
    store.commit(
      [alert({ id: 'x', state: seq === 1 ? 'open' : 'update', count: seq }, { seq })],
      seq,
    )
  expect(store.alert('x')?.history.map(({ count }) => count)).toEqual([1, 7, 8, 9])
})

test('Store bounds the summaries of a host, and shares them out when hosts are many', () => {
  const store = open({ summariesPerHostMax: 5, summariesMax: 8 })
  for (let seq = 1; seq <= 9; seq++) store.commit([summary({ seq })], seq)
  expect(store.evicted.summaries).toBe(4)
  for (let i = 0; i < 3; i++) store.commit([summary({ host: `h${i}`, seq: 1 })], 10)
  store.tidy()
  expect(store.evicted.summaries).toBe(7)
  expect(store.latestSummary('a')?.summary?.seq).toBe(9)
})

test('Store bounds the hosts; a flood of names pushes out itself and no host with alerts', () => {
  const store = open({ hostsMax: 20 })
  store.commit([alert({ id: 'x' }, { host: 'true', seq: 1 }), status({ host: 'online' })], 1)
  for (let i = 0; i < 200; i++) store.commit([summary({ host: `flood-${i}`, seq: 1 })], 2 + i)
  expect(store.hostCount).toBeLessThanOrEqual(20)
  expect(idsOf(store)).toEqual(['x'])
  expect(store.hosts({ limit: 100 }).items.map(({ host }) => host)).toContain('online')
  expect(store.evicted.hosts).toBeGreaterThan(150)
})

test('Store sets a damaged file aside and begins anew', () => {
  const path = join(directory, 'damaged.db')
  writeFileSync(path, 'this is no database, and never was one'.repeat(200))
  const store = open({}, path)
  expect(store.setAside).toHaveLength(1)
  expect(readFileSync(store.setAside[0]!, 'utf8')).toStartWith('this is no database')
  store.commit([alert({ id: 'x' }, { seq: 1 })], 1)
  expect(idsOf(store)).toEqual(['x'])
})

test('Store comes to the same end whatever the order, the repeats and the batches (property)', () => {
  const states = ['open', 'update', 'closed'] as const
  const sent = fc.record({
    id: fc.constantFrom('x', 'y', 'z'),
    boot: fc.integer({ min: 1, max: 2 }),
    seq: fc.integer({ min: 1, max: 6 }),
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(sent, fc.boolean()), { maxLength: 30 }), (messages) => {
      const store = open()
      const batch: Arrival[] = []
      for (const [{ id, boot, seq }, commit] of messages) {
        batch.push(alert({ id, state: states[seq % 3]!, count: seq }, { boot, seq }))
        if (commit) store.commit(batch.splice(0), 1)
      }
      store.commit(batch, 2)
      const newest = new Map<string, number>()
      for (const [{ id, boot, seq }] of messages)
        newest.set(id, Math.max(newest.get(id) ?? 0, boot * 100 + seq))
      const stored = store.alerts({ limit: 10 }).bodies.map((body) => JSON.parse(body))
      expect(new Map(stored.map(({ id, boot, seq }) => [id, boot * 100 + seq]))).toEqual(newest)
      store.close()
      opened.pop()
    }),
    { numRuns: 30 },
  )
})
