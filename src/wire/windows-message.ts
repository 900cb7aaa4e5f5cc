/**
 * Windows of one process, fetched for training: the aggregator asks one host about one of its alerts
 * on `request`, and the host answers on `windows` with what that process called in each second around
 * the alert. Both are signed. `nonce` ties an answer to its question: an answer that nobody asked for
 * is not stored, and a question that comes again is answered once.
 */
import {
  NAME_BYTES_MAX,
  TOPIC_PART_CHARS_MAX,
  WINDOWS_ANSWER_BYTES_MAX,
  WINDOWS_CALLS_MAX,
  WINDOWS_QUESTION_BYTES_MAX,
  WINDOWS_SECONDS_MAX,
} from '../domain/limits.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { type Decoded, type Fields, parseJson, reading, refuse } from '../domain/untrusted.ts'
import { isHostName, isTopicPart } from './topics.ts'

interface Question {
  readonly v: 1
  readonly site: string
  readonly host: string
  /** Of the alert. */
  readonly id: string
  /** 32 hexadecimal digits. */
  readonly nonce: string
}

export type WindowsRequest = Question

export interface WindowsAnswer extends Question {
  readonly process: { readonly pid: number; readonly start: number; readonly name: string }
  /** Ascending by second; counts by name of the call. */
  readonly rows: readonly {
    readonly t: number
    readonly counts: Readonly<Record<string, number>>
  }[]
  /** Seconds that found no room, the oldest. */
  readonly omitted: number
  /** Why there are none: no such alert, or its seconds are kept no longer. */
  readonly trouble?: WindowsTrouble
}

export const WINDOWS_TROUBLES = ['unknown-alert', 'not-kept'] as const
export type WindowsTrouble = (typeof WINDOWS_TROUBLES)[number]

const NONCE = /^[0-9a-f]{32}$/
const calls = new Set(SYSCALLS)
const utf8 = new TextEncoder()

export function encodeWindowsRequest(request: WindowsRequest): Uint8Array {
  return utf8.encode(JSON.stringify(request))
}

/** @param payload without its signature */
export function decodeWindowsRequest(payload: Uint8Array): Decoded<WindowsRequest> {
  return reading(() => readQuestion(parseJson(payload, WINDOWS_QUESTION_BYTES_MAX)))
}

/** Leaves out the oldest seconds until the rest fits. */
export function encodeWindowsAnswer(answer: WindowsAnswer): Uint8Array {
  const sizes = answer.rows.map((row) => JSON.stringify(row).length + 1)
  let left = WINDOWS_ANSWER_BYTES_MAX - JSON.stringify({ ...answer, rows: [] }).length - 16
  let from = answer.rows.length
  while (from > 0 && answer.rows.length - from < WINDOWS_SECONDS_MAX && left >= sizes[from - 1]!)
    left -= sizes[--from]!
  const { omitted, rows } = answer
  return utf8.encode(JSON.stringify({ ...answer, rows: rows.slice(from), omitted: omitted + from }))
}

export function decodeWindowsAnswer(payload: Uint8Array): Decoded<WindowsAnswer> {
  return reading(() => {
    const fields = parseJson(payload, WINDOWS_ANSWER_BYTES_MAX)
    const process = fields.object('process')
    let before = -1
    const rows = fields.objects('rows', WINDOWS_SECONDS_MAX).map((row) => {
      const t = row.integer('t', before + 1)
      before = t
      const counts = row.counts('counts', WINDOWS_CALLS_MAX)
      if (!Object.entries(counts).every(([call, n]) => calls.has(call) && n > 0))
        refuse('bad-field(rows.counts)')
      return { t, counts }
    })
    return {
      ...readQuestion(fields),
      process: {
        pid: process.integer('pid'),
        start: process.integer('start'),
        name: process.text('name', NAME_BYTES_MAX, { empty: true }),
      },
      rows,
      omitted: fields.integer('omitted'),
      ...(fields.has('trouble') ? { trouble: fields.oneOf('trouble', WINDOWS_TROUBLES) } : {}),
    }
  })
}

function readQuestion(fields: Fields): Question {
  fields.version(1)
  const site = fields.text('site', TOPIC_PART_CHARS_MAX)
  const host = fields.text('host', TOPIC_PART_CHARS_MAX)
  if (!isTopicPart(site)) refuse('bad-field(site)')
  if (!isHostName(host)) refuse('bad-field(host)')
  const nonce = fields.text('nonce', 32)
  if (!NONCE.test(nonce)) refuse('bad-field(nonce)')
  return { v: 1, site, host, id: fields.text('id', 128), nonce }
}
