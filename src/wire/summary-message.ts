/**
 * A minute of a host in CBOR [RFC 8949]: what each process did, sent whether or not there are
 * alerts.
 *
 * Maps with readable keys outside, arrays of small numbers inside, because the processes make up
 * most of a host's traffic (2 MB a day for a quiet one): rows are ordered by pid, with pid and
 * start as differences to the previous row; names are indexes into one table; syscalls are indexes
 * into our append-only list, or names where they are not in it; confidence is in hundredths.
 *
 * Decoding checks every number: indexes are within their tables, tables within their bounds, floats
 * are finite; no tags, no indefinite lengths, no repeated keys.
 */
import { encode } from 'cborg'
import {
  NAME_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  SUMMARY_REASONS_READ_MAX,
  SUMMARY_ROWS_MAX,
  SUMMARY_TOP_CALLS_READ_MAX,
  TOPIC_PART_CHARS_MAX,
  WIRE_TEXT_CHARS_MAX,
} from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { Guarantee, ProcessSummary, Reduced, Summary } from '../domain/summary.ts'
import { OTHER, SYSCALLS, syscallIndexOf } from '../domain/syscalls.ts'
import { type Decoded, Fields, reading, refuse, toInteger, toText } from '../domain/untrusted.ts'
import { parseCbor } from './cbor.ts'
import type { Origin } from './origin.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface SummaryMessage extends Summary, Origin {
  readonly v: 1
}

const NONE = -1

export function encodeSummary(summary: Summary, origin: Origin): Uint8Array {
  const strings = new StringTable()
  const syscalls = new Map<string, number>()
  const containers: number[] = []
  let pid = 0
  let start = summary.to
  const rows = [...summary.processes].sort((a, b) => a.pid - b.pid || a.start - b.start)
  const processes = rows.map((process, row) => {
    if (process.container !== undefined) {
      containers.push(row, strings.indexOf(process.container, WIRE_TEXT_CHARS_MAX))
    }
    const encoded = [
      process.pid - pid,
      process.start - start,
      strings.indexOf(process.name, NAME_BYTES_MAX),
      process.active,
      process.calls,
      process.class === undefined ? NONE : strings.indexOf(process.class, WIRE_TEXT_CHARS_MAX),
      toHundredths(process.confidence),
    ]
    for (const [at, count] of process.top.slice(0, SUMMARY_TOP_CALLS_READ_MAX)) {
      encoded.push(indexOfSyscall(syscalls, summary.syscalls[at] ?? ''), count)
    }
    pid = process.pid
    start = process.start
    return encoded
  })
  const { reduced } = summary.agent
  return encode({
    v: 1,
    site: origin.site,
    host: origin.host,
    boot: origin.boot,
    seq: origin.seq,
    from: summary.from,
    to: summary.to,
    strings: strings.all,
    syscalls: [...syscalls.keys()].map((name) => syscallIndexOf(name) ?? name),
    processes,
    containers,
    omitted: summary.processesOmitted,
    calls: summary.calls,
    dropped: { ...summary.dropped },
    alertsOpen: summary.alertsOpen,
    ...(summary.unjudged === undefined ? {} : { unjudged: { ...summary.unjudged } }),
    ...(summary.missed === undefined ? {} : { missed: { ...summary.missed } }),
    ...(summary.guarantee === undefined ? {} : { guarantee: encodeGuarantee(summary.guarantee) }),
    agent: [
      // Milliseconds: CBOR writes a fraction as eight bytes.
      Math.max(0, Math.round(summary.agent.cpuSeconds * 1000)),
      Math.max(0, Math.round(summary.agent.rssBytes)),
      Math.max(0, Math.round(summary.agent.lagMs)),
      summary.agent.outboxRows,
      // Only if windows were skipped, so that ordinary minutes cost nothing.
      ...(reduced === undefined ? [] : [...reduced.seconds, reduced.windows]),
    ],
  })
}

