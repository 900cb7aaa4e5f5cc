import { afterEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { Alert } from '../../src/domain/alert.ts'
import { openIdentity } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import type { PublisherOptions } from '../../src/publish/publisher-options.ts'
import { decodeAlert, encodeAlert } from '../../src/wire/alert-message.ts'
import { encodeReceipts } from '../../src/wire/receipt-message.ts'
import type { Signer } from '../../src/wire/signed.ts'
import { decodeStatus, encodeAggregatorStatus } from '../../src/wire/status-message.ts'
import { decodeSummary } from '../../src/wire/summary-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { type AedesBroker, freePort, startAedes, startRawServer } from '../support/brokers.ts'
import { manualClock } from '../support/clock.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const directory = temporaryDirectories()
const topics = agentTopics('lab', 'web-1')
const alert = (id: string): Alert => ({ ...sampleAlert, id })

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function broker(port = 0): Promise<AedesBroker> {
  const started = await startAedes(port)
  ends.push(() => started.close())
  return started
}

function publisher(url: string, options: Partial<PublisherOptions> = {}) {
  const lines: string[] = []
  const log = createLog({ write: (line) => lines.push(line) })
  const outbox =
    options.outbox ??
    Outbox.open(join(directory(), 'outbox.db'), { site: 'lab', host: 'web-1', log })
  const publisher = new Publisher({
    broker: parseBrokerUrl(url),
    site: 'lab',
    host: 'web-1',
    outbox,
    presence: { version: '1.2.3', model: 'sha256:0', source: 'sysdig' },
    log,
    settleMs: 50,
    reconnectMs: [10, 50],
    refusedMs: [20, 50],
    ...options,
  })
  ends.push(async () => {
    await publisher.end(0)
    outbox.close()
  })
  return { publisher, outbox, lines }
}

const announce = (aedes: AedesBroker, state: 'online' | 'offline' = 'online') =>
  aedes.publish(
    topics.aggregatorStatus,
    encodeAggregatorStatus({ v: 1, state, site: 'lab', version: '1', time: 1 }),
    true,
  )

function statuses(aedes: AedesBroker) {
  return aedes.published
    .filter(({ topic }) => topic === topics.status)
    .map(({ payload, retain }) => {
      const decoded = decodeStatus(payload)
      if (!decoded.ok) throw new Error(decoded.reason)
      return { ...decoded.value, retain }
    })
}

/** What an aggregator would have stored: numbers of alerts in the order they came. */
function alertsAt(aedes: AedesBroker) {
  return aedes.published
    .filter(({ topic }) => topic === topics.alert)
    .map(({ payload }) => {
      const decoded = decodeAlert(payload)
      if (!decoded.ok) throw new Error(decoded.reason)
      return decoded.value
    })
}

async function giveReceipts(aedes: AedesBroker) {
  for (const payload of encodeReceipts({ site: 'lab', host: 'web-1' }, alertsAt(aedes)))
    await aedes.publish(topics.receipt, payload)
}

describe('Publisher', () => {
  test('says that it is there, sends alerts before summaries, and says offline status', async () => {
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url)
    outbox.put([], sampleSummary)
    outbox.put([alert('a'), alert('b')])
    one.start()
    expect(await one.drain(10_000)).toBe(true)
    expect(await one.end(1_000)).toBe(true)
    expect(aedes.published.map(({ topic }) => topic)).toEqual([
      topics.status,
      topics.alert,
      topics.alert,
      topics.summary,
      topics.status,
    ])
    expect(statuses(aedes)).toMatchObject([
      { state: 'online', retain: true, boot: outbox.boot, version: '1.2.3', source: 'sysdig' },
      { state: 'offline', retain: true, reason: 'ended' },
    ])
    expect(decodeSummary(aedes.published[3]!.payload)).toMatchObject({
      ok: true,
      value: { seq: 1 },
    })
    expect(outbox.ledger()).toMatchObject({ created: 3, acknowledged: 3, queued: 0 })
    expect(one.state()).toMatchObject({
      connection: 'ended',
      aggregator: 'unknown',
      delivery: 'broker',
    })
  })

  test('announce() tells of another model', async () => {
    const aedes = await broker()
    const { publisher: one } = publisher(aedes.url)
    one.start()
    await until('birth', () => statuses(aedes).length === 1)
    one.announce({ model: 'sha256:1' })
    await until('the news', () => statuses(aedes).at(-1)?.model === 'sha256:1')
  })

  test('announce() while the first status is under way is told after it', async () => {
    const aedes = await broker()
    const identity = openIdentity('a'.repeat(64))
    let isFirst = true
    const signer: Signer = {
      sign: (payload) => {
        // As a retained document of the fleet does, which comes with the subscription.
        const said = decodeStatus(payload)
        if (isFirst && said.ok && said.value.state === 'online') {
          isFirst = false
          one.announce({ model: 'sha256:1' })
        }
        return identity.sign(payload)
      },
    }
    const { publisher: one } = publisher(aedes.url, { signer })
    one.start()
    await until('the news', () => statuses(aedes).at(-1)?.model === 'sha256:1')
    expect(statuses(aedes).map(({ model }) => model)).toEqual(['sha256:0', 'sha256:1'])
  })

  test('counts each document of the fleet that it refuses, and tells why once', async () => {
    const aedes = await broker()
    const fleet = { policy: () => undefined }
    const { publisher: one, lines } = publisher(aedes.url, { fleet })
    one.start()
    await until('the connection', () => one.state().connection === 'connected')
    for (let i = 0; i < 20; i++) aedes.publish(topics.fleetPolicy, Buffer.from(`{"v":${i}}`), false)
    await until('all of them', () => one.state().ignored['policy: unsigned'] === 20)
    expect(lines.filter((line) => line.includes('is not used'))).toHaveLength(1)
  })

  test('publishes its status again, so that a late will does not stay; each connection has a number', async () => {
    const aedes = await broker()
    const { publisher: one } = publisher(aedes.url, { statusEveryMs: 30, reconnectMs: [1, 2] })
    one.start()
    await until('it says so again', () => statuses(aedes).length >= 3)
    const [first] = statuses(aedes)
    expect(first!.state).toBe('online')
    expect(first!.session).toBeGreaterThan(0)
    expect(new Set(statuses(aedes).map(({ session }) => session)).size).toBe(1)
    let will: { session?: number } | undefined
    aedes.aedes.on('publish', ({ topic, payload }) => {
      const said = topic === topics.status ? JSON.parse(payload.toString()) : {}
      if (said.state === 'offline') will = said
    })
    aedes.dropAll()
    await until('the will', () => will)
    expect(will!.session).toBe(first!.session!)
    await until('the next connection', () => statuses(aedes).at(-1)!.session! > first!.session!)
  })

  test('leaves a last will that the broker sends when the connection breaks', async () => {
    const aedes = await broker()
    const { publisher: one } = publisher(aedes.url, { reconnectMs: [60_000, 60_000] })
    one.start()
    await until('birth', () => statuses(aedes).length === 1)
    let will: unknown
    aedes.aedes.on('publish', ({ topic, payload, retain }, client) => {
      if (topic === topics.status) will = { retain, client, ...JSON.parse(payload.toString()) }
    })
    aedes.dropAll()
    await until('the will', () => will)
    expect(will).toMatchObject({ state: 'offline', reason: 'lost', retain: true })
  })
})

