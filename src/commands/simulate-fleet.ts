/**
 * `agent simulate fleet`: how many hosts this aggregator carries, by recorded summaries on real
 * connections.
 */
import { readFileSync } from 'node:fs'
import { defineCommand } from 'citty'
import { defined } from '../domain/defined.ts'
import { AgentError, EXIT } from '../domain/error.ts'
import { SIMULATED_HOSTS_MAX, SIMULATION_SECONDS_MAX } from '../domain/limits.ts'
import { parseBrokerUrl } from '../platform/mqtt/client.ts'
import { BROKER_SETTINGS } from '../settings/keys.ts'
import { brokerLogin, loadSettings } from '../settings/settings.ts'
import { type FleetResult, simulateFleet, type Waits } from '../simulate/fleet.ts'
import {
  jsonArg,
  note,
  settingArgs,
  shutdownSignal,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'

const number = (description: string) => ({ type: 'string', description, valueHint: 'N' }) as const

export default defineCommand({
  meta: {
    name: 'fleet',
    description: 'Load as many hosts make it: recorded summaries, alerts, reconnects',
    examples: [
      'agent simulate fleet --hosts 1000 --broker mqtt://127.0.0.1:1883',
      'agent simulate fleet --hosts 19000 --alerts 10 --storm --json',
    ],
  },
  args: {
    hosts: number('simulated hosts (default 100)'),
    seconds: number('how long they send (default 30)'),
    every: number('seconds between the summaries of a host (default 60)'),
    alerts: number('alerts a second, of all hosts together (default 1)'),
    storm: { type: 'boolean', description: 'at the end all drop and come back at once' },
    slow: number('so many of them stop reading'),
    hostile: number('so many clients a second send rubbish'),
    seed: number('the same seed sends the same (default 1)'),
    ...settingArgs(...BROKER_SETTINGS),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings } = loadSettings(args)
    const { username, password, tls } = brokerLogin(settings)
    const {
      host: hostname,
      port,
      tls: secure,
    } = parseBrokerUrl(settings.broker ?? 'mqtt://127.0.0.1:1883')
    const signal = shutdownSignal()
    const result = await simulateFleet({
      ...{ hostname, port, signal },
      hosts: Math.min(wholeNumber(args.hosts, 'hosts', 1) ?? 100, SIMULATED_HOSTS_MAX),
      seconds: Math.min(wholeNumber(args.seconds, 'seconds', 1) ?? 30, SIMULATION_SECONDS_MAX),
      summaryEverySeconds: wholeNumber(args.every, 'every', 1) ?? 60,
      alertsPerSecond: wholeNumber(args.alerts, 'alerts', 0) ?? 1,
      slow: wholeNumber(args.slow, 'slow', 0) ?? 0,
      hostile: wholeNumber(args.hostile, 'hostile', 0) ?? 0,
      seed: wholeNumber(args.seed, 'seed', 0) ?? 1,
      storm: args.storm === true,
      onPhase: note,
      ...defined({ username, password }),
      ...(secure ? { tls: certificates(tls) } : {}),
    })
    if (args.json) await writeJson(result)
    else await writeOut(linesOf(result))
    if (signal.aborted) return EXIT.interrupted
    if (result.alertsLost === 0) return EXIT.ok
    throw new AgentError('ERR_FAILED', `No receipt came for ${result.alertsLost} alerts`, {
      hint: 'Look at /healthz and at callsign_messages_refused_total of the aggregator',
    })
  },
})

function certificates({ ca, cert, key }: { ca?: string; cert?: string; key?: string }) {
  const read = (path: string) => readFileSync(path, 'utf8')
  return {
    ...(ca === undefined ? {} : { ca: read(ca) }),
    ...(cert === undefined ? {} : { cert: read(cert) }),
    ...(key === undefined ? {} : { key: read(key) }),
  }
}

function linesOf(result: FleetResult): string {
  const { hosts, connectSeconds, sent, receipts, puback, storm } = result
  const lines = [
    `${hosts} hosts connected in ${connectSeconds} s, ${result.refused} attempts refused`,
    `${sent.summary} summaries and ${sent.alert} alerts sent, ${result.summariesPerSecond} summaries a second`,
    `PUBACK after ${shown(puback)}`,
    `receipt of an alert after ${shown(receipts.alert)}, of a summary after ${shown(receipts.summary)}`,
    `${result.connectionsLost} connections lost, ${result.alertsLost} alerts never receipted`,
    ...(storm === null
      ? []
      : [`all back after ${storm.seconds} s, ${storm.refused} attempts refused`]),
  ]
  return `${lines.join('\n')}\n`
}

function shown({ count, p50Ms, p99Ms, maxMs }: Waits): string {
  return count === 0 ? 'none' : `${p50Ms} ms (99 %: ${p99Ms} ms, longest: ${maxMs} ms)`
}
