/**
 * One alert per cause: what crosses its level opens an alert, what goes on updates it (not more
 * often than ALERT_UPDATE_SECONDS), what has been quiet closes it, and what returns within a day is
 * the same alert again.
 *
 * An alert of low severity is an observation: it is stored like the others, without a notification.
 * One that turns out to be worse becomes an alert. Certainty only grows, and is told at once; at
 * most ALERTS_CONFIRMED_PER_DAY_MAX alerts are confirmed a day, a quarter of them kept for critical
 * ones, the rest stay provisional, counted as withheld.
 *
 * A cause is a kind of alert on one process; processes of one name, container and user that look
 * like the same class at the same time (within ALERT_JOIN_SECONDS) are one cause (a server's
 * workers, a script's helpers).
 * A process that already has an alert gets no second one, except that a novelty may still turn out
 * to be something worse; the novelty is then closed.
 *
 * An id is made of host, process, kind and the host's secret: the same process has the same alert
 * after a restart of the agent, and without the secret the id cannot be predicted. Opened in a
 * minute are at most ALERTS_PER_MINUTE_MAX, of one user and of one class of a user fewer; the rest
 * wait, counted as held.
 *
 * The state survives restarts: `changes` is what must be stored since the last call, `restore`
 * loads it. At every moment opened = open + closed, over the whole life of the state directory.
 */
import type { Alert, AlertEnd, Certainty, Reason } from '../domain/alert.ts'
import { compareSeverity, type Severity } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import {
  ALERT_JOIN_SECONDS,
  ALERT_OWNERS_KEPT_MAX,
  ALERT_QUIET_SECONDS,
  ALERT_REMEMBER_SECONDS,
  ALERT_UPDATE_SECONDS,
  ALERTS_CONFIRMED_PER_DAY_MAX,
  ALERTS_PER_MINUTE_MAX,
  ALERTS_REMEMBERED_MAX,
  PROCESSES_MAX,
} from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { alertId } from './alert-id.ts'
import type { BookChanges, BookCounts, BookStatus, KeptCause, OpenAlerts } from './book-state.ts'
import { type Crossing, likenessOf, openedAlert, rankOf, restated } from './crossing.ts'
import { Incidents } from './incidents.ts'
import { Notifications } from './notifications.ts'

export interface BookLimits {
  readonly perMinute?: number
  readonly quietSeconds?: number
  readonly joinSeconds?: number
  readonly updateSeconds?: number
  readonly rememberSeconds?: number
  readonly remembered?: number
  readonly confirmedPerDay?: number
  /** Of these, how many may be novelties. */
  readonly noveltiesPerDay?: number
}

interface Cause {
  alert: Alert
  readonly likeness: string
  open: boolean
  /** Frame of the last message about it. */
  told: number
  /** Frame of the last crossing, or of the restart after it: quiet is counted from here. */
  heard: number
  readonly owners: Set<ProcessKey>
}

