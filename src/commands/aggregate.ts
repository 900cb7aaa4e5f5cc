/**
 * `agent aggregate`: collects the alerts of many hosts and shows them.
 *
 * Listens on loopback by default. The ready file (JSON with the real addresses) appears
 * when both ports answer and goes at the end; scripts that start an aggregator on port 0 read it.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { defineCommand } from 'citty'
import {
  type Aggregator,
  type AggregatorOptions,
  type Listener,
  startAggregator,
} from '../aggregator/aggregator.ts'
import { parsePartition } from '../aggregator/central/partition.ts'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { ABSENT_AFTER_MS, ABSENT_AFTER_MS_MIN } from '../domain/limits.ts'
import { openModelInUse } from '../operate/models.ts'
import { chosenOutputs } from '../outputs/chosen.ts'
import { systemClock } from '../platform/clock.ts'
import { version } from '../platform/embedded.ts'
import { requireOwnFile } from '../platform/linux/private-directory.ts'
import { closeSandbox } from '../platform/linux/sandbox.ts'
import { log } from '../platform/log.ts'
import { BROKER_SETTINGS, type Settings } from '../settings/keys.ts'
import { brokerLogin, loadSettings } from '../settings/settings.ts'
import { confineAggregator } from './aggregate-sandbox.ts'
import { onStore, storeOf } from './aggregator-store.ts'
import {
  durationOf,
  jsonArg,
  note,
  outputsIn,
  settingArgs,
  shutdownSignal,
  wholeNumber,
  writeJson,
} from './common.ts'

const fileArg = (description: string) =>
  ({ type: 'string', description, valueHint: 'FILE' }) as const

export default defineCommand({
  meta: {
    name: 'aggregate',
    description: 'Collects the alerts of many hosts: broker, store, page, API and metrics',
    examples: [
      'agent aggregate                                   # broker on 127.0.0.1:1883, page on http://127.0.0.1:8470',
      'agent aggregate --broker mqtts://mq.example:8883 --ca ca.pem   # with an existing broker',
      'agent aggregate --listen 0.0.0.0:8883 --tls-cert c.pem --tls-key k.pem --password-file agents',
      'agent aggregate --store postgres://callsign@db.example/callsign --broker mqtt://mq.example   # several share it',
      'agent aggregate --classify # for hosts with "agent watch --send vectors": the model runs here',
      'agent aggregate --enrol --listen 0.0.0.0:8883 --http 0.0.0.0:8470 --http-password-file people   # hosts get certificates',
      'agent aggregate token berlin/web-1 >token   # web-1 may enrol with it, once, within an hour',
      'agent aggregate migrate --to postgres://callsign@db.example/callsign   # from the file to the database',
      'agent aggregate accept berlin/web-1 KEY   # after web-1 was installed anew; KEY as "agent status" there shows it',
      'agent aggregate --listen 127.0.0.1:0 --http 127.0.0.1:0 --ready-file r.json   # free ports, told in r.json',
    ],
  },
  args: {
    action: {
      type: 'positional',
      required: false,
      description:
        '"migrate" moves what --store holds to --to; "keys" lists the keys of hosts; "accept" accepts a new key of a host; "token" lets a host enrol; "revoke" ends its certificates; "crl" lists revoked ones',
      valueHint: 'migrate|keys|accept|token|revoke|crl',
    },
    of: {
      type: 'positional',
      required: false,
      description: 'with "accept", "token" and "revoke": the host',
      valueHint: 'SITE/HOST',
    },
    publicKey: {
      type: 'positional',
      required: false,
      description: 'with "accept": its public key, as "agent status" on that host shows it',
      valueHint: 'KEY',
    },
    ...settingArgs(
      'listen',
      'http',
      'store',
      'site',
      'state',
      'model',
      'falseAlarmsPerDay',
      'learn',
    ),
    ...settingArgs(...BROKER_SETTINGS),
    ...settingArgs('syslog', 'webhook', 'webhookTemplate', 'webhookSecretFile'),
    httpNames: {
      type: 'string',
      description:
        'host names of the page that are accepted, beside IP addresses and the host name',
      valueHint: 'NAME,…',
    },
    allowAnonymous: {
      type: 'boolean',
      description:
        'listen beyond loopback without authentication, so that anyone can send for every host, and read',
    },
    classify: {
      type: 'boolean',
      description: 'classify hosts that send their vectors ("agent watch --send vectors")',
    },
    classifyEvery: {
      type: 'string',
      description:
        'with --classify: seconds between two windows of one process, suspects excepted; default 1, as an agent',
      valueHint: 'N',
    },
    partition: {
      type: 'string',
      description: 'with --classify: this instance classifies every OFth host, as 1/3 of three',
      valueHint: 'N/OF',
    },
    retain: {
      type: 'string',
      description: 'retention by age and size, such as novelty=90d,hosts=90d,size=8GB',
      valueHint: 'KEY=VALUE,…',
    },
    absentAfter: {
      type: 'string',
      description:
        'a host that sends nothing for so long without a clean end is an alert; default 5m, at least 2m, "off" for none',
      valueHint: 'DURATION',
    },
    to: {
      type: 'string',
      description: 'with "migrate": the store that takes everything',
      valueHint: 'FILE|URL',
    },
    enrol: {
      type: 'boolean',
      description:
        'let hosts enrol ("agent enrol"), and ask the clients of the embedded broker for their certificates',
    },
    uses: {
      type: 'string',
      description: 'with "token": so many hosts may enrol with it; default 1',
      valueHint: 'N',
    },
    expires: {
      type: 'string',
      description: 'how long a token (default 1h) or a list of revoked certificates (30d) holds',
      valueHint: 'DURATION',
    },
    requireSignatures: {
      type: 'boolean',
      description: 'refuse unsigned messages also of hosts that have never signed',
    },
    readyFile: fileArg(
      'created when both ports accept connections; contains their addresses as JSON',
    ),
    tlsCert: fileArg('certificate chain of both listeners (PEM)'),
    tlsKey: fileArg('key of that certificate (PEM)'),
    tlsClientCa: fileArg(
      'require client certificates of this authority (PEM); the CN is the host name',
    ),
    passwordFile: fileArg('lines "name:secret"; name is a host, site/host, site/* or @reader'),
    httpPasswordFile: fileArg(
      'lines "name:secret" for page and API (HTTP Basic); an operator acts on incidents, "@name" reads',
    ),
    ...jsonArg,
  },
  async run({ args }) {
    const { settings, origins, file } = loadSettings(args)
    const signal = shutdownSignal()
    if (args.action !== undefined) {
      const location = storeOf(settings, origins.store === 'flag')
      return onStore(location, args.action, { ...args, json: args.json === true }, signal)
    }
    const broker = brokerOf(settings, origins.listen === 'flag', args)
    const http = listener(settings.http, 'http', args)
    await confineAggregator(
      {
        ...{ store: storeOf(settings, origins.store === 'flag'), settings, settingsFile: file },
        given: [
          args.tlsCert,
          args.tlsKey,
          args.tlsClientCa,
          args.passwordFile,
          args.httpPasswordFile,
        ],
        readyFile: args.readyFile,
        ports: [...(broker.kind === 'embedded' ? [broker.port] : []), http.port],
      },
      signal,
    )
    if (args.readyFile !== undefined) rmSync(args.readyFile, { force: true })
    const classify = await classifyOf(settings, args)
    const aggregator = await startAggregator({
      store: storeOf(settings, origins.store === 'flag'),
      ...defined({ retain: args.retain, httpNames: args.httpNames?.split(',') }),
      allowAnonymous: args.allowAnonymous === true,
      requireSignatures: args.requireSignatures === true,
      enrol: args.enrol === true,
      broker,
      http: { ...http, ...passwordFile(args.httpPasswordFile) },
      site: settings.site,
      ...defined({ classify, absence: absenceOf(args.absentAfter) }),
      outputs: chosenOutputs({
        ...outputsIn({ ...settings, alertFile: undefined }),
        queue: { put: () => true, get: () => undefined },
        now: systemClock.now,
      }),
      version,
      clock: systemClock,
      log,
      signal,
    })
    try {
      const ready = readyOf(aggregator)
      // Everything runs that needs more.
      const unfiltered = closeSandbox({ programs: false })
      if (unfiltered !== undefined) log.warn('Calls are not filtered', { why: unfiltered })
      if (args.readyFile !== undefined) writeReadyFile(args.readyFile, ready)
      if (args.json) await writeJson(ready)
      else {
        note(`Agents:  agent watch --broker ${ready.broker}`)
        note(`Page:    ${ready.url}/`)
      }
      log.info('Aggregator is ready', ready)
      if (!signal.aborted)
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    } finally {
      if (args.readyFile !== undefined) rmSync(args.readyFile, { force: true })
      await aggregator.close()
      await classify?.model.close()
      log.info('Aggregator stopped')
    }
  },
})

interface ClassifyArgs {
  readonly classify?: boolean | undefined
  readonly classifyEvery?: string | undefined
  readonly partition?: string | undefined
}

/** @throws AgentError ERR_USAGE where flags of classifying are given without it */
async function classifyOf(
  settings: Settings,
  { classify, classifyEvery, partition }: ClassifyArgs,
): Promise<AggregatorOptions['classify']> {
  const every = wholeNumber(classifyEvery, 'classify-every', 1, 60) ?? 1
  if (classify !== true) {
    if (classifyEvery === undefined && partition === undefined) return undefined
    throw new AgentError('ERR_USAGE', 'Cannot use --classify-every and --partition alone', {
      hint: 'Give --classify as well',
    })
  }
  const parts = partition === undefined ? undefined : parsePartition(partition)
  const model = await openModelInUse(settings.model, settings.state)
  const { falseAlarmsPerDay, learn } = settings
  return {
    ...{ model, every, falseAlertsPerDay: falseAlarmsPerDay, learnSeconds: learn / 1000 },
    ...defined({ partition: parts }),
  }
}

