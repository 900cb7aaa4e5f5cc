/**
 * Forged and replayed messages on a broker that anybody may use: mosquitto without a password, as
 * the worst case. Left out where there is no mosquitto.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { openIdentity } from '../../src/platform/identity.ts'
import { encodeReceipts } from '../../src/wire/receipt-message.ts'
import type { Row } from './attacks.ts'
import { AGENT, CHECKOUT, statusOf } from './host.ts'

const RECORDING = join(CHECKOUT, 'models/recordings/demo/recording.frames.ndjson.zst')
const SITE = 'attacked'
const VICTIM = 'victim'

/** Beyond any number that the victim uses. */
const ALL_SEQUENCES = 1_000_000

interface Heard {
  readonly topic: string
  readonly payload: Buffer
  readonly signature: string | undefined
}

export async function forge(directory: string, round: number): Promise<Row[]> {
  if (Bun.which('mosquitto') === null) {
    const note = 'left out: mosquitto is not installed'
    return [{ attack: 'forged messages on a broker', found: '-', passed: true, note }]
  }
  const ground = new Ground(join(directory, `forgery-${round}`))
  try {
    await ground.open()
    return [await forgedAlerts(ground), await forgedReceipts(ground), await replayedStatus(ground)]
  } finally {
    await ground.close()
  }
}

/** Alerts of the victim, closed, renamed and invented: unsigned, and signed by another key. */
async function forgedAlerts(ground: Ground): Promise<Row> {
  await ground.replay(VICTIM, 'v1')
  const before = await ground.alertsOf(VICTIM)
  const real = ground.heard.filter(({ topic }) => topic.endsWith(`/${VICTIM}/alert`))
  const forger = openIdentity('66'.repeat(32))
  let sent = 0
  for (const { topic, payload } of real) {
    const alert = JSON.parse(payload.toString())
    const { seq } = alert
    for (const change of [
      { state: 'closed', seq: seq + 1_000, time: alert.time + 1 },
      { process: { ...alert.process, name: 'harmless' }, seq: seq + 2_000 },
      { id: alert.id.replace(/./g, '0'), seq: seq + 3_000, boot: 2 ** 50 },
    ]) {
      const forged = Buffer.from(JSON.stringify({ ...alert, ...change }))
      for (const signature of [undefined, forger.sign(forged)]) {
        await ground.publish(topic, forged, signature)
        sent++
      }
    }
  }
  await Bun.sleep(2_000)
  const after = await ground.alertsOf(VICTIM)
  const isSame = JSON.stringify(after) === JSON.stringify(before)
  const refused = await ground.refused()
  return {
    attack: `forged alerts: ${sent} that close, rename and invent`,
    found: isSame ? 'refused' : 'TAKEN',
    passed: before.length > 0 && sent > 0 && isSame && refused >= sent,
    note: `${before.length} alerts of the victim as they were; ${refused} messages refused`,
  }
}

/** Receipts for what no aggregator has stored. */
async function forgedReceipts(ground: Ground): Promise<Row> {
  ground.stopAggregator()
  const host = `${VICTIM}-2`
  const topic = `callsign/v1/${SITE}/${host}/receipt`
  const forger = openIdentity('77'.repeat(32))
  let sent = 0
  const timer = setInterval(() => {
    for (const boot of ground.bootsOf(host)) {
      const stored = Array.from({ length: 64 }, (_, seq) => ({ boot, seq: seq + 1 }))
      for (const receipt of encodeReceipts({ site: SITE, host }, stored)) {
        void ground.publish(topic, Buffer.from(receipt), undefined)
        void ground.publish(topic, Buffer.from(receipt), forger.sign(receipt))
        sent += 2
      }
      const wide = JSON.stringify({ v: 1, site: SITE, host, stored: [[boot, 0, ALL_SEQUENCES]] })
      void ground.publish(topic, Buffer.from(wide), forger.sign(Buffer.from(wide)))
      sent++
    }
  }, 200)
  try {
    await ground.replay(host, 'v2')
  } finally {
    clearInterval(timer)
  }
  const { created, acknowledged, queued } = await statusOf(ground.state('v2'))
  return {
    attack: `forged receipts: ${sent} for all that waits`,
    found: acknowledged === 0 ? 'refused' : 'TAKEN',
    passed: sent > 0 && created > 0 && acknowledged === 0 && queued > 0,
    note: `${created} created, ${acknowledged} taken for delivered, ${queued} still queued`,
  }
}

