/** What every store promises, whichever keeps it; and what only the SQLite file does. */
import { describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { moveStore } from '../../src/aggregator/store/move.ts'
import { SCHEMA } from '../../src/aggregator/store/sqlite-schema.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import type { Arrival, Store } from '../../src/aggregator/store/store.ts'
import { defined } from '../../src/domain/defined.ts'
import { openDatabase } from '../../src/platform/sqlite.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { alert, retain, status, storeKinds, summary } from './store-kinds.ts'

const { directory, sqlite, postgres, track } = storeKinds()

async function listed(store: Store, query = {}): Promise<AlertMessage[]> {
  return (await store.alerts({ limit: 100, ...query })).bodies.map((body) => JSON.parse(body))
}

const idsOf = async (store: Store, query = {}): Promise<string[]> =>
  (await listed(store, query)).map(({ id }) => id)

const totals = async (store: Store) => (await store.counts()).alerts

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    const { open } = kind

    test('commit() keeps one alert however often the same message comes', async () => {
      const store = await open()
      const first = alert({ id: 'x' }, { seq: 1 })
      expect(await store.commit([first, first], 1_000)).toHaveLength(1)
      expect(await store.commit([first], 2_000)).toEqual([])
      expect(await idsOf(store)).toEqual(['x'])
      expect(store.tallies().duplicates).toBe(2)
      expect((await store.alert('x'))?.history).toHaveLength(1)
    })

    test('commit() keeps the newest state by boot and sequence, in whatever order they arrive', async () => {
      const store = await open()
      await store.commit([alert({ id: 'x', state: 'closed', count: 9 }, { seq: 3 })], 1_000)
      const late = await store.commit(
        [
          alert({ id: 'x', state: 'open', count: 1 }, { seq: 1 }),
          alert({ id: 'x', state: 'update', count: 4 }, { seq: 2 }),
        ],
        2_000,
      )
      expect(late).toEqual([])
      const found = (await store.alert('x'))!
      expect(JSON.parse(found.body)).toMatchObject({ state: 'closed', count: 9, seq: 3 })
      expect(found.history.map(({ state }) => state)).toEqual(['open', 'update', 'closed'])
      await store.commit([alert({ id: 'x', state: 'open', count: 1 }, { boot: 2, seq: 1 })], 3_000)
      expect(await listed(store)).toMatchObject([{ state: 'open', boot: 2 }])
      expect(await totals(store)).toEqual({ active: 1, total: 1 })
    })

    test('commit() keeps the alerts of two hosts apart, though they claim one id', async () => {
      const store = await open()
      await store.commit([alert({ id: 'x', count: 1 }, { host: 'a', seq: 1 })], 1_000)
      await store.commit([alert({ id: 'x', count: 666 }, { host: 'b', seq: 1 })], 2_000)
      expect(await idsOf(store)).toEqual(['x', 'x'])
      expect(JSON.parse((await store.alert('x'))!.body).count).toBe(1)
      expect(JSON.parse((await store.alert('x', { host: 'b' }))!.body).count).toBe(666)
      expect(await store.alert('x', { host: 'c' })).toBeUndefined()
    })

    test('known() gives what was committed last of each host, with its alerts or not at all', async () => {
      const store = await open()
      const known = (host: string, byte: number): Arrival => ({
        ...{ kind: 'known', message: { site: 'lab', host } },
        body: new Uint8Array(300).fill(byte),
      })
      await store.commit([known('a', 1), known('b', 2), alert({ id: 'x' }, { seq: 1 })], 1_000)
      await store.commit([known('a', 3)], 2_000)
      const asked = ['b', 'nobody', 'a'].map((host) => ({ site: 'lab', host }))
      expect((await store.known(asked)).map((body) => body?.[0])).toEqual([2, undefined, 3])
      expect(await idsOf(store)).toEqual(['x'])
      // It goes with the host into another store, and leaves with it.
      const other = await open()
      expect(await moveStore(store, other)).toMatchObject({ hosts: 2 })
      expect((await other.known(asked)).map((body) => body?.length)).toEqual([300, undefined, 300])
      await other.tidy(2_000 + 100 * 86_400_000)
      expect((await other.known(asked))[0]).toBeUndefined()
    })

    test('commit() keeps what a newer agent says beside what is known here', async () => {
      const store = await open()
      const one = alert({ id: 'x' }, { seq: 1 })
      Object.assign(one.message, { mood: { of: ['the', 'day'] } })
      const [change] = await store.commit([one], 1_000)
      expect(change?.kind === 'alert' && change.message).toMatchObject({
        mood: { of: ['the', 'day'] },
      })
      expect(await listed(store)).toMatchObject([{ mood: { of: ['the', 'day'] } }])
    })

    test('alerts() lists active ones first, then by last change; one that is back is on top', async () => {
      const store = await open()
      for (let i = 1; i <= 4; i++)
        await store.commit([alert({ id: `${i}`, state: 'closed' }, { seq: i })], i)
      await store.commit([alert({ id: '9', state: 'open' }, { seq: 9 })], 9)
      await store.commit([alert({ id: '5', state: 'closed' }, { seq: 10 })], 10)
      expect(await idsOf(store)).toEqual(['9', '5', '4', '3', '2', '1'])
      await store.commit([alert({ id: '2', state: 'open' }, { seq: 11 })], 11)
      await store.commit([alert({ id: '3', state: 'closed', count: 7 }, { seq: 12 })], 12)
      expect(await idsOf(store)).toEqual(['2', '9', '3', '5', '4', '1'])
    })

    test('alerts() gives pages, whatever arrives in between', async () => {
      const store = await open()
      for (let i = 0; i < 25; i++)
        await store.commit([alert({ id: `a${i}` }, { seq: i + 1 })], i >> 1)
      const seen: string[] = []
      let after: string | undefined
      for (let page = 0; page < 3; page++) {
        const { bodies, next } = await store.alerts({ limit: 10, ...defined({ after }) })
        seen.push(...bodies.map((body) => JSON.parse(body).id))
        await store.commit([alert({ id: `new${page}` }, { seq: 100 + page })], 99)
        if (next === null) break
        after = next
      }
      expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `a${24 - i}`))
    })

    test('alerts() filters by host, site, kind and state', async () => {
      const store = await open()
      await store.commit(
        [
          alert({ id: '1', kind: 'novelty', state: 'open' }, { host: 'a', seq: 1 }),
          alert({ id: '2', kind: 'masquerade', state: 'closed' }, { host: 'a', seq: 2 }),
          alert({ id: '3', kind: 'masquerade', state: 'update' }, { host: 'b', seq: 1 }),
          alert(
            { id: '4', kind: 'masquerade', state: 'open' },
            { host: 'b', site: 'ward', seq: 1 },
          ),
        ],
        1_000,
      )
      expect(await idsOf(store, { host: 'a' })).toEqual(['1', '2'])
      expect(await idsOf(store, { host: 'b', site: 'ward' })).toEqual(['4'])
      expect(await idsOf(store, { site: 'lab', kinds: ['masquerade'] })).toEqual(['3', '2'])
      expect(await idsOf(store, { states: ['open', 'update'] })).toEqual(['4', '3', '1'])
      expect(await idsOf(store, { states: ['closed'] })).toEqual(['2'])
      expect(await idsOf(store, { states: ['update'], kinds: ['novelty', 'masquerade'] })).toEqual([
        '3',
      ])
      expect(await idsOf(store, { host: 'nobody' })).toEqual([])
    })

    test('hosts() finds by part of a name, lists those that need attention first, and gives pages', async () => {
      const store = await open()
      for (const host of ['web-2', 'web-1', 'db_1', 'dbx1'])
        await store.commit([status({ host, state: host === 'web-1' ? 'offline' : 'online' })], 1)
      await store.commit([alert({ id: 'x' }, { host: 'web-2', seq: 1 })], 2)
      await store.commit([alert({ id: 'y', state: 'closed' }, { host: 'db_1', seq: 1 })], 2)
      const names = async (query = {}) =>
        (await store.hosts({ limit: 10, ...query })).items.map(({ host }) => host)
      expect(await names()).toEqual(['db_1', 'dbx1', 'web-1', 'web-2'])
      expect(await names({ order: 'attention' })).toEqual(['web-2', 'db_1', 'dbx1', 'web-1'])
      expect(await names({ search: 'B/WEB' })).toEqual(['web-1', 'web-2'])
      expect(await names({ search: 'b_1' })).toEqual(['db_1'])
      expect(await names({ state: 'offline' })).toEqual(['web-1'])
      const pages: string[] = []
      let after: string | null = null
      do {
        const page: Awaited<ReturnType<Store['hosts']>> = await store.hosts({
          limit: 1,
          order: 'attention',
          ...(after === null ? {} : { after }),
        })
        pages.push(...page.items.map(({ host }) => host))
        after = page.next
      } while (after !== null)
      expect(pages).toEqual(['web-2', 'db_1', 'dbx1', 'web-1'])
      expect(await store.counts()).toEqual({
        hosts: { online: 3, offline: 1, keyChanged: 0 },
        alerts: { active: 1, total: 2 },
      })
    })

    test('commit() is undone as a whole when a message in it cannot be stored', async () => {
      const store = await open()
      await store.commit([alert({ id: 'before' }, { host: 'old', seq: 1 })], 1_000)
      const broken = alert({ id: 'y' }, { seq: 2 })
      Object.assign(broken.message, { time: {} as number })
      const batch = [
        alert({ id: 'x' }, { host: 'new', seq: 1 }),
        alert({ id: 'before' }, { host: 'old', seq: 1 }),
        alert({ id: 'more' }, { host: 'old', seq: 2 }),
        broken,
      ]
      await expect(store.commit(batch, 2_000)).rejects.toThrow()
      expect(await totals(store)).toEqual({ active: 1, total: 1 })
      expect(store.tallies().duplicates).toBe(0)
      const { items } = await store.hosts({ limit: 10 })
      expect(items).toMatchObject([{ host: 'old', lastSeen: 1, alerts: { total: 1 } }])
      await store.commit([alert({ id: 'x' }, { host: 'new', seq: 1 })], 3_000)
      expect(await idsOf(store)).toEqual(['x', 'before'])
    })

    test('it remembers over a restart what it was told', async () => {
      const place = await kind.place()
      const store = await open({}, place)
      await store.commit([alert({ id: 'x' }, { seq: 1 }), status({}), summary({ seq: 2 })], 5_000)
      await store.close()
      const again = await open({}, place)
      expect(await idsOf(again)).toEqual(['x'])
      expect(await totals(again)).toEqual({ active: 1, total: 1 })
      expect(await again.sites()).toEqual(['lab'])
      expect((await again.hosts({ limit: 10 })).items[0]).toMatchObject({
        host: 'a',
        state: 'online',
        lastSeen: 5,
        alerts: { active: 1, total: 1 },
      })
      expect(
        await again.commit([alert({ id: 'x' }, { seq: 1 }), summary({ seq: 2 })], 6_000),
      ).toEqual([])
      expect(again.tallies().duplicates).toBe(2)
    })

    test('forgetConnections() takes nobody for connected', async () => {
      const store = await open()
      await store.commit([status({})], 1_000)
      await store.forgetConnections(9_000)
      expect((await store.hosts({ limit: 1 })).items[0]).toMatchObject({
        state: 'offline',
        reason: 'unknown',
        since: 9,
      })
    })

    test('commit() ignores the last will of an earlier life of the same agent', async () => {
      const store = await open()
      await store.commit([status({ boot: 7 })], 1_000)
      const will = status({ boot: 6, state: 'offline', reason: 'lost' })
      expect(await store.commit([will], 2_000)).toEqual([])
      expect((await store.counts()).hosts).toEqual({ online: 1, offline: 0, keyChanged: 0 })
      expect(
        await store.commit([status({ boot: 7, state: 'offline', reason: 'ended' })], 3_000),
      ).toMatchObject([{ kind: 'host', host: { state: 'offline', reason: 'ended', since: 3 } }])
    })

    test('commit() ignores a status that was said before, whoever says it again', async () => {
      const store = await open()
      const time = 1_700_000_000
      const at = (seconds: number) => ({ time: time + seconds, session: (time + seconds) * 1000 })
      const online = status({ boot: 7, ...at(0) })
      const lost = status({ boot: 7, ...at(0), state: 'offline', reason: 'lost' })
      const commit = (what: typeof online, seconds: number) =>
        store.commit([what], (time + seconds) * 1000)
      await commit(online, 0)
      await commit(lost, 60)
      const stateOf = async () => (await store.hosts({ limit: 1 })).items[0]!
      expect(await commit(online, 600)).toEqual([])
      expect(await stateOf()).toMatchObject({ state: 'offline', lastSeen: time + 60 })
      // A new connection of the same boot, and a new boot; then neither of the old ones.
      await commit(status({ boot: 7, ...at(700) }), 700)
      expect(await stateOf()).toMatchObject({ state: 'online', lastSeen: time + 700 })
      await commit(status({ boot: 8, ...at(800) }), 800)
      expect([...(await commit(online, 900)), ...(await commit(lost, 900))]).toEqual([])
      expect(await stateOf()).toMatchObject({ state: 'online', boot: 8, lastSeen: time + 800 })
      expect(await commit(status({ boot: 8, ...at(800) }), 2_000)).toEqual([])
      expect(await stateOf()).toMatchObject({ lastSeen: time + 800 })
    })

    test('commit() takes a retained status for as old as it says, and for the newest after a restart', async () => {
      const store = await open()
      const time = 1_700_000_000
      const now = (time + 86_400) * 1000
      await store.commit([status({ boot: 7, time })], now)
      const [host] = (await store.hosts({ limit: 1 })).items
      expect(host).toMatchObject({ state: 'online', lastSeen: time })
      await store.forgetConnections(now)
      expect(await store.commit([status({ boot: 7, time })], now)).toHaveLength(1)
    })

    test('commit() does not take a repeated summary for a sign of life', async () => {
      const store = await open()
      const message = summary({ seq: 1 })
      await store.commit([message], 1_000)
      await store.commit([message], 900_000)
      expect((await store.hosts({ limit: 1 })).items[0]).toMatchObject({ lastSeen: 1 })
    })

    test('commit() tells of a host only when something about it changed', async () => {
      const store = await open()
      expect(await store.commit([status({})], 1_000)).toHaveLength(1)
      expect(await store.commit([status({})], 2_000)).toEqual([])
      expect(await store.commit([status({ source: 'kernel' })], 3_000)).toHaveLength(1)
      expect((await store.hosts({ limit: 1 })).items[0]).toMatchObject({ since: 1, lastSeen: 3 })
    })

    test('latestSummary() gives the newest by sequence, and hours() adds up each once', async () => {
      const store = await open()
      const hour = 1_700_000_000 - (1_700_000_000 % 3_600)
      const now = hour * 1_000
      const batch = [
        summary({ seq: 9 }, hour + 60),
        summary({ seq: 8 }, hour),
        summary({ seq: 8 }, hour),
      ]
      expect(await store.commit(batch, now)).toHaveLength(2)
      await store.commit([summary({ seq: 9 }, hour + 60), summary({ seq: 10 }, hour + 3_600)], now)
      expect((await store.latestSummary('a'))?.summary?.from).toBe(hour + 3_600)
      expect(await store.latestSummary('b')).toBeUndefined()
      const one = { seconds: 60, calls: 12_400, dropped: 12, cpuSeconds: 0.25, alertsOpen: 1 }
      expect(await store.hours('a', 'lab', 10)).toMatchObject([
        { ...one, hour, seconds: 120, calls: 24_800, dropped: 24, cpuSeconds: 0.5 },
        { ...one, hour: hour + 3_600 },
      ])
      expect(await store.hours('b', undefined, 10)).toBeUndefined()
      expect(store.tallies()).toMatchObject({ duplicates: 2, late: 0 })
    })

    test('a summary that comes when newer ones were added up without it is late, and counted', async () => {
      const store = await open()
      await store.commit([summary({ seq: 100 })], 1)
      await store.commit([summary({ seq: 50 }), summary({ boot: 0, seq: 200 })], 2)
      expect(store.tallies().late).toBe(2)
      expect((await store.latestSummary('a'))?.summary?.seq).toBe(100)
    })

    test('it bounds the alerts of one host and leaves those of others', async () => {
      const store = await open({ alertsPerHostMax: 3 })
      await store.commit([alert({ id: 'quiet' }, { host: 'b', seq: 1 })], 1)
      for (let i = 0; i < 10; i++)
        await store.commit([alert({ id: `${i}` }, { host: 'a', seq: i + 1 })], 2 + i)
      await store.tidy(20)
      expect(await idsOf(store)).toEqual(['9', '8', '7', 'quiet'])
      expect(store.tallies().evicted.alerts).toBe(7)
    })

    test('it bounds all alerts: the noisiest host loses its closed ones, and nobody else any', async () => {
      const store = await open(retain({ alerts: 30 }))
      for (let i = 0; i < 5; i++) {
        const state = i % 2 === 0 ? 'open' : 'closed'
        await store.commit([alert({ id: `q${i}`, state }, { host: `quiet-${i}`, seq: 1 })], i)
      }
      await store.commit([alert({ id: 'still-open' }, { host: 'noisy', seq: 1 })], 5)
      for (let i = 0; i < 100; i++) {
        await store.commit(
          [alert({ id: `n${i}`, state: 'closed' }, { host: 'noisy', seq: i + 2 })],
          10 + i,
        )
        if (i % 10 === 9) await store.tidy(10 + i)
      }
      const left = await listed(store)
      expect(left.length).toBeLessThanOrEqual(30)
      expect(left.length).toBeGreaterThan(20)
      const ids = left.map(({ id }) => id)
      for (const id of ['q0', 'q1', 'q2', 'q3', 'q4', 'still-open', 'n99'])
        expect(ids).toContain(id)
      expect(await totals(store)).toEqual({ active: 4, total: left.length })
    })

    test('it bounds the history of an alert and keeps how it began', async () => {
      const store = await open({ changesMax: 4 })
      for (let seq = 1; seq <= 9; seq++)
        await store.commit(
          [alert({ id: 'x', state: seq === 1 ? 'open' : 'update', count: seq }, { seq })],
          seq,
        )
      expect((await store.alert('x'))?.history.map(({ count }) => count)).toEqual([1, 7, 8, 9])
    })

    test('tidy() removes closed alerts, hours and hosts by their age, and nothing that is active', async () => {
      const day = 86_400_000
      const days = { masquerade: 10, 'non-grata': 10, novelty: 2, absence: 10 }
      const store = await open(retain({ days, hourlyDays: 5, hostDays: 20 }))
      const second = (ms: number) => Math.floor(ms / 1000)
      await store.commit(
        [
          alert({ id: 'n', kind: 'novelty', state: 'closed' }, { host: 'a', seq: 1 }),
          alert({ id: 'm', kind: 'masquerade', state: 'closed' }, { host: 'a', seq: 2 }),
          alert({ id: 'o', kind: 'novelty', state: 'open' }, { host: 'b', seq: 1 }),
          summary({ host: 'a', seq: 3 }, second(day)),
        ],
        day,
      )
      await store.tidy(2 * day)
      expect(await idsOf(store)).toHaveLength(3)
      await store.tidy(4 * day)
      expect((await idsOf(store)).sort()).toEqual(['m', 'o'])
      expect(await store.hours('a', 'lab', 9)).toHaveLength(1)
      await store.tidy(7 * day)
      expect(await store.hours('a', 'lab', 9)).toEqual([])
      await store.tidy(12 * day)
      expect(await idsOf(store)).toEqual(['o'])
      await store.tidy(30 * day)
      expect((await store.hosts({ limit: 9 })).items.map(({ host }) => host)).toEqual(['b'])
      expect(await totals(store)).toEqual({ active: 1, total: 1 })
      expect(store.tallies().evicted).toEqual({ hosts: 1, alerts: 2, hours: 1 })
    })

    test('it bounds the hosts; a flood of names pushes out itself and no host with alerts', async () => {
      const store = await open({ hostsMax: 20 })
      await store.commit(
        [alert({ id: 'x' }, { host: 'true', seq: 1 }), status({ host: 'online' })],
        1,
      )
      for (let i = 0; i < 200; i++) {
        await store.commit([summary({ host: `flood-${i}`, seq: 1 })], 2 + i)
        if (i % 10 === 9) await store.tidy(2 + i)
      }
      const { items } = await store.hosts({ limit: 100 })
      expect(items.length).toBeLessThanOrEqual(20)
      expect(await idsOf(store)).toEqual(['x'])
      expect(items.map(({ host }) => host)).toContain('online')
      expect(store.tallies().evicted.hosts).toBeGreaterThan(150)
    })

    test('it comes to the same end whatever the order, the repeats and the batches (property)', async () => {
      const states = ['open', 'update', 'closed'] as const
      const sent = fc.record({
        host: fc.constantFrom('a', 'b'),
        id: fc.constantFrom('x', 'y', 'z'),
        boot: fc.integer({ min: 1, max: 2 }),
        seq: fc.integer({ min: 1, max: 6 }),
      })
      const store = await open()
      let run = 0
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(sent, fc.boolean()), { maxLength: 30 }),
          async (messages) => {
            const site = `run-${run++}`
            const batch: Arrival[] = []
            for (const [{ host, id, boot, seq }, commit] of messages) {
              const state = states[seq % 3]!
              batch.push(alert({ id, state, count: seq }, { site, host, boot, seq }))
              if (commit) await store.commit(batch.splice(0), 1)
            }
            await store.commit(batch, 2)
            const newest = new Map<string, number>()
            for (const [{ host, id, boot, seq }] of messages) {
              const key = `${host} ${id}`
              newest.set(key, Math.max(newest.get(key) ?? 0, boot * 100 + seq))
            }
            const stored = await listed(store, { site })
            const found = stored.map(
              ({ host, id, boot, seq }) => [`${host} ${id}`, boot * 100 + seq] as const,
            )
            expect(new Map<string, number>(found)).toEqual(newest)
            const { items } = await store.hosts({ limit: 9, site })
            const active = items.reduce((sum, host) => sum + host.alerts.active, 0)
            expect(active).toBe(stored.filter(({ state }) => state !== 'closed').length)
          },
        ),
        { numRuns: 30 },
      )
    }, 60_000)
  })

