/** Several instances that classify, on a broker and a database that people run. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { isInPartition, parsePartition } from '../../src/aggregator/central/partition.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { loadModel, type Model } from '../../src/model/model.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { encodeVectors } from '../../src/wire/vectors-message.ts'
import { type Mosquitto, mosquitto, startMosquitto } from '../support/brokers.ts'
import { labFrames } from '../support/open-agent.ts'
import { postgresBin, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { type Client, connectClient, type Running, startRunning, until } from './running.ts'

const SITE = 'lab'
const HOSTS = ['web-1', 'web-2', 'web-3', 'web-4']

describe.skipIf(postgresBin === undefined || mosquitto === null)(
  'aggregate --classify --partition, on mosquitto and PostgreSQL',
  () => {
    const directory = temporaryDirectories()
    let server: TestPostgres
    let broker: Mosquitto
    let model: Model
    let frames: Frame[]
    let client: Client
    const running: Running[] = []

    beforeAll(async () => {
      server = await startPostgres()
      broker = await startMosquitto(directory())
      client = await connectClient(broker.url)
      model = await loadModel('models/default')
      frames = await labFrames()
    }, 120_000)
    afterEach(async () => {
      for (const one of running.splice(0)) await one.close()
    })
    afterAll(async () => {
      await client?.end()
      await broker?.close()
      await server?.close()
      await model?.close()
    })

    async function start(store: string, partition: string): Promise<Running> {
      const classify = { model, falseAlertsPerDay: 1, learnSeconds: 0, every: 1 }
      const one = await startRunning({
        ...{ store, site: SITE, broker: { kind: 'external', url: broker.url } },
        classify: { ...classify, partition: parsePartition(partition) },
      })
      running.push(one)
      return one
    }

    /** @param from message of ten seconds, @param to exclusive */
    async function send(from: number, to: number): Promise<void> {
      for (let i = from; i < to; i++)
        for (const host of HOSTS) {
          const origin = { site: SITE, host, boot: 1, seq: i + 1 }
          const { payload } = encodeVectors(frames.slice(10 * i, 10 * i + 10), origin)
          await client.publish(agentTopics(SITE, host).vectors, payload, {})
        }
    }

    const line = 'callsign_classify_messages_total{result="classified"}'
    const classified = (instance: Running) => instance.metric(line)

    test('each host is one instance’s, and another goes on with it where that one stopped', async () => {
      const mine = (partition: string) =>
        HOSTS.filter((host) => isInPartition(parsePartition(partition), SITE, host)).length
      expect(mine('1/2') + mine('2/2')).toBe(HOSTS.length)
      const store = await server.database()
      const one = await start(store, '1/2')
      const two = await start(store, '2/2')
      const whole = Math.floor(frames.length / 10)
      await send(0, 7)
      await until(
        'all are classified',
        async () => (await classified(one)) === 7 * mine('1/2'),
        60_000,
      )
      await until(
        'all are classified',
        async () => (await classified(two)) === 7 * mine('2/2'),
        60_000,
      )
      await two.close()
      running.splice(running.indexOf(two), 1)
      const three = await start(store, '2/2')
      await send(7, whole)
      const left = whole - 7
      await until('the rest', async () => (await classified(one)) === whole * mine('1/2'), 60_000)
      await until('the rest', async () => (await classified(three)) === left * mine('2/2'), 60_000)
      expect(await three.metric('callsign_classify_missing_seconds_total')).toBe(0)
      const { bodies } = await one.store.alerts({ limit: 1_000 })
      const alerts = bodies.map((body) => JSON.parse(body) as AlertMessage)
      // All hosts did the same, so the same is known of all, whoever classified them.
      const causesOf = (host: string) =>
        alerts
          .filter((alert) => alert.host === host)
          .map(({ kind, process }) => `${kind} ${process.name}`)
          .sort()
      const [first, ...others] = HOSTS.map(causesOf)
      expect(first).toContain('non-grata xmrig')
      for (const causes of others) expect(causes).toEqual(first!)
      for (const { id, host } of alerts) {
        const found = await one.store.alert(id, { site: SITE, host })
        expect(found!.history.filter(({ state }) => state === 'open')).toHaveLength(1)
      }
    }, 180_000)
  },
)
