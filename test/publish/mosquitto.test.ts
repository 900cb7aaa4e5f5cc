import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import mqtt, { type IPublishPacket } from 'mqtt'
import { defined } from '../../src/domain/defined.ts'
import { createLog } from '../../src/platform/log.ts'
import { parseBrokerUrl, type TlsFiles } from '../../src/platform/mqtt/client.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { type Announcement, homeAssistantAnnouncements } from '../../src/wire/home-assistant.ts'
import { type Mosquitto, mosquitto, startMosquitto } from '../support/brokers.ts'
import { type Certificates, hasOpenssl, makeCertificates } from '../support/certificates.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const directory = temporaryDirectories()
const agent = new URL('../fixtures/programs/publishing-agent.ts', import.meta.url).pathname
const log = createLog({ write: () => {} })

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function publisher(url: string, tls?: TlsFiles, announcements?: readonly Announcement[]) {
  const outbox = Outbox.open(join(directory(), 'outbox.db'), { site: 'lab', host: 'web-1', log })
  const one = new Publisher({
    broker: parseBrokerUrl(url),
    site: 'lab',
    host: 'web-1',
    outbox,
    presence: { version: '1.2.3', model: 'sha256:0', source: 'sysdig' },
    log,
    settleMs: 50,
    reconnectMs: [10, 50],
    refusedMs: [20, 50],
    connectTimeoutMs: 2_000,
    ...defined({ tls, announcements }),
  })
  ends.push(async () => {
    await one.end(0)
    outbox.close()
  })
  return { one, outbox }
}

/** A subscriber that knows nothing of us. */
async function subscriber(url: string, filter: string): Promise<IPublishPacket[]> {
  const packets: IPublishPacket[] = []
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 })
  ends.push(() => client.endAsync(true))
  client.on('message', (_topic, _payload, packet) => packets.push(packet))
  await client.subscribeAsync(filter, { qos: 1, rap: true })
  return packets
}

