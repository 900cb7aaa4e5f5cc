/**
 * A whole aggregator on free ports and a file of its own, and clients that speak MQTT to it over
 * sockets.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Aggregator,
  type AggregatorOptions,
  startAggregator,
} from '../../src/aggregator/aggregator.ts'
import type { Alert } from '../../src/domain/alert.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { createLog } from '../../src/platform/log.ts'
import { connectMqtt, type MqttConnection, parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { encodeStatus, type StatusMessage } from '../../src/wire/status-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleAlert } from '../wire/samples.ts'

export interface Running extends Aggregator {
  readonly directory: string
  readonly logged: string[]
  get(path: string, init?: RequestInit): Promise<Response>
  json<T>(path: string): Promise<T>
  /** The value of one line of /metrics. */
  metric(line: string): Promise<number>
}

export async function startRunning(options: Partial<AggregatorOptions> = {}): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'aggregator-'))
  const logged: string[] = []
  const aggregator = await startAggregator({
    store: join(directory, 'store.db'),
    broker: { kind: 'embedded', host: '127.0.0.1', port: 0 },
    http: { host: '127.0.0.1', port: 0 },
    version: '1.2.3',
    clock: systemClock,
    log: createLog({ write: (line) => logged.push(line) }),
    ...options,
  }).catch((error) => {
    rmSync(directory, { recursive: true, force: true })
    throw error
  })
  const get = (path: string, init?: RequestInit) => fetch(aggregator.url + path, init)
  return {
    ...aggregator,
    directory,
    logged,
    get,
    json: async <T>(path: string) => (await (await get(path)).json()) as T,
    async metric(line) {
      const text = await (await get('/metrics')).text()
      const found = text.split('\n').find((one) => one.startsWith(`${line} `))
      return found === undefined ? 0 : Number(found.slice(line.length + 1))
    },
    async close() {
      await aggregator.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface Client extends MqttConnection {
  readonly received: { topic: string; text: string; retain: boolean }[]
  alert(changes: Partial<Alert>, seq: number, boot?: number): Promise<void>
  status(changes?: Partial<StatusMessage>): Promise<void>
}

/** A host as the broker sees it. */
export async function connectClient(
  brokerUrl: string,
  host = 'web-1',
  options: Partial<Parameters<typeof connectMqtt>[1]> = {},
): Promise<Client> {
  const received: Client['received'] = []
  const connection = await connectMqtt(parseBrokerUrl(brokerUrl), {
    clientId: `test-${host}-${crypto.randomUUID().slice(0, 8)}`,
    onMessage: ({ topic, payload, retain }) =>
      received.push({ topic, text: new TextDecoder().decode(payload), retain }),
    ...options,
  })
  const topics = agentTopics('lab', host)
  return {
    ...connection,
    received,
    alert: (changes, seq, boot = 1) =>
      connection.publish(
        topics.alert,
        encodeAlert({ ...sampleAlert, ...changes }, { site: 'lab', host, boot, seq }),
      ),
    status: (changes = {}) =>
      connection.publish(topics.status, encodeStatus({ ...sampleStatus, host, ...changes }), {
        retain: true,
      }),
  }
}

export const sampleStatus: StatusMessage = {
  v: 1,
  state: 'online',
  site: 'lab',
  host: 'web-1',
  boot: 1,
  time: 1_700_000_000,
  version: '1.2.3',
  model: 'sha256:0123456789abcdef',
  source: 'sysdig',
}

/**
 * Asks again and again until there is an answer; for what another process or socket does in its own
 * time.
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  limitMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== null && (answer as unknown) !== false) return answer
    if (performance.now() > deadline) throw new Error(`Not within ${limitMs} ms: ${what}`)
    await Bun.sleep(10)
  }
}
