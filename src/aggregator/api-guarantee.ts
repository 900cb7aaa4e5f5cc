/**
 * What the hosts together promise about false alerts: from their last summaries, of which this
 * aggregator keeps the heads in memory (host-costs.ts), so that a fleet's overview reads no store.
 */
import { Parameters } from './api-parameters.ts'
import type { HostCosts } from './host-costs.ts'

/** @returns JSON, or undefined where something else is asked for */
export function answerGuarantee(url: URL, costs: HostCosts): string | undefined {
  if (url.pathname !== '/api/v1/guarantee') return undefined
  new Parameters(url.searchParams, [])
  return JSON.stringify(costs.guarantee())
}
