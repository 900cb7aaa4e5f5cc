/** The end of `watch`, `replay` and `demo`: the ledger on stderr, and the exit code. */
import type { CommonStatus, SendingStatus, StatusDocument } from '../agent/status-document.ts'
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

/** The same of an agent that sent vectors. */
export function noteSent(status: SendingStatus, asJson = false): void {
  const { observed, counted, dropped, vectors } = status
  if (asJson) {
    note(JSON.stringify({ observed, counted, dropped, vectors }))
    return
  }
  note(
    `${observed.calls} calls observed = ${counted} counted + ${total(dropped)} dropped; ` +
      `${vectors.created} seconds = ${vectors.sent} sent + ${vectors.queued} queued + ${vectors.dropped} dropped`,
  )
}

export function noteLedger(status: StatusDocument, asJson = false): void {
  if (asJson) {
    note(ledgerJson(status))
    return
  }
  const { observed, counted, dropped, samples, detection } = status
  const { opened, observed: observations } = detection.alerts
  note(
    `${observed.calls} calls observed = ${counted} counted + ${total(dropped)} dropped; ` +
      `${observed.frames} frames, ${detection.judged} windows judged, ${opened} alerts` +
      (observations > 0 ? `, ${observations} of them of low severity and not shown` : ''),
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
export function isFiltered({ unjudged }: CommonStatus): boolean {
  return (unjudged.filtered ?? 0) > 0
}

/** What a run saw, as `agent count` reports it. */
export function inputLedger({ observed, counted, dropped }: CommonStatus) {
  return { observed: observed.calls, counted, dropped }
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
