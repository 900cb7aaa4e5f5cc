/**
 * One alert per cause: what crosses its level opens an alert, what goes on updates it (not more often than
 * ALERT_UPDATE_SECONDS), what has been quiet closes it, and what returns within a day is the same alert again.
 *
 * A cause is a kind of alert on one process; processes of one name that look like the same class at the same time (within
 * ALERT_JOIN_SECONDS) are one cause (a server's workers, a script's helpers). A process that already has an alert gets no second one,
 * except that a novelty may still turn out to be something worse; the novelty is then closed.
 *
 * Ids come from host, process, kind and first second alone, so the same input gives the same ids and a replay
 * never alerts twice. Opened in a minute are at most ALERTS_PER_MINUTE_MAX; the rest wait, counted as held.
 */

import type { Alert, AlertKind, Certainty, Reason } from '../domain/alert.ts'
import type { BehaviourId, Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import {
  ALERT_JOIN_SECONDS,
  ALERT_QUIET_SECONDS,
  ALERT_REMEMBER_SECONDS,
  ALERT_UPDATE_SECONDS,
  ALERTS_PER_MINUTE_MAX,
  ALERTS_REMEMBERED_MAX,
  PROCESSES_MAX,
} from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { fnv1a64 } from './hash.ts'

/** A level crossed in one frame. */
export interface Crossing {
  readonly kind: AlertKind
  readonly process: Process
  readonly predicted: Alert['predicted']
  readonly claimed: Alert['claimed']
  readonly severity: Severity
  readonly certainty: Certainty
  readonly behaviour?: BehaviourId
  readonly techniques?: readonly string[]
  /** Facts about the process that speak for it. */
  readonly because?: readonly string[]
  readonly from: number
  readonly windows: number
}

interface Cause {
  alert: Alert
  open: boolean
  /** Frame of the last message about it. */
  told: number
}

export interface BookStatus {
  readonly opened: number
  readonly updated: number
  readonly closed: number
  /** Crossings that joined an alert of the same cause raised for another process. */
  readonly merged: number
  /** Crossings that could not open an alert because the minute was full. */
  readonly held: number
  readonly open: number
}

export interface BookLimits {
  readonly perMinute?: number
  readonly quietSeconds?: number
  readonly joinSeconds?: number
  readonly updateSeconds?: number
  readonly rememberSeconds?: number
  readonly remembered?: number
}

/** Of the alerts that may be opened in a minute. */
const NOVELTY_SHARE = 0.75
const RANK: Readonly<Record<AlertKind, number>> = { novelty: 0, masquerade: 1, 'non-grata': 1 }

export class AlertBook {
  readonly #host: string
  readonly #model: string
  readonly #limits: Required<BookLimits>
  /** By likeness: kind, name, class. Insertion order is order of the last sign of life. */
  readonly #causes = new Map<string, Cause>()
  readonly #ofProcess = new Map<ProcessKey, string>()
  /** Novelties of processes that have something worse now. */
  readonly #left = new Set<Cause>()
  readonly #openedAt: number[] = []
  #opened = 0
  #updated = 0
  #closed = 0
  #merged = 0
  #held = 0

  constructor(host: string, model: string, limits: BookLimits = {}) {
    this.#host = host
    this.#model = model
    this.#limits = {
      perMinute: limits.perMinute ?? ALERTS_PER_MINUTE_MAX,
      quietSeconds: limits.quietSeconds ?? ALERT_QUIET_SECONDS,
      joinSeconds: limits.joinSeconds ?? ALERT_JOIN_SECONDS,
      updateSeconds: limits.updateSeconds ?? ALERT_UPDATE_SECONDS,
      rememberSeconds: limits.rememberSeconds ?? ALERT_REMEMBER_SECONDS,
      remembered: limits.remembered ?? ALERTS_REMEMBERED_MAX,
    }
  }

  /** Whether this process has an open alert: nothing of it is to be remembered as usual. */
  isOpen(process: Process): boolean {
    const cause = this.#causes.get(this.#ofProcess.get(processKey(process)) ?? '')
    return cause?.open ?? false
  }

  /** The message that this crossing is worth: an opened alert, an update, or nothing yet. */
  raise(crossing: Crossing, frameIndex: number): Alert | undefined {
    const owner = processKey(crossing.process)
    const mine = this.#ofProcess.get(owner)
    const own = mine === undefined ? undefined : this.#causes.get(mine)
    if (own !== undefined && RANK[crossing.kind] <= RANK[own.alert.kind]) {
      return this.#again(mine!, own, crossing, frameIndex)
    }
    if (own?.open) this.#left.add(own)
    const likeness = likenessOf(crossing)
    const alike = this.#causes.get(likeness)
    if (alike !== undefined && frameIndex - alike.alert.last > this.#limits.joinSeconds) {
      // Another process, later: another cause. The old one keeps its place in the order under a name of its own.
      this.#rename(likeness, `${likeness}\n${alike.alert.id}`)
    } else if (alike !== undefined) {
      if (mine !== likeness) this.#merged++
      this.#own(owner, likeness)
      return this.#again(likeness, alike, crossing, frameIndex)
    }
    while (this.#openedAt.length > 0 && frameIndex - this.#openedAt[0]! >= 60)
      this.#openedAt.shift()
    // Novelties are made by the dozen by whoever wants to: they leave room for what is worse.
    const room = this.#limits.perMinute * (RANK[crossing.kind] === 0 ? NOVELTY_SHARE : 1)
    if (this.#openedAt.length >= room) {
      this.#held++
      return undefined
    }
    this.#openedAt.push(frameIndex)
    this.#opened++
    const alert = this.#first(crossing, frameIndex)
    if (this.#causes.size >= this.#limits.remembered) this.#drop(this.#causes.keys().next().value!)
    this.#causes.set(likeness, { alert, open: true, told: frameIndex })
    this.#own(owner, likeness)
    return alert
  }

  /** Gives an alert its reasons, for its later messages, too. */
  explain(id: string, why: readonly Reason[]): void {
    for (const cause of this.#causes.values()) {
      if (cause.alert.id === id) cause.alert = { ...cause.alert, why }
    }
  }

  #rename(from: string, to: string): void {
    const entries = [...this.#causes]
    this.#causes.clear()
    for (const [likeness, cause] of entries)
      this.#causes.set(likeness === from ? to : likeness, cause)
    for (const [owner, of] of this.#ofProcess) if (of === from) this.#ofProcess.set(owner, to)
  }

  #own(owner: ProcessKey, likeness: string): void {
    this.#ofProcess.delete(owner)
    if (this.#ofProcess.size >= PROCESSES_MAX) {
      this.#ofProcess.delete(this.#ofProcess.keys().next().value!)
    }
    this.#ofProcess.set(owner, likeness)
  }

  /** Closes what has been quiet, forgets what is old. Call once a frame, after the crossings. */
  tick(frameIndex: number): Alert[] {
    const closed: Alert[] = []
    for (const cause of this.#left) {
      if (cause.open && !this.#isOwned(cause)) closed.push(this.#close(cause, frameIndex))
    }
    this.#left.clear()
    for (const [likeness, cause] of this.#causes) {
      const quiet = frameIndex - cause.alert.last
      // The longest silent come first; those that are silent but open are among the first, too.
      if (quiet < this.#limits.quietSeconds) break
      if (cause.open) closed.push(this.#close(cause, frameIndex))
      if (quiet >= this.#limits.rememberSeconds) this.#drop(likeness)
    }
    return closed
  }

  /** Closes all: the recording is over. */
  end(frameIndex: number): Alert[] {
    return [...this.#causes.values()]
      .filter(({ open }) => open)
      .map((cause) => this.#close(cause, frameIndex))
  }

  status(): BookStatus {
    let open = 0
    for (const cause of this.#causes.values()) if (cause.open) open++
    return {
      opened: this.#opened,
      updated: this.#updated,
      closed: this.#closed,
      merged: this.#merged,
      held: this.#held,
      open,
    }
  }

  #isOwned(cause: Cause): boolean {
    for (const likeness of this.#ofProcess.values()) {
      if (this.#causes.get(likeness) === cause) return true
    }
    return false
  }

  #first(crossing: Crossing, frameIndex: number): Alert {
    const { process, kind } = crossing
    const start = Math.floor(process.startMs / 1000)
    const id = fnv1a64([this.#host, processKey(process), kind, frameIndex].join('\n'))
    const { severity, certainty, behaviour, techniques = [], because = [] } = crossing
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
        ...defined({ exe: process.exe, container: process.container }),
      },
      severity,
      certainty,
      incident: id,
      ...defined({ behaviour }),
      predicted: crossing.predicted,
      claimed: crossing.claimed,
      why: [],
      model: this.#model,
      ...(kind === 'masquerade' ? { technique: 'T1036' } : {}),
      ...(techniques.length === 0 ? {} : { techniques }),
      ...(because.length === 0 ? {} : { because }),
      evidence: { from: crossing.from, to: frameIndex },
    }
  }

  #again(
    likeness: string,
    cause: Cause,
    crossing: Crossing,
    frameIndex: number,
  ): Alert | undefined {
    const { alert } = cause
    const reopened = !cause.open
    cause.alert = {
      ...alert,
      state: 'update',
      time: frameIndex,
      last: frameIndex,
      count: alert.count + 1,
      predicted:
        crossing.predicted.confidence > alert.predicted.confidence &&
        crossing.predicted.class === alert.predicted.class
          ? crossing.predicted
          : alert.predicted,
      evidence: { from: Math.min(alert.evidence.from, crossing.from), to: frameIndex },
    }
    cause.open = true
    // Moved to the end: causes are in the order of their last sign of life.
    this.#causes.delete(likeness)
    this.#causes.set(likeness, cause)
    if (!reopened && frameIndex - cause.told < this.#limits.updateSeconds) return undefined
    cause.told = frameIndex
    this.#updated++
    return cause.alert
  }

  #close(cause: Cause, frameIndex: number): Alert {
    cause.open = false
    cause.told = frameIndex
    cause.alert = { ...cause.alert, state: 'closed', time: frameIndex }
    this.#closed++
    return cause.alert
  }

  #drop(likeness: string): void {
    this.#causes.delete(likeness)
    for (const [owner, of] of this.#ofProcess) if (of === likeness) this.#ofProcess.delete(owner)
  }
}

/**
 * What makes two crossings one cause: kind and name, and for something malicious also what it is. A server whose
 * workers go wrong looks like this class here and like that one there.
 */
function likenessOf({ kind, process, predicted }: Crossing): string {
  return `${kind}\n${process.name}\n${kind === 'non-grata' ? predicted.class : ''}`
}
