/**
 * What a process did around an alert, from the rolling buffer: ten seconds a row, with the calls it
 * made most. Looked up by `agent explain`; the buffer holds an hour or so, after which only the
 * alert itself is left.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { RollingBuffer } from '../buffer/rolling-buffer.ts'
import type { Alert } from '../domain/alert.ts'
import type { Frame } from '../domain/frame.ts'
import { EXPLAIN_SECONDS_AFTER, EXPLAIN_SECONDS_BEFORE } from '../domain/limits.ts'
import { SYSCALLS } from '../domain/syscalls.ts'

export interface HistoryRow {
  /** Unix second of the first of its ten. */
  readonly from: number
  /** Seconds in which the process made calls. */
  readonly active: number
  readonly calls: number
  /** Most frequent first: call and its share of all, 0…1. */
  readonly top: readonly (readonly [syscall: string, share: number])[]
  /** Part of the evidence. */
  readonly isEvidence: boolean
}

const ROW_SECONDS = 10
const CALLS_SHOWN = 5

/** @returns rows in ascending order; none where the buffer no longer holds that time */
export function historyOf(state: string, alert: Alert): HistoryRow[] {
  const path = join(state, 'frames.db')
  if (!existsSync(path)) return []
  const buffer = RollingBuffer.open(path, { readOnly: true })
  try {
    const span = buffer.span()
    if (span === undefined) return []
    const from = Math.max(span.from, alert.evidence.from - EXPLAIN_SECONDS_BEFORE)
    const to = Math.min(span.to, alert.evidence.to + EXPLAIN_SECONDS_AFTER)
    return from > to ? [] : rowsOf(buffer.read({ from, to }), alert)
  } finally {
    buffer.close()
  }
}

function rowsOf(frames: Iterable<Frame>, { process, evidence }: Alert): HistoryRow[] {
  const rows = new Map<number, { active: number; counts: Map<number, number> }>()
  for (const frame of frames) {
    const row = frame.processes.findIndex(({ pid }) => pid === process.pid)
    if (row < 0) continue
    const from = frame.index - (frame.index % ROW_SECONDS)
    const sum = rows.get(from) ?? { active: 0, counts: new Map<number, number>() }
    rows.set(from, sum)
    sum.active++
    for (let k = frame.offsets[row]!; k < frame.offsets[row + 1]!; k++) {
      const syscall = frame.syscalls[k]!
      sum.counts.set(syscall, (sum.counts.get(syscall) ?? 0) + frame.counts[k]!)
    }
  }
  return [...rows].map(([from, { active, counts }]) => {
    const calls = [...counts.values()].reduce((sum, count) => sum + count, 0)
    const top = [...counts].sort(([, a], [, b]) => b - a).slice(0, CALLS_SHOWN)
    return {
      ...{ from, active, calls },
      top: top.map(([syscall, count]) => [SYSCALLS[syscall]!, count / calls] as const),
      isEvidence: from + ROW_SECONDS > evidence.from && from <= evidence.to,
    }
  })
}
