/**
 * Limits the size of summaries: fits one into a message, and merges two when the outbox is full.
 * The least busy processes are left out and counted in `processesOmitted`.
 */
import { defined } from '../domain/defined.ts'
import { SUMMARY_BYTES_MAX, SUMMARY_REASONS_MAX, SUMMARY_TOP_CALLS_MAX } from '../domain/limits.ts'
import type { ProcessSummary, Reduced, Summary } from '../domain/summary.ts'
import type { Origin } from '../wire/origin.ts'
import { encodeSummary } from '../wire/summary-message.ts'

/** The busiest first, in a stable order, so the same input gives the same bytes. */
export function byCalls(
  a: Pick<ProcessSummary, 'calls' | 'pid'>,
  b: Pick<ProcessSummary, 'calls' | 'pid'>,
): number {
  return b.calls - a.calls || a.pid - b.pid
}

export function encodeWithin(
  summary: Summary,
  origin: Origin,
  bytesMax: number = SUMMARY_BYTES_MAX,
): Uint8Array {
  const whole = { ...summary, dropped: fewReasons(summary.dropped) }
  const payload = encodeSummary(whole, origin)
  if (payload.byteLength <= bytesMax) return payload
  const busiest = [...whole.processes].sort(byCalls)
  // Binary search for the largest number of processes that fits.
  let fits = 0
  let tooMany = busiest.length
  let best = encodeSummary(keepFirst(whole, busiest, 0), origin)
  while (tooMany - fits > 1) {
    const count = (fits + tooMany) >> 1
    const tried = encodeSummary(keepFirst(whole, busiest, count), origin)
    if (tried.byteLength <= bytesMax) {
      fits = count
      best = tried
    } else tooMany = count
  }
  return best
}

function keepFirst(summary: Summary, busiest: readonly ProcessSummary[], count: number): Summary {
  return {
    ...summary,
    processes: busiest.slice(0, count),
    processesOmitted: summary.processesOmitted + busiest.length - count,
  }
}

/** Merges two neighbouring spans: counts are added, gauges are taken from the later one. */
export function mergeSummaries(first: Summary, second: Summary): Summary {
  const syscalls = [...new Set([...first.syscalls, ...second.syscalls])]
  const indexes = new Map(syscalls.map((name, index) => [name, index]))
  const merged = new Map<string, ProcessSummary>()
  for (const summary of [first, second]) {
    for (const process of summary.processes) {
      const named = {
        ...process,
        top: process.top.map(
          ([at, count]) => [indexes.get(summary.syscalls[at]!)!, count] as const,
        ),
      }
      const key = `${process.pid}@${process.start}/${process.name}`
      const earlier = merged.get(key)
      merged.set(key, earlier === undefined ? named : mergeProcesses(earlier, named))
    }
  }
  const dropped: Record<string, number> = { ...first.dropped }
  for (const [reason, count] of Object.entries(second.dropped)) {
    dropped[reason] = (dropped[reason] ?? 0) + count
  }
  return {
    from: Math.min(first.from, second.from),
    to: Math.max(first.to, second.to),
    syscalls,
    processes: [...merged.values()].sort(byCalls),
    processesOmitted: Math.max(first.processesOmitted, second.processesOmitted),
    calls: first.calls + second.calls,
    dropped,
    alertsOpen: second.alertsOpen,
    ...defined({
      unjudged: addReasons(first.unjudged, second.unjudged),
      missed: addReasons(first.missed, second.missed),
      guarantee: second.guarantee,
    }),
    agent: {
      ...second.agent,
      cpuSeconds: first.agent.cpuSeconds + second.agent.cpuSeconds,
      rssBytes: Math.max(first.agent.rssBytes, second.agent.rssBytes),
      lagMs: Math.max(first.agent.lagMs, second.agent.lagMs),
      ...addReduced(first.agent.reduced, second.agent.reduced),
    },
  }
}

type Reasons = Readonly<Record<string, number>> | undefined

function addReasons(first: Reasons, second: Reasons): Record<string, number> | undefined {
  if (first === undefined && second === undefined) return undefined
  const sums: Record<string, number> = { ...first }
  for (const [reason, count] of Object.entries(second ?? {}))
    sums[reason] = (sums[reason] ?? 0) + count
  return sums
}

function addReduced(first: Reduced | undefined, second: Reduced | undefined) {
  if (first === undefined || second === undefined) {
    const only = first ?? second
    return only === undefined ? {} : { reduced: only }
  }
  const [one, two, three] = first.seconds
  const [more, more2, more3] = second.seconds
  const seconds = [one + more, two + more2, three + more3] as const
  return { reduced: { seconds, windows: first.windows + second.windows } }
}

function mergeProcesses(first: ProcessSummary, second: ProcessSummary): ProcessSummary {
  const counts = new Map<number, number>()
  for (const [syscall, count] of [...first.top, ...second.top]) {
    counts.set(syscall, (counts.get(syscall) ?? 0) + count)
  }
  // The class of the half with more active seconds.
  const judged = first.active > second.active && first.class !== undefined ? first : second
  const { class: _class, confidence: _confidence, ...rest } = second
  return {
    ...rest,
    active: first.active + second.active,
    calls: first.calls + second.calls,
    ...defined({ class: judged.class, confidence: judged.confidence }),
    top: [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, SUMMARY_TOP_CALLS_MAX),
  }
}

/** Our reasons are few; this bound is only for defects. */
function fewReasons(dropped: Readonly<Record<string, number>>): Record<string, number> {
  const entries = Object.entries(dropped)
  if (entries.length <= SUMMARY_REASONS_MAX) return { ...dropped }
  entries.sort((a, b) => b[1] - a[1])
  const other = entries.slice(SUMMARY_REASONS_MAX - 1).reduce((sum, [, count]) => sum + count, 0)
  return { ...Object.fromEntries(entries.slice(0, SUMMARY_REASONS_MAX - 1)), other }
}
