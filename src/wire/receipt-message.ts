/**
 * What the aggregator has stored, sent to the agent after the commit; only then a row leaves the
 * outbox. Sequence numbers are inclusive ranges, so one receipt covers a whole group commit:
 * `{"v":1,"site":…,"host":…,"stored":[[boot,from,to],…]}`.
 *
 * Anyone who may publish on the topic can send a receipt: the outbox removes only rows that it has
 * handed out, however wide the range is, and the aggregator signs its receipts. They name their
 * host, so that the receipt of one host is none for another. Aggregators that do not sign yet name
 * none.
 */
import { defined } from '../domain/defined.ts'
import { RECEIPT_BYTES_MAX, RECEIPT_RANGES_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { type Decoded, parseJson, reading, refuse, toInteger } from '../domain/untrusted.ts'
import type { Origin } from './origin.ts'

export interface SequenceRange {
  readonly boot: number
  /** Inclusive. */
  readonly from: number
  readonly to: number
}

export interface ReceiptMessage {
  readonly v: 1
  /** Absent in receipts of aggregators that do not sign. */
  readonly site?: string
  readonly host?: string
  readonly stored: readonly SequenceRange[]
}

const utf8 = new TextEncoder()

/**
 * One or more payloads, each within the receiver's bounds.
 * @param stored of one host, in any order.
 */
export function encodeReceipts(
  to: Pick<Origin, 'site' | 'host'>,
  stored: readonly Pick<Origin, 'boot' | 'seq'>[],
  rangesMax: number = RECEIPT_RANGES_MAX,
): Uint8Array[] {
  return encodeReceiptRanges(to, toRanges(stored), rangesMax)
}

/** The fewest ranges that hold these numbers and no others. */
export function toRanges(stored: readonly Pick<Origin, 'boot' | 'seq'>[]): SequenceRange[] {
  const sorted = [...stored].sort((a, b) => a.boot - b.boot || a.seq - b.seq)
  const ranges: { boot: number; from: number; to: number }[] = []
  for (const { boot, seq } of sorted) {
    const last = ranges.at(-1)
    if (last !== undefined && last.boot === boot && seq <= last.to + 1) last.to = seq
    else ranges.push({ boot, from: seq, to: seq })
  }
  return ranges
}

export function encodeReceiptRanges(
  { site, host }: Pick<Origin, 'site' | 'host'>,
  ranges: readonly SequenceRange[],
  rangesMax: number = RECEIPT_RANGES_MAX,
): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (let at = 0; at < ranges.length; at += rangesMax) {
    const stored = ranges.slice(at, at + rangesMax).map(({ boot, from, to }) => [boot, from, to])
    payloads.push(utf8.encode(JSON.stringify({ v: 1, site, host, stored })))
  }
  return payloads
}

export function decodeReceipt(payload: Uint8Array): Decoded<ReceiptMessage> {
  return reading(() => {
    const fields = parseJson(payload, RECEIPT_BYTES_MAX)
    fields.version(1)
    const text = (name: string) =>
      fields.has(name) ? fields.text(name, TOPIC_PART_CHARS_MAX) : undefined
    const stored = fields.list('stored', RECEIPT_RANGES_MAX).map((range) => {
      if (!Array.isArray(range) || range.length !== 3) return refuse('bad-field(stored)')
      const [boot, from, to] = range.map((value) => toInteger(value, 0, Number.MAX_SAFE_INTEGER))
      if (boot === undefined || from === undefined || to === undefined || from > to) {
        return refuse('bad-field(stored)')
      }
      return { boot, from, to }
    })
    return { v: 1, ...defined({ site: text('site'), host: text('host') }), stored }
  })
}
