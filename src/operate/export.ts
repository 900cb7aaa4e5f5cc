/** `agent export` and `agent import`: the outbox of a host without a network, carried by hand. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { EXPORT_BYTES_MAX, IN_FLIGHT_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { parseJson, problemText, reading } from '../domain/untrusted.ts'
import { openIdentity } from '../platform/identity.ts'
import {
  connectMqtt,
  type MqttConnection,
  type MqttConnectOptions,
  parseBrokerUrl,
} from '../platform/mqtt/client.ts'
import { AggregatorTrust, type KeyPin } from '../publish/aggregator-trust.ts'
import { acknowledgeOutbox, readOutboxRows } from '../publish/outbox-file.ts'
import { hostSecret } from '../settings/host-secret.ts'
import { decodeExport, type ExportFile, encodeExport } from '../wire/export-file.ts'
import { CONTENT_TYPE, cloudEvent } from '../wire/origin.ts'
import {
  decodeReceipt,
  type ReceiptMessage,
  type SequenceRange,
  toRanges,
} from '../wire/receipt-message.ts'
import { attachSignature, detachSignature } from '../wire/signed.ts'
import { agentTopics } from '../wire/topics.ts'

export interface Exported {
  readonly alerts: number
  readonly summaries: number
}

/** Writes what waits in the outbox of a state directory, signed; nothing is removed from it. */
export function exportOutbox(
  { state, site, host }: { state: string; site: string; host: string },
  path: string,
  nowMs: number,
): Exported {
  const { sign } = openIdentity(hostSecret(state, 'host.key'))
  const messages = readOutboxRows(state).map((row) => ({
    ...row,
    payload: attachSignature(row.payload, sign(row.payload)),
  }))
  const bytes = encodeExport({ site, host, created: Math.floor(nowMs / 1000), messages })
  const checked = decodeExport(bytes)
  if (!checked.ok)
    throw new AgentError('ERR_CONFIG', `Cannot export as "${site}/${host}": ${checked.reason}`, {
      hint: 'Give --site and --host as the agent has them',
    })
  writeWhole(path, bytes)
  const alerts = messages.filter(({ kind }) => kind === 'alert').length
  return { alerts, summaries: messages.length - alerts }
}

export interface ImportOptions
  extends Pick<MqttConnectOptions, 'username' | 'password' | 'tls' | 'signal'> {
  readonly broker: string
  /** Public keys of aggregators whose receipts count; none: the first one seen. */
  readonly aggregatorKeys?: readonly string[]
  /** How long receipts are waited for after the last message. */
  readonly waitMs: number
}

export interface Imported extends Pick<ExportFile, 'site' | 'host'> {
  readonly messages: number
  /** Receipted by an aggregator: those that it had already, too. */
  readonly stored: readonly SequenceRange[]
  /** The receipts as they came, each with its signature. */
  readonly receipts: readonly Uint8Array[]
}

/** @throws AgentError where the file is not whole, or the broker cannot be reached or refuses it */
export async function importFile(path: string, options: ImportOptions): Promise<Imported> {
  const file = readExport(path)
  const { site, host } = file
  const waiting = new Set(file.messages.map(keyOf))
  const done = Promise.withResolvers<void>()
  if (waiting.size === 0) done.resolve()
  const { broker, waitMs, aggregatorKeys = [], ...login } = options
  const trust = new AggregatorTrust(aggregatorKeys, pinInMemory(), () => {})
  const receipts: Uint8Array[] = []
  const topics = agentTopics(site, host)
  const connection = await connectMqtt(parseBrokerUrl(broker), {
    ...login,
    clientId: `callsign-import-${crypto.randomUUID().slice(0, 8)}`,
    onMessage: ({ payload, signature }) => {
      const trusted = trust.read(payload, signature)
      const receipt = trusted.ok ? decodeReceipt(trusted.payload) : undefined
      if (receipt?.ok !== true || !isFor(receipt.value, file)) return
      receipts.push(signature === undefined ? payload : attachSignature(payload, signature))
      for (const message of file.messages)
        if (receipt.value.stored.some((range) => covers(range, message)))
          waiting.delete(keyOf(message))
      if (waiting.size === 0) done.resolve()
    },
  })
  try {
    await connection.subscribe([topics.receipt])
    await publishAll(connection, file).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new AgentError('ERR_BROKER', `Cannot import "${path}": the broker refused it: ${why}`, {
        hint: 'Give an account that may publish for this host, such as "SITE/*"',
        cause,
      })
    })
    await Promise.race([done.promise, connection.closed, Bun.sleep(waitMs)])
  } finally {
    await connection.end()
  }
  const stored = file.messages.filter((message) => !waiting.has(keyOf(message)))
  return { site, host, messages: file.messages.length, stored: toRanges(stored), receipts }
}

