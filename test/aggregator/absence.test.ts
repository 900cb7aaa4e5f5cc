/** Hosts that send nothing, cannot judge or hold alerts: the same rules over both stores. */
import { afterEach, describe, expect, test } from 'bun:test'
import { type AbsenceOptions, AbsenceWatch } from '../../src/aggregator/absence/watch.ts'
import { answerApi } from '../../src/aggregator/api.ts'
import type { Store } from '../../src/aggregator/store/store.ts'
import { chosenOutputs } from '../../src/outputs/chosen.ts'
import { Outputs } from '../../src/outputs/outputs.ts'
import { openIdentity } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { mosquitto, startMosquitto } from '../support/brokers.ts'
import { manualClock } from '../support/clock.ts'
import { connectClient, startRunning, until } from './running.ts'
import { alert, status, storeKinds, summary } from './store-kinds.ts'

const { sqlite, postgres, directory } = storeKinds()
const BEGIN_MS = 1_700_000_000_000
const MINUTE_MS = 60_000
const signer = openIdentity('11'.repeat(32))

function watching(store: Store, options: Partial<AbsenceOptions> = {}) {
  const clock = manualClock(BEGIN_MS)
  const told: AlertMessage[] = []
  const logged: string[] = []
  let away: string | undefined
  const output = {
    name: 'test',
    refused: {},
    take: ({ alerts }: { alerts: readonly AlertMessage[] }) => void told.push(...alerts),
  }
  const log = createLog({ write: (line) => logged.push(line) })
  const outputs = new Outputs(
    { site: '', host: '', numbering: { boot: 0, nextSeq: 1 }, clock, log },
    [output],
  )
  const watch = new AbsenceWatch(
    { afterMs: 5 * MINUTE_MS, settleMs: 0, everyMs: 2 ** 30, ...options },
    { store, clock, log, signer, outputs, onChange: () => {}, away: () => away },
  )
  /** What one look says, as "host what state". */
  const look = async (minute: number) => {
    clock.advance(BEGIN_MS + minute * MINUTE_MS - clock.now())
    told.length = 0
    await watch.look()
    return told.map(({ host, predicted, state }) => `${host} ${predicted.class} ${state}`).sort()
  }
  return {
    ...{ watch, told, logged, look },
    cutOff: (why: string | undefined) => {
      away = why
    },
  }
}

const at = (minute: number) => BEGIN_MS + minute * MINUTE_MS
/** A status says when it was made; an old one is no sign of life. */
const statusAt = (minute: number, changes: Parameters<typeof status>[0]) =>
  status({ time: Math.floor(at(minute) / 1000), ...changes })
const hear = (store: Store, minute: number, ...hosts: string[]) =>
  store.commit(
    hosts.map((host) => statusAt(minute, { host })),
    at(minute),
  )
