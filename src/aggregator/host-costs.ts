/**
 * Cost of the agents on their hosts, summed from their summaries for /metrics.
 *
 * Totals since this aggregator began (Prometheus knows counters that begin anew), of summaries that
 * were stored, so that none counts twice; where several aggregators share the work, each has what
 * it took, and the sums over them are right. Bounded: METRICS_HOSTS_MAX hosts, the first seen; one
 * that was silent for an hour gives up its place. Drop reasons beyond SUMMARY_REASONS_MAX of a host
 * add up to `other`.
 */
import { METRICS_HOSTS_MAX, SUMMARY_REASONS_MAX } from '../domain/limits.ts'
import type { Guarantee } from '../domain/summary.ts'
import type { SummaryHead } from '../wire/summary-head.ts'

const SILENT_MS = 3_600_000
/** With 20,000 hosts and places for 1,000 of them, most summaries find none. */
const SWEEP_EVERY_MS = 60_000

export interface HostCost {
  readonly site: string
  readonly host: string
  cpuSeconds: number
  rssBytes: number
  calls: number
  readonly dropped: Map<string, number>
  lagMs: number
  /** Seconds at each of the governor's levels 1 to 3. */
  readonly reducedSeconds: [number, number, number]
  unjudged: number
  /** Seconds that were counted and not judged, by reason. */
  readonly secondsUnjudged: Map<string, number>
  /** Alerts that were held and windows that could not be judged, by reason. */
  readonly missed: Map<string, number>
  /** Of its last summary. */
  guarantee: Guarantee | undefined
  heardMs: number
}

/** The fleet's guarantee against false alerts, as its hosts tell their own. */
export interface FleetGuarantee {
  /** Hosts that sent a summary with theirs. */
  readonly hosts: number
  /** Of these, those whose own hours are enough to say something. */
  readonly guaranteed: number
  /** Hours a day that hold an alert by chance, at most, over the guaranteed ones together. */
  readonly alertHoursPerDay: number
  /** The most of any host, as a share of its hours. */
  readonly worst: number
}

export class HostCosts {
  readonly #hosts = new Map<string, HostCost>()
  readonly #max: number
  #sweptMs = Number.NEGATIVE_INFINITY
  /** Summaries of hosts for which there was no place. */
  omitted = 0

  constructor(hostsMax: number = METRICS_HOSTS_MAX) {
    this.#max = hostsMax
  }

  get all(): Iterable<HostCost> {
    return this.#hosts.values()
  }

  add(summary: SummaryHead, nowMs: number): void {
    const { site, host, calls, dropped, unjudged, missed, agent, guarantee } = summary
    const cost = this.#of(site, host, nowMs)
    if (cost === undefined) {
      this.omitted += 1
      return
    }
    cost.heardMs = nowMs
    cost.cpuSeconds += agent.cpuSeconds
    cost.calls += calls
    cost.rssBytes = agent.rssBytes
    cost.lagMs = agent.lagMs
    cost.guarantee = guarantee
    addByReason(cost.dropped, dropped)
    addByReason(cost.secondsUnjudged, unjudged ?? {})
    addByReason(cost.missed, missed ?? {})
    if (agent.reduced === undefined) return
    agent.reduced.seconds.forEach((seconds, i) => {
      cost.reducedSeconds[i]! += seconds
    })
    cost.unjudged += agent.reduced.windows
  }

  guarantee(): FleetGuarantee {
    const told = [...this.#hosts.values()].flatMap(({ guarantee }) => guarantee ?? [])
    const shares = told.flatMap(({ alertHoursMax }) => alertHoursMax ?? [])
    return {
      hosts: told.length,
      guaranteed: shares.length,
      alertHoursPerDay: 24 * shares.reduce((sum, share) => sum + share, 0),
      worst: Math.max(0, ...shares),
    }
  }

  #of(site: string, host: string, nowMs: number): HostCost | undefined {
    const key = `${site}/${host}`
    const known = this.#hosts.get(key)
    if (known !== undefined) return known
    if (this.#hosts.size >= this.#max) this.#dropSilent(nowMs)
    if (this.#hosts.size >= this.#max) return undefined
    const cost: HostCost = {
      ...{ site, host, cpuSeconds: 0, rssBytes: 0, calls: 0, dropped: new Map(), lagMs: 0 },
      ...{
        reducedSeconds: [0, 0, 0],
        unjudged: 0,
        secondsUnjudged: new Map(),
        missed: new Map(),
        guarantee: undefined,
        heardMs: nowMs,
      },
    }
    this.#hosts.set(key, cost)
    return cost
  }

  #dropSilent(nowMs: number): void {
    if (Math.abs(nowMs - this.#sweptMs) < SWEEP_EVERY_MS) return
    this.#sweptMs = nowMs
    for (const [key, { heardMs }] of this.#hosts)
      if (nowMs - heardMs > SILENT_MS) this.#hosts.delete(key)
  }
}

function addByReason(to: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [reason, count] of Object.entries(counts)) {
    const known = to.has(reason) || to.size < SUMMARY_REASONS_MAX - 1
    const key = known ? reason : 'other'
    to.set(key, (to.get(key) ?? 0) + count)
  }
}
