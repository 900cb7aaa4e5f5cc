/**
 * An alert on the wire (alert.schema.json): JSON, so that any subscriber can read it.
 *
 * `boot` stands beside `seq` because MQTT 3.1.1 has no user properties and the aggregator needs
 * both to drop duplicates. A message never exceeds ALERT_BYTES_MAX: it loses `why` first, then its
 * context and the end of `exe` and `container`. Shares and confidences are rounded to four digits:
 * more is noise.
 *
 * Agents before severities existed sent none: such an alert is read as high and confirmed, an
 * incident of its own.
 */
import {
  ALERT_ENDS,
  type Alert,
  type ClassConfidence,
  type ParentProcess,
  type ProcessContext,
  type Reason,
} from '../domain/alert.ts'
import { BEHAVIOUR_IDS, SEVERITIES } from '../domain/behaviour.ts'
import { CALL_LEVELS } from '../domain/call-levels.ts'
import { defined } from '../domain/defined.ts'
import {
  ALERT_ALTERNATIVES_MAX,
  ALERT_BYTES_DRAWN_MAX,
  ALERT_BYTES_MAX,
  ALERT_CLAUSES_MAX,
  ALERT_PARENTS_MAX,
  ALERT_PEERS_MAX,
  ALERT_REASONS_MAX,
  ALERT_TECHNIQUES_MAX,
  NAME_BYTES_MAX,
  TOPIC_PART_CHARS_MAX,
  WIRE_CLAUSE_CHARS_MAX,
  WIRE_PATH_CHARS_MAX,
  WIRE_TEXT_CHARS_MAX,
} from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import { type Decoded, Fields, parseJson, reading, refuse } from '../domain/untrusted.ts'
import type { Origin } from './origin.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface AlertMessage extends Alert, Origin {
  readonly v: 1
}

/** Path length when even a message without `why` is too long. */
const PATH_CHARS_LEFT = 64

const utf8 = new TextEncoder()

export function encodeAlert(
  alert: Alert,
  origin: Origin,
  bytesMax: number = ALERT_BYTES_MAX,
): Uint8Array {
  const message = toMessage(alert, origin)
  let why = message.why
  let payload = utf8.encode(JSON.stringify(message))
  // What is only drawn goes first, that of the least decisive calls before the others.
  for (let at = why.length - 1; at >= 0 && payload.byteLength > ALERT_BYTES_DRAWN_MAX; at--) {
    if (why[at]!.seconds === undefined) continue
    why = why.map(({ seconds, ...rest }, i) =>
      i < at ? { ...rest, ...defined({ seconds }) } : rest,
    )
    payload = utf8.encode(JSON.stringify({ ...message, why }))
  }
  while (payload.byteLength > bytesMax && why.length > 0) {
    why = why.slice(0, -1)
    payload = utf8.encode(JSON.stringify({ ...message, why }))
  }
  if (payload.byteLength <= bytesMax) return payload
  const { pid, start, name, uid, deleted, exe, container } = message.process
  const { peers: _peers, because: _because, ...rest } = message
  const cut = {
    pid,
    start,
    name,
    ...defined({ uid, deleted }),
    ...(exe === undefined ? {} : { exe: cutText(exe, PATH_CHARS_LEFT) }),
    ...(container === undefined ? {} : { container: cutText(container, PATH_CHARS_LEFT) }),
  }
  return utf8.encode(JSON.stringify({ ...rest, process: cut, why: [] }))
}

/** Everything that a process can choose is sanitised and cut here. */
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
      ...toContext(process),
    },
    severity: alert.severity,
    certainty: alert.certainty,
    incident: cutText(alert.incident, WIRE_TEXT_CHARS_MAX),
    ...defined({ behaviour: alert.behaviour }),
    predicted: toConfidence(predicted),
    ...defined({
      alternatives: alert.alternatives?.slice(0, ALERT_ALTERNATIVES_MAX).map(toConfidence),
    }),
    claimed: toConfidence(claimed),
    why: alert.why.slice(0, ALERT_REASONS_MAX).map(toReason),
    model: cutText(alert.model, WIRE_TEXT_CHARS_MAX),
    ...(alert.technique === undefined ? {} : { technique: cutText(alert.technique, 32) }),
    ...texts('techniques', alert.techniques, ALERT_TECHNIQUES_MAX, 32),
    ...texts('peers', alert.peers, ALERT_PEERS_MAX, WIRE_TEXT_CHARS_MAX),
    ...texts('because', alert.because, ALERT_CLAUSES_MAX, WIRE_CLAUSE_CHARS_MAX),
    evidence: { from: evidence.from, to: evidence.to },
    ...defined({ ended: alert.ended, reopened: alert.reopened }),
  }
}

/** @param payload untrusted; anything but a complete alert is refused with a reason */
export function decodeAlert(payload: Uint8Array): Decoded<AlertMessage> {
  return reading(() => {
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
        ...readContext(process),
        ...process.rest(),
      },
      severity: fields.has('severity') ? fields.oneOf('severity', SEVERITIES) : 'high',
      certainty: fields.has('certainty')
        ? fields.oneOf('certainty', ['provisional', 'confirmed'])
        : 'confirmed',
      incident: fields.text(fields.has('incident') ? 'incident' : 'id', WIRE_TEXT_CHARS_MAX),
      ...readKnown(fields, 'behaviour', BEHAVIOUR_IDS),
      predicted: readConfidence(fields.object('predicted')),
      ...(fields.has('alternatives')
        ? {
            alternatives: fields
              .objects('alternatives', ALERT_ALTERNATIVES_MAX)
              .map(readConfidence),
          }
        : {}),
      claimed: readConfidence(fields.object('claimed')),
      why: fields
        .list('why', ALERT_REASONS_MAX)
        .map((reason) => readReason(new Fields(reason, 'why.'))),
      model: fields.text('model', WIRE_TEXT_CHARS_MAX, { empty: true }),
      ...(fields.has('technique') ? { technique: fields.text('technique', 32) } : {}),
      ...readTexts(fields, 'techniques', ALERT_TECHNIQUES_MAX, 32),
      ...readTexts(fields, 'peers', ALERT_PEERS_MAX, WIRE_TEXT_CHARS_MAX),
      ...readTexts(fields, 'because', ALERT_CLAUSES_MAX, WIRE_CLAUSE_CHARS_MAX),
      evidence: { from: evidence.integer('from'), to: evidence.integer('to') },
      ...readKnown(fields, 'ended', ALERT_ENDS),
      ...(fields.has('reopened') ? { reopened: fields.integer('reopened') } : {}),
      // A newer agent's fields and behaviours are handed on as they are.
      ...fields.rest(),
    } satisfies AlertMessage
  })
}

