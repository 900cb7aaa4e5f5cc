import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleSummary } from '../wire/samples.ts'
import { type Client, connectClient, type Running, startRunning, until } from './running.ts'

const web1 = agentTopics('lab', 'web-1')
let running: Running
beforeAll(async () => {
  running = await startRunning()
})
afterAll(() => running.close())

describe('embedded broker', () => {
  test('an alert is receipted after it is stored, and its PUBACK waits for that', async () => {
    const client = await connectClient(running.brokerUrl)
    await client.subscribe([web1.receipt])
    await client.alert({ id: 'first' }, 7)
    // The PUBACK has come: what the API gives now was there before it.
    const { items } = await running.json<{ items: { id: string }[] }>('/api/v1/alerts')
    expect(items.map(({ id }) => id)).toContain('first')
    await until('the receipt', () => client.received.length > 0)
    expect(client.received).toEqual([
      {
        topic: web1.receipt,
        text: '{"v":1,"site":"lab","host":"web-1","stored":[[1,7,7]]}',
        retain: false,
      },
    ])
    await client.end()
  })

  test('a repeat is receipted again and stored once', async () => {
    const client = await connectClient(running.brokerUrl, 'repeats')
    await client.subscribe([agentTopics('lab', 'repeats').receipt])
    for (let i = 0; i < 3; i++) await client.alert({ id: 'again' }, 1)
    await until('three receipts', () => client.received.length === 3)
    const { items } = await running.json<{ items: unknown[] }>('/api/v1/alerts?host=repeats')
    expect(items).toHaveLength(1)
    await client.end()
  })

  test('one receipt covers what was committed together', async () => {
    const client = await connectClient(running.brokerUrl, 'many')
    await client.subscribe([agentTopics('lab', 'many').receipt])
    await Promise.all(Array.from({ length: 200 }, (_, i) => client.alert({ id: `m${i}` }, i + 1)))
    const covered = () =>
      client.received
        .flatMap(({ text }) => JSON.parse(text).stored as [number, number, number][])
        .reduce((sum, [, from, to]) => sum + to - from + 1, 0)
    await until('all receipts', () => covered() === 200)
    expect(client.received.length).toBeLessThan(50)
    await client.end()
  })

  test('a site hears of its aggregator in the moment it first asks', async () => {
    const client = await connectClient(running.brokerUrl, 'web-1')
    await client.subscribe(['callsign/v1/never-heard-of/aggregator/status'])
    const first = await until('the announcement', () => client.received[0])
    expect(JSON.parse(first.text)).toMatchObject({ state: 'online', site: 'never-heard-of' })
    await client.end()
  })

  test('a host is online from its birth to its last will', async () => {
    const will = {
      topic: agentTopics('lab', 'mortal').status,
      payload: new TextEncoder().encode(
        JSON.stringify({
          v: 1,
          state: 'offline',
          site: 'lab',
          host: 'mortal',
          boot: 1,
          time: 1_700_000_000,
          version: '1.2.3',
          model: '',
          source: 'sysdig',
          reason: 'lost',
        }),
      ),
      contentType: 'application/json',
    }
    const state = async () => {
      const { items } = await running.json<{ items: { host: string; state: string }[] }>(
        '/api/v1/hosts',
      )
      return items.find(({ host }) => host === 'mortal')?.state
    }
    const client = await connectClient(running.brokerUrl, 'mortal', { will: () => will })
    await client.status()
    expect(await state()).toBe('online')
    client.destroy()
    await until('the last will', async () => (await state()) === 'offline')
  })

  test('a summary is shown as the processes of its host', async () => {
    const client = await connectClient(running.brokerUrl, 'summing')
    const origin = { site: 'lab', host: 'summing', boot: 1, seq: 1 }
    await client.publish(
      agentTopics('lab', 'summing').summary,
      encodeSummary(sampleSummary, origin),
    )
    const { items, summary } = await running.json<{
      items: { name: string; top: unknown[] }[]
      summary: { calls: number; processesOmitted: number }
    }>('/api/v1/hosts/summing/processes')
    expect(items.map(({ name }) => name)).toEqual(['nginx', 'systemd'])
    expect(items[0]!.top).toEqual([
      { syscall: 'epoll_wait', count: 8_000 },
      { syscall: 'read', count: 4_000 },
    ])
    expect(summary).toMatchObject({ calls: 12_400, processesOmitted: 3 })
    await client.end()
  })
})