describe('Publisher and receipts', () => {
  test('lets go at the receipt, and not before, where an aggregator is known', async () => {
    const aedes = await broker()
    await announce(aedes)
    const { publisher: one, outbox } = publisher(aedes.url, { resendAfterMs: 60_000 })
    outbox.put([alert('a'), alert('b'), alert('c')])
    one.start()
    await until('all three', () => alertsAt(aedes).length === 3)
    expect(one.state()).toMatchObject({ aggregator: 'online', delivery: 'receipt' })
    expect(await one.drain(200)).toBe(false)
    expect(outbox.queued).toBe(3)
    await giveReceipts(aedes)
    expect(await one.drain(10_000)).toBe(true)
    expect(one.state().sentAgain).toBe(0)
    expect(one.state().lastAcknowledgedMs).toBeGreaterThan(0)
  })

  test('remembers the aggregator over a restart, though it is away and its word is gone', async () => {
    const path = join(directory(), 'outbox.db')
    const log = createLog({ write: () => {} })
    const before = Outbox.open(path, { site: 'lab', host: 'web-1', log })
    before.noteAggregator()
    before.close()
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url, {
      outbox: Outbox.open(path, { site: 'lab', host: 'web-1', log }),
    })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length === 1)
    expect(await one.drain(200)).toBe(false)
  })

  test('waits with a PUBACK until an aggregator had time to show up', async () => {
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url, { settleMs: 60_000 })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length === 1)
    expect(await one.drain(200)).toBe(false)
    await announce(aedes)
    await until('the announcement', () => one.state().delivery === 'receipt')
    await giveReceipts(aedes)
    expect(await one.drain(10_000)).toBe(true)
  })

  test('takes the word of the broker where told to, whatever aggregators say', async () => {
    const aedes = await broker()
    await announce(aedes)
    const { publisher: one, outbox } = publisher(aedes.url, {
      delivery: 'broker',
      settleMs: 60_000,
    })
    outbox.put([alert('a')])
    one.start()
    expect(await one.drain(10_000)).toBe(true)
  })

  test('holds to receipts where told to, though nobody ever announced an aggregator', async () => {
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url, { delivery: 'receipt' })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length > 0)
    expect(await one.drain(200)).toBe(false)
  })

  test('sends again what is not receipted, at waits that double', async () => {
    const aedes = await broker()
    await announce(aedes)
    const { publisher: one, outbox } = publisher(aedes.url, { resendAfterMs: 10 })
    outbox.put([alert('a')])
    one.start()
    await until('five times the same', () => alertsAt(aedes).length >= 5)
    expect(new Set(alertsAt(aedes).map(({ boot, seq }) => `${boot}-${seq}`)).size).toBe(1)
    expect(one.state().sentAgain).toBeGreaterThanOrEqual(4)
    expect(one.state().sent).toBe(1)
  })

  test('each wait is twice the one before', async () => {
    const aedes = await broker()
    await announce(aedes)
    const clock = manualClock()
    const { publisher: one, outbox } = publisher(aedes.url, { clock, resendAfterMs: 1_000 })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length === 1)
    const again: number[] = []
    for (let second = 1; second <= 16; second++) {
      clock.advance(1_000)
      // Another message makes it look at the clock; when that has come, so has what was due before
      // it.
      outbox.put([alert(`look-${second}`)])
      await until('the other', () => alertsAt(aedes).some(({ id }) => id === `look-${second}`))
      const count = alertsAt(aedes).filter(({ id }) => id === 'a').length
      while (again.length < count - 1) again.push(second)
    }
    // Sent at 0; then after 1, 2, 4 and 8 more.
    expect(again).toEqual([1, 3, 7, 15])
  })

  test('does not send again to an aggregator that is offline, and does when it is back', async () => {
    const aedes = await broker()
    await announce(aedes, 'offline')
    const { publisher: one, outbox } = publisher(aedes.url, { resendAfterMs: 10 })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length === 1)
    expect(await one.drain(150)).toBe(false)
    expect(alertsAt(aedes)).toHaveLength(1)
    await announce(aedes)
    await until('the alert again', () => alertsAt(aedes).length > 1)
    await giveReceipts(aedes)
    expect(await one.drain(10_000)).toBe(true)
  })

  test('goes on to the other subscribers while no aggregator is there, and sends all again when one is', async () => {
    const aedes = await broker()
    await announce(aedes, 'offline')
    const { publisher: one, outbox } = publisher(aedes.url, { inFlightMax: 8 })
    one.start()
    for (let i = 0; i < 100; i++) outbox.put([alert(`a${i}`)])
    const heard = () => new Set(alertsAt(aedes).map(({ id }) => id)).size
    await until('all alerts at the broker', () => heard() === 100)
    expect(outbox.queued).toBe(100)
    const sent = alertsAt(aedes).length
    await announce(aedes)
    await until('all of them again, as far as receipts come', async () => {
      await giveReceipts(aedes)
      return outbox.queued === 0
    })
    expect(alertsAt(aedes).length).toBeGreaterThan(sent)
  })

  test('has no more under way than its window', async () => {
    const aedes = await broker()
    await announce(aedes)
    const { publisher: one, outbox } = publisher(aedes.url, {
      inFlightMax: 4,
      resendAfterMs: 60_000,
    })
    outbox.put(Array.from({ length: 10 }, (_, n) => alert(`alert-${n}`)))
    one.start()
    await until('the window', () => alertsAt(aedes).length === 4)
    expect(await one.drain(100)).toBe(false)
    expect(alertsAt(aedes)).toHaveLength(4)
    expect(one.state().inFlight).toBe(4)
    await giveReceipts(aedes)
    await until('the next four', () => alertsAt(aedes).length === 8)
    await giveReceipts(aedes)
    await until('the rest', () => alertsAt(aedes).length === 10)
    await giveReceipts(aedes)
    expect(await one.drain(10_000)).toBe(true)
  })

  test('spends no more bytes than a day has, and says that rows wait', async () => {
    const aedes = await broker()
    const origin = { site: 'lab', host: 'web-1', boot: 1, seq: 1 }
    // Five, with what a message costs beside its payload, and no sixth.
    const bytesPerDayMax = 5.5 * (encodeAlert(alert('alert-10'), origin).byteLength + 456)
    const { publisher: one, outbox } = publisher(aedes.url, { bytesPerDayMax })
    outbox.put(Array.from({ length: 20 }, (_, n) => alert(`alert-${n}`)))
    one.start()
    await until('the bound', () => one.state().throttled)
    expect(one.state().bytesToday).toBeLessThanOrEqual(bytesPerDayMax)
    await until('what was allowed', () => outbox.ledger().acknowledged === 5)
    expect(outbox.queued).toBe(15)
  })
})