function toContext({
  uid,
  user,
  loginUid,
  loginUser,
  parents,
  unit,
  cwd,
  command,
  deleted,
  package: owner,
}: ProcessContext) {
  const text = (value: string | undefined, charsMax = WIRE_TEXT_CHARS_MAX) =>
    value === undefined ? undefined : cutText(value, charsMax)
  return defined({
    uid,
    user: text(user),
    loginUid,
    loginUser: text(loginUser),
    parents: parents?.slice(0, ALERT_PARENTS_MAX).map(({ pid, name, exe }) => ({
      pid,
      name: cutText(name, NAME_BYTES_MAX),
      ...(exe === undefined ? {} : { exe: cutText(exe, WIRE_TEXT_CHARS_MAX) }),
    })),
    unit: text(unit),
    cwd: text(cwd, WIRE_PATH_CHARS_MAX),
    command: text(command, WIRE_PATH_CHARS_MAX),
    deleted,
    package: text(owner),
  })
}

function readContext(process: Fields): ProcessContext {
  const text = (name: string, charsMax = WIRE_TEXT_CHARS_MAX) =>
    process.has(name) ? process.text(name, charsMax, { empty: true }) : undefined
  return defined({
    uid: process.has('uid') ? process.integer('uid') : undefined,
    user: text('user'),
    loginUid: process.has('loginUid') ? process.integer('loginUid') : undefined,
    loginUser: text('loginUser'),
    parents: process.has('parents')
      ? process.list('parents', ALERT_PARENTS_MAX).map((parent) => readParent(parent))
      : undefined,
    unit: text('unit'),
    cwd: text('cwd', WIRE_PATH_CHARS_MAX),
    command: text('command', WIRE_PATH_CHARS_MAX),
    deleted: process.has('deleted') ? process.oneOf('deleted', [true, false]) : undefined,
    package: text('package'),
  })
}

function readParent(value: unknown): ParentProcess {
  const fields = new Fields(value, 'process.parents.')
  return {
    pid: fields.integer('pid'),
    name: fields.text('name', NAME_BYTES_MAX, { empty: true }),
    ...(fields.has('exe') ? { exe: fields.text('exe', WIRE_TEXT_CHARS_MAX, { empty: true }) } : {}),
  }
}

function texts<Name extends string>(
  name: Name,
  values: readonly string[] | undefined,
  most: number,
  charsMax: number,
) {
  if (values === undefined || values.length === 0) return {}
  const cut = values.slice(0, most).map((value) => cutText(value, charsMax))
  return { [name]: cut } as Record<Name, string[]>
}

function readTexts<Name extends string>(
  fields: Fields,
  name: Name,
  most: number,
  charsMax: number,
): { [key in Name]?: string[] } {
  if (!fields.has(name)) return {}
  const read = fields.list(name, most).map((value, i) => {
    return new Fields({ [i]: value }, `${name}.`).text(String(i), charsMax, { empty: true })
  })
  return { [name]: read } as { [key in Name]?: string[] }
}

/** One of a list that grows: a value that only a newer agent knows is a text. */
function readKnown<Name extends string, T extends string>(
  fields: Fields,
  name: Name,
  known: readonly T[],
): { [key in Name]?: T } {
  if (!fields.has(name)) return {}
  const value = fields.text(name, WIRE_TEXT_CHARS_MAX)
  if (!known.includes(value as T) && !/^[a-z0-9-]+$/.test(value)) {
    return fields.field(name).bad('a word of small letters')
  }
  return { [name]: value as T } as { [key in Name]?: T }
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
    ...readSeconds(fields),
  }
}

function readSeconds(fields: Fields): Pick<Reason, 'seconds'> {
  if (!fields.has('seconds')) return {}
  const seconds = fields.text('seconds', 60)
  return CALL_LEVELS.test(seconds) ? { seconds } : fields.field('seconds').bad('digits of base 36')
}

function toConfidence(value: ClassConfidence): ClassConfidence {
  return { class: cutText(value.class, WIRE_TEXT_CHARS_MAX), confidence: toShare(value.confidence) }
}

function toReason(reason: Reason): Reason {
  return {
    syscall: cutText(reason.syscall, NAME_BYTES_MAX),
    seen: toShare(reason.seen),
    expected: toShare(reason.expected),
    ...(reason.seconds !== undefined && CALL_LEVELS.test(reason.seconds)
      ? { seconds: reason.seconds }
      : {}),
  }
}

/** A share of 0…1 in four digits; NaN becomes 0 rather than an invalid message. */
function toShare(share: number): number {
  return Number.isFinite(share) ? Math.round(Math.min(Math.max(share, 0), 1) * 1e4) / 1e4 : 0
}

function cutText(text: string, charsMax: number): string {
  return safeName(text.toWellFormed().slice(0, charsMax).toWellFormed())
}