describe('what a rogue client may not do', () => {
  const refusedBy = async (line: string, act: () => Promise<unknown>): Promise<void> => {
    const metric = `callsign_messages_refused_total{reason="${line}"}`
    const before = await running.metric(metric)
    await act().catch(() => {})
    await until(line, async () => (await running.metric(metric)) > before)
  }
  const rogue = (): Promise<Client> => connectClient(running.brokerUrl, 'rogue')

  test('publish a receipt for another host', async () => {
    const victim = await connectClient(running.brokerUrl)
    await victim.subscribe([web1.receipt])
    await refusedBy('forged-receipt', async () =>
      (await rogue()).publish(web1.receipt, Buffer.from('{"v":1,"stored":[[1,1,99]]}')),
    )
    await victim.alert({ id: 'after-forgery' }, 50)
    await until('the true receipt', () => victim.received.length > 0)
    expect(victim.received.map(({ text }) => text)).toEqual([
      '{"v":1,"site":"lab","host":"web-1","stored":[[1,50,50]]}',
    ])
    await victim.end()
  })

  test('say that the aggregator is offline', () =>
    refusedBy('forged-aggregator', async () =>
      (await rogue()).publish(web1.aggregatorStatus, Buffer.from('{}'), { retain: true }),
    ))

  test('leave such things as a last will', () =>
    refusedBy('forged-receipt', () =>
      connectClient(running.brokerUrl, 'rogue', {
        will: () => ({ topic: web1.receipt, payload: Buffer.from('{}'), contentType: '' }),
      }),
    ))

  for (const filter of [
    '#',
    'callsign/#',
    'callsign/v1/+/+/alert',
    'callsign/v1/lab/web-1/alert',
    '$SYS/#',
  ])
    test(`read along by ${filter}`, () =>
      refusedBy('wide-subscription', async () => (await rogue()).subscribe([filter])))

  test('publish where nothing is', () =>
    refusedBy('unknown-topic', async () =>
      (await rogue()).publish('callsign/v1/lab/web-1/alert/more', Buffer.from('{}')),
    ))

  test('have an alert retained', () =>
    refusedBy('not-to-be-retained', async () =>
      (await rogue()).publish(web1.alert, Buffer.from('{}'), { retain: true }),
    ))

  test('speak for another host', () =>
    refusedBy('host-mismatch', async () => {
      const origin = { site: 'lab', host: 'another', boot: 1, seq: 1 }
      await (await rogue()).publish(web1.summary, encodeSummary(sampleSummary, origin))
    }))

  for (const [what, reason, payload] of [
    ['no JSON', 'not-json', Buffer.from('not json {')],
    ['bytes that are no UTF-8', 'not-json', Buffer.from([0xff, 0xfe, 0x00])],
    ['JSON of another shape', 'not-an-object', Buffer.from('[1,2]')],
    ['an alert of another version', 'unknown-version', Buffer.from('{"v":9}')],
    ['nothing at all', 'not-json', Buffer.alloc(0)],
    ['a depth that breaks parsers', 'not-json', Buffer.from('['.repeat(5_000))],
    ['an alert that is too long', 'too-long', Buffer.alloc(9_000, 0x20)],
  ] as const)
    test(`send ${what}`, () =>
      refusedBy(reason, async () => (await rogue()).publish(web1.alert, payload)))

  test('send a summary that is no CBOR', () =>
    refusedBy('not-cbor', async () =>
      (await rogue()).publish(web1.summary, Buffer.from([0x9f, 0x9f, 0x9f, 0xff])),
    ))

  test('make the broker gather a packet of 200 MB', () =>
    refusedBy('packet-too-large', async () => {
      const socket = await openSocket(running.brokerUrl)
      socket.write(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x64, 0x00]))
      await new Promise((resolve) => socket.once('close', resolve))
    }))

  test('send noise', async () => {
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.alloc(4_096, 0xff),
      Buffer.from([0x10, 0x00]),
      Buffer.from([
        0x10, 0x0c, 0x00, 0x04, 0x4d, 0x51, 0x54, 0x54, 0x04, 0x02, 0x00, 0x0a, 0xff, 0xff,
      ]),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
    ]) {
      const socket = await openSocket(running.brokerUrl)
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.end(bytes)
      await closed
    }
    const client = await connectClient(running.brokerUrl)
    await client.alert({ id: 'after-noise' }, 60)
    expect((await running.get('/api/v1/alerts/after-noise')).status).toBe(200)
    await client.end()
  })

  test('come in ever so often under one name and be fatal', async () => {
    const first = await connectClient(running.brokerUrl, 'twin', { clientId: 'twin' })
    const second = await connectClient(running.brokerUrl, 'twin', { clientId: 'twin' })
    await first.closed
    await second.alert({ id: 'twin' }, 1)
    await second.end()
  })
})