test.skipIf(postgres.skip)(
  'moveStore() takes everything from one kind of store to the other and back, and what is there stays',
  async () => {
    const now = 1_700_000_000_000
    const [first, middle, last] = [await sqlite.open(), await postgres.open(), await sqlite.open()]
    for (let seq = 1; seq <= 3; seq++)
      for (const host of ['a', 'b'])
        await first.commit(
          [
            status({ host, version: '2' }),
            alert(
              { id: `x${seq & 1}`, state: seq < 3 ? 'open' : 'closed' },
              { host, seq: seq * 2 },
            ),
            summary({ host, seq: seq * 2 + 1 }, now / 1_000 + seq * 3_600),
          ],
          now + seq,
        )
    expect(await moveStore(first, middle)).toEqual({ hosts: 2, alerts: 4, skipped: 0 })
    expect(await moveStore(middle, last)).toEqual({ hosts: 2, alerts: 4, skipped: 0 })
    expect(await moveStore(middle, last)).toEqual({ hosts: 0, alerts: 0, skipped: 2 })
    const all = async (store: Store) => ({
      alerts: await store.alerts({ limit: 9 }),
      one: await store.alert('x1', { host: 'b' }),
      hosts: await store.hosts({ limit: 9 }),
      latest: await store.latestSummary('a'),
      hours: await store.hours('b', 'lab', 9),
      counts: await store.counts(),
    })
    const before = await all(first)
    expect(before.counts.alerts).toEqual({ active: 2, total: 4 })
    expect(await all(last)).toEqual(before)
    expect({ ...(await all(middle)), alerts: before.alerts }).toEqual(before)
    // Repeats are recognised in the new place, too.
    const again = [alert({ id: 'x1' }, { host: 'a', seq: 2 }), summary({ host: 'a', seq: 7 })]
    expect(await middle.commit(again, now + 9)).toEqual([])
  },
  60_000,
)

