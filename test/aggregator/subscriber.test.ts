import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import type { StoreBounds, StoreChange } from '../../src/aggregator/store/store.ts'
import { Subscriber, type SubscriberOptions } from '../../src/aggregator/subscriber.ts'
import { openIdentity, signerOf } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { attachSignature, detachSignature } from '../../src/wire/signed.ts'
import { encodeAggregatorStatus } from '../../src/wire/status-message.ts'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { manualClock } from '../support/clock.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const AGGREGATOR = openIdentity('a'.repeat(64))

const directory = mkdtempSync(join(tmpdir(), 'subscriber-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
let files = 0

/** A subscriber whose commits are asked for, and a link that writes down what it was given. */
function start(options: Partial<SubscriberOptions> = {}, bounds: Partial<StoreBounds> = {}) {
  const store = new SqliteStore(join(directory, `${files++}.db`), bounds)
  const sent: string[] = []
  const signatures: (string | undefined)[] = []
  const announced: string[] = []
  const logged: string[] = []
  const changes: StoreChange[] = []
  const subscriber = new Subscriber({
    store,
    clock: manualClock(),
    signer: AGGREGATOR,
    log: createLog({ write: (line) => logged.push(line) }),
    onChange: (change) => changes.push(change),
    commitEveryMs: 2 ** 30,
    ...options,
  })
  subscriber.connect({
    publish: (topic, payload, signature) => {
      sent.push(`${topic} ${new TextDecoder().decode(payload)}`)
      signatures.push(signature)
    },
    announce: (site, again) => announced.push(again ? `${site} again` : site),
  })
  const settled: (string | undefined)[] = []
  const take = (topic: string, payload: Uint8Array, signature?: string): void =>
    subscriber.take({ topic, payload, signature }, (unsettled) => settled.push(unsettled))
  const alert = (seq: number, { host = 'a', id = `${seq}` } = {}): void =>
    take(
      `callsign/v1/lab/${host}/alert`,
      encodeAlert({ ...sampleAlert, id }, { site: 'lab', host, boot: 1, seq }),
    )
  const summary = (seq: number, { host = 'a' } = {}): void =>
    take(
      `callsign/v1/lab/${host}/summary`,
      encodeSummary(sampleSummary, { site: 'lab', host, boot: 1, seq }),
    )
  return {
    store,
    subscriber,
    sent,
    signatures,
    announced,
    logged,
    changes,
    settled,
    take,
    alert,
    summary,
  }
}

test('Subscriber.flush() sends receipts after the commit, one for each host', async () => {
  const { subscriber, sent, settled, changes, alert } = start()
  alert(1)
  alert(2)
  alert(9)
  alert(1, { host: 'b' })
  expect([sent, settled, changes]).toEqual([[], [], []])
  await subscriber.flush()
  expect(sent).toEqual([
    'callsign/v1/lab/a/receipt {"v":1,"site":"lab","host":"a","stored":[[1,1,2],[1,9,9]]}',
    'callsign/v1/lab/b/receipt {"v":1,"site":"lab","host":"b","stored":[[1,1,1]]}',
  ])
  expect(settled).toEqual([undefined, undefined, undefined, undefined])
  expect(changes).toHaveLength(4)
})

test('Subscriber.take() commits by itself when enough waits', async () => {
  const { subscriber, sent, alert } = start({ rowsMax: 3 })
  alert(1)
  alert(2)
  expect(sent).toHaveLength(0)
  alert(3)
  await subscriber.drain()
  expect(sent).toHaveLength(1)
})

test('Subscriber.take() commits by itself after a while', async () => {
  const done = Promise.withResolvers<void>()
  const { subscriber } = start({ commitEveryMs: 1, onChange: () => done.resolve() })
  const payload = encodeAlert(sampleAlert, { site: 'lab', host: 'a', boot: 1, seq: 1 })
  subscriber.take({ topic: 'callsign/v1/lab/a/alert', payload })
  await done.promise
})

test('a commit that fails is no receipt, is told once, and ends nothing', async () => {
  const { store, subscriber, sent, settled, logged, alert } = start({}, { pagesMax: 64 })
  let seq = 0
  while (subscriber.counts().failing === undefined && seq < 10_000) {
    for (let i = 0; i < 20; i++) alert(++seq)
    await subscriber.flush()
  }
  expect(subscriber.counts().failing).toMatch(/full/)
  const receipted = sent.length
  expect(settled.filter((error) => error !== undefined)).toHaveLength(20)
  for (let i = 0; i < 20; i++) alert(++seq)
  await subscriber.flush()
  expect(sent).toHaveLength(receipted)
  expect(logged).toHaveLength(1)
  expect(subscriber.counts().commitFailures).toBe(2)
  // What was stored before can still be read, and is exactly what was receipted.
  expect((await store.counts()).alerts.total).toBe(
    settled.filter((error) => error === undefined).length,
  )
})

test('Subscriber.take() refuses what would not fit into memory, and says so to the sender', async () => {
  const { subscriber, settled, alert } = start({ bytesMax: 2_000 })
  for (let seq = 1; seq <= 5; seq++) alert(seq)
  expect(settled.filter((unsettled) => unsettled === 'overloaded').length).toBeGreaterThan(0)
  expect(subscriber.counts().refused.get('overloaded')).toBe(settled.length)
  const { queuedBytes } = subscriber.counts()
  expect(queuedBytes).toBeLessThanOrEqual(2_000)
  await subscriber.flush()
  expect(subscriber.counts().queuedBytes).toBe(0)
})

test('Subscriber.take() refuses summaries while it still takes alerts, and commits alerts first', async () => {
  const { store, subscriber, sent, settled, alert, summary } = start({ bytesMax: 4_000 })
  const order: string[] = []
  const commit = store.commit.bind(store)
  store.commit = (batch, nowMs) => {
    order.push(...batch.map(({ kind }) => kind))
    return commit(batch, nowMs)
  }
  let seq = 0
  while (settled.length === 0) summary(++seq)
  expect(settled).toEqual(['overloaded'])
  alert(++seq)
  expect([...subscriber.counts().refused]).toEqual([['overloaded(summary)', 1]])
  await subscriber.flush()
  expect(order).toEqual(['alert', ...new Array(seq - 2).fill('summary')])
  expect(sent).toEqual([
    `callsign/v1/lab/a/receipt {"v":1,"site":"lab","host":"a","stored":[[1,1,${seq - 2}],[1,${seq},${seq}]]}`,
  ])
})

test('Subscriber.take() settles what it refuses at once: nobody has to wait for nothing', () => {
  const { subscriber, settled, take } = start()
  const noise = new TextEncoder().encode('noise')
  for (const topic of ['callsign/v1/lab/a/alert', 'elsewhere', 'callsign/v1/lab/a/receipt'])
    take(topic, noise)
  expect(settled).toEqual(['refused', 'refused', 'refused'])
  expect([...subscriber.counts().refused]).toEqual([
    ['not-json', 1],
    ['unknown-topic', 1],
    ['forged-receipt', 1],
  ])
})

test('Subscriber.take() refuses a boot counter beyond every clock: it would outdo the true host for good', () => {
  const { subscriber, settled, take } = start()
  const origin = { site: 'lab', host: 'a', boot: 2 ** 53 - 2, seq: 1 }
  take('callsign/v1/lab/a/alert', encodeAlert(sampleAlert, origin))
  expect(settled).toEqual(['refused'])
  expect([...subscriber.counts().refused]).toEqual([['boot-ahead', 1]])
})

test('Subscriber.take() answers the last will of another aggregator', () => {
  const { announced, take } = start()
  const status = { v: 1, site: 'lab', version: '1', time: 1 } as const
  take('callsign/v1/lab/aggregator/status', encodeAggregatorStatus({ ...status, state: 'online' }))
  expect(announced).toEqual([])
  take('callsign/v1/lab/aggregator/status', encodeAggregatorStatus({ ...status, state: 'offline' }))
  expect(announced).toEqual(['lab again'])
})

const HOST_KEY = openIdentity('b'.repeat(64))
const OTHER_KEY = openIdentity('c'.repeat(64))
const ofHost = (seq: number) =>
  encodeAlert({ ...sampleAlert, id: `${seq}` }, { site: 'lab', host: 'a', boot: 1, seq })

test('Subscriber signs receipts as the host signs: beside the payload, or in it for MQTT 3.1.1', async () => {
  const { subscriber, sent, signatures, take } = start()
  take('callsign/v1/lab/a/alert', ofHost(1), HOST_KEY.sign(ofHost(1)))
  await subscriber.flush()
  const receipt = Buffer.from(sent[0]!.split(' ')[1]!)
  expect(signerOf(receipt, signatures[0]!)).toBe(AGGREGATOR.publicKey)

  take('callsign/v1/lab/a/alert', attachSignature(ofHost(2), HOST_KEY.sign(ofHost(2))))
  await subscriber.flush()
  expect(signatures[1]).toBeUndefined()
  const { payload, signature } = detachSignature(Buffer.from(sent[1]!.split(' ')[1]!), undefined)
  expect(signerOf(payload, signature!)).toBe(AGGREGATOR.publicKey)
})

test('Subscriber refuses wrong signatures and other keys by reason, and gives no receipt for them', async () => {
  const { subscriber, sent, settled, logged, store, take } = start()
  const topic = 'callsign/v1/lab/a/alert'
  take(topic, ofHost(1), HOST_KEY.sign(ofHost(1)))
  take(topic, ofHost(2), HOST_KEY.sign(ofHost(3)))
  take(topic, ofHost(3), 'A'.repeat(128))
  await subscriber.flush()
  for (const seq of [4, 5]) take(topic, ofHost(seq), OTHER_KEY.sign(ofHost(seq)))
  take(topic, ofHost(6))
  await subscriber.flush()
  expect(subscriber.counts().refused).toEqual(
    new Map([
      ['bad-signature', 2],
      ['key-changed', 2],
      ['unsigned', 1],
    ]),
  )
  expect(settled).toEqual(['refused', 'refused', undefined, 'refused', 'refused', 'refused'])
  expect(sent).toHaveLength(1)
  expect((await store.counts()).alerts.total).toBe(1)
  // Each once, with the command that accepts the key.
  expect(logged).toHaveLength(2)
  expect(logged[0]).toContain(`agent aggregate accept lab/a ${OTHER_KEY.publicKey}`)
})

test('Subscriber with requireSignatures takes nothing unsigned', async () => {
  const { subscriber, alert, settled } = start({ requireSignatures: true })
  alert(1)
  await subscriber.flush()
  expect(settled).toEqual(['refused'])
  expect(subscriber.counts().refused.get('unsigned')).toBe(1)
})
