/**
 * What the aggregator can take, and what a fleet costs it:
 *
 *   bun test/bench/aggregator.ts [--hosts 2000] [--seconds 10] [--agent dist/agent]
 *
 * The aggregator runs as a process of its own (from source, or the given binary); its CPU time is what it
 * says in /metrics, so ours does not count. Hosts are bare sockets that speak just enough MQTT 3.1.1: 20,000
 * clients of MQTT.js would measure MQTT.js. One line of JSON per figure.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Socket } from 'bun'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { until } from '../aggregator/running.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '10' },
    agent: { type: 'string' },
  },
})
const hosts = Number(values.hosts)
const seconds = Number(values.seconds)
const SUMMARY_EVERY_S = 10

const directory = mkdtempSync(join(tmpdir(), 'bench-'))
const readyFile = join(directory, 'ready')
const command = values.agent
  ? [values.agent]
  : [process.execPath, join(import.meta.dir, '../../src/cli.ts')]
const child = Bun.spawn(
  [
    ...command,
    'aggregate',
    '--listen',
    '127.0.0.1:0',
    '--http',
    '127.0.0.1:0',
    '--state',
    directory,
    '--ready-file',
    readyFile,
  ],
  { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' },
)
try {
  const ready = await until('the aggregator', () =>
    Bun.file(readyFile)
      .json()
      .catch(() => undefined),
  )
  const port = Number(new URL(ready.broker).port)
  for (const kind of ['alert', 'summary'] as const) report(await throughput(kind, port, ready.url))
  report(await fleet(port, ready.url))
} finally {
  child.kill('SIGTERM')
  await child.exited
  rmSync(directory, { recursive: true, force: true })
}

/** As fast as it goes: 8 hosts, 250 messages under way each, every PUBACK after a commit that was synced. */
async function throughput(kind: 'alert' | 'summary', port: number, url: string) {
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, i) => connect(`full-${kind}-${i}`, port)),
  )
  const before = await usage(url)
  const until = performance.now() + (seconds * 1000) / 2
  await Promise.all(clients.map((client) => client.flood(kind, until)))
  const after = await usage(url)
  const messages = clients.reduce((sum, client) => sum + client.acknowledged, 0)
  const receipts = clients.reduce((sum, client) => sum + client.receipts, 0)
  for (const client of clients) client.end()
  return {
    what: `${kind === 'alert' ? 'alerts' : 'summaries'} stored, as fast as it goes`,
    perSecond: Math.round(messages / (after.wall - before.wall)),
    cpuMicrosecondsEach: round(((after.cpu - before.cpu) / messages) * 1e6),
    messagesPerReceipt: round(messages / receipts),
    messagesPerCommit: round(messages / (after.commits - before.commits)),
  }
}

/** Each host sends a summary every ten seconds, at a time of its own. */
async function fleet(port: number, url: string) {
  const began = performance.now()
  const clients: Awaited<ReturnType<typeof connect>>[] = []
  for (let i = 0; i < hosts; i += 50)
    clients.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(50, hosts - i) }, (_, k) => connect(`host-${i + k}`, port)),
      )),
    )
  const connectSeconds = (performance.now() - began) / 1000
  const timers = clients.map((client, i) => {
    const phase = (i / hosts) * SUMMARY_EVERY_S * 1000
    return setTimeout(() => {
      client.send('summary')
      timers[i] = setInterval(() => client.send('summary'), SUMMARY_EVERY_S * 1000)
    }, phase)
  })
  await Bun.sleep(1000)
  const before = await usage(url)
  await Bun.sleep(seconds * 1000)
  const after = await usage(url)
  for (const timer of timers) clearInterval(timer)
  const result = {
    what: `${hosts} hosts, a summary every ${SUMMARY_EVERY_S} s`,
    connectsPerSecond: Math.round(hosts / connectSeconds),
    messagesPerSecond: Math.round((after.received - before.received) / (after.wall - before.wall)),
    percentOfACore: round(((after.cpu - before.cpu) / (after.wall - before.wall)) * 100),
    residentMegabytes: Math.round(after.rss / 1e6),
  }
  for (const client of clients) client.end()
  return result
}