test('SqliteStore answers every filter from an index, in the order of the list', async () => {
  const path = await sqlite.place()
  await sqlite.open({}, path)
  const db = openDatabase(path, { schema: SCHEMA })
  const planOf = (where: string) =>
    db
      .prepare<{ detail: string }>(
        `EXPLAIN QUERY PLAN SELECT body FROM alerts WHERE (active, changed, row) < (2, 0, 0) AND ${where}
         ORDER BY active DESC, changed DESC, row DESC LIMIT 101`,
      )
      .all()
      .map(({ detail }) => detail)
  for (const where of [
    'true',
    'active = 1',
    "kind = 'novelty'",
    "site = 'lab'",
    "site = 'lab' AND kind = 'novelty' AND active = 0",
    'hostId IN (7)',
  ]) {
    expect(planOf(where)).toEqual([expect.stringContaining('USING INDEX alertsBy')])
  }
  expect(planOf("site = 'lab' AND kind = 'novelty'").join()).toContain('alertsBySiteKind')
  db.close()
})

test('SqliteStore sets a damaged file aside and begins anew', async () => {
  const path = join(directory, 'damaged.db')
  writeFileSync(path, 'this is no database, and never was one'.repeat(200))
  const store = track(new SqliteStore(path))
  expect(store.setAside).toHaveLength(1)
  expect(readFileSync(store.setAside[0]!, 'utf8')).toStartWith('this is no database')
  await store.commit([alert({ id: 'x' }, { seq: 1 })], 1)
  expect(await idsOf(store)).toEqual(['x'])
})

test('SqliteStore stores on when it is full and hosts are many: whose turn it is costs no search for each', async () => {
  const store = await sqlite.open(retain({ alerts: 5_000 }))
  const hosts = 20_000
  const times = <T>(count: number, make: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i))
  await store.commit(
    times(hosts, (i) => status({ host: `h${i}` })),
    1,
  )
  const thousand = (n: number) =>
    times(1_000, (i) =>
      alert({ id: `${n}-${i}` }, { host: `h${(i * 20 + n) % hosts}`, seq: n * 1_000 + i + 1 }),
    )
  const cpuOf = async (batch: Arrival[]): Promise<number> => {
    const before = process.cpuUsage()
    await store.commit(batch, 2)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  let free = 0
  for (let n = 0; n < 5; n++) free += (await cpuOf(thousand(n))) / 5
  const full = await cpuOf(thousand(6))
  expect((await store.counts()).alerts.total).toBeLessThanOrEqual(5_000)
  expect(full).toBeLessThan(12 * free)
}, 60_000)