export class AlertBook {
  readonly #host: string
  readonly #model: string
  readonly #secret: string
  readonly #limits: Required<BookLimits>
  /** By id. Insertion order is order of the last sign of life. */
  readonly #causes = new Map<string, Cause>()
  /** The latest cause of each likeness: kind, name, class. */
  readonly #alike = new Map<string, Cause>()
  readonly #ofProcess = new Map<ProcessKey, Cause>()
  /** Closed outside of `tick`, and not told yet. */
  readonly #closed: Alert[] = []
  /** Novelties of processes that have something worse now. */
  readonly #left = new Set<Cause>()
  readonly #changed = new Set<string>()
  #countsChanged = false
  #hasRestored = false
  readonly #incidents = new Incidents()
  /** What open confirmed alerts are about, as of the last second. */
  readonly #accused = { pids: new Set<number>(), containers: new Set<string>() }
  readonly #notifications: Notifications
  readonly #counts = {
    ...{ opened: 0, reopened: 0, updated: 0, merged: 0, held: 0 },
    ...{ observed: 0, withheld: 0 },
  }
  #open = 0

  constructor(host: string, model: string, limits: BookLimits = {}, secret = '') {
    this.#host = host
    this.#model = model
    this.#secret = secret
    this.#limits = {
      perMinute: limits.perMinute ?? ALERTS_PER_MINUTE_MAX,
      quietSeconds: limits.quietSeconds ?? ALERT_QUIET_SECONDS,
      joinSeconds: limits.joinSeconds ?? ALERT_JOIN_SECONDS,
      updateSeconds: limits.updateSeconds ?? ALERT_UPDATE_SECONDS,
      rememberSeconds: limits.rememberSeconds ?? ALERT_REMEMBER_SECONDS,
      remembered: limits.remembered ?? ALERTS_REMEMBERED_MAX,
      confirmedPerDay: limits.confirmedPerDay ?? ALERTS_CONFIRMED_PER_DAY_MAX,
      noveltiesPerDay: limits.noveltiesPerDay ?? ALERTS_CONFIRMED_PER_DAY_MAX,
    }
    this.#notifications = new Notifications(this.#limits)
  }

  /** Whether this process has an open alert: nothing of it is to be remembered as usual. */
  isOpen(process: Process): boolean {
    return this.#causeOf(process)?.open ?? false
  }

  /**
   * Whether it belongs to what a confirmed alert is about: a child of the process, or of the same
   * container. What happens in an incident is not usual.
   */
  isInIncident({ container, ppid }: Process): boolean {
    const { pids, containers } = this.#accused
    return (
      (ppid !== undefined && pids.has(ppid)) ||
      (container !== undefined && containers.has(container))
    )
  }

  /** The message that this crossing is worth: an opened alert, an update, or nothing yet. */
  raise(crossing: Crossing, frameIndex: number): Alert | undefined {
    const owner = processKey(crossing.process)
    const own = this.#causeOf(crossing.process)
    if (own !== undefined) this.#own(owner, own)
    if (own !== undefined && rankOf(crossing) <= rankOf(own.alert)) {
      return this.#again(own, crossing, frameIndex)
    }
    if (own?.open) this.#left.add(own)
    const id = this.#idOf(crossing)
    const likeness = likenessOf(crossing)
    const alike = this.#alike.get(likeness)
    const joins = alike !== undefined && frameIndex - alike.heard <= this.#limits.joinSeconds
    // The same id: of this process, which too many others have made the book forget.
    const cause = this.#causes.get(id) ?? (joins ? alike : undefined)
    if (cause !== undefined) {
      if (cause.alert.id !== id) this.#count('merged')
      this.#own(owner, cause)
      return this.#again(cause, crossing, frameIndex)
    }
    if (!this.#notifications.mayOpen(crossing, frameIndex)) {
      this.#count('held')
      return undefined
    }
    this.#makeRoom(frameIndex)
    const certainty = this.#notifications.certaintyOf(crossing, 'provisional', frameIndex)
    if (certainty !== crossing.certainty) this.#count('withheld')
    if (crossing.severity === 'low') this.#count('observed')
    const first = openedAlert(id, crossing, certainty, this.#model, frameIndex)
    const alert = { ...first, incident: this.#incidents.of(first, frameIndex) }
    const opened: Cause = {
      ...{ alert, likeness, open: true, told: frameIndex, heard: frameIndex },
      owners: new Set(),
    }
    this.#causes.set(id, opened)
    this.#alike.set(likeness, opened)
    this.#own(owner, opened)
    this.#open++
    this.#count('opened')
    return alert
  }

  /** Gives an alert its reasons, for its later messages, too. */
  explain(id: string, why: readonly Reason[]): void {
    const cause = this.#causes.get(id)
    if (cause === undefined) return
    cause.alert = { ...cause.alert, why }
    this.#changed.add(id)
  }

  /** Closes what has been quiet, forgets what is old. Call once a frame, after the crossings. */
  tick(frameIndex: number): Alert[] {
    for (const cause of this.#left) {
      if (cause.open && cause.owners.size === 0) this.#close(cause, frameIndex, 'replaced')
    }
    this.#left.clear()
    this.#noteAccused()
    for (const cause of this.#causes.values()) {
      const quiet = frameIndex - cause.heard
      // The longest silent come first; those that are silent but open are among the first, too.
      if (quiet < this.#limits.quietSeconds) break
      if (cause.open) this.#close(cause, frameIndex, 'quiet')
      if (quiet >= this.#limits.rememberSeconds) this.#forget(cause)
    }
    return this.#closed.splice(0)
  }

  #noteAccused(): void {
    const { pids, containers } = this.#accused
    pids.clear()
    containers.clear()
    if (this.#open === 0) return
    for (const { alert, open } of this.#causes.values()) {
      if (!open || alert.certainty !== 'confirmed' || alert.severity === 'low') continue
      pids.add(alert.process.pid)
      if (alert.process.container !== undefined) containers.add(alert.process.container)
    }
  }

  /** Closes what is over by this word. @param isOver told the processes of each open alert */
  closeWhere(
    isOver: (owners: ReadonlySet<ProcessKey>) => boolean,
    why: AlertEnd,
    frameIndex: number,
  ): Alert[] {
    for (const cause of this.#causes.values())
      if (cause.open && isOver(cause.owners)) this.#close(cause, frameIndex, why)
    return this.#closed.splice(0)
  }

  /**
   * Seconds go on at this frame: after a restart, or where the clock was set. What is open is not
   * counted as quiet in a time that was not watched, and nothing was heard or told in what is the
   * future now.
   */
  resumeAt(frameIndex: number): void {
    this.#notifications.resume()
    for (const cause of this.#causes.values()) {
      cause.heard = cause.open ? frameIndex : Math.min(cause.heard, frameIndex)
      cause.told = Math.min(cause.told, frameIndex)
    }
  }

  status(): BookStatus {
    const { opened } = this.#counts
    return { ...this.#counts, open: this.#open, closed: opened - this.#open }
  }

  openAlerts(): OpenAlerts {
    const counts: Partial<Record<Severity, Partial<Record<Certainty, number>>>> = {}
    for (const { open, alert } of this.#causes.values()) {
      if (!open) continue
      counts[alert.severity] ??= {}
      const of = counts[alert.severity]!
      of[alert.certainty] = (of[alert.certainty] ?? 0) + 1
    }
    return counts
  }

  // --- Over a restart ----------------------------------------------------------------------------

  /** What must be kept since the last call; undefined where nothing changed. */
  changes(): BookChanges | undefined {
    if (this.#changed.size === 0 && !this.#countsChanged) return undefined
    const causes: KeptCause[] = []
    const forgotten: string[] = []
    for (const id of this.#changed) {
      const cause = this.#causes.get(id)
      if (cause === undefined) forgotten.push(id)
      else {
        const { alert, likeness, open, owners } = cause
        causes.push({ alert, likeness, open, owners: [...owners].slice(-ALERT_OWNERS_KEPT_MAX) })
      }
    }
    this.#changed.clear()
    this.#countsChanged = false
    return { causes, forgotten, counts: { ...this.#counts } }
  }

  /** These changes could not be kept: they are part of the next. */
  notKept(changes: BookChanges): void {
    for (const { alert } of changes.causes) this.#changed.add(alert.id)
    for (const id of changes.forgotten) this.#changed.add(id)
    this.#countsChanged = true
  }

  /** Takes back what an earlier run kept, into an empty book. */
  restore(causes: readonly KeptCause[], counts: BookCounts | undefined): void {
    this.#hasRestored = causes.length > 0
    // The longest silent first, those that are open last.
    const sorted = [...causes].sort(
      (a, b) => Number(a.open) - Number(b.open) || a.alert.last - b.alert.last,
    )
    for (const { alert, likeness, open, owners } of sorted) {
      const cause: Cause = {
        ...{ alert, likeness, open, owners: new Set() },
        ...{ told: alert.time, heard: alert.last },
      }
      this.#causes.set(alert.id, cause)
      this.#alike.set(likeness, cause)
      for (const owner of owners) this.#own(owner, cause)
      if (open) this.#open++
      this.#incidents.touch(alert)
    }
    this.#notifications.restore(
      causes
        .filter(({ alert }) => alert.certainty === 'confirmed')
        .map(({ alert: { kind, first } }) => ({ isNovelty: kind === 'novelty', first })),
    )
    Object.assign(this.#counts, counts)
    // A store that was lost and begun anew, or one of an earlier version, knows of no counts.
    this.#counts.opened = Math.max(this.#counts.opened, this.#causes.size)
    this.#changed.clear()
  }

  // --- Causes ------------------------------------------------------------------------------------

  #idOf({ process, kind }: Crossing): string {
    return alertId(this.#secret, [this.#host, processKey(process), kind])
  }

  #count(what: keyof BookCounts): void {
    this.#counts[what]++
    this.#countsChanged = true
  }

  /** At the bound the longest silent goes; where it is open, it is closed and that is told. */
  #makeRoom(frameIndex: number): void {
    if (this.#causes.size < this.#limits.remembered) return
    const oldest: Cause = this.#causes.values().next().value!
    if (oldest.open) this.#close(oldest, frameIndex, 'bound')
    this.#forget(oldest)
  }

  /**
   * The cause that a process is under. After a restart its start may be told as the neighbouring
   * second: it is rounded, and the clock has been slewed meanwhile.
   */
  #causeOf(process: Process): Cause | undefined {
    const found = this.#ofProcess.get(processKey(process))
    if (found !== undefined || !this.#hasRestored) return found
    const near = (ms: number) =>
      this.#ofProcess.get(processKey({ ...process, startMs: process.startMs + ms }))
    return near(-1000) ?? near(1000)
  }

  #own(owner: ProcessKey, cause: Cause): void {
    this.#disown(owner)
    if (this.#ofProcess.size >= PROCESSES_MAX) this.#disown(this.#ofProcess.keys().next().value!)
    this.#ofProcess.set(owner, cause)
    cause.owners.add(owner)
    this.#changed.add(cause.alert.id)
  }

  #disown(owner: ProcessKey): void {
    const cause = this.#ofProcess.get(owner)
    if (cause === undefined) return
    this.#ofProcess.delete(owner)
    cause.owners.delete(owner)
    this.#changed.add(cause.alert.id)
  }

  #again(cause: Cause, crossing: Crossing, frameIndex: number): Alert | undefined {
    const { ended: _, ...alert } = cause.alert
    const reopened = !cause.open
    const certainty = this.#notifications.certaintyOf(crossing, alert.certainty, frameIndex)
    const isWorse = compareSeverity(crossing.severity, alert.severity) < 0
    const wasObservation = isWorse && alert.severity === 'low'
    cause.alert = {
      ...(isWorse ? restated(alert, crossing) : alert),
      state: wasObservation ? 'open' : 'update',
      time: frameIndex,
      last: frameIndex,
      count: alert.count + 1,
      certainty,
      predicted:
        isWorse ||
        (crossing.predicted.confidence > alert.predicted.confidence &&
          crossing.predicted.class === alert.predicted.class)
          ? crossing.predicted
          : alert.predicted,
      evidence: { from: Math.min(alert.evidence.from, crossing.from), to: frameIndex },
      ...(reopened ? { reopened: (alert.reopened ?? 0) + 1 } : {}),
      // Why a host is not seen, and who is the cause, is known better as it goes on.
      ...(crossing.behaviour === 'agent-blinded' ? defined({ because: crossing.because }) : {}),
    }
    cause.heard = frameIndex
    this.#changed.add(alert.id)
    this.#incidents.touch(cause.alert)
    // Moved to the end: causes are in the order of their last sign of life.
    this.#causes.delete(alert.id)
    this.#causes.set(alert.id, cause)
    const isNews = isWorse || certainty !== alert.certainty
    if (reopened) {
      cause.open = true
      this.#open++
      this.#count('reopened')
    } else if (!isNews && frameIndex - cause.told < this.#limits.updateSeconds) return undefined
    cause.told = frameIndex
    this.#count('updated')
    return cause.alert
  }

  #close(cause: Cause, frameIndex: number, ended: AlertEnd): void {
    cause.open = false
    cause.told = frameIndex
    const time = Math.max(frameIndex, cause.alert.first)
    cause.alert = { ...cause.alert, state: 'closed', time, ended }
    this.#open--
    this.#changed.add(cause.alert.id)
    this.#closed.push(cause.alert)
  }

  #forget(cause: Cause): void {
    this.#causes.delete(cause.alert.id)
    if (this.#alike.get(cause.likeness) === cause) this.#alike.delete(cause.likeness)
    for (const owner of cause.owners) this.#ofProcess.delete(owner)
    this.#changed.add(cause.alert.id)
  }
}
