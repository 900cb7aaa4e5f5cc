/**
 * An alert on the wire [DESIGN 6, alert.schema.json]: JSON, so that any subscriber can read it without us.
 *
 * `boot` stands beside `seq` because MQTT 3.1.1 has no user properties and the aggregator needs both to
 * drop duplicates. A message never exceeds ALERT_BYTES_MAX: it loses `why` first, then the end of `exe`
 * and `container`. Shares and confidences are rounded to four digits: more is noise.
 */
import type { Alert, ClassConfidence, Reason } from '../domain/alert.ts'
import {
  ALERT_BYTES_MAX,
  ALERT_REASONS_MAX,
  NAME_BYTES_MAX,
  TOPIC_PART_CHARS_MAX,
  WIRE_PATH_CHARS_MAX,
  WIRE_TEXT_CHARS_MAX,
} from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import { type Decoded, decoding, Fields, parseJson, refuse } from './decoded.ts'
import type { Origin } from './origin.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface AlertMessage extends Alert, Origin {
  readonly v: 1
}

/** What is left of a path where even a message without `why` is too long. */
const PATH_CHARS_LEFT = 64

const utf8 = new TextEncoder()

export function encodeAlert(
  alert: Alert,
  origin: Origin,
  bytesMax: number = ALERT_BYTES_MAX,
): Uint8Array {
  const message = toMessage(alert, origin)
  let payload = utf8.encode(JSON.stringify(message))
  let why = message.why
  while (payload.byteLength > bytesMax && why.length > 0) {
    why = why.slice(0, -1)
    payload = utf8.encode(JSON.stringify({ ...message, why }))
  }
  if (payload.byteLength <= bytesMax) return payload
  const { exe, container, ...process } = message.process
  const cut = {
    ...process,
    ...(exe === undefined ? {} : { exe: cutText(exe, PATH_CHARS_LEFT) }),
    ...(container === undefined ? {} : { container: cutText(container, PATH_CHARS_LEFT) }),
  }
  return utf8.encode(JSON.stringify({ ...message, process: cut, why: [] }))
}

/** The order of the fields is DESIGN's; everything a process can choose is made safe and cut here. */
export function toMessage(alert: Alert, origin: Origin): AlertMessage {
  const { process, predicted, claimed, evidence } = alert
  return {
    v: 1,
    id: cutText(alert.id, WIRE_TEXT_CHARS_MAX),
    boot: origin.boot,
    seq: origin.seq,
    kind: alert.kind,
    state: alert.state,
    site: origin.site,
    host: origin.host,
    time: alert.time,
    first: alert.first,
    last: alert.last,
    count: alert.count,
    process: {
      pid: process.pid,
      start: process.start,
      name: cutText(process.name, NAME_BYTES_MAX),
      ...(process.exe === undefined ? {} : { exe: cutText(process.exe, WIRE_PATH_CHARS_MAX) }),
      ...(process.container === undefined
        ? {}
        : { container: cutText(process.container, WIRE_TEXT_CHARS_MAX) }),
    },
    predicted: toConfidence(predicted),
    claimed: toConfidence(claimed),
    why: alert.why.slice(0, ALERT_REASONS_MAX).map(toReason),
    model: cutText(alert.model, WIRE_TEXT_CHARS_MAX),
    ...(alert.technique === undefined ? {} : { technique: cutText(alert.technique, 32) }),
    evidence: { from: evidence.from, to: evidence.to },
  }
}

/** @param payload as it came; anything but a whole alert is refused with a reason. */
export function decodeAlert(payload: Uint8Array): Decoded<AlertMessage> {
  return decoding(() => {
    const fields = parseJson(payload, 2 * ALERT_BYTES_MAX)
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    const process = fields.object('process')
    const evidence = fields.object('evidence')
    return {
      v: 1,
      id: fields.text('id', WIRE_TEXT_CHARS_MAX),
      boot: fields.integer('boot'),
      seq: fields.integer('seq', 1),
      kind: fields.oneOf('kind', ['novelty', 'non-grata', 'masquerade']),
      state: fields.oneOf('state', ['open', 'update', 'closed']),
      site,
      host,
      time: fields.integer('time'),
      first: fields.integer('first'),
      last: fields.integer('last'),
      count: fields.integer('count'),
      process: {
        pid: process.integer('pid'),
        start: process.integer('start'),
        name: process.text('name', NAME_BYTES_MAX, { empty: true }),
        ...(process.has('exe')
          ? { exe: process.text('exe', WIRE_PATH_CHARS_MAX, { empty: true }) }
          : {}),
        ...(process.has('container')
          ? { container: process.text('container', WIRE_TEXT_CHARS_MAX, { empty: true }) }
          : {}),
      },
      predicted: readConfidence(fields.object('predicted')),
      claimed: readConfidence(fields.object('claimed')),
      why: fields
        .list('why', ALERT_REASONS_MAX)
        .map((reason) => readReason(new Fields(reason, 'why.'))),
      model: fields.text('model', WIRE_TEXT_CHARS_MAX, { empty: true }),
      ...(fields.has('technique') ? { technique: fields.text('technique', 32) } : {}),
      evidence: { from: evidence.integer('from'), to: evidence.integer('to') },
    } satisfies AlertMessage
  })
}

function readConfidence(fields: Fields): ClassConfidence {
  return {
    class: fields.text('class', WIRE_TEXT_CHARS_MAX, { empty: true }),
    confidence: fields.number('confidence', 0, 1),
  }
}

function readReason(fields: Fields): Reason {
  return {
    syscall: fields.text('syscall', NAME_BYTES_MAX),
    seen: fields.number('seen', 0, 1),
    expected: fields.number('expected', 0, 1),
  }
}

function toConfidence(value: ClassConfidence): ClassConfidence {
  return { class: cutText(value.class, WIRE_TEXT_CHARS_MAX), confidence: toShare(value.confidence) }
}

function toReason(reason: Reason): Reason {
  return {
    syscall: cutText(reason.syscall, NAME_BYTES_MAX),
    seen: toShare(reason.seen),
    expected: toShare(reason.expected),
  }
}

/** A share of 0…1 in four digits; what is no number (it should not happen) is 0 rather than a broken message. */
function toShare(share: number): number {
  return Number.isFinite(share) ? Math.round(Math.min(Math.max(share, 0), 1) * 1e4) / 1e4 : 0
}

function cutText(text: string, charsMax: number): string {
  return safeName(text.toWellFormed().slice(0, charsMax).toWellFormed())
}
