/**
 * Evidence that crossed its level in one second, what makes two of them one cause, and the alert
 * that the first of a cause becomes. Which message is due is decided in dedup.ts.
 */
import type { Alert, AlertKind, Certainty, KnownContext } from '../domain/alert.ts'
import type { BehaviourId, Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import type { Process } from '../domain/process.ts'

/** A level crossed in one frame. */
export interface Crossing {
  readonly kind: AlertKind
  readonly process: Process
  readonly predicted: Alert['predicted']
  readonly alternatives?: Alert['alternatives']
  readonly claimed: Alert['claimed']
  readonly severity: Severity
  readonly certainty: Certainty
  readonly behaviour?: BehaviourId
  readonly techniques?: readonly string[]
  /** Facts about the process that decided. */
  readonly because?: readonly string[]
  readonly context?: KnownContext
  readonly from: number
  readonly windows: number
  /** What it is a part of, whatever the names of the others: they are one cause with it. */
  readonly partOf?: string
}

/** Kinds that the book takes back after a restart, by rank. */
export const RANK: Readonly<Partial<Record<AlertKind, number>>> = {
  novelty: 1,
  masquerade: 2,
  'non-grata': 2,
}

/** A process keeps the alert of the highest rank. */
export function rankOf({ kind, severity }: Pick<Crossing, 'kind' | 'severity'>): number {
  return severity === 'low' ? 0 : (RANK[kind] ?? 0)
}

/**
 * What makes two crossings one cause: kind, name, container and user, and for something malicious
 * also what it is. A server whose workers go wrong looks like this class here and like that one
 * there; what runs in another container is another cause, whatever its name.
 */
export function likenessOf({ kind, process, predicted, partOf }: Crossing): string {
  const { name, container = '', uid = '' } = process
  if (partOf !== undefined) return [kind, '', partOf, container].join('\n')
  const what = kind === 'non-grata' ? predicted.class : ''
  return [kind, name, what, container, uid].join('\n')
}

/**
 * The alert that a crossing opens.
 * @param certainty under the day's budget of notifications
 */
export function openedAlert(
  id: string,
  crossing: Crossing,
  certainty: Certainty,
  model: string,
  frameIndex: number,
): Alert {
  const { process, kind } = crossing
  const start = Math.floor(process.startMs / 1000)
  const { severity, behaviour, techniques = [], because = [] } = crossing
  const { peers, ...context } = crossing.context ?? {}
  return {
    id,
    kind,
    state: 'open',
    time: frameIndex,
    first: frameIndex,
    last: frameIndex,
    count: crossing.windows,
    process: {
      // Of a group of short-lived processes the latest is the one to look at.
      pid: process.latest ?? Math.abs(process.pid),
      start,
      name: process.name,
      ...defined({ exe: process.exe, container: process.container, ...context }),
    },
    severity,
    certainty,
    incident: id,
    ...defined({ behaviour }),
    predicted: crossing.predicted,
    ...defined({ alternatives: crossing.alternatives }),
    claimed: crossing.claimed,
    why: [],
    model,
    ...(kind === 'masquerade' ? { technique: 'T1036' } : {}),
    ...(techniques.length === 0 ? {} : { techniques }),
    ...(because.length === 0 ? {} : { because }),
    ...defined({ peers }),
    evidence: { from: crossing.from, to: frameIndex },
  }
}

/**
 * An alert that got worse: what refuted an observation says nothing of the alert that it becomes.
 */
export function restated(alert: Omit<Alert, 'ended'>, crossing: Crossing): Omit<Alert, 'ended'> {
  const { behaviour: _, techniques: __, because: ___, ...rest } = alert
  const { severity, behaviour, techniques = [], because = [] } = crossing
  return {
    ...rest,
    severity,
    ...defined({ behaviour }),
    ...(techniques.length === 0 ? {} : { techniques }),
    ...(because.length === 0 ? {} : { because }),
  }
}