/** Receipts to be carried back to the host: whose they are, then receipts as MQTT carries them. */
export function writeReceipts(
  path: string,
  { site, host, receipts }: Pick<Imported, 'site' | 'host' | 'receipts'>,
): void {
  const decoder = new TextDecoder()
  const lines = [
    JSON.stringify({ v: 1, site, host }),
    ...receipts.map((payload) => decoder.decode(payload)),
  ]
  writeWhole(path, new TextEncoder().encode(`${lines.join('\n')}\n`))
}

/**
 * Removes what an aggregator has stored, as its receipts over MQTT would: they are signed by the
 * aggregator's key, or there is none yet. @returns how many messages
 */
export function takeReceipts(
  path: string,
  own: { state: string; site: string; host: string; aggregatorKeys?: readonly string[] },
): number {
  const { state, site, host, aggregatorKeys = [] } = own
  const refused = (why: string) =>
    new AgentError('ERR_INPUT', `Cannot use receipts "${path}": ${why}`, {
      hint: 'Give the file that "agent import --receipts" wrote for this host',
    })
  const [head = '', ...lines] = new TextDecoder().decode(readBounded(path)).trimEnd().split('\n')
  const whose = reading(() => {
    const fields = parseJson(head)
    return `${fields.text('site', TOPIC_PART_CHARS_MAX)}/${fields.text('host', TOPIC_PART_CHARS_MAX)}`
  })
  if (!whose.ok) throw refused(problemText(whose))
  if (whose.value !== `${site}/${host}`) throw refused(`they are for "${whose.value}"`)
  return acknowledgeOutbox(state, { site, host }, (pin) => {
    const trust = new AggregatorTrust(aggregatorKeys, pin, () => {})
    return lines.flatMap((line) => {
      const trusted = trust.read(new TextEncoder().encode(line), undefined)
      if (!trusted.ok) throw refused(NOT_TRUSTED[trusted.reason])
      const receipt = decodeReceipt(trusted.payload)
      if (!receipt.ok) throw refused(problemText(receipt))
      if (!isFor(receipt.value, own)) throw refused('one of them is for another host')
      return receipt.value.stored
    })
  })
}

const NOT_TRUSTED = {
  unsigned: 'they are not signed, and the aggregator of this host signs',
  'bad-signature': 'a signature is not right',
  'other-key': "they are signed by another key than the aggregator's (aggregator_key)",
} as const

/** Those of aggregators that do not sign name nobody. */
function isFor(receipt: ReceiptMessage, { site, host }: { site: string; host: string }): boolean {
  return (receipt.site ?? site) === site && (receipt.host ?? host) === host
}

function pinInMemory(): KeyPin {
  let pinned: string | undefined
  return {
    get aggregatorKey() {
      return pinned
    },
    pinAggregator(key) {
      pinned = key
    },
  }
}

function readExport(path: string): ExportFile {
  const file = decodeExport(readBounded(path))
  if (file.ok) return file.value
  throw new AgentError('ERR_SIGNATURE', `Cannot import "${path}": ${file.reason}`)
}

function readBounded(path: string): Uint8Array {
  try {
    const bytes = readFileSync(path)
    if (bytes.byteLength <= EXPORT_BYTES_MAX) return bytes
  } catch (cause) {
    throw new AgentError('ERR_INPUT', `Cannot read "${path}"`, {
      hint: 'Give a file that this user can read',
      cause,
    })
  }
  throw new AgentError(
    'ERR_INPUT',
    `Cannot read "${path}": it has more than ${EXPORT_BYTES_MAX} bytes, as no outbox has`,
  )
}

/** Whole or not at all: a stick may be full or pulled out. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, bytes, { mode: 0o600, flush: true })
    renameSync(temporary, path)
  } catch (cause) {
    throw new AgentError('ERR_DISK', `Cannot write "${path}"`, {
      hint: 'Give a file in an existing, writable directory with enough room',
      cause,
    })
  }
}

async function publishAll(connection: MqttConnection, file: ExportFile): Promise<void> {
  const { site, host, messages } = file
  const topics = agentTopics(site, host)
  for (let at = 0; at < messages.length; at += IN_FLIGHT_MAX)
    await Promise.all(
      messages.slice(at, at + IN_FLIGHT_MAX).map(({ kind, boot, seq, time, payload }) => {
        const { payload: bare, signature } = detachSignature(payload, undefined)
        const signed = connection.protocol === 5 ? bare : payload
        return connection.publish(topics[kind], signed, {
          contentType: CONTENT_TYPE[kind],
          userProperties: cloudEvent(kind, { site, host, boot, seq }, time),
          ...defined({ signature }),
        })
      }),
    )
}

function covers({ boot, from, to }: SequenceRange, message: { boot: number; seq: number }) {
  return boot === message.boot && from <= message.seq && message.seq <= to
}

function keyOf({ boot, seq }: { boot: number; seq: number }): string {
  return `${boot}-${seq}`
}