async function connect(host: string, port: number) {
  const topic = (kind: string) => `callsign/v1/bench/${host}/${kind}`
  let acknowledged = 0
  let receipts = 0
  let seq = 0
  let inFlight = 0
  let onAck = () => {}
  let opened: () => void
  const open = new Promise<void>((resolve) => {
    opened = resolve
  })
  let rest = new Uint8Array(0)
  const socket: Socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_, chunk) {
        let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        // CONNACK, SUBACK and PUBACK are short; a receipt may take two bytes to say its length.
        while (bytes.length >= 4) {
          const long = bytes[1]! >= 128
          const length = long ? (bytes[1]! & 127) + bytes[2]! * 128 + 3 : bytes[1]! + 2
          if (bytes.length < length) break
          if (bytes[0] === 0x20) opened()
          else if (bytes[0] === 0x40) {
            acknowledged++
            inFlight--
            onAck()
          } else if (bytes[0] === 0x32) {
            receipts++
            const id = (long ? 3 : 2) + 2 + bytes[long ? 4 : 3]! + (bytes[long ? 3 : 2]! << 8)
            socket.write(Buffer.from([0x40, 2, bytes[id]!, bytes[id + 1]!]))
          }
          bytes = bytes.subarray(length)
        }
        rest = new Uint8Array(bytes)
      },
    },
  })
  const idBytes = Buffer.from(host)
  socket.write(
    packet(
      0x10,
      Buffer.concat([
        Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0]),
        lengthOf(idBytes),
        idBytes,
      ]),
    ),
  )
  await open
  const receipt = Buffer.from(topic('receipt'))
  socket.write(
    packet(
      0x82,
      Buffer.concat([Buffer.from([0, 1]), lengthOf(receipt), receipt, Buffer.from([1])]),
    ),
  )

  const send = (kind: 'alert' | 'summary'): void => {
    const origin = { site: 'bench', host, boot: 1, seq: ++seq }
    const payload =
      kind === 'alert'
        ? encodeAlert({ ...sampleAlert, id: `${host}-${seq}` }, origin)
        : encodeSummary(sampleSummary, origin)
    const name = Buffer.from(topic(kind))
    const id = (seq % 65_535) + 1
    inFlight++
    socket.write(
      packet(
        0x32,
        Buffer.concat([lengthOf(name), name, Buffer.from([id >> 8, id & 255]), payload]),
      ),
    )
  }
  return {
    send,
    get acknowledged() {
      return acknowledged
    },
    get receipts() {
      return receipts
    },
    flood: (kind: 'alert' | 'summary', until: number) =>
      new Promise<void>((resolve) => {
        onAck = () => {
          if (performance.now() > until) {
            if (inFlight === 0) resolve()
          } else while (inFlight < 250) send(kind)
        }
        onAck()
      }),
    end: () => socket.end(),
  }
}

function packet(type: number, body: Uint8Array): Buffer {
  const head = [type]
  let left = body.length
  do {
    head.push((left & 127) | (left > 127 ? 128 : 0))
    left >>= 7
  } while (left > 0)
  return Buffer.concat([Buffer.from(head), body])
}

function lengthOf(bytes: Uint8Array): Buffer {
  return Buffer.from([bytes.length >> 8, bytes.length & 255])
}

async function usage(url: string) {
  const text = await (await fetch(`${url}/metrics`)).text()
  const value = (name: string): number =>
    text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  return {
    wall: performance.now() / 1000,
    cpu: value('process_cpu_seconds_total'),
    rss: value('process_resident_memory_bytes'),
    received: value('callsign_messages_received_total'),
    commits: value('callsign_commits_total'),
  }
}

function report(figures: object): void {
  console.log(JSON.stringify(figures))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
