/** The end of `watch`, `replay` and `demo`: the ledger on stderr, and the exit code. */
import type { StatusDocument } from '../agent/status-document.ts'
import { note, safeText } from './common.ts'

/** The ledger as one JSON line, keys as in `agent status --json`. */
export function ledgerJson(status: StatusDocument): string {
  const { observed, unjudged, counted, dropped, created } = status
  const { acknowledged, queued, merged, undelivered } = status
  return JSON.stringify({
    observed,
    unjudged,
    counted,
    dropped,
    created,
    acknowledged,
    queued,
    merged,
    undelivered,
    alerts: status.detection.alerts,
  })
}

export function noteLedger(status: StatusDocument, asJson = false): void {
  if (asJson) {
    note(ledgerJson(status))
    return
  }
  const { observed, counted, dropped, samples, detection } = status
  note(
    `${observed.calls} calls observed = ${counted} counted + ${total(dropped)} dropped; ` +
      `${observed.frames} frames, ${detection.judged} windows judged, ${detection.alerts.opened} alerts`,
  )
  for (const [reason, count] of Object.entries(dropped)) {
    const sample = samples[reason]
    note(`  ${count} ${reason}${sample ? `, for example "${safeText(sample)}"` : ''}`)
  }
  if (status.created > 0 && status.publisher !== undefined)
    note(
      `${status.created} messages = ${status.acknowledged} delivered + ${status.queued} queued + ` +
        `${status.merged} merged + ${total(status.undelivered)} given up`,
    )
}

/** Whether it could not be judged because calls were filtered out of it. */
export function isFiltered({ unjudged }: StatusDocument): boolean {
  return (unjudged.filtered ?? 0) > 0
}

/** What a run saw, as `agent count` reports it. */
export function inputLedger({ observed, counted, dropped }: StatusDocument) {
  return { observed: observed.calls, counted, dropped }
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