export function decodeSummary(payload: Uint8Array): Decoded<SummaryMessage> {
  return reading(() => {
    if (payload.byteLength > PAYLOAD_BYTES_MAX) refuse('too-long')
    const fields = new Fields(parseCbor(payload), '')
    fields.version(1)
    const site = fields.text('site', TOPIC_PART_CHARS_MAX)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    if (!isTopicPart(site)) refuse('bad-field(site)')
    if (!isHostName(host)) refuse('bad-field(host)')
    const from = fields.integer('from')
    const to = fields.integer('to')
    if (from > to) refuse('bad-field(to)')
    const strings = fields
      .list('strings', SUMMARY_ROWS_MAX)
      .map((text) => toText(text, WIRE_TEXT_CHARS_MAX, true) ?? refuse('bad-field(strings)'))
    const syscalls = fields.list('syscalls', SUMMARY_ROWS_MAX).map(readSyscall)
    const rows = fields.list('processes', SUMMARY_ROWS_MAX)
    const processes = readProcesses(rows, to, strings, syscalls.length)
    const containers = fields.list('containers', 2 * rows.length)
    for (let at = 0; at < containers.length; at += 2) {
      const row = index(containers[at], rows.length)
      const container = strings[index(containers[at + 1], strings.length)]!
      processes[row] = { ...processes[row]!, container }
    }
    const agent = fields.list('agent', 8)
    return {
      v: 1,
      site,
      host,
      boot: fields.integer('boot'),
      seq: fields.integer('seq', 1),
      from,
      to,
      syscalls,
      processes: processes.sort((a, b) => b.calls - a.calls || a.pid - b.pid),
      processesOmitted: fields.integer('omitted'),
      calls: fields.integer('calls'),
      dropped: fields.counts('dropped', SUMMARY_REASONS_READ_MAX),
      alertsOpen: fields.integer('alertsOpen'),
      ...(fields.has('missed')
        ? { missed: fields.counts('missed', SUMMARY_REASONS_READ_MAX) }
        : {}),
      ...(fields.has('guarantee')
        ? { guarantee: toGuarantee(fields.list('guarantee', GUARANTEE_NUMBERS)) }
        : {}),
      ...(fields.has('unjudged')
        ? { unjudged: fields.counts('unjudged', SUMMARY_REASONS_READ_MAX) }
        : {}),
      agent: {
        cpuSeconds: count(agent[0], 'agent') / 1000,
        rssBytes: count(agent[1], 'agent'),
        lagMs: count(agent[2], 'agent'),
        outboxRows: count(agent[3], 'agent'),
        ...readReduced(agent.slice(4)),
      },
    } satisfies SummaryMessage
  })
}

/** Hours, hours that it takes, and once it can be said the share in ten thousandths. */
export const GUARANTEE_NUMBERS = 3

function encodeGuarantee({ hours, needed, alertHoursMax }: Guarantee): number[] {
  const share = alertHoursMax === undefined ? [] : [Math.round(alertHoursMax * 1e4)]
  return [hours, needed, ...share]
}

/** @throws where the numbers are none of a guarantee */
export function toGuarantee(numbers: readonly unknown[]): Guarantee {
  const hours = count(numbers[0], 'guarantee')
  const needed = count(numbers[1], 'guarantee')
  if (numbers.length < GUARANTEE_NUMBERS) return { hours, needed }
  const share = toInteger(numbers[2], 0, 1e4) ?? refuse('bad-field(guarantee)')
  return { hours, needed, alertHoursMax: share / 1e4 }
}

/** Absent if every window was classified, and from agents that did not report it yet. */
function readReduced(numbers: readonly unknown[]): { reduced?: Reduced } {
  if (numbers.length === 0) return {}
  const [one, two, three, windows] = numbers.map((number) => count(number, 'agent'))
  if (windows === undefined) return refuse('bad-field(agent)')
  return { reduced: { seconds: [one!, two!, three!], windows } }
}

function readProcesses(
  rows: readonly unknown[],
  to: number,
  strings: readonly string[],
  syscallCount: number,
): ProcessSummary[] {
  let pid = 0
  let start = to
  return rows.map((row) => {
    if (!Array.isArray(row) || row.length < 7 || row.length > 7 + 2 * SUMMARY_TOP_CALLS_READ_MAX) {
      return refuse('bad-field(processes)')
    }
    const [pidStep, startStep, name, active, calls, classIndex, hundredths, ...pairs] = row
    pid = count(pid + step(pidStep), 'pid')
    start = count(start + step(startStep), 'start')
    const top: [number, number][] = []
    for (let at = 0; at < pairs.length; at += 2) {
      top.push([index(pairs[at], syscallCount), count(pairs[at + 1], 'top')])
    }
    return {
      pid,
      start,
      name: strings[index(name, strings.length)]!,
      active: count(active, 'active'),
      calls: count(calls, 'calls'),
      ...(classIndex === NONE ? {} : { class: strings[index(classIndex, strings.length)]! }),
      ...(hundredths === NONE ? {} : { confidence: share(hundredths) }),
      top,
    }
  })
}

/**
 * An index into our list, or a name; an index beyond our list is from a newer agent and becomes
 * "other".
 */
function readSyscall(value: unknown): string {
  if (typeof value === 'number') return SYSCALLS[count(value, 'syscalls')] ?? SYSCALLS[OTHER]!
  return toText(value, NAME_BYTES_MAX, true) ?? refuse('bad-field(syscalls)')
}

function indexOfSyscall(table: Map<string, number>, name: string): number {
  const safe = safeName(name.slice(0, NAME_BYTES_MAX))
  const known = table.get(safe)
  if (known !== undefined) return known
  table.set(safe, table.size)
  return table.size - 1
}

function step(value: unknown): number {
  return (
    toInteger(value, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) ?? refuse('bad-field(step)')
  )
}

function index(value: unknown, length: number): number {
  return toInteger(value, 0, length - 1) ?? refuse('bad-field(index)')
}

function count(value: unknown, name: string): number {
  return toInteger(value, 0, Number.MAX_SAFE_INTEGER) ?? refuse(`bad-field(${name})`)
}

function share(value: unknown): number {
  return (toInteger(value, 0, 100) ?? refuse('bad-field(confidence)')) / 100
}

function toHundredths(confidence: number | undefined): number {
  if (confidence === undefined || !Number.isFinite(confidence)) return NONE
  return Math.round(Math.min(Math.max(confidence, 0), 1) * 100)
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