/** The victim has ended; what it published when it was there is published again and again. */
async function replayedStatus(ground: Ground): Promise<Row> {
  await ground.startAggregator()
  const said = ground.heard.filter(
    ({ topic, payload }) =>
      topic === `callsign/v1/${SITE}/${VICTIM}/status` && payload.includes('"online"'),
  )
  for (let i = 0; i < 10; i++) {
    for (const { topic, payload, signature } of said)
      await ground.publish(topic, payload, signature, true)
    await Bun.sleep(200)
  }
  const state = await ground.stateOf(VICTIM)
  return {
    attack: `a replayed "online" of a host that has ended`,
    found: state === 'offline' ? 'refused' : 'TAKEN',
    passed: said.length > 0 && state === 'offline',
    note: `the host is shown as ${state}`,
  }
}

/** Broker, aggregator, victims and the attacker's client. */
class Ground {
  readonly heard: Heard[] = []
  readonly #directory: string
  readonly #children: Bun.Subprocess[] = []
  #aggregator: Bun.Subprocess | undefined
  #client: mqtt.MqttClient | undefined
  #url = ''
  #api = ''
  #starts = 0

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { mode: 0o700 })
  }

  state(name: string): string {
    return join(this.#directory, name)
  }

  async open(): Promise<void> {
    const port = await freePort()
    this.#url = `mqtt://127.0.0.1:${port}`
    const config = this.state('mosquitto.conf')
    writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\n`)
    this.#spawn(['mosquitto', '-c', config])
    this.#client = await connected(this.#url)
    this.#client.on('message', (topic, payload, packet) => {
      const signature = packet.properties?.userProperties?.sig
      this.heard.push({ topic, payload, signature: signature?.toString() })
    })
    await this.#client.subscribeAsync('callsign/#', { qos: 1 })
    await this.startAggregator()
  }

  async startAggregator(): Promise<void> {
    const ready = this.state(`ready-${this.#starts++}.json`)
    this.#aggregator = this.#spawn([
      ...[AGENT, 'aggregate', '--broker', this.#url, '--http', '127.0.0.1:0'],
      ...['--store', this.state('aggregate.db'), '--state', this.state('aggregator')],
      ...['--site', SITE, '--ready-file', ready],
    ])
    for (let i = 0; i < 200; i++) {
      const text = await Bun.file(ready)
        .text()
        .catch(() => '')
      if (text !== '') {
        this.#api = (JSON.parse(text) as { url: string }).url
        return
      }
      await Bun.sleep(100)
    }
    throw new Error('The aggregator does not start')
  }

  stopAggregator(): void {
    this.#aggregator?.kill('SIGKILL')
  }

  /** A recorded host with attacks in it, sent to the broker; ends when it is told, or cannot be. */
  async replay(host: string, state: string): Promise<void> {
    const child = this.#spawn([
      ...[AGENT, 'replay', RECORDING, '--site', SITE, '--host', host],
      ...['--state', this.state(state), '--broker', this.#url, '--delivery', 'receipt'],
    ])
    await child.exited
  }

  bootsOf(host: string): number[] {
    const status = this.heard.filter(({ topic }) => topic.endsWith(`/${host}/status`))
    return [...new Set(status.map(({ payload }) => Number(JSON.parse(payload.toString()).boot)))]
  }

  async publish(
    topic: string,
    payload: Buffer,
    signature: string | undefined,
    retain = false,
  ): Promise<void> {
    const properties = signature === undefined ? {} : { userProperties: { sig: signature } }
    await this.#client!.publishAsync(topic, payload, { qos: 1, retain, properties })
  }

  async alertsOf(host: string): Promise<unknown[]> {
    const items = await this.#get(`/api/v1/alerts?limit=500&host=${host}`)
    return items as unknown[]
  }

  async stateOf(host: string): Promise<string> {
    const items = (await this.#get('/api/v1/hosts')) as { host: string; state: string }[]
    return items.find((item) => item.host === host)?.state ?? 'unknown'
  }

  /** Messages that the aggregator refused. */
  async refused(): Promise<number> {
    const text = await (await fetch(`${this.#api}/metrics`)).text()
    const found = text.matchAll(/^callsign_messages_refused_total\{[^}]*\} (\d+)/gm)
    return [...found].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  async #get(path: string): Promise<unknown> {
    const answer = (await (await fetch(`${this.#api}${path}`)).json()) as { items: unknown }
    return answer.items
  }

  #spawn(command: readonly string[]): Bun.Subprocess {
    const child = Bun.spawn([...command], {
      ...{ stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(this.state('messages')) },
      env: { PATH: process.env.PATH ?? '', HOME: '/root' },
    })
    this.#children.push(child)
    return child
  }

  async close(): Promise<void> {
    await this.#client?.endAsync(true)
    for (const child of this.#children) child.kill('SIGKILL')
    await Promise.all(this.#children.map(({ exited }) => exited))
  }
}

async function connected(url: string): Promise<mqtt.MqttClient> {
  for (let i = 0; ; i++) {
    try {
      return await mqtt.connectAsync(url, { protocolVersion: 5, clientId: 'neighbour' })
    } catch (error) {
      if (i === 50) throw error
      await Bun.sleep(100)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
