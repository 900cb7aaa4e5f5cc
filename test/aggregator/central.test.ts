/** Hosts without a model: their vectors are classified by the aggregator. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { runAgent } from '../../src/agent/run.ts'
import { openFiles } from '../../src/agent/sources.ts'
import { openSender } from '../../src/agent/vectors-sender.ts'
import { Central } from '../../src/aggregator/central/central.ts'
import { isInPartition, parsePartition } from '../../src/aggregator/central/partition.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import { defined } from '../../src/domain/defined.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { loadModel, type Model } from '../../src/model/model.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { createLog } from '../../src/platform/log.ts'
import type { Unsettled } from '../../src/platform/mqtt/broker-options.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { encodeVectors } from '../../src/wire/vectors-message.ts'
import { LAB, labFrames, openTestAgent, recordingOutput } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { connectClient, type Running, sampleStatus, startRunning, until } from './running.ts'

const temporaryDirectory = temporaryDirectories()
const stores: SqliteStore[] = []
const running: Running[] = []
let model: Model
let frames: Frame[]

beforeAll(async () => {
  model = await loadModel('models/default')
  frames = await labFrames()
}, 120_000)
afterEach(async () => {
  for (const one of running.splice(0)) await one.close()
  for (const store of stores.splice(0)) await store.close()
})
afterAll(() => model.close())

const classify = () => ({ model, falseAlertsPerDay: 1, learnSeconds: 0, every: 1 })

function openStore(path = join(temporaryDirectory(), 'store.db'), pagesMax?: number): SqliteStore {
  const store = new SqliteStore(path, pagesMax === undefined ? {} : { pagesMax })
  stores.push(store)
  return store
}

function openCentral(store: SqliteStore, refused: string[] = []): Central {
  return new Central(classify(), {
    ...{ store, clock: systemClock, log: createLog({ write: () => {} }), onChange: () => {} },
    onRefused: (reason) => void refused.push(reason),
  })
}

/** The recording as messages of ten seconds. */
function messages(host = 'h', boot = 1): Uint8Array[] {
  return Array.from({ length: Math.ceil(frames.length / 10) }, (_, i) => {
    const origin = { site: 's', host, boot, seq: i + 1 }
    return encodeVectors(frames.slice(10 * i, 10 * i + 10), origin).payload
  })
}

/** Resolves with what became of them. */
function send(
  central: Central,
  payloads: readonly Uint8Array[],
  host = 'h',
  key?: string,
): Promise<(Unsettled | undefined)[]> {
  return Promise.all(
    payloads.map(
      (payload) =>
        new Promise<Unsettled | undefined>((resolve) => {
          central.take({ site: 's', host, payload, ...defined({ key }) }, resolve)
        }),
    ),
  )
}

async function stored(store: Pick<SqliteStore, 'alerts'>, host = 'h'): Promise<AlertMessage[]> {
  const { items = [], bodies } = (await store.alerts({ limit: 100, host })) as never
  return ((bodies ?? items) as string[]).map((body) => JSON.parse(body))
}

/** What an agent with the model says of the recording: id, kind and name of each alert. */
async function causesAtTheEdge(): Promise<string[]> {
  const told: AlertMessage[] = []
  const options = { resume: false, secretIds: false, outputs: [recordingOutput(told)] }
  const agent = openTestAgent(model, temporaryDirectory(), options)
  await runAgent(agent, openFiles([LAB], {}), {}, new AbortController().signal)
  await agent.close()
  return causes(told)
}

function causes(alerts: readonly AlertMessage[]): string[] {
  return [...new Set(alerts.map(({ id, kind, process }) => `${id} ${kind} ${process.name}`))].sort()
}

