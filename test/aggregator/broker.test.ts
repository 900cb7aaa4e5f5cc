/**
 * The embedded broker by what its clients may do to it: fill it, stop it, speak for others, read
 * along.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HOSTS_PER_CONNECTION_MAX } from '../../src/domain/limits.ts'
import { matches } from '../../src/platform/mqtt/subscriptions.ts'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { encodeStatus } from '../../src/wire/status-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleAlert } from '../wire/samples.ts'
import { connectClient, type Running, sampleStatus, startRunning, until } from './running.ts'

const directory = mkdtempSync(join(tmpdir(), 'broker-'))
const passwordFile = join(directory, 'accounts')
writeFileSync(
  passwordFile,
  'web-1:one\nlab/web-2:two\nlab/*:all\n@reader:read\nberlin/@reader:read\n',
  { mode: 0o600 },
)
let open: Running
let closed: Running
beforeAll(async () => {
  open = await startRunning()
  closed = await startRunning({
    broker: { kind: 'embedded', host: '127.0.0.1', port: 0, passwordFile },
    site: 'lab',
  })
})
afterAll(async () => {
  await open.close()
  await closed.close()
  rmSync(directory, { recursive: true, force: true })
})

const login = (username: string, password: string, host = 'web-1') =>
  connectClient(closed.brokerUrl, host, { username, password })

test('MQTT 5 and 3.1.1 are both spoken, each as the client asks', async () => {
  for (const protocol of [5, 4] as const) {
    const client = await connectClient(open.brokerUrl, `speaks-${protocol}`, { protocol })
    expect(client.protocol).toBe(protocol)
    await client.subscribe([agentTopics('lab', `speaks-${protocol}`).receipt])
    await client.alert({ id: `by-${protocol}` }, 1)
    await until('the receipt', () => client.received.length > 0)
    await client.end()
  }
})

test('receipts for ten thousand hosts that have gone end nothing', async () => {
  const site = await login('lab/*', 'all')
  const listener = await login('web-1', 'one')
  await listener.subscribe([agentTopics('lab', 'web-1').receipt])
  await Promise.all(
    Array.from({ length: 10_000 }, (_, i) =>
      site.publish(
        agentTopics('lab', `gone-${i}`).alert,
        encodeAlert(sampleAlert, { site: 'lab', host: `gone-${i}`, boot: 1, seq: 1 }),
      ),
    ),
  )
  await listener.alert({ id: 'after-the-flood' }, 1)
  await until('a receipt', () => listener.received.length > 0)
  await Promise.all([site.end(), listener.end()])
}, 60_000)

describe('a client that proves nothing', () => {
  test('speaks for a few hosts, and for no more', async () => {
    const client = await connectClient(open.brokerUrl)
    const birth = (host: string) =>
      client.publish(agentTopics('lab', host).status, encodeStatus({ ...sampleStatus, host }), {
        retain: true,
      })
    for (let i = 0; i < HOSTS_PER_CONNECTION_MAX; i++) await birth(`mine-${i}`)
    await expect(birth('one-too-many')).rejects.toThrow('Not authorized')
    await birth('mine-0')
    const { items } = await open.json<{ items: { host: string }[] }>('/api/v1/hosts')
    expect(items.map(({ host }) => host)).not.toContain('one-too-many')
    await client.end()
  })

  test('has nothing retained that is refused, and nothing large', async () => {
    const client = await connectClient(open.brokerUrl, 'large')
    const before = await open.metric('callsign_retained_messages')
    const { status, fleetPolicy } = agentTopics('lab', 'large')
    for (const [topic, bytes] of [
      [status, 5_000],
      [status, 40_000],
      [fleetPolicy, 40_000],
    ] as const)
      await expect(client.publish(topic, Buffer.alloc(bytes), { retain: true })).rejects.toThrow(
        'Not authorized',
      )
    const noStatus = client.publish(status, Buffer.from('{}'), { retain: true })
    await expect(noStatus).rejects.toThrow('Payload format invalid')
    expect(await open.metric('callsign_retained_messages')).toBe(before)
    await client.end()
  })

  test('cannot end the connection of another address by its client id', async () => {
    const clientId = 'one-and-the-same'
    const first = await connectClient(open.brokerUrl, 'first', { clientId })
    const far = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(new URL(open.brokerUrl).port),
      localAddress: '127.0.0.2',
      socket: { data() {} },
    } as Bun.TCPSocketConnectOptions)
    const id = Buffer.from(clientId)
    far.write(
      Buffer.concat([
        Buffer.from([
          0x10,
          12 + id.length,
          0,
          4,
          0x4d,
          0x51,
          0x54,
          0x54,
          4,
          2,
          0,
          30,
          0,
          id.length,
        ]),
        id,
      ]),
    )
    await first.alert({ id: 'still-connected' }, 1)
    expect((await open.get('/api/v1/alerts/still-connected')).status).toBe(200)
    far.end()
    await first.end()
  })
})

describe('a name that is proven', () => {
  test('is the host of one site', async () => {
    const client = await login('web-1', 'one')
    const other = agentTopics('berlin', 'web-1').alert
    const payload = encodeAlert(sampleAlert, { site: 'berlin', host: 'web-1', boot: 1, seq: 1 })
    await expect(client.publish(other, payload)).rejects.toThrow('Not authorized')
    await client.end()
  })

  test('and is a reader hears what it may, and says nothing', async () => {
    const all = await login('@reader', 'read')
    await all.subscribe(['callsign/v1/+/+/alert', 'callsign/v1/+/+/status'])
    const berlin = await login('berlin/@reader', 'read')
    await berlin.subscribe(['callsign/v1/berlin/+/alert'])
    await expect(berlin.subscribe(['callsign/v1/+/+/alert'])).rejects.toThrow('Not authorized')
    await expect(all.subscribe(['#'])).rejects.toThrow('Not authorized')
    await expect(all.alert({ id: 'forged' }, 1)).rejects.toThrow('Not authorized')
    const host = await login('lab/web-2', 'two', 'web-2')
    await host.alert({ id: 'read-along' }, 1)
    // Hosts of earlier tests may still be heard on a busy machine.
    const heard = await until('the alert', () =>
      all.received.find(({ topic, text }) => topic.endsWith('/alert') && /read-along/.test(text)),
    )
    expect(JSON.parse(heard.text)).toMatchObject({ id: 'read-along', host: 'web-2' })
    expect(berlin.received).toEqual([])
    await Promise.all([all.end(), berlin.end(), host.end()])
  })

  test('is guessed slowly', async () => {
    const began = performance.now()
    await expect(login('web-1', 'wrong')).rejects.toMatchObject({ code: 'ERR_PERMISSION' })
    expect(performance.now() - began).toBeGreaterThan(400)
    const right = performance.now()
    await (await login('web-1', 'one')).end()
    expect(performance.now() - right).toBeLessThan(400)
  })
})

test('an aggregator that is told to end does so under load, and receipts what it took', async () => {
  const running = await startRunning()
  const flood = await connectClient(running.brokerUrl, 'flood')
  await flood.subscribe([agentTopics('lab', 'flood').receipt])
  let sending = true
  let seq = 0
  const sent = (async () => {
    while (sending)
      await Promise.all(
        Array.from({ length: 64 }, () => flood.alert({ id: `f${++seq}` }, seq).catch(() => {})),
      )
  })()
  await until('some receipts', () => flood.received.length > 3)
  const began = performance.now()
  await running.close()
  expect(performance.now() - began).toBeLessThan(2_000)
  sending = false
  flood.destroy()
  await sent
})

test.each([
  ['a/b', 'a/b', true],
  ['a/+', 'a/b', true],
  ['a/+', 'a/b/c', false],
  ['a/#', 'a/b/c', true],
  ['+/+', 'a', false],
  ['a/b/c', 'a/b', false],
])('matches(%p, %p) is %p', (filter, topic, wanted) => expect(matches(filter, topic)).toBe(wanted))
