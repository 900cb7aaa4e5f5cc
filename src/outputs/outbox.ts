/**
 * Queues alerts and summaries for the broker. What the outbox gives up later, it counts in its own
 * ledger.
 */
import type { Alert } from '../domain/alert.ts'
import type { Summary } from '../domain/summary.ts'
import type { Output } from './output.ts'

export function outboxOutput(outbox: {
  put(alerts: readonly Alert[], summary?: Summary): unknown
}): Output {
  return {
    name: 'outbox',
    leavesHost: true,
    refused: {},
    take: ({ alerts, summary }) => {
      outbox.put(alerts, summary)
    },
  }
}