describe('aggregate --classify', () => {
  test('stores the alerts that the edge would have raised, of a host that sends vectors', async () => {
    const aggregator = await startRunning({ classify: classify() })
    running.push(aggregator)
    const sender = openSender({
      settings: { ...senderSettings(), broker: aggregator.brokerUrl },
      source: { name: 'file', why: 'test' },
      counter: {},
      clock: systemClock,
    })
    const outcome = await sender.run(openFiles([LAB], {}), {}, new AbortController().signal)
    sender.close()
    expect(outcome.arrived).toBe(true)
    expect(outcome.status.vectors).toMatchObject({
      ...{ created: frames.length, sent: frames.length, queued: 0, dropped: 0 },
    })
    expect(causes(await stored(aggregator.store))).toEqual(await causesAtTheEdge())
    expect(await aggregator.metric('callsign_classify_hosts')).toBe(1)
    // Numbers of alerts that were raised elsewhere are not receipted to the host.
    const [host] = (await aggregator.json<{ items: object[] }>('/api/v1/hosts')).items
    expect(host).toMatchObject({ host: 'h', model: '' })
  })

  test('goes on after a restart: nothing is opened twice, the memory is kept', async () => {
    const store = openStore()
    const all = messages()
    const first = openCentral(store)
    await send(first, all.slice(0, 7))
    await first.close()
    const before = await stored(store)
    const second = openCentral(store)
    await send(second, all.slice(7))
    await second.close()
    expect(causes(await stored(store))).toEqual(await causesAtTheEdge())
    expect(before.length).toBeGreaterThan(0)
    const missing = second.status().missing
    expect(missing).toBe(0)
    // One alert is one alert: it was opened once.
    for (const { id } of before) {
      const found = await store.alert(id)
      expect(found!.history.filter(({ state }) => state === 'open')).toHaveLength(1)
    }
  })

  test('a message that comes again changes nothing, and a lost one is a gap', async () => {
    const store = openStore()
    const central = openCentral(store)
    const all = messages()
    await send(central, [...all.slice(0, 3), ...all.slice(0, 3), all[4]!])
    expect(central.status()).toMatchObject({ messages: 4, repeats: 3, missing: 10 })
    await central.close()
  })

  test('an earlier boot is a repeat, a later one goes on', async () => {
    const central = openCentral(openStore())
    const [one, two] = messages('h', 5)
    await send(central, [one!, messages('h', 4)[1]!, messages('h', 6)[1]!, two!])
    expect(central.status()).toMatchObject({ messages: 2, repeats: 2 })
    await central.close()
  })

  test('refuses what is not whole or not its host, by reason', async () => {
    const refused: string[] = []
    const central = openCentral(openStore(), refused)
    const [payload] = messages()
    const cut = payload!.slice(0, payload!.length - 9)
    expect(await send(central, [cut])).toEqual(['refused'])
    expect(await send(central, [payload!], 'another')).toEqual(['refused'])
    const ahead = encodeVectors(frames.slice(0, 3), {
      ...{ site: 's', host: 'h', seq: 1 },
      boot: Date.now() + 500 * 86_400_000,
    })
    expect(await send(central, [ahead.payload])).toEqual(['refused'])
    expect(refused).toEqual(['not-cbor', 'host-mismatch', 'boot-ahead'])
    await central.close()
  })

  test('refuses vectors that another key than the host’s has signed, and takes an accepted one', async () => {
    const [store, refused] = [openStore(), [] as string[]]
    const central = openCentral(store, refused)
    const [first, second, third, fourth] = messages().map((one) => [one])
    const status = (key: string) =>
      store.commit(
        [{ kind: 'status', message: { ...sampleStatus, site: 's', host: 'h' }, key }],
        1_000,
      )
    await status('k'.repeat(43))
    expect(await send(central, first!, 'h', 'k'.repeat(43))).toEqual([undefined])
    expect(await send(central, second!, 'h', 'f'.repeat(43))).toEqual(['refused'])
    expect(await send(central, second!, 'h')).toEqual(['refused'])
    expect(refused).toEqual(['key-changed', 'unsigned'])
    expect(central.status().messages).toBe(1)
    expect(await send(central, third!, 'h', 'k'.repeat(43))).toEqual([undefined])
    await store.acceptKey({ site: 's', host: 'h' }, 'n'.repeat(43))
    await status('n'.repeat(43))
    expect(await send(central, fourth!, 'h', 'n'.repeat(43))).toEqual([undefined])
    await central.close()
  }, 60_000)

  test('bounds what one host may keep waiting', async () => {
    const refused: string[] = []
    const central = openCentral(openStore(), refused)
    const many = Array.from({ length: 70 }, (_, i) => {
      const origin = { site: 's', host: 'h', boot: 1, seq: i + 1 }
      return encodeVectors([{ ...frames[0]!, index: 1_000 + i }], origin).payload
    })
    const outcomes = await send(central, many)
    expect(outcomes.filter((one) => one === 'overloaded')).toHaveLength(10)
    expect(refused).toEqual(Array.from({ length: 10 }, () => 'overloaded(vectors)'))
    await central.close()
  })

  test('a store that takes nothing loses nothing: what was not stored is classified again', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'store.db')
    await openStore(path).close()
    stores.length = 0
    const full = openStore(path, 1)
    const first = openCentral(full)
    const taken = send(first, messages())
    await until('the store is asked', () => first.status().messages > 0)
    await first.close()
    expect(await taken).toContain('not-stored')
    await full.close()
    stores.length = 0
    const store = openStore(path)
    const second = openCentral(store)
    await send(second, messages())
    await second.close()
    expect(causes(await stored(store))).toEqual(await causesAtTheEdge())
  })

  test('without --classify vectors are refused, and that is counted', async () => {
    const aggregator = await startRunning()
    running.push(aggregator)
    const client = await connectClient(aggregator.brokerUrl, 'h')
    const topic = agentTopics('s', 'h').vectors
    await client.publish(topic, messages()[0]!, {}).catch(() => {})
    const line = 'callsign_messages_refused_total{reason="vectors-not-classified"}'
    await until('it is counted', async () => (await aggregator.metric(line)) === 1)
    await client.end()
  })
})

describe('parsePartition()', () => {
  test('every host belongs to exactly one of the instances', () => {
    const parts = ['1/3', '2/3', '3/3'].map(parsePartition)
    const shares = [0, 0, 0]
    for (let i = 0; i < 3_000; i++) {
      const mine = parts.filter((part) => isInPartition(part, 's', `host-${i}`))
      expect(mine).toHaveLength(1)
      shares[parts.indexOf(mine[0]!)]!++
    }
    for (const share of shares) expect(share).toBeGreaterThan(900)
  })

  test.each(['', '0/3', '4/3', '1', '1/0', 'a/b', '1/3/5'])('refuses "%s"', (text) => {
    expect(() => parsePartition(text)).toThrow('it is not N/OF')
  })
})

function senderSettings() {
  return {
    ...{ state: temporaryDirectory(), site: 's', host: 'h', falseAlarmsPerDay: 1, learn: 0 },
    ...{
      delivery: 'auto' as const,
      aggregatorKey: [],
      acceptFleet: [],
      send: ['vectors' as const],
      broker: undefined,
    },
    ...{ brokerUser: undefined, brokerPassword: undefined, brokerPasswordFile: undefined },
    ...{ ca: undefined, cert: undefined, key: undefined },
  }
}
