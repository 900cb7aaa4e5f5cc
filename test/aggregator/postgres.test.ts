/** Several aggregators on one PostgreSQL, and what is left when it or one of them is killed. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { PostgresStore } from '../../src/aggregator/store/postgres-store.ts'
import type { Arrival } from '../../src/aggregator/store/store.ts'
import { parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { toMessage } from '../../src/wire/alert-message.ts'
import { mosquitto, startMosquitto } from '../support/brokers.ts'
import { postgresBin, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { type Running, startRunning, until } from './running.ts'

describe.skipIf(postgresBin === undefined)('PostgreSQL', () => {
  const directory = temporaryDirectories()
  let server: TestPostgres
  const ends: (() => Promise<unknown>)[] = []
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  afterAll(() => server?.close())

  const alert = (host: string, id: string, seq: number, state: 'open' | 'closed'): Arrival => ({
    kind: 'alert',
    message: toMessage({ ...sampleAlert, id, state }, { site: 'lab', host, boot: 1, seq }),
  })

  /** An agent that keeps what is not receipted. */
  function startAgent(url: string, host: string) {
    const outbox = Outbox.open(`${directory()}/outbox.db`, { site: 'lab', host })
    const publisher = new Publisher({
      ...{ broker: parseBrokerUrl(url), site: 'lab', host, outbox, delivery: 'receipt' },
      presence: { version: '1', model: 'm', source: 's' },
      ...{ resendAfterMs: 200, settleMs: 50, reconnectMs: [10, 100] },
    })
    publisher.start()
    ends.push(async () => {
      await publisher.end(0)
      outbox.close()
    })
    return outbox
  }

  async function start(store: string, broker?: string): Promise<Running> {
    const running = await startRunning({
      store,
      site: 'lab',
      ...(broker === undefined ? {} : { broker: { kind: 'external', url: broker } }),
    })
    ends.push(() => running.close())
    return running
  }

  const closedAlerts = async (store: Running['store']): Promise<number> =>
    (await store.alerts({ limit: 1_000, states: ['closed'] })).bodies.length

  test('two stores commit the same hosts at a time, and each message counts once', async () => {
    const url = await server.database()
    const stores = [await PostgresStore.open(url), await PostgresStore.open(url)]
    ends.push(...stores.map((store) => () => store.close()))
    const batches = Array.from({ length: 20 }, (_, n) =>
      Array.from({ length: 10 }, (_, i) => {
        const host = `h${(n + i) % 5}`
        return [alert(host, `a${i}`, n + 1, n === 19 ? 'closed' : 'open')]
      }).flat(),
    )
    await Promise.all(
      stores.map(async (store, which) => {
        // Each has all batches, in another order.
        const own = which === 0 ? batches : [...batches].reverse()
        for (const batch of own) await store.commit(batch, 1_000)
      }),
    )
    const { alerts } = await stores[0]!.counts()
    const listed = (await stores[1]!.alerts({ limit: 100 })).bodies.map((body) => JSON.parse(body))
    expect(alerts.total).toBe(listed.length)
    expect(alerts.active).toBe(listed.filter(({ state }) => state !== 'closed').length)
    const messages = batches.flat().length
    expect(stores[0]!.tallies().duplicates + stores[1]!.tallies().duplicates).toBe(messages)
  }, 60_000)

  test('killed with -9 while it stores: what was committed is there, and all arrives in the end', async () => {
    const running = await start(await server.database())
    const outbox = startAgent(running.brokerUrl, 'web-1')
    let made = 0
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 40; i++)
        outbox.put([{ ...sampleAlert, id: `a${made++}`, state: 'closed' }], sampleSummary)
      await until('some receipts', () => outbox.ledger().acknowledged > 20 * (2 * round + 1))
      await server.kill()
      const receipted = outbox.ledger().acknowledged
      for (let i = 0; i < 10; i++)
        outbox.put([{ ...sampleAlert, id: `a${made++}`, state: 'closed' }])
      await until('failing', () => running.get('/healthz').then(({ status }) => status === 503))
      await server.start()
      const stored = await until('an answer', () =>
        closedAlerts(running.store).catch(() => undefined),
      )
      expect(stored + 1).toBeGreaterThan(0)
      expect(outbox.ledger().acknowledged).toBeGreaterThanOrEqual(receipted)
    }
    await until('everything', () => outbox.queued === 0, 60_000)
    expect(await closedAlerts(running.store)).toBe(made)
  }, 120_000)

  test.skipIf(mosquitto === null)(
    'two aggregators share a broker and the work, and the end of one loses nothing',
    async () => {
      const broker = await startMosquitto(directory())
      ends.push(() => broker.close())
      const url = await server.database()
      const [one, two] = [await start(url, broker.url), await start(url, broker.url)]
      const outbox = startAgent(broker.url, 'web-1')
      for (let i = 0; i < 60; i++) {
        outbox.put([{ ...sampleAlert, id: `a${i}`, state: 'open' }])
        outbox.put([{ ...sampleAlert, id: `a${i}`, state: 'closed' }])
      }
      await until('everything', () => outbox.queued === 0, 30_000)
      for (const running of [one, two]) expect(await closedAlerts(running.store)).toBe(60)
      const worked = await Promise.all(
        [one, two].map((running) =>
          running.metric('callsign_messages_received_total{kind="alert"}'),
        ),
      )
      expect(Math.min(...worked)).toBeGreaterThan(10)
      // Pages of one are told what the other stored.
      const told = await two.json<{ items: unknown[] }>('/api/v1/alerts?limit=1000')
      expect(told.items).toHaveLength(60)
      ends.splice(ends.length - 2, 1)
      const going = two.close()
      for (let i = 60; i < 120; i++) outbox.put([{ ...sampleAlert, id: `a${i}`, state: 'closed' }])
      await going
      await until('the rest', () => outbox.queued === 0, 30_000)
      expect(await closedAlerts(one.store)).toBe(120)
    },
    120_000,
  )
})