test('an embedded broker with a password file lets each name act for its host only', async () => {
  const passwordFile = join(running.directory, 'agents')
  writeFileSync(
    passwordFile,
    `# agents\nweb-1:one\nlab/web-2:${await Bun.password.hash('two', 'bcrypt')}\nlab/*:all\n`,
  )
  chmodSync(passwordFile, 0o600)
  const closed = await startRunning({
    broker: { kind: 'embedded', host: '127.0.0.1', port: 0, passwordFile },
    site: 'lab',
  })
  const login = (username: string, password: string, host: string) =>
    connectClient(closed.brokerUrl, host, { username, password })
  await expect(login('web-1', 'wrong', 'web-1')).rejects.toMatchObject({ code: 'ERR_PERMISSION' })
  await expect(login('lab/web-2', 'wrong', 'web-2')).rejects.toMatchObject({
    code: 'ERR_PERMISSION',
  })
  await expect(login('nobody', 'one', 'web-1')).rejects.toMatchObject({ code: 'ERR_PERMISSION' })
  await expect(connectClient(closed.brokerUrl)).rejects.toMatchObject({ code: 'ERR_PERMISSION' })

  const web1 = await login('web-1', 'one', 'web-1')
  await web1.alert({ id: 'own' }, 1)
  const hashed = await login('lab/web-2', 'two', 'web-2')
  await hashed.alert({ id: 'hashed' }, 1)
  const all = await login('lab/*', 'all', 'web-9')
  await all.alert({ id: 'site' }, 1)
  await expect(hashed.subscribe([agentTopics('lab', 'web-1').receipt])).rejects.toThrow()
  const thief = await login('web-1', 'one', 'web-2')
  await expect(thief.alert({ id: 'stolen' }, 1)).rejects.toThrow()
  const { items } = await closed.json<{ items: { id: string }[] }>('/api/v1/alerts')
  expect(items.map(({ id }) => id).sort()).toEqual(['hashed', 'own', 'site'])
  await closed.close()
})

test('a name that is proven cannot be pushed out by another name with its client id', async () => {
  const passwordFile = join(running.directory, 'two')
  writeFileSync(passwordFile, 'web-1:one\nweb-2:two\n', { mode: 0o600 })
  const closed = await startRunning({
    broker: { kind: 'embedded', host: '127.0.0.1', port: 0, passwordFile },
    site: 'lab',
  })
  const clientId = 'cs-of-web-1'
  const first = await connectClient(closed.brokerUrl, 'web-1', {
    clientId,
    username: 'web-1',
    password: 'one',
  })
  await connectClient(closed.brokerUrl, 'web-2', { clientId, username: 'web-2', password: 'two' })
  await first.alert({ id: 'still-here' }, 1)
  expect((await closed.get('/api/v1/alerts/still-here')).status).toBe(200)
  await closed.close()
})

test('a port that is in use is said so, with the next step', async () => {
  const port = Number(new URL(running.brokerUrl).port)
  await expect(
    startRunning({ broker: { kind: 'embedded', host: '127.0.0.1', port } }),
  ).rejects.toMatchObject({
    code: 'ERR_CONFIG',
    message: `Cannot listen for MQTT at 127.0.0.1:${port}: the port is in use`,
  })
  const http = Number(new URL(running.url).port)
  await expect(startRunning({ http: { host: '127.0.0.1', port: http } })).rejects.toMatchObject({
    message: `Cannot listen for HTTP at 127.0.0.1:${http}: the port is in use`,
  })
})

test('listening to all the world without proof is refused, and warned of where it is allowed', async () => {
  const everywhere = { kind: 'embedded', host: '0.0.0.0', port: 0 } as const
  await expect(startRunning({ broker: everywhere })).rejects.toMatchObject({
    code: 'ERR_CONFIG',
    message: 'Cannot listen at --listen 0.0.0.0:0: without authentication anyone can connect',
  })
  await expect(startRunning({ http: { host: '::', port: 0 } })).rejects.toMatchObject({
    code: 'ERR_CONFIG',
  })
  const open = await startRunning({ broker: everywhere, allowAnonymous: true })
  expect(open.logged.join('')).toMatch(
    /warn {2}The broker can be reached from other hosts without TLS .* without a password/,
  )
  await open.close()
})

async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket))
    socket.on('error', reject)
    socket.on('error', () => {})
    socket.resume()
  })
}
