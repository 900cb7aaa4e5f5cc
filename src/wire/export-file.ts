/**
 * The messages of a host as a file, for hosts without a network (docs/reference/formats.md): a line
 * of JSON that says whose they are, one line per message with its payload in base64, and a last
 * line with the SHA-256 of all before. What was cut or changed on the way is refused.
 *
 * Payloads are the bytes that MQTT would have carried, so whatever checks them there checks them
 * after an import as well.
 */
import { createHash } from 'node:crypto'
import { PAYLOAD_BYTES_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { type Decoded, parseJson, problemText, reading, refuse } from '../domain/untrusted.ts'
import { decodeAlert } from './alert-message.ts'
import type { EventKind, Origin } from './origin.ts'
import { readSummaryHead } from './summary-head.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface ExportedMessage {
  readonly kind: EventKind
  readonly boot: number
  readonly seq: number
  /** Unix seconds of the event. */
  readonly time: number
  readonly payload: Uint8Array
}

export interface ExportFile {
  readonly site: string
  readonly host: string
  /** Unix seconds. */
  readonly created: number
  readonly messages: readonly ExportedMessage[]
}

const FORMAT = 'callsign-export'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeExport({ site, host, created, messages }: ExportFile): Uint8Array {
  const head = { v: 1, format: FORMAT, site, host, created, messages: messages.length }
  const lines = [
    head,
    ...messages.map(({ kind, boot, seq, time, payload }) => ({
      ...{ kind, boot, seq, time },
      payload: Buffer.from(payload).toString('base64'),
    })),
  ]
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  return encoder.encode(`${body}${JSON.stringify({ sha256: sha256(body) })}\n`)
}

/** `reason` is a clause for people. */
export function decodeExport(bytes: Uint8Array): Decoded<ExportFile> {
  const text = decoder.decode(bytes)
  const lines = text.split('\n')
  if (!lines[0]!.includes(FORMAT)) return { ok: false, reason: 'it is no file of "agent export"' }
  const last = lines.at(-2) ?? ''
  const body = text.slice(0, text.length - last.length - 1)
  const sum = reading(() => parseJson(last).text('sha256', 64))
  if (lines.at(-1) !== '' || !sum.ok) return { ok: false, reason: 'it is cut off: copy it again' }
  if (sum.value !== sha256(body))
    return { ok: false, reason: 'its checksum differs: it was changed or damaged on the way' }
  const head = reading(() => readHead(lines[0]!))
  if (!head.ok) return { ok: false, reason: `line 1: ${problemText(head)}` }
  const { count, ...file } = head.value
  const messages: ExportedMessage[] = []
  for (const [i, line] of lines.slice(1, -2).entries()) {
    const message = reading(() => readMessage(line, file))
    if (!message.ok) return { ok: false, reason: `line ${i + 2}: ${problemText(message)}` }
    messages.push(message.value)
  }
  if (messages.length !== count)
    return { ok: false, reason: `it has ${messages.length} messages, its first line says ${count}` }
  return { ok: true, value: { ...file, messages } }
}

function readHead(line: string) {
  const fields = parseJson(line)
  fields.version(1)
  const site = fields.text('site', TOPIC_PART_CHARS_MAX)
  const host = fields.text('host', TOPIC_PART_CHARS_MAX)
  if (!isTopicPart(site)) refuse('bad-field(site)')
  if (!isHostName(host)) refuse('bad-field(host)')
  return { site, host, created: fields.integer('created'), count: fields.integer('messages') }
}

function readMessage(line: string, whose: { site: string; host: string }): ExportedMessage {
  const fields = parseJson(line)
  const kind = fields.oneOf('kind', ['alert', 'summary'])
  const text = fields.text('payload', 2 * PAYLOAD_BYTES_MAX)
  const payload = new Uint8Array(Buffer.from(text, 'base64'))
  const decoded: Decoded<Origin> =
    kind === 'alert' ? decodeAlert(payload) : readSummaryHead(payload)
  if (!decoded.ok) return refuse(decoded.reason)
  const { site, host, boot, seq } = decoded.value
  const told = { boot: fields.integer('boot'), seq: fields.integer('seq', 1) }
  const isSame =
    site === whose.site && host === whose.host && boot === told.boot && seq === told.seq
  if (!isSame) refuse('a-message-of-another-host-or-number')
  return { kind, ...told, time: fields.integer('time'), payload }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
