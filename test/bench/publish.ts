/**
 * What the way out costs: alerts put into the outbox, alerts delivered over MQTT with a receipt or
 * a PUBACK, a summary of 300 processes. The broker is mosquitto where it is installed, else aedes
 * in this process, whose CPU then counts in.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '../../src/platform/log.ts'
import { parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { encodeWithin } from '../../src/publish/fit-summary.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { Summariser } from '../../src/publish/summariser.ts'
import { mosquitto, startAedes, startMosquitto } from '../support/brokers.ts'
import { madeFrame } from '../support/frames.ts'
import { sampleAlert, sampleOrigin } from '../wire/samples.ts'
import type { Bench } from './run.ts'

const ALERTS = 20_000
const BATCH = 50

export default {
  name: 'publish',
  async run() {
    const directory = mkdtempSync(join(tmpdir(), 'bench-publish-'))
    try {
      return [...(await delivery(directory)), ...summaries()]
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
} satisfies Bench

async function delivery(directory: string): Promise<string[]> {
  const broker = mosquitto === null ? await startAedes() : await startMosquitto(directory)
  const log = createLog({ write: () => {} })
  const outbox = Outbox.open(join(directory, 'outbox.db'), { site: 'lab', host: 'web-1', log })
  const put = measureCpu()
  for (let n = 0; n < ALERTS; n += BATCH) {
    outbox.put(Array.from({ length: BATCH }, (_, i) => ({ ...sampleAlert, id: `alert-${n + i}` })))
  }
  const putUs = put() / ALERTS
  const publisher = new Publisher({
    broker: parseBrokerUrl(broker.url),
    site: 'lab',
    host: 'web-1',
    outbox,
    presence: { version: '0', model: 'none', source: 'bench' },
    delivery: 'broker',
    log,
    bytesPerDayMax: 1e9,
  })
  const startedAt = performance.now()
  const send = measureCpu()
  publisher.start()
  const drained = await publisher.drain(60_000)
  const seconds = (performance.now() - startedAt) / 1000
  const sendUs = send() / ALERTS
  await publisher.end(0)
  outbox.close()
  await broker.close()
  return [
    `put ${ALERTS} alerts in transactions of ${BATCH}, synced: ${putUs.toFixed(0)} µs CPU an alert`,
    `deliver over ${mosquitto === null ? 'aedes in this process' : 'mosquitto'}, PUBACK counts: ${(ALERTS / seconds / 1000).toFixed(1)} k/s, ${sendUs.toFixed(0)} µs CPU an alert${drained ? '' : ' (NOT ALL)'}`,
  ]
}

function summaries(): string[] {
  const gauges = {
    dropped: {},
    alertsOpen: 0,
    cpuSeconds: 0,
    rssBytes: 9e7,
    lagMs: 0,
    outboxRows: 0,
  }
  const summariser = new Summariser({ site: 'lab', host: 'web-1', gauges: () => gauges })
  const frames = Array.from({ length: 60 }, (_, t) => madeFrame(t, { processes: 300 }))
  const pushing = measureCpu()
  for (let round = 0; round < 10; round++) for (const frame of frames) summariser.push(frame)
  const pushUs = pushing() / 600
  const summary = summariser.end() ?? summariser.push(frames[0]!)!
  const encoding = measureCpu()
  let bytes = 0
  for (let i = 0; i < 100; i++) bytes = encodeWithin(summary, sampleOrigin).byteLength
  return [
    `summarise 300 processes: ${(pushUs / 1000).toFixed(2)} ms CPU a second of frames (${(pushUs / 10_000).toFixed(3)} % of a core)`,
    `encode the minute: ${bytes} bytes, ${(encoding() / 100_000).toFixed(2)} ms`,
  ]
}

/** @returns µs of CPU, user and system, since */
function measureCpu(): () => number {
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
}