describe('Publisher and brokers that are away', () => {
  test('waits, and delivers everything once the broker is there', async () => {
    const port = await freePort()
    const { publisher: one, outbox, lines } = publisher(`mqtt://127.0.0.1:${port}`)
    one.start()
    outbox.put([alert('a')])
    await until('an error', () => one.state().lastError)
    expect(one.state().lastError).toContain(`Cannot reach broker "mqtt://127.0.0.1:${port}"`)
    expect(one.state().connection).toMatch(/waiting|connecting/)
    const aedes = await broker(port)
    expect(await one.drain(10_000)).toBe(true)
    expect(alertsAt(aedes)).toHaveLength(1)
    expect(one.state().lastError).toBeUndefined()
    // Said once, not at every attempt.
    expect(lines.filter((line) => line.includes('Cannot reach broker')).length).toBe(1)
  })

  test('a new row is no new attempt while it waits', async () => {
    let connections = 0
    const server = await startRawServer((socket) => {
      connections++
      socket.destroy()
    })
    ends.push(() => server.close())
    const { publisher: one, outbox } = publisher(server.url, { reconnectMs: [60_000, 60_000] })
    one.start()
    await until('the first attempts', () => one.state().connection === 'waiting')
    const before = connections
    for (let n = 0; n < 50; n++) outbox.put([alert(`alert-${n}`)])
    // A turn of the event loop is all that an attempt would need.
    await new Promise((resolve) => setImmediate(resolve))
    expect(one.state().connection).toBe('waiting')
    expect(connections).toBe(before)
  })

  test('takes up where it was after each broken connection, and each alert arrives', async () => {
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url, { settleMs: 1 })
    one.start()
    for (let round = 0; round < 5; round++) {
      outbox.put(Array.from({ length: 20 }, (_, n) => alert(`alert-${round}-${n}`)))
      await until('some of them', () =>
        alertsAt(aedes).some(({ id }) => id.startsWith(`alert-${round}-`)),
      )
      aedes.dropAll()
    }
    expect(await one.drain(10_000)).toBe(true)
    expect(new Set(alertsAt(aedes).map(({ id }) => id)).size).toBe(100)
    expect(outbox.ledger()).toMatchObject({ created: 100, acknowledged: 100 })
  })

  test('end() gives up at its deadline, and keeps what has not arrived', async () => {
    const { publisher: one, outbox } = publisher(`mqtt://127.0.0.1:${await freePort()}`)
    outbox.put([alert('a')])
    one.start()
    expect(await one.end(100)).toBe(false)
    expect(outbox.queued).toBe(1)
  })

  test('says that the broker refuses it, and tries again slowly', async () => {
    const aedes = await broker()
    let attempts = 0
    aedes.aedes.authenticate = (_client, name, password, done) => {
      attempts++
      const welcome = name === 'web-1' && password?.toString() === 'secret'
      if (welcome) done(null, true)
      else done(Object.assign(new Error('No'), { returnCode: 4 }), null)
    }
    const wrong = publisher(aedes.url, { username: 'web-1', password: 'guess' })
    wrong.outbox.put([alert('a')])
    wrong.publisher.start()
    await until('the refusal', () => wrong.publisher.state().connection === 'refused')
    expect(wrong.publisher.state().lastError).toBe(
      `Cannot use broker "${aedes.url}": Connection refused: Bad username or password`,
    )
    const before = attempts
    await until('another attempt', () => attempts > before)
    expect(wrong.outbox.queued).toBe(1)
    expect(JSON.stringify(wrong.publisher.state())).not.toContain('guess')
    expect(wrong.lines.join()).not.toContain('guess')
    const right = publisher(aedes.url, { username: 'web-1', password: 'secret' })
    right.outbox.put([alert('b')])
    right.publisher.start()
    expect(await right.publisher.drain(10_000)).toBe(true)
  })
})

