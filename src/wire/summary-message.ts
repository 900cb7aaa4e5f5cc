/**
 * A minute of a host in CBOR [DESIGN 6, RFC 8949]: what each busy process did, sent though all is well.
 *
 * Maps with readable keys outside, arrays inside: a process is a row of numbers, and its names are indexes
 * into one string table, because forty processes a minute are what a host-day's traffic is made of. Process
 * starts are kept as seconds before the span's end (negative: it started later, by a clock that stepped).
 *
 * Decoding looks at every number: indexes stay inside their tables, tables inside their bounds, floats are
 * finite, no tags, no indefinite lengths, no repeated keys.
 */
import { decode, encode } from 'cborg'
import { NAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { ProcessSummary, Summary } from '../domain/summary.ts'
import { type Decoded, decoding, Fields, refuse, toInteger, toText } from './decoded.ts'
import type { Origin } from './origin.ts'
import { isHostName, isTopicPart, TOPIC_PART_CHARS_MAX } from './topics.ts'

export interface SummaryMessage extends Summary, Origin {
  readonly v: 1
}

const STRING_CHARS_MAX = 128
/** A summary of SUMMARY_BYTES_MAX holds a few hundred rows; what decodes to more is no summary. */
const ROWS_MAX = 8_192
const TOP_MAX = 16
const REASONS_MAX = 64
const NONE = -1

export function encodeSummary(summary: Summary, origin: Origin): Uint8Array {
  const strings = new StringTable()
  const syscalls = new StringTable()
  const processes = summary.processes.map((process) => [
    process.pid,
    summary.to - process.start,
    strings.indexOf(process.name, NAME_BYTES_MAX),
    process.active,
    process.calls,
    process.class === undefined ? NONE : strings.indexOf(process.class, STRING_CHARS_MAX),
    // Thousandths: a quarter of what a float takes.
    toThousandths(process.confidence),
    process.container === undefined ? NONE : strings.indexOf(process.container, STRING_CHARS_MAX),
    ...process.top
      .slice(0, TOP_MAX)
      .flatMap(([syscall, count]) => [
        syscalls.indexOf(summary.syscalls[syscall] ?? '', NAME_BYTES_MAX),
        count,
      ]),
  ])
  return encode({
    v: 1,
    site: origin.site,
    host: origin.host,
    boot: origin.boot,
    seq: origin.seq,
    from: summary.from,
    to: summary.to,
    strings: strings.all,
    syscalls: syscalls.all,
    processes,
    omitted: summary.processesOmitted,
    calls: summary.calls,
    dropped: { ...summary.dropped },
    alertsOpen: summary.alertsOpen,
    agent: [
      // Milliseconds: CBOR writes a fraction as eight bytes.
      Math.max(0, Math.round(summary.agent.cpuSeconds * 1000)),
      Math.max(0, Math.round(summary.agent.rssBytes)),
      Math.max(0, Math.round(summary.agent.lagMs)),
      summary.agent.outboxRows,
    ],
  })
}

export function decodeSummary(payload: Uint8Array): Decoded<SummaryMessage> {
  return decoding(() => {
    if (payload.byteLength > PAYLOAD_BYTES_MAX) refuse('too-long')
    let value: unknown
    try {
      value = decode(payload, {
        allowIndefinite: false,
        allowUndefined: false,
        allowInfinity: false,
        allowNaN: false,
        allowBigInt: false,
        rejectDuplicateMapKeys: true,
      })
    } catch {
      refuse('not-cbor')
    }
    const fields = new Fields(value, '')
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    const from = fields.integer('from')
    const to = fields.integer('to')
    if (from > to) refuse('bad-field(to)')
    const strings = readStrings(fields, 'strings')
    const syscalls = readStrings(fields, 'syscalls')
    const agent = fields.list('agent', 4)
    return {
      v: 1,
      site,
      host,
      boot: fields.integer('boot'),
      seq: fields.integer('seq', 1),
      from,
      to,
      syscalls,
      processes: fields
        .list('processes', ROWS_MAX)
        .map((row) => readProcess(row, to, strings, syscalls)),
      processesOmitted: fields.integer('omitted'),
      calls: fields.integer('calls'),
      dropped: fields.counts('dropped', REASONS_MAX),
      alertsOpen: fields.integer('alertsOpen'),
      agent: {
        cpuSeconds: count(agent[0], 'agent') / 1000,
        rssBytes: count(agent[1], 'agent'),
        lagMs: count(agent[2], 'agent'),
        outboxRows: count(agent[3], 'agent'),
      },
    } satisfies SummaryMessage
  })
}

function readProcess(
  row: unknown,
  to: number,
  strings: readonly string[],
  syscalls: readonly string[],
): ProcessSummary {
  if (
    !Array.isArray(row) ||
    row.length < 8 ||
    row.length > 8 + 2 * TOP_MAX ||
    row.length % 2 !== 0
  ) {
    return refuse('bad-field(processes)')
  }
  const [pid, age, name, active, calls, classIndex, thousandths, container, ...pairs] = row
  const start = toInteger(to - (toInteger(age, -to, to) ?? refuse('bad-field(start)')), 0, 2 * to)
  const top: [number, number][] = []
  for (let at = 0; at < pairs.length; at += 2) {
    top.push([index(pairs[at], syscalls.length), count(pairs[at + 1], 'top')])
  }
  return {
    pid: count(pid, 'pid'),
    start: start ?? refuse('bad-field(start)'),
    name: strings[index(name, strings.length)]!,
    active: count(active, 'active'),
    calls: count(calls, 'calls'),
    ...(classIndex === NONE ? {} : { class: strings[index(classIndex, strings.length)]! }),
    ...(thousandths === NONE ? {} : { confidence: share(thousandths) }),
    ...(container === NONE ? {} : { container: strings[index(container, strings.length)]! }),
    top,
  }
}

function readStrings(fields: Fields, name: string): string[] {
  return fields
    .list(name, ROWS_MAX)
    .map((text) => toText(text, STRING_CHARS_MAX, true) ?? refuse(`bad-field(${name})`))
}

function index(value: unknown, length: number): number {
  return toInteger(value, 0, length - 1) ?? refuse('bad-field(index)')
}

function count(value: unknown, name: string): number {
  return toInteger(value, 0, Number.MAX_SAFE_INTEGER) ?? refuse(`bad-field(${name})`)
}

function share(value: unknown): number {
  return (toInteger(value, 0, 1000) ?? refuse('bad-field(confidence)')) / 1000
}

function toThousandths(confidence: number | undefined): number {
  if (confidence === undefined || !Number.isFinite(confidence)) return NONE
  return Math.round(Math.min(Math.max(confidence, 0), 1) * 1000)
}

class StringTable {
  readonly all: string[] = []
  readonly #indexes = new Map<string, number>()

  indexOf(text: string, charsMax: number): number {
    const safe = safeName(text.toWellFormed().slice(0, charsMax).toWellFormed())
    let index = this.#indexes.get(safe)
    if (index === undefined) {
      index = this.all.push(safe) - 1
      this.#indexes.set(safe, index)
    }
    return index
  }
}
