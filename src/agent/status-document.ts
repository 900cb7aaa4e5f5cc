/**
 * What `agent status` shows: the ledger of one state directory, written every few seconds and at
 * the end (`buffer/ledger-store.ts` keeps the bytes). Plain data; the keys of `--json` are a public
 * contract.
 *
 * The ledger balances: observed.calls = counted + Σ dropped, created = acknowledged + queued +
 * merged + Σ undelivered, detection.alerts.opened = open + closed.
 */

import type { BufferLedger } from '../buffer/rolling-buffer.ts'
import type { Counter } from '../count/counter.ts'
import type { DetectorStatus } from '../detect/detector-status.ts'
import type { FleetStates } from '../domain/fleet-state.ts'
import { KERNEL_COUNT_KEYS, KERNEL_PROCESSES_MAX } from '../domain/limits.ts'
import type { CollectorStatus } from '../domain/source.ts'
import type { OutputStatus } from '../outputs/outputs.ts'
import type { Outbox } from '../publish/outbox.ts'
import type { PublisherState } from '../publish/publisher-options.ts'
import type { VectorsLedger } from '../publish/vectors-queue.ts'
import type { FactKeeperStatus } from './fact-keeper.ts'
import type { GovernorStatus } from './governor.ts'
import type { AdaptationStatus } from './host-adaptation.ts'
import type { OwnCostReading } from './own-cost.ts'
import type { SecondsLedger, UnjudgedReason } from './seconds.ts'
import type { SightStatus } from './sight.ts'

/** Of whatever kind of agent. */
export interface CommonStatus {
  readonly v: 1
  /** Unix ms. */
  readonly startedMs: number
  readonly version: string
  readonly site: string
  readonly host: string
  readonly source: { readonly name: string; readonly why: string }
  readonly observed: { readonly calls: number; readonly frames: number }
  /** Seconds among them that were counted and not judged as a whole, by reason. */
  readonly unjudged: Readonly<Partial<Record<UnjudgedReason, number>>>
  readonly counted: number
  readonly dropped: Readonly<Record<string, number>>
  /** First refused input by reason. */
  readonly samples: Readonly<Record<string, string>>
  readonly created: number
  readonly acknowledged: number
  readonly queued: number
  readonly merged: number
  /** Messages that were given up, by reason. */
  readonly undelivered: Readonly<Record<string, number>>
  /** How far the last frame lay behind the clock when it walked, ms; 0 for captures. */
  readonly lagMs: number
  /** Unix second of the last frame that walked; 0 before the first. */
  readonly lastFrame: number
  /** What it made of its fleet's documents; absent where it accepts none. */
  readonly fleet?: FleetStates
  /** The public key that signs what this host sends; absent in documents of older agents. */
  readonly key?: string
  readonly publisher?: PublisherState
  /** How much of the host was seen; absent in documents of older agents. */
  readonly sight?: SightStatus
  readonly cost: OwnCostReading
  /** The kernel source's collector about itself. */
  readonly collector?: CollectorStatus
}

/** Of an agent that sends vectors to be classified elsewhere. */
export interface SendingStatus extends CommonStatus {
  readonly vectors: VectorsLedger
}

export interface StatusDocument extends CommonStatus {
  readonly model: string
  readonly buffer: BufferLedger & {
    readonly frames: number
    readonly bytes: number
    readonly problem?: string
  }
  readonly detection: DetectorStatus
  /** What is done to stay below --cpu-max, and what was left out for it. */
  readonly governor: GovernorStatus
  /** What was asked about processes beside their calls, and answered. */
  readonly facts?: FactKeeperStatus
  readonly adaptation: AdaptationStatus
  /** Alerts and summaries that each output took, and what it refused. */
  readonly outputs: Readonly<Record<string, OutputStatus>>
}

/** How much of the kernel's maps was ever used, and what found no room in them; for people. */
export function collectorWords({ most, lost, unrecorded }: CollectorStatus): string {
  const count = (n: number) => n.toLocaleString('en-US')
  const losses = Object.entries(lost).map(([reason, n]) => `${count(n)} calls lost (${reason})`)
  return [
    `at most ${count(most.keys)} keys a second (room for ${count(KERNEL_COUNT_KEYS)})`,
    `${count(most.processes)} processes (${count(KERNEL_PROCESSES_MAX)})`,
    `${most.drainMs.toFixed(1)} ms to drain`,
    ...(unrecorded === 0
      ? []
      : [`${count(unrecorded)} calls of processes without a record in the last second`]),
    ...(losses.length === 0 ? ['nothing lost'] : losses),
  ].join(', ')
}

/**
 * What of the host was not seen, and its share of the last day; for people. Empty where all was
 * seen.
 */
export function blindWords(sight: SightStatus): string {
  const { lossySeconds, unseen, unseenUsers, day, most, blind } = sight
  const count = (n: number) => n.toLocaleString('en-US')
  const parts: string[] = []
  if (blind !== undefined) {
    const since = new Date(blind.since * 1000).toISOString().slice(11, 19)
    const what = blind.isSure ? 'this host cannot be seen' : 'some alerts are held back'
    parts.push(`NOW, since ${since}: ${what} (${blind.reasons.join('; ')})`)
  }
  // Absent in documents of older agents.
  if ((sight.blindSeconds ?? 0) > 0)
    parts.push(`${count(sight.blindSeconds)} seconds in which this host could not be seen`)
  if (day.blind > 0) {
    const share = ((100 * day.blind) / day.windows).toFixed(1)
    parts.push(`${share} % of the windows of the last 24 h not judged for lost calls`)
  }
  if (lossySeconds > 0) parts.push(`${count(lossySeconds)} seconds with calls lost host-wide`)
  const { 'no-room': noRoom = 0, 'many-kinds': manyKinds = 0 } = unseen
  if (noRoom > 0) parts.push(`${count(noRoom)} process-seconds without room in the kernel's maps`)
  if (unseenUsers > 0) parts.push(`${count(unseenUsers)} user-seconds with unrecorded processes`)
  if (manyKinds > 0) parts.push(`${count(manyKinds)} process-seconds with too many kinds of calls`)
  if (most !== undefined) {
    const user = most.uid === undefined ? '' : `, user ${most.uid}`
    parts.push(`most by "${most.name}" (pid ${most.pid}${user})`)
  }
  return parts.join('; ')
}

interface Parts {
  readonly counter: Counter
  readonly outbox: Outbox
}

/** The accounting parts of the document. */
export function ledgerOf({ counter, outbox }: Parts, seconds: SecondsLedger) {
  const { observed, counted, dropped, samples } = counter.ledger()
  const { created, acknowledged, queued, merged, dropped: undelivered } = outbox.ledger()
  return {
    observed: { calls: observed, frames: seconds.frames },
    unjudged: { ...seconds.unjudged },
    lastFrame: seconds.lastFrame,
    counted,
    dropped,
    samples,
    created,
    acknowledged,
    queued,
    merged,
    undelivered,
  }
}