describe('Publisher and hostile brokers', () => {
  test('ignores junk on its topics, counted by reason, and goes on', async () => {
    const aedes = await broker()
    await announce(aedes)
    const { publisher: one, outbox } = publisher(aedes.url, { resendAfterMs: 60_000 })
    outbox.put([alert('a')])
    one.start()
    await until('the alert', () => alertsAt(aedes).length === 1)
    await aedes.publish(topics.receipt, 'junk')
    await aedes.publish(topics.receipt, '{"v":1,"stored":[["x",1,2]]}')
    await aedes.publish(topics.receipt, JSON.stringify({ v: 1, stored: [[outbox.boot, 5, 9]] }))
    await aedes.publish(topics.receipt, new Uint8Array(200_000))
    await aedes.publish(topics.aggregatorStatus, 'junk')
    await aedes.publish(
      topics.aggregatorStatus,
      encodeAggregatorStatus({ v: 1, state: 'offline', site: 'elsewhere', version: '', time: 1 }),
    )
    await until(
      'all six',
      () => Object.values(one.state().ignored).reduce((a, b) => a + b, 0) === 6,
    )
    expect(one.state().ignored).toEqual({
      'receipt: not-json': 1,
      'receipt: bad-field(stored)': 1,
      'receipt-for-nothing': 1,
      'receipt: too-long': 1,
      'aggregator: not-json': 1,
      'aggregator: other-site': 1,
    })
    expect(outbox.queued).toBe(1)
    await giveReceipts(aedes)
    expect(await one.drain(10_000)).toBe(true)
  })

  test('leaves a broker that floods it, and comes back', async () => {
    const aedes = await broker()
    const { publisher: one, outbox } = publisher(aedes.url)
    one.start()
    await until('the birth', () => statuses(aedes).length === 1)
    for (let n = 0; n < 5_000; n++) void aedes.publish(topics.receipt, 'junk').catch(() => {})
    await until('the end of it', () => statuses(aedes).length > 1)
    outbox.put([alert('a')])
    expect(await one.drain(10_000)).toBe(true)
  })

  /** CONNACK of MQTT 3.1.1: accepted. */
  const welcome = Uint8Array.of(0x20, 2, 0, 0)
  test.each([
    ['announces a packet of 256 MB', Uint8Array.of(...welcome, 0x30, 0xff, 0xff, 0xff, 0x7f)],
    ['sends a length without end', Uint8Array.of(...welcome, 0x30, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['sends a packet of no known kind', Uint8Array.of(...welcome, 0x00, 0x00)],
    [
      'sends a publish whose topic is longer than itself',
      Uint8Array.of(...welcome, 0x30, 3, 0xff, 0xff, 0x61),
    ],
    ['welcomes twice', Uint8Array.of(...welcome, ...welcome)],
    ['speaks HTTP', new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['speaks TLS', Uint8Array.of(0x15, 3, 1, 0, 2, 2, 10)],
  ])('survives a server that %s', async (_, bytes) => {
    let connections = 0
    const server = await startRawServer((socket) => {
      connections++
      socket.once('data', () => socket.write(bytes))
    })
    ends.push(() => server.close())
    const { publisher: one, outbox } = publisher(server.url, { connectTimeoutMs: 100 })
    outbox.put([alert('a')])
    one.start()
    await until('a second attempt', () => connections >= 3)
    expect(one.state().lastError).toBeDefined()
    expect(outbox.queued).toBe(1)
  })

  test('says that another client took its place, where the broker does', async () => {
    const server = await startRawServer((socket) => {
      const takenOver = Uint8Array.of(0xe0, 2, 0x8e, 0)
      socket.once('data', () => socket.end(Uint8Array.of(0x20, 3, 0, 0, 0, ...takenOver)))
    })
    ends.push(() => server.close())
    const { publisher: one } = publisher(server.url)
    one.start()
    await until('the reason', () => one.state().lastError?.includes('a second agent for this host'))
  })

  test('survives random bytes', async () => {
    let connections = 0
    const server = await startRawServer((socket) => {
      connections++
      socket.once('data', () => {
        socket.write(connections % 2 === 0 ? welcome : new Uint8Array(0))
        socket.write(crypto.getRandomValues(new Uint8Array(2_000)))
      })
    })
    ends.push(() => server.close())
    const { publisher: one } = publisher(server.url, { connectTimeoutMs: 50, reconnectMs: [1, 2] })
    one.start()
    await until('forty attempts', () => connections >= 40)
    expect(['connecting', 'waiting', 'connected', 'refused']).toContain(one.state().connection)
  })

  test('leaves a server that never answers', async () => {
    let connections = 0
    const server = await startRawServer(() => {
      connections++
    })
    ends.push(() => server.close())
    const { publisher: one } = publisher(server.url, { connectTimeoutMs: 50 })
    one.start()
    await until('another attempt', () => connections >= 2)
    await until('the reason', () => one.state().lastError?.includes('no answer in 50 ms'))
  })

  test('leaves a broker that welcomes it and then never answers', async () => {
    let connections = 0
    const server = await startRawServer((socket) => {
      connections++
      socket.once('data', () => socket.write(Uint8Array.of(0x20, 3, 0, 0, 0)))
    })
    ends.push(() => server.close())
    const { publisher: one } = publisher(server.url, { connectTimeoutMs: 50 })
    one.start()
    await until('another attempt', () => connections >= 3)
  })
})
