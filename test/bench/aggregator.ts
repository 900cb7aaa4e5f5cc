/**
 * What a fleet costs the aggregator:
 *
 *   bun test/bench/aggregator.ts [--hosts 2000] [--seconds 20] [--every 10] [--alerts 10] [--agent
 *   dist/agent] [--store postgres://…]
 *
 * Recorded summaries (median 5 KB, 252 processes) on real connections by `simulate/fleet.ts`; the
 * aggregator is a process of its own (from source, or the given binary), and its CPU time is what
 * it says in /metrics, so ours does not count. What was sent is compared with what the store has.
 * One line of JSON.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { simulateFleet } from '../../src/simulate/fleet.ts'
import { until } from '../aggregator/running.ts'

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '20' },
    every: { type: 'string', default: '10' },
    alerts: { type: 'string', default: '10' },
    agent: { type: 'string' },
    store: { type: 'string' },
  },
})

const directory = mkdtempSync(join(tmpdir(), 'bench-'))
const readyFile = join(directory, 'ready')
const passwordFile = join(directory, 'accounts')
writeFileSync(passwordFile, 'site0000/*:bench\n', { mode: 0o600 })
const command = values.agent
  ? [values.agent]
  : [process.execPath, join(import.meta.dir, '../../src/cli.ts')]
const child = Bun.spawn(
  [
    ...command,
    'aggregate',
    ...['--listen', '127.0.0.1:0', '--http', '127.0.0.1:0', '--state', directory],
    ...['--password-file', passwordFile, '--ready-file', readyFile],
    ...(values.store === undefined ? [] : ['--store', values.store]),
  ],
  { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' },
)
try {
  const ready = await until('the aggregator', () =>
    Bun.file(readyFile)
      .json()
      .catch(() => undefined),
  )
  const marks = new Map<string, Usage>()
  const result = await simulateFleet({
    ...{ hostname: '127.0.0.1', port: Number(new URL(ready.broker).port) },
    ...{ username: 'site0000/*', password: 'bench', storm: true, slow: 0, hostile: 0, seed: 1 },
    ...{ hosts: Number(values.hosts), seconds: Number(values.seconds) },
    ...{ summaryEverySeconds: Number(values.every), alertsPerSecond: Number(values.alerts) },
    signal: new AbortController().signal,
    onPhase: async (phase) => {
      marks.set(phase.split(' ')[0]!, await usage(ready.url))
    },
  })
  const [began, sending, waiting, storm] = ['connecting', 'sending', 'waiting', 'all'].map(
    (phase) => marks.get(phase)!,
  )
  const after = await usage(ready.url)
  const counts = (await (await fetch(`${ready.url}/api/v1/counts`)).json()) as {
    alerts: { total: number }
  }
  const share = (from: Usage, to: Usage) => (100 * (to.cpu - from.cpu)) / (to.wall - from.wall)
  const messages = waiting!.received - sending!.received
  console.log(
    JSON.stringify({
      ...result,
      alertsStored: counts.alerts.total,
      percentOfACore: round(share(sending!, waiting!)),
      microsecondsPerMessage: round(((waiting!.cpu - sending!.cpu) / messages) * 1e6),
      millisecondsPerConnect: round(((sending!.cpu - began!.cpu) / result.hosts) * 1e3),
      millisecondsPerReconnect: round(((after.cpu - storm!.cpu) / result.hosts) * 1e3),
      residentMegabytes: Math.round(after.rss / 1e6),
    }),
  )
} finally {
  child.kill('SIGTERM')
  await child.exited
  rmSync(directory, { recursive: true, force: true })
}

interface Usage {
  readonly wall: number
  readonly cpu: number
  readonly received: number
  readonly rss: number
}

async function usage(url: string): Promise<Usage> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const sum = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
  return {
    wall: performance.now() / 1000,
    cpu: sum('process_cpu_seconds_total'),
    received: sum('callsign_messages_received_total'),
    rss: sum('process_resident_memory_bytes'),
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
