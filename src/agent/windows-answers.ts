/**
 * Answers an aggregator that asks for the windows of one of this host's alerts: the seconds of the
 * accused process around it, out of the rolling buffer, or as `agent label` kept them when the buffer
 * has moved on. Nothing else can be asked for, and only so often a day.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { AlertStore } from '../buffer/alert-store.ts'
import type { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { Alert } from '../domain/alert.ts'
import type { Frame } from '../domain/frame.ts'
import {
  LABELLED_BYTES_MAX,
  SEQUENCE_FRAMES,
  WINDOWS_ANSWERS_PER_DAY_MAX,
  WINDOWS_SECONDS_MAX,
} from '../domain/limits.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { isCount, isRecord } from '../domain/untrusted.ts'
import {
  decodeWindowsRequest,
  encodeWindowsAnswer,
  type WindowsAnswer,
} from '../wire/windows-message.ts'

/** What `agent label` keeps, in the state directory. */
export const LABELLED_FRAMES = 'labelled.frames.ndjson'

export interface WindowsAnswersOptions {
  readonly site: string
  readonly host: string
  readonly alerts: Pick<AlertStore, 'get'>
  readonly buffer: Pick<RollingBuffer, 'read'>
  /** Path of the labelled frames. */
  readonly labelled: string
  /** ms of a monotonic clock. */
  readonly nowMs: () => number
}

type Row = WindowsAnswer['rows'][number]

const DAY_MS = 86_400_000

export class WindowsAnswers {
  readonly #options: WindowsAnswersOptions
  /** Answered lately: a question is repeated until its answer is there. */
  readonly #answered = new Set<string>()
  #times: number[] = []

  constructor(options: WindowsAnswersOptions) {
    this.#options = options
  }

  /**
   * @param payload whose signature was checked
   * @returns the answer, or why there is none
   */
  answer(payload: Uint8Array): Uint8Array | string {
    const { site, host, alerts, nowMs } = this.#options
    const decoded = decodeWindowsRequest(payload)
    if (!decoded.ok) return decoded.reason
    const request = decoded.value
    if (request.site !== site || request.host !== host) return 'other-host'
    if (this.#answered.has(request.nonce)) return 'answered'
    const now = nowMs()
    this.#times = this.#times.filter((at) => at > now - DAY_MS)
    if (this.#times.length >= WINDOWS_ANSWERS_PER_DAY_MAX) return 'too-many'
    this.#times.push(now)
    if (this.#answered.size >= WINDOWS_ANSWERS_PER_DAY_MAX) this.#answered.clear()
    this.#answered.add(request.nonce)
    const alert = alerts.get(request.id)
    const nobody = { pid: 0, start: 0, name: '' }
    // A prefix is enough for people, not here.
    if (alert?.id !== request.id)
      return encodeWindowsAnswer({
        ...{ ...request, process: nobody, rows: [], omitted: 0, trouble: 'unknown-alert' },
      })
    const { pid, start, name } = alert.process
    const rows = this.#rowsOf(alert)
    return encodeWindowsAnswer({
      ...{ ...request, process: { pid, start, name }, rows, omitted: 0 },
      ...(rows.length === 0 ? { trouble: 'not-kept' as const } : {}),
    })
  }

  /** The broker did not take it: the next repeat is answered again. */
  notSent(payload: Uint8Array): void {
    const decoded = decodeWindowsRequest(payload)
    if (decoded.ok) this.#answered.delete(decoded.value.nonce)
  }

  #rowsOf(alert: Alert): Row[] {
    const to = Math.max(alert.evidence.to, alert.last)
    const from = Math.max(alert.evidence.from - SEQUENCE_FRAMES + 1, to - WINDOWS_SECONDS_MAX + 1)
    const rows: Row[] = []
    for (const frame of this.#options.buffer.read({ from, to })) {
      const counts = countsOf(frame, alert)
      if (counts !== undefined) rows.push({ t: frame.index, counts })
    }
    return rows.length > 0 ? rows : labelledRows(this.#options.labelled, alert, from, to)
  }
}

function countsOf(frame: Frame, { process }: Alert): Row['counts'] | undefined {
  const at = frame.processes.findIndex(
    ({ pid, startMs }) => pid === process.pid && Math.floor(startMs / 1000) === process.start,
  )
  if (at < 0) return undefined
  const counts: Record<string, number> = {}
  for (let i = frame.offsets[at]!; i < frame.offsets[at + 1]!; i++)
    counts[SYSCALLS[frame.syscalls[i]!] ?? 'other'] = frame.counts[i]!
  return counts
}

/** The file is our own, and read as strictly as any other. */
function labelledRows(path: string, { process }: Alert, from: number, to: number): Row[] {
  if (!existsSync(path)) return []
  const rows = new Map<number, Row>()
  const { pid, start } = process
  for (const line of readFileSync(path, 'utf8').slice(0, LABELLED_BYTES_MAX).split('\n')) {
    // Most lines are of others: they are not parsed.
    if (!line.includes(`"pid":${pid},`)) continue
    const value = parsed(line)
    if (!isRecord(value) || value.pid !== pid || value.start !== start) continue
    const { t, counts } = value
    if (typeof t !== 'number' || t < from || t > to || !isRecord(counts)) continue
    const entries = Object.entries(counts).filter(
      ([call, n]) => SYSCALLS.includes(call) && isCount(n, 2 ** 32) && n > 0,
    ) as [string, number][]
    rows.set(t, { t, counts: Object.fromEntries(entries) })
  }
  return [...rows.values()].sort((a, b) => a.t - b.t)
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
