/**
 * One notice an incident and change: what is sent to people. An incident is sent
 * when its first alert is confirmed, again when it gets worse, and once more when its last alert is
 * closed. Observations and provisional alerts are not sent.
 */
import { compareSeverity, type Severity } from '../domain/behaviour.ts'
import { NOTICE_INCIDENTS_MAX } from '../domain/limits.ts'
import type { AlertMessage } from '../wire/alert-message.ts'

export interface Notice {
  readonly incident: string
  readonly status: 'firing' | 'resolved'
  readonly severity: Severity
  /** Alerts of the incident so far. */
  readonly alerts: number
  /** The alert that made the notice. */
  readonly alert: AlertMessage
}

interface Told {
  severity: Severity
  readonly open: Set<string>
  readonly all: Set<string>
}

export class Notices {
  /** Insertion order is order of the last change. */
  readonly #told = new Map<string, Told>()
  readonly #worst: Severity

  /** @param from the lowest severity that is sent */
  constructor(from: Severity = 'medium') {
    this.#worst = from
  }

  push(alert: AlertMessage): Notice | undefined {
    const { incident, id, severity, state } = alert
    const told = this.#told.get(incident)
    if (state === 'closed') return told === undefined ? undefined : this.#closed(told, alert)
    if (alert.certainty !== 'confirmed' || compareSeverity(severity, this.#worst) > 0)
      return undefined
    const now = told ?? { severity, open: new Set<string>(), all: new Set<string>() }
    const isNews =
      told === undefined || now.open.size === 0 || compareSeverity(severity, now.severity) < 0
    if (compareSeverity(severity, now.severity) < 0) now.severity = severity
    now.open.add(id)
    now.all.add(id)
    this.#told.delete(incident)
    this.#told.set(incident, now)
    if (this.#told.size > NOTICE_INCIDENTS_MAX) this.#told.delete(this.#told.keys().next().value!)
    return isNews ? notice('firing', now, alert) : undefined
  }

  #closed(told: Told, alert: AlertMessage): Notice | undefined {
    if (!told.open.delete(alert.id) || told.open.size > 0) return undefined
    return notice('resolved', told, alert)
  }
}

function notice(status: Notice['status'], { severity, all }: Told, alert: AlertMessage): Notice {
  return { incident: alert.incident, status, severity, alerts: all.size, alert }
}