function absenceOf(text: string | undefined): AggregatorOptions['absence'] {
  if (text === 'off') return undefined
  const afterMs = durationOf(text, 'absent-after') ?? ABSENT_AFTER_MS
  if (afterMs < ABSENT_AFTER_MS_MIN)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --absent-after "${text}": hosts are heard once a minute`,
      {
        hint: `Give ${ABSENT_AFTER_MS_MIN / 60_000}m or more, or "off"`,
      },
    )
  return { afterMs }
}

function readyOf({ brokerUrl, url, publicKey }: Aggregator) {
  return { broker: brokerUrl, url, pid: process.pid, key: publicKey }
}

type TlsArgs = Partial<
  Record<'tlsCert' | 'tlsKey' | 'tlsClientCa' | 'passwordFile', string | undefined>
>

function brokerOf(
  settings: Settings,
  listenGiven: boolean,
  args: TlsArgs,
): AggregatorOptions['broker'] {
  if (settings.broker === undefined)
    return {
      kind: 'embedded',
      ...listener(settings.listen, 'listen', args),
      ...passwordFile(args.passwordFile),
    }
  if (listenGiven)
    throw new AgentError('ERR_USAGE', 'Cannot use --listen together with --broker', {
      hint: '--listen starts the embedded broker, --broker uses an existing one',
    })
  return { kind: 'external', url: settings.broker, ...brokerLogin(settings) }
}

function listener(text: string, flag: 'listen' | 'http', args: TlsArgs): Listener {
  const { host, port } = parseAddress(text, flag)
  const { tlsCert, tlsKey, tlsClientCa } = args
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new AgentError('ERR_USAGE', 'Cannot use TLS: --tls-cert and --tls-key go together')
  if (tlsCert === undefined || tlsKey === undefined) return { host, port }
  return {
    host,
    port,
    tls: {
      cert: readPem(tlsCert),
      key: readPem(tlsKey),
      ...(flag === 'listen' && tlsClientCa !== undefined ? { clientCa: readPem(tlsClientCa) } : {}),
    },
  }
}

/** HOST:PORT, [IPV6]:PORT. */
export function parseAddress(text: string, flag: string): { host: string; port: number } {
  const [, bracketed, plain, digits] =
    /^(?:\[([\da-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port > 65_535)
    throw new AgentError('ERR_USAGE', `Cannot use --${flag} "${text}": it is not HOST:PORT`, {
      hint: 'For example 127.0.0.1:1883, [::1]:1883, or port 0 for a free one',
    })
  return { host, port }
}

function passwordFile(path: string | undefined): { passwordFile?: string } {
  return path === undefined ? {} : { passwordFile: path }
}

function readPem(path: string): string {
  requireOwnFile(path, 'the PEM file')
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AgentError('ERR_CONFIG', `Cannot read "${path}"`, {
      hint: 'Give a PEM file that this user can read',
      cause,
    })
  }
}

/** Whole or not at all: whoever waits for the file reads it at once. */
function writeReadyFile(path: string, ready: unknown): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, `${JSON.stringify(ready)}\n`, { mode: 0o644 })
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new AgentError('ERR_CONFIG', `Cannot write ready file "${path}"`, {
      hint: 'Give a file in an existing, writable directory',
      cause,
    })
  }
}
