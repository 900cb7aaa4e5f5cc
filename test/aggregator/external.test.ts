import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '../../src/domain/defined.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { type Client, connectClient, type Running, startRunning, until } from './running.ts'

const mosquitto = Bun.which('mosquitto', { PATH: `${process.env.PATH}:/usr/sbin` })
const topics = agentTopics('lab', 'web-1')

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0))
    })
  })
}

// scripts/test.sh installs mosquitto; without it there is no broker of others to test with.
describe.skipIf(mosquitto === null)('an aggregator on mosquitto', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mosquitto-'))
  let port: number
  let url: string
  let broker: Bun.Subprocess
  const startBroker = (): Bun.Subprocess =>
    Bun.spawn([mosquitto!, '-c', join(directory, 'm.conf')], { stdout: 'ignore', stderr: 'ignore' })
  const connectWhenUp = (host = 'web-1'): Promise<Client> =>
    until('mosquitto', () => connectClient(url, host).catch(() => undefined))

  beforeAll(async () => {
    port = await freePort()
    url = `mqtt://127.0.0.1:${port}`
    writeFileSync(
      join(directory, 'm.conf'),
      `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`,
    )
    broker = startBroker()
    await (await connectWhenUp()).end()
  })
  afterAll(async () => {
    broker.kill()
    await broker.exited
    rmSync(directory, { recursive: true, force: true })
  })
  const start = (site?: string): Promise<Running> =>
    startRunning({ broker: { kind: 'external', url }, ...defined({ site }) })

  test('stores what it hears over MQTT 5 and gives receipts', async () => {
    const client = await connectWhenUp()
    expect(client.protocol).toBe(5)
    await client.status()
    const running = await start()
    await client.subscribe([topics.receipt])
    await client.alert({ id: 'over-mosquitto' }, 4)
    await until('the receipt', () => client.received.length > 0)
    expect(client.received[0]!.text).toBe('{"v":1,"site":"lab","host":"web-1","stored":[[1,4,4]]}')
    expect((await running.get('/api/v1/alerts/over-mosquitto')).status).toBe(200)
    // The status was there before the aggregator: it came because it is retained.
    const { items } = await running.json<{ items: unknown[] }>('/api/v1/hosts')
    expect(items).toMatchObject([{ host: 'web-1', state: 'online' }])
    await running.close()
    await client.end()
  })

  test('announces itself to each site it hears of, and says when it goes', async () => {
    const listener = await connectWhenUp()
    await listener.subscribe(['callsign/v1/+/aggregator/status'])
    const said = (site: string) =>
      listener.received
        .filter(({ topic }) => topic === `callsign/v1/${site}/aggregator/status`)
        .map(({ text }) => JSON.parse(text).state)
    const running = await start('named')
    await until('the announcement to the named site', () => said('named').at(-1) === 'online')
    listener.received.length = 0
    await listener.alert({ id: 'x' }, 1)
    await until('the announcement to the site heard of', () => said('lab').at(-1) === 'online')
    await running.close()
    await until(
      'the offline status',
      () => said('named').at(-1) === 'offline' && said('lab').at(-1) === 'offline',
    )
    await listener.end()
  })

  test('two of them with a store each both have every alert, and one that ends does not end the service', async () => {
    const client = await connectWhenUp()
    await client.subscribe([topics.receipt, topics.aggregatorStatus])
    const [one, two] = [await start('lab'), await start('lab')]
    let seq = 0
    for (const state of ['open', 'closed'] as const)
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => client.alert({ id: `s${i}`, state }, ++seq)),
      )
    for (const running of [one, two])
      await until('all 40, closed', async () => {
        const { items } = await running.json<{ items: { state: string }[] }>(
          '/api/v1/alerts?limit=1000&state=closed',
        )
        return items.length === 40
      })
    const statuses = () =>
      client.received
        .filter(({ topic }) => topic === topics.aggregatorStatus)
        .map(({ text }) => JSON.parse(text).state)
    await two.close()
    await until('offline, and online again', () => {
      const said = statuses()
      return said.lastIndexOf('offline') > 0 && said.at(-1) === 'online'
    })
    await one.close()
    await client.end()
  })

  test('comes back when the broker does', async () => {
    const running = await start()
    broker.kill('SIGKILL')
    await broker.exited
    await until('a bad health', async () => (await running.get('/healthz')).status === 503)
    expect(await running.metric('callsign_broker_up')).toBe(0)
    broker = startBroker()
    await until('a good health', async () => (await running.get('/healthz')).status === 200)
    const client = await connectWhenUp()
    await client.alert({ id: 'after-the-break' }, 1)
    await until(
      'the alert',
      async () => (await running.get('/api/v1/alerts/after-the-break')).status === 200,
    )
    await running.close()
    await client.end()
  })

  test('waits for a broker that is away, until told to stop', async () => {
    const away = await freePort()
    const stop = new AbortController()
    const waiting = startRunning({
      broker: { kind: 'external', url: `mqtt://127.0.0.1:${away}` },
      signal: stop.signal,
    })
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_BROKER' })
  })
})
