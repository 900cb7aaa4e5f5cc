/**
 * Bytes and floods of somebody who means harm; what counts is that the aggregator goes on serving
 * the others.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect } from 'node:net'
import fc from 'fast-check'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleAlert } from '../wire/samples.ts'
import { connectClient, type Running, startRunning, until } from './running.ts'

let running: Running
beforeAll(async () => {
  running = await startRunning()
})
afterAll(() => running.close())

/**
 * A whole session of MQTT 3.1.1: CONNECT with a will, SUBSCRIBE, PUBLISH at QoS 0, 1 and 2, PUBREL,
 * PING, UNSUBSCRIBE, DISCONNECT.
 */
function session(): Buffer {
  const text = (value: string | Uint8Array): Buffer => {
    const bytes = Buffer.from(value)
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
  }
  const packet = (type: number, ...parts: Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts)
    const head = [type]
    let left = body.length
    do {
      head.push((left & 127) | (left > 127 ? 128 : 0))
      left >>= 7
    } while (left > 0)
    return Buffer.concat([Buffer.from(head), body])
  }
  const { alert, receipt, status } = agentTopics('lab', 'fuzz')
  const payload = encodeAlert(sampleAlert, { site: 'lab', host: 'fuzz', boot: 1, seq: 1 })
  const id = (n: number) => Buffer.from([0, n])
  return Buffer.concat([
    packet(
      0x10,
      text('MQTT'),
      Buffer.from([4, 0x2e, 0, 9]),
      text('fuzz'),
      text(status),
      text('{}'),
    ),
    packet(0x82, id(1), text(receipt), Buffer.from([1])),
    packet(0x30, text(alert), payload),
    packet(0x32, text(alert), id(2), payload),
    packet(0x34, text(alert), id(3), payload),
    packet(0x62, id(3)),
    packet(0xc0),
    packet(0xa2, id(4), text(receipt)),
    packet(0xe0),
  ])
}

function throwAt(bytes: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(running.brokerUrl)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.end(bytes))
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.setTimeout(2_000, () => socket.destroy())
    socket.resume()
  })
}

async function expectService(id: string): Promise<void> {
  const client = await connectClient(running.brokerUrl, 'honest')
  await client.alert({ id }, 1)
  expect((await running.get(`/api/v1/alerts/${id}`)).status).toBe(200)
  await client.end()
}

test('a session with any byte wrong harms nobody else (property)', async () => {
  const whole = session()
  await throwAt(whole)
  const damage = fc.array(
    fc.record({
      at: fc.nat({ max: whole.length - 1 }),
      byte: fc.nat({ max: 255 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(damage, fc.nat({ max: whole.length }), async (changes, end) => {
      const bytes = Uint8Array.from(whole.subarray(0, end === 0 ? whole.length : end))
      for (const { at, byte } of changes) if (at < bytes.length) bytes[at] = byte
      await throwAt(bytes)
    }),
    { numRuns: 150, seed: 23 },
  )
  await expectService('after-damage')
}, 60_000)

test('a flood of one host does not keep the alert of another waiting for long', async () => {
  const flood = await connectClient(running.brokerUrl, 'flood')
  const sending = Promise.all(
    Array.from({ length: 3_000 }, (_, i) => flood.alert({ id: `f${i}` }, i + 1)),
  )
  const victim = await connectClient(running.brokerUrl, 'web-1')
  await victim.subscribe([agentTopics('lab', 'web-1').receipt])
  const began = await running.metric('callsign_messages_received_total{kind="alert"}')
  await victim.alert({ id: 'in-the-flood' }, 1)
  await until('the receipt', () => victim.received.length > 0)
  const then = await running.metric('callsign_messages_received_total{kind="alert"}')
  // It was its turn before the flood was over: fewer than all of it came in between.
  expect(then - began).toBeLessThan(3_000)
  await sending
  await flood.end()
  await victim.end()
}, 60_000)

test('of too many event streams the last are told to come back later', async () => {
  const stop = new AbortController()
  const answers = await Promise.all(
    Array.from({ length: 70 }, () => running.get('/api/v1/events', { signal: stop.signal })),
  )
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(64)
  expect(answers.find(({ status }) => status === 503)?.headers.get('retry-after')).toBe('10')
  stop.abort()
  await until('their end', async () => (await running.metric('callsign_event_streams')) === 0)
})