const incidents = async (store: Store, query = '') =>
  JSON.parse(
    (await answerApi(store, new URL(`http://x/api/v1/incidents${query}`), BEGIN_MS / 1000))!,
  ).items

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('a silent host is one alert, closed when it is heard again, and the same one later', async () => {
      const store = await kind.open()
      await hear(store, 0, 'web-1', 'web-2')
      const { look, told, watch, logged } = watching(store)
      expect(await look(4)).toEqual([])
      await hear(store, 5, 'web-2')
      // It waits for others to follow: an outage would be one alert.
      expect(await look(6)).toEqual([])
      expect(await look(7)).toEqual(['web-1 silent open'])
      const [opened] = told
      expect(opened).toMatchObject({
        ...{ kind: 'absence', severity: 'high', certainty: 'confirmed', techniques: ['T1685'] },
        ...{ first: at(0) / 1000, last: at(7) / 1000 },
        because: ['the last message came at 2023-11-14T22:13:20Z', 'it did not disconnect'],
      })
      expect(watch.open).toMatchObject({ silent: 1, outage: 0 })
      await hear(store, 8, 'web-2')
      expect(await look(8)).toEqual([])
      expect(await incidents(store)).toMatchObject([
        { host: 'web-1', state: 'open', severity: 'high', lead: { kind: 'absence' } },
      ])
      // Its own alert is no sign of life.
      expect((await store.hosts({ limit: 9 })).items[0]).toMatchObject({ lastSeen: at(0) / 1000 })
      await hear(store, 9, 'web-1', 'web-2')
      expect(await look(9)).toEqual(['web-1 silent closed'])
      expect(await incidents(store)).toMatchObject([{ state: 'closed', alerts: { total: 1 } }])
      await hear(store, 15, 'web-2')
      expect(await look(16)).toEqual(['web-1 silent open'])
      expect(told[0]!.id).toBe(opened!.id)
      expect((await store.alert(opened!.id))?.history.map(({ state }) => state)).toEqual([
        'open',
        'closed',
        'open',
      ])
      expect(logged.filter((line) => line.includes('Absence'))).toHaveLength(3)
      await watch.close()
    })

    test('where more are silent than one look takes, those that fell silent last come first', async () => {
      const store = await kind.open()
      for (const [minute, host] of ['a', 'b', 'c'].entries()) await hear(store, minute, host)
      const { suspects, isWhole } = await store.absences({
        ...{ silentBefore: at(9), troubledBefore: at(0), expectedSince: at(0), limit: 2 },
      })
      expect(suspects.map(({ host }) => host)).toEqual(['c', 'b'])
      expect(isWhole).toBe(false)
    })

    test('a clean end is no absence; a lost connection is', async () => {
      const store = await kind.open()
      await hear(store, 0, 'planned', 'lost', 'asked')
      // Known by an imported file only: it never was online.
      await store.commit([alert({}, { host: 'imported', seq: 1 })], at(0))
      await store.commit(
        [
          status({ host: 'planned', state: 'offline', reason: 'ended' }),
          status({ host: 'lost', state: 'offline', reason: 'lost' }),
        ],
        at(1),
      )
      const { look, told, watch } = watching(store)
      expect(await look(10)).toEqual(['asked silent open', 'lost silent open'])
      expect(told.find(({ host }) => host === 'lost')?.because?.[1]).toBe(
        'its connection was lost, without a clean end',
      )
      // It came back and was then stopped: nothing is left to see to.
      await hear(store, 11, 'lost')
      await store.commit(
        [statusAt(11, { host: 'lost', state: 'offline', reason: 'ended' })],
        at(11),
      )
      expect(await look(11)).toEqual(['lost silent closed'])
      await watch.close()
    })

    test('many silent hosts of a site are one incident, and each its own when it is over', async () => {
      const store = await kind.open()
      const hosts = Array.from({ length: 100 }, (_, n) => `h-${n}`)
      const elsewhere = (minute: number) => statusAt(minute, { host: 'far', site: 'oslo' })
      for (let minute = 0; minute < 2; minute++) {
        await store.commit(
          [...hosts.map((host) => statusAt(minute, { host })), elsewhere(minute)],
          at(minute),
        )
      }
      // The broker dies; the last messages of hosts are spread over a minute.
      for (let n = 0; n < 100; n++) await hear(store, 2 + n / 100, hosts[n]!)
      const { look, told, watch } = watching(store)
      const all: string[] = []
      for (let minute = 6; minute < 12; minute += 0.25) {
        await store.commit([elsewhere(minute)], at(minute))
        all.push(...(await look(minute)))
      }
      expect(all[0]).toBe('fleet outage open')
      expect(new Set(all)).toEqual(new Set(['fleet outage open', 'fleet outage update']))
      expect(all.length).toBeLessThan(10)
      const open = await incidents(store)
      expect(open).toMatchObject([{ site: 'lab', host: 'fleet', state: 'open' }])
      expect(open[0].lead.because[0]).toMatch(/^\d+ of 100 hosts send nothing$/)
      // The pseudo host is in no list and no count.
      expect((await store.counts()).hosts).toMatchObject({ online: 101, offline: 0 })
      const url = new URL('http://x/api/v1/hosts?site=lab&limit=500')
      expect(JSON.parse((await answerApi(store, url, 0))!).items).toHaveLength(100)
      const one = new URL(`http://x/api/v1/incidents/${open[0].id}?site=lab&host=fleet`)
      expect(JSON.parse((await answerApi(store, one, 0))!).incident.id).toBe(open[0].id)
      // It is back; two hosts are not.
      await hear(store, 12, ...hosts.slice(2))
      await store.commit([elsewhere(12)], at(12))
      expect(await look(12)).toEqual(['fleet outage closed', 'h-0 silent open', 'h-1 silent open'])
      expect(told).toHaveLength(3)
      await watch.close()
    })

    test('while the aggregator is cut off the site is one alert, and hosts get time to come back', async () => {
      const store = await kind.open()
      await hear(store, 0, 'web-1', 'web-2')
      const { look, cutOff, told, watch } = watching(store, { settleMs: MINUTE_MS / 2 })
      cutOff('Broker "mqtt://x" is not reachable')
      expect(await look(7)).toEqual(['fleet outage open'])
      expect(told[0]!.because).toContain(
        'the aggregator has no connection: Broker "mqtt://x" is not reachable',
      )
      cutOff(undefined)
      expect(await look(7)).toEqual([])
      await hear(store, 7.5, 'web-1')
      expect(await look(8)).toEqual(['fleet outage closed', 'web-2 silent open'])
      await watch.close()
    })

    test('a host that cannot judge, or holds alerts, is an alert of the same incident', async () => {
      const store = await kind.open()
      const { look, watch } = watching(store)
      const from = BEGIN_MS / 1000
      const minute = (n: number, missed: Record<string, number>, unjudged = {}) =>
        store.commit(
          [
            status({ host: 'db' }),
            summary({ host: 'db', seq: n + 1 }, from + 60 * n, { missed, unjudged }),
          ],
          at(n),
        )
      for (let n = 0; n < 16; n++) {
        // A share between the two thresholds changes nothing.
        await minute(n, { 'seconds-blind': n === 7 ? 20 : 31, 'alerts-held': 2 })
        expect(await look(n)).toEqual(n < 15 ? [] : ['db blind open', 'db noisy open'])
      }
      expect(await incidents(store)).toMatchObject([
        { host: 'db', severity: 'high', alerts: { active: 2, total: 2 } },
      ])
      expect((await store.hosts({ limit: 1 })).items[0]).toMatchObject({
        blindSince: from,
        noisySince: from,
      })
      await minute(16, { 'seconds-blind': 3, 'alerts-held': 0 }, { error: 30 })
      expect(await look(16)).toEqual(['db noisy closed'])
      await minute(17, {})
      expect(await look(17)).toEqual(['db blind closed'])
      await watch.close()
    })

    test('a host cannot forge its own absence, nor close it', async () => {
      const store = await kind.open()
      await hear(store, 0, 'web-1')
      const { look, told, watch } = watching(store)
      await look(7)
      const id = told[0]!.id
      // Its id follows from the aggregator's key; that a host learns it later helps nothing, as the
      // next look opens it again with a higher number.
      await store.commit(
        [alert({ id, state: 'closed' }, { host: 'web-1', boot: at(8), seq: 1 })],
        at(0),
      )
      expect(await look(8)).toEqual(['web-1 silent open'])
      await watch.close()
    })

    test('of two aggregators on one database one looks, and the other goes on', async () => {
      const store = await kind.open()
      expect(await store.lead('absence', 'a', 60_000)).toBe(true)
      expect(await store.lead('absence', 'a', 200)).toBe(true)
      expect(await store.lead('absence', 'b', 60_000)).toBe(kind === sqlite)
      expect(await store.lead('other', 'b', 60_000)).toBe(true)
      await Bun.sleep(250)
      expect(await store.lead('absence', 'b', 60_000)).toBe(true)
    })

    test('a late will of an earlier connection does not show a host as offline', async () => {
      const store = await kind.open()
      const state = async () => (await store.hosts({ limit: 1 })).items[0]!
      const put = (changes: Parameters<typeof status>[0]) => store.commit([status(changes)], 1_000)
      await put({ session: 200 })
      expect(await put({ session: 100, state: 'offline', reason: 'lost' })).toEqual([])
      expect(await state()).toMatchObject({ state: 'online' })
      await put({ session: 200, state: 'offline', reason: 'lost' })
      expect(await state()).toMatchObject({ state: 'offline', reason: 'lost' })
      // A repeated status of the connection that ended, delivered after the will.
      await put({ session: 200 })
      expect(await state()).toMatchObject({ state: 'offline' })
      await put({ session: 300 })
      expect(await state()).toMatchObject({ state: 'online' })
      // After an aggregator's restart only connections are unknown, not their end.
      await store.forgetConnections(1_000)
      await put({ session: 300 })
      expect(await state()).toMatchObject({ state: 'online' })
      // A new start of the agent, and an agent that says nothing of connections.
      await put({ boot: 2, session: 50 })
      await put({ boot: 2, state: 'offline', reason: 'ended' })
      expect(await state()).toMatchObject({ state: 'offline', reason: 'ended' })
    })
  })

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

