/**
 * Brokers that people run: a cluster of three nats-servers by its MQTT door (3.1.1), of which nodes
 * die, and a mosquitto whose access list (docs/operate-a-fleet.md) keeps hosts from each other's
 * topics.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openIdentity } from '../../src/platform/identity.ts'
import { connectMqtt, parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { attachSignature } from '../../src/wire/signed.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { freePort, mosquitto, startAedes, startMosquitto } from '../support/brokers.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { sampleAlert } from '../wire/samples.ts'
import { connectClient, type Running, startRunning, until } from './running.ts'

const nats = Bun.which('nats-server', { PATH: `${process.env.PATH}:/usr/sbin` })
const directory = temporaryDirectories()
const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Node {
  readonly url: string
  kill(): Promise<void>
  start(): void
}

async function startCluster(root: string): Promise<Node[]> {
  const ports = await Promise.all(
    [0, 1, 2].map(async () => ({
      ...{ client: await freePort(), route: await freePort(), mqtt: await freePort() },
    })),
  )
  const routes = ports.map(({ route }) => `nats://127.0.0.1:${route}`).join(', ')
  return ports.map(({ client, route, mqtt }, at) => {
    const store = join(root, `node-${at}`)
    mkdirSync(store)
    const path = join(root, `node-${at}.conf`)
    writeFileSync(
      path,
      `server_name: node-${at}
listen: 127.0.0.1:${client}
jetstream { store_dir: ${JSON.stringify(store)} }
cluster { name: test, listen: 127.0.0.1:${route}, routes: [${routes}] }
mqtt { host: 127.0.0.1, port: ${mqtt} }
`,
    )
    let child: Bun.Subprocess | undefined
    const start = () => {
      child = Bun.spawn([nats!, '-c', path], { stdout: 'ignore', stderr: 'ignore' })
    }
    const kill = async () => {
      child?.kill('SIGKILL')
      await child?.exited
    }
    start()
    ends.push(kill)
    return { url: `mqtt://127.0.0.1:${mqtt}`, start, kill }
  })
}

const HOST_KEY = openIdentity('1'.repeat(64))

function startAgent(url: string, login: { username?: string; password?: string } = {}): Outbox {
  return startPublisher(url, login).outbox
}

function startPublisher(url: string, login: { username?: string; password?: string } = {}) {
  const outbox = Outbox.open(join(directory(), 'outbox.db'), { site: 'lab', host: 'web-1' })
  const publisher = new Publisher({
    ...{ broker: parseBrokerUrl(url), site: 'lab', host: 'web-1', outbox, ...login },
    ...{ delivery: 'receipt', resendAfterMs: 300, reconnectMs: [50, 300], refusedMs: [50, 300] },
    presence: { version: '1', model: 'm', source: 's' },
    signer: HOST_KEY,
  })
  publisher.start()
  ends.push(async () => {
    await publisher.end(0)
    outbox.close()
  })
  return { outbox, publisher }
}

async function startOn(url: string, login: { username?: string; password?: string } = {}) {
  const running = await startRunning({ site: 'lab', broker: { kind: 'external', url, ...login } })
  ends.push(() => running.close())
  return running
}

const stored = async (running: Running): Promise<number> =>
  (await running.store.counts()).alerts.total

test.skipIf(nats === null)(
  'a NATS cluster of three, nodes of which are killed: every alert is stored once',
  async () => {
    const cluster = await startCluster(directory())
    // A door opens when the cluster has chosen its leaders.
    for (const { url } of cluster)
      await until(
        'its MQTT door',
        async () => {
          const client = await connectClient(url, 'probe', { timeoutMs: 5_000 }).catch(
            () => undefined,
          )
          await client?.end()
          return client
        },
        60_000,
      )
    const running = await startOn(cluster[1]!.url)
    const outbox = startAgent(cluster[0]!.url)
    let made = 0
    const make = (count: number) => {
      for (let i = 0; i < count; i++) outbox.put([{ ...sampleAlert, id: `a${made++}` }])
    }
    make(50)
    await until('the first fifty', () => outbox.queued === 0, 60_000)
    await cluster[2]!.kill()
    make(50)
    await until('fifty more without the third node', () => outbox.queued === 0, 90_000)
    cluster[2]!.start()
    await cluster[1]!.kill()
    make(50)
    cluster[1]!.start()
    await until(
      'the rest, after the aggregator’s own node was back',
      () => outbox.queued === 0,
      90_000,
    )
    expect(await stored(running)).toBe(made)
    // Its will was published while the cluster was divided; it says that it is back when it is.
    const host = await until('the host online', async () => {
      const { items } = await running.json<{ items: { state: string }[] }>('/api/v1/hosts')
      return items.find(({ state }) => state === 'online')
    })
    expect(host).toMatchObject({ host: 'web-1' })
  },
  300_000,
)

describe.skipIf(mosquitto === null)('mosquitto with the access list of the document', () => {
  test('lets hosts speak for themselves; a forged receipt and a look at others are refused', async () => {
    const root = directory()
    const document = readFileSync('docs/operate-a-fleet.md', 'utf8')
    const [, list] = /```\n(# acl_file:[\s\S]*?)```/.exec(document)!
    writeFileSync(join(root, 'acl'), list!, { mode: 0o600 })
    const accounts = ['aggregator', 'lab/web-1', 'lab/forger']
    for (const [at, name] of accounts.entries()) {
      const flags = at === 0 ? ['-c', '-b'] : ['-b']
      const made = Bun.spawnSync(['mosquitto_passwd', ...flags, join(root, 'passwords'), name, 'x'])
      expect(made.exitCode).toBe(0)
    }
    const broker = await startMosquitto(root, [
      'allow_anonymous false',
      `password_file ${join(root, 'passwords')}`,
      `acl_file ${join(root, 'acl')}`,
    ])
    ends.push(() => broker.close())
    const login = (username: string) => ({ username, password: 'x' })
    const topics = agentTopics('lab', 'web-1')
    const heard: string[] = []
    const forger = await connectMqtt(parseBrokerUrl(broker.url), {
      ...{ clientId: 'forger', ...login('lab/forger') },
      onMessage: ({ topic }) => heard.push(topic),
    })
    ends.push(() => forger.end())
    await forger.subscribe(['callsign/v1/+/+/alert', topics.receipt]).catch(() => {})
    const outbox = startAgent(broker.url, login('lab/web-1'))
    outbox.put([{ ...sampleAlert, id: 'kept' }])
    const forged = Buffer.from(`{"v":1,"stored":[[${outbox.boot},1,1000]]}`)
    for (let i = 0; i < 20; i++) await forger.publish(topics.receipt, forged).catch(() => {})
    await forger
      .publish(topics.aggregatorStatus, Buffer.from('{}'), { retain: true })
      .catch(() => {})
    expect(outbox.ledger().acknowledged).toBe(0)
    const running = await startOn(broker.url, login('aggregator'))
    await until('the true receipt', () => outbox.queued === 0, 30_000)
    expect(await stored(running)).toBe(1)
    expect(heard).toEqual([])
  }, 60_000)
})

// mosquitto speaks MQTT 5, aedes 3.1.1.
const shared = [
  ['mosquitto', mosquitto === null ? undefined : () => startMosquitto(directory())],
  ['aedes', () => startAedes()],
] as const
describe.each(shared)('%s that everyone may use', (_, startBroker) => {
  test.skipIf(startBroker === undefined)(
    'forged receipts empty no outbox: none but those of the aggregator for this host count',
    async () => {
      const broker = await startBroker!()
      ends.push(() => broker.close())
      const topics = agentTopics('lab', 'web-1')
      const { outbox, publisher } = startPublisher(broker.url)
      outbox.put([{ ...sampleAlert, id: 'first' }])
      const external = { kind: 'external', url: broker.url } as const
      const running = await startRunning({ site: 'lab', broker: external })
      await until('the first receipt', () => outbox.queued === 0, 30_000)
      const { items } = await running.json<{ items: { key: { key: string } }[] }>('/api/v1/hosts')
      expect(items[0]!.key.key).toBe(HOST_KEY.publicKey)
      expect(outbox.aggregatorKey).toBe(running.publicKey)
      const aggregator = openIdentity(await running.store.identity())
      await running.close()

      outbox.put([{ ...sampleAlert, id: 'second' }])
      const forger = await connectMqtt(parseBrokerUrl(broker.url), {
        ...{ clientId: 'forger', onMessage: () => {} },
      })
      ends.push(() => forger.end())
      const receipt = (host: string) =>
        Buffer.from(`{"v":1,"site":"lab","host":"${host}","stored":[[${outbox.boot},1,1000]]}`)
      const own = openIdentity('f'.repeat(64)).sign(receipt('web-1'))
      await forger.publish(topics.receipt, receipt('web-1'))
      await forger.publish(topics.receipt, attachSignature(receipt('web-1'), own))
      await forger.publish(topics.receipt, attachSignature(receipt('web-2'), own))
      // A true receipt, of another host.
      const others = attachSignature(receipt('web-2'), aggregator.sign(receipt('web-2')))
      await forger.publish(topics.receipt, others)
      await until('the last of them', () => publisher.state().ignored['receipt: other-host'])
      expect(publisher.state().ignored).toEqual({
        'receipt: unsigned': 1,
        'receipt: other-key': 1,
        'receipt: bad-signature': 1,
        'receipt: other-host': 1,
      })
      expect(outbox.ledger()).toMatchObject({ acknowledged: 1, queued: 1 })
    },
    60_000,
  )
})