// scripts/test.sh installs mosquitto; without it there is no broker here that speaks MQTT 5.
describe.skipIf(mosquitto === null)('Publisher on mosquitto', () => {
  let broker: Mosquitto
  beforeAll(async () => {
    broker = await startMosquitto(directory())
  })
  afterAll(() => broker.close())

  test('speaks MQTT 5, with what each message is and where it comes from', async () => {
    const heard = await subscriber(broker.url, 'callsign/v1/#')
    const { one, outbox } = publisher(broker.url)
    outbox.put([sampleAlert], sampleSummary)
    one.start()
    expect(await one.drain(10_000)).toBe(true)
    expect(one.state().protocol).toBe(5)
    await until('all three', () => heard.length === 3)
    const [status, alert, summary] = heard
    expect(status).toMatchObject({
      topic: 'callsign/v1/lab/web-1/status',
      qos: 1,
      retain: true,
      properties: { contentType: 'application/json', payloadFormatIndicator: true },
    })
    expect(alert).toMatchObject({
      topic: 'callsign/v1/lab/web-1/alert',
      retain: false,
      properties: {
        contentType: 'application/json',
        userProperties: {
          specversion: '1.0',
          id: `${outbox.boot}-1`,
          source: '/callsign/lab/web-1',
          type: 'callsign.alert.v1',
          time: '2023-11-14T22:13:30.000Z',
        },
      },
    })
    expect(alert?.properties?.messageExpiryInterval).toBeUndefined()
    expect(summary).toMatchObject({
      topic: 'callsign/v1/lab/web-1/summary',
      properties: {
        contentType: 'application/cbor',
        userProperties: { type: 'callsign.summary.v1' },
      },
    })
    expect(summary?.properties?.messageExpiryInterval).toBeGreaterThan(86_000)
  })

  test('announces the host to Home Assistant by retained messages about its own topics', async () => {
    const about = { site: 'lab', host: 'web-1', version: '1.2.3' }
    const announced = homeAssistantAnnouncements('homeassistant', about)
    const { one } = publisher(broker.url, undefined, announced)
    one.start()
    await until('the connection', () => one.state().connection === 'connected')
    await until('all of them', async () => {
      // Who comes later is told, too.
      const heard = await subscriber(broker.url, 'homeassistant/#')
      await Bun.sleep(200)
      return heard.length === announced.length
    })
    const heard = await subscriber(broker.url, 'homeassistant/binary_sensor/#')
    await until('both', () => heard.length === 2)
    const configs = heard.map(({ topic, payload, retain }) => ({
      ...{ topic, retain, config: JSON.parse(payload.toString()) },
    }))
    const alert = configs.find(({ topic }) => topic.endsWith('/alert/config'))!
    expect(alert).toMatchObject({
      topic: 'homeassistant/binary_sensor/callsign_lab_web-1/alert/config',
      retain: true,
      config: {
        unique_id: 'callsign_lab_web-1_alert',
        state_topic: 'callsign/v1/lab/web-1/alert',
        availability_topic: 'callsign/v1/lab/web-1/status',
        device: { identifiers: ['callsign_lab_web-1'] },
      },
    })
    expect(new Set(configs.map(({ config }) => config.unique_id)).size).toBe(2)
  }, 30_000)

  test('leaves a retained last will when it is killed', async () => {
    const heard = await subscriber(broker.url, 'callsign/v1/lab/web-1/status')
    const child = Bun.spawn([process.execPath, agent, directory(), broker.url, 'make'], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
    const said = () => heard.map(({ payload }) => JSON.parse(payload.toString()))
    await until('the birth', () =>
      said().some(({ state, source }) => state === 'online' && source === 'test'),
    )
    child.kill('SIGKILL')
    await child.exited
    await until('the will', () => said().at(-1).state === 'offline')
    expect(said().at(-1)).toMatchObject({ state: 'offline', reason: 'lost', source: 'test' })
    const late = await subscriber(broker.url, 'callsign/v1/lab/web-1/status')
    await until('the retained one', () => late.length === 1)
    expect(JSON.parse(late[0]!.payload.toString()).state).toBe('offline')
  })
})

// What a broker says of itself when it lets us in [MQTT-3.2.2.3].
describe.skipIf(mosquitto === null)('Publisher on a mosquitto with bounds of its own', () => {
  async function started(...settings: string[]): Promise<Mosquitto> {
    const broker = await startMosquitto(directory(), settings)
    ends.push(() => broker.close())
    return broker
  }

  test('has no more under way than the broker allows', async () => {
    const broker = await started('max_inflight_messages 3')
    const { one, outbox } = publisher(broker.url)
    outbox.put(Array.from({ length: 200 }, (_, n) => ({ ...sampleAlert, id: `alert-${n}` })))
    one.start()
    expect(await one.drain(10_000)).toBe(true)
    expect(one.state().lastError).toBeUndefined()
  })

  test('gives up a message that is too long for the broker, counted, and no other', async () => {
    const broker = await started('max_packet_size 2000')
    const { one, outbox } = publisher(broker.url)
    const processes = Array.from({ length: 200 }, (_, n) => ({
      ...sampleSummary.processes[0]!,
      pid: n,
      name: `program-${n}`,
    }))
    outbox.put([sampleAlert], { ...sampleSummary, processes })
    outbox.put([], sampleSummary)
    one.start()
    expect(await one.drain(10_000)).toBe(true)
    expect(outbox.ledger()).toMatchObject({ acknowledged: 2, dropped: { 'too-long(broker)': 1 } })
  })

  test('says that a broker without QoS 1 is of no use', async () => {
    const broker = await started('max_qos 0')
    const { one } = publisher(broker.url)
    one.start()
    await until('the refusal', () => one.state().connection === 'refused')
    expect(one.state().lastError).toContain('it does not offer QoS 1')
  })

  test('keeps what the broker does not let it say, and says so', async () => {
    const rules = join(directory(), 'acl')
    writeFileSync(rules, 'topic readwrite callsign/v1/lab/web-1/status\n')
    const broker = await started(`acl_file ${rules}`)
    const { one, outbox } = publisher(broker.url)
    outbox.put([sampleAlert])
    one.start()
    await until('the reason', () => one.state().lastError?.includes('Not authorized'))
    expect(one.state().connection).toBe('connected')
    expect(outbox.ledger()).toMatchObject({ acknowledged: 0, queued: 1 })
  })

  test('speaks to a broker that retains nothing', async () => {
    const broker = await started('retain_available false')
    const { one, outbox } = publisher(broker.url)
    outbox.put([sampleAlert])
    one.start()
    expect(await one.drain(10_000)).toBe(true)
  })
})

describe.skipIf(mosquitto === null || !hasOpenssl)(
  'Publisher on mosquitto with client certificates',
  () => {
    let broker: Mosquitto
    let files: Certificates
    const tls = () => `mqtts://127.0.0.1:${broker.port}`
    beforeAll(async () => {
      const at = directory()
      files = makeCertificates(at)
      broker = await startMosquitto(at, [
        `cafile ${files.ca}`,
        `certfile ${files.server.cert}`,
        `keyfile ${files.server.key}`,
        'require_certificate true',
      ])
    })
    afterAll(() => broker.close())

    test('delivers where both sides can prove who they are', async () => {
      const { one, outbox } = publisher(tls(), { ca: files.ca, ...files.client })
      outbox.put([sampleAlert])
      one.start()
      expect(await one.drain(10_000)).toBe(true)
      expect(one.state().protocol).toBe(5)
    })

    test('takes the name in the certificate at its word', async () => {
      const { one, outbox } = publisher(tls().replace('127.0.0.1', 'localhost'), {
        ca: files.ca,
        ...files.client,
      })
      outbox.put([sampleAlert])
      one.start()
      expect(await one.drain(10_000)).toBe(true)
    })

    test('does not trust a broker whose authority it does not know', async () => {
      const { one, outbox } = publisher(tls(), { ca: files.strangersCa, ...files.client })
      outbox.put([sampleAlert])
      one.start()
      await until('the refusal', () => one.state().connection === 'refused')
      expect(one.state().lastError).toStartWith(`Cannot trust broker "${tls()}"`)
      expect(outbox.queued).toBe(1)
    })

    test.each([
      ['no certificate', () => ({})],
      ['a stranger’s certificate', () => files.stranger],
    ])('is not let in with %s, and keeps its rows', async (_, own) => {
      const { one, outbox } = publisher(tls(), { ca: files.ca, ...own() })
      outbox.put([sampleAlert])
      one.start()
      await until('an error', () => one.state().lastError)
      expect(outbox.queued).toBe(1)
      expect(outbox.ledger().acknowledged).toBe(0)
    })
  },
)