describe.skipIf(mosquitto === null)('Aggregator beside mosquitto', () => {
  test('tells of a host that was lost: page, metrics, webhook; and of its return', async () => {
    const broker = await startMosquitto(directory)
    ends.push(() => broker.close())
    const notices: { status: string; host: string }[] = []
    const pager = Bun.serve({
      ...{ hostname: '127.0.0.1', port: 0 },
      async fetch(request) {
        notices.push((await request.json()) as (typeof notices)[number])
        return new Response()
      },
    })
    ends.push(() => pager.stop(true))
    const aggregator = await startRunning({
      broker: { kind: 'external', url: broker.url },
      absence: { afterMs: 400, settleMs: 0, everyMs: 50 },
      outputs: chosenOutputs({
        webhook: pager.url.href,
        queue: { put: () => true, get: () => undefined },
        now: Date.now,
      }),
    })
    ends.push(() => aggregator.close())
    const stays = await connectClient(broker.url, 'stays')
    const leaves = await connectClient(broker.url, 'leaves')
    await leaves.status({ time: Math.ceil(Date.now() / 1000) })
    const beat = setInterval(
      () => void stays.status({ session: 1, time: Math.ceil(Date.now() / 1000) }),
      100,
    )
    ends.push(() => clearInterval(beat))
    ends.push(() => stays.end())
    leaves.destroy()
    const open = () => aggregator.metric('callsign_absences{what="silent"}')
    await until('the alert', async () => (await open()) === 1)
    const { items } = await aggregator.json<{ items: unknown[] }>('/api/v1/alerts?kind=absence')
    expect(items).toMatchObject([{ host: 'leaves', predicted: { class: 'silent' } }])
    await until('the notice', () => notices.length === 1)
    const back = await connectClient(broker.url, 'leaves')
    ends.push(() => back.end())
    await back.status({ boot: 2, time: Math.ceil(Date.now() / 1000) })
    await until('its end', async () => (await open()) === 0)
    await until('the second notice', () => notices.length === 2)
    expect(notices.map(({ status }) => status)).toEqual(['firing', 'resolved'])
  })
})
