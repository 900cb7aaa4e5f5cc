/**
 * Incidents and what operators did about them, as the stores keep them.
 *
 * An incident is the alerts of one host that share an id. Its row is made anew from its alerts
 * whenever one of them changes; only the columns of the triage (who acknowledged it, how long it is
 * muted or allowed) are the operators'. An incident that becomes worse than it was when it was
 * acknowledged, muted or allowed is new again: what was seen to is not what it has become.
 *
 * `allow` holds for the incidents of the same process name and behaviour on that host, also for
 * later ones, unless they are worse. It changes what is listed here, not what the agent raises.
 */
import type { Alert, AlertKind, Certainty } from '../../domain/alert.ts'
import { SEVERITIES, type Severity } from '../../domain/behaviour.ts'
import type { Origin } from '../../wire/origin.ts'

export const ACTION_KINDS = [
  'acknowledge',
  'unacknowledge',
  'assign',
  'note',
  'mute',
  'unmute',
  'allow',
  'disallow',
  'label',
] as const
export type ActionKind = (typeof ACTION_KINDS)[number]

/** What an operator wants done. */
export interface Action {
  readonly action: ActionKind
  /** The assignee, the text of a note, the reason of an allowance, or the label; '' for others. */
  readonly value: string
  /** Unix seconds at which a mute or an allowance ends; 0 for others. */
  readonly until: number
}

/** An action that was taken: one row of the audit list. */
export interface ActionRecord extends Action {
  readonly row: number
  /** Unix seconds. */
  readonly time: number
  readonly actor: string
  readonly site: string
  readonly host: string
  readonly incident: string
  /** The severity that the incident had. */
  readonly severity: Severity
}

/** An alert, and whose. */
export type HostAlert = Alert & Origin

/** Which incident: an id may be claimed by several hosts. */
export interface IncidentKey {
  readonly site: string
  readonly host: string
  readonly incident: string
}

export const TRIAGE_STATES = ['new', 'acknowledged', 'muted', 'allowed'] as const
export type TriageState = (typeof TRIAGE_STATES)[number]

export interface Triage {
  readonly state: TriageState
  readonly acknowledged?: { readonly by: string; readonly at: number }
  readonly assignee?: string
  /** Unix seconds; absent where it is over. */
  readonly mutedUntil?: number
  readonly allowedUntil?: number
  readonly label?: string
  readonly notes: number
}

export interface IncidentRecord {
  readonly id: string
  readonly site: string
  readonly host: string
  readonly state: 'open' | 'closed'
  /** Of its worst alert. */
  readonly severity: Severity
  readonly certainty: Certainty
  readonly alerts: { readonly active: number; readonly total: number }
  /** Unix seconds by the host's clock. */
  readonly first: number
  readonly last: number
  /** Unix seconds of the last message, by the aggregator's clock. */
  readonly changed: number
  readonly triage: Triage
  /** Its worst alert, of these the one received first. */
  readonly lead: HostAlert
}

export interface IncidentFilter {
  readonly site?: string
  readonly host?: string
  readonly severities?: readonly Severity[]
  readonly state?: 'open' | 'closed'
  readonly triage?: readonly TriageState[]
  /** Part of a name, path, user, unit, class, technique or id, in any case. */
  readonly q?: string
  /** The comm of the leading process, whole. */
  readonly name?: string
  readonly assignee?: string
  /** Unix seconds; an incident is in the range if it was there for a part of it. */
  readonly since?: number
  readonly until?: number
  /** Unix seconds at which mutes and allowances are over or not. */
  readonly now: number
}

export interface IncidentQuery extends IncidentFilter {
  readonly limit: number
  readonly after?: string
  /** Open ones first and the worst of these, or by the last change alone. */
  readonly order: 'urgency' | 'time'
}

export const INCIDENT_GROUPS = ['severity', 'host', 'name', 'behaviour', 'assignee'] as const
export type IncidentGroupBy = (typeof INCIDENT_GROUPS)[number]

export interface IncidentGroup {
  readonly key: string
  readonly incidents: number
  readonly open: number
  readonly severity: Severity
  /** Unix seconds. */
  readonly changed: number
}

/** Incidents that began in a span, by severity. */
export interface IncidentTimes {
  readonly at: number
  readonly severity: Severity
  readonly incidents: number
}

export interface ActionQuery {
  readonly limit: number
  readonly after?: string
  readonly actor?: string
  readonly actions?: readonly ActionKind[]
  readonly site?: string
  readonly host?: string
  readonly incident?: string
}

export interface IncidentDetail {
  readonly incident: IncidentRecord
  /** JSON as on the wire, the worst first; as many as asked for. */
  readonly alerts: string[]
  /** The newest first. */
  readonly actions: ActionRecord[]
}

export interface IncidentReads {
  list(query: IncidentQuery): Promise<{ items: IncidentRecord[]; next: string | null }>
  /** Where hosts claim the same id, the one received first unless `at` says. */
  find(
    id: string,
    at: { readonly site?: string; readonly host?: string; readonly now: number },
    alertsMax: number,
  ): Promise<IncidentDetail | undefined>
  groups(by: IncidentGroupBy, filter: IncidentFilter, limit: number): Promise<IncidentGroup[]>
  /** @param stepSeconds width of a span; spans without incidents are left out */
  times(filter: IncidentFilter, stepSeconds: number): Promise<IncidentTimes[]>
  actions(query: ActionQuery): Promise<{ items: ActionRecord[]; next: string | null }>
}

export function severityRank(severity: Severity): number {
  return SEVERITIES.indexOf(severity)
}

export function severityOfRank(rank: number): Severity {
  return SEVERITIES[rank] ?? 'low'
}

/** What a store writes beside an alert's body, so that its incident can be added up. */
export function incidentColumns({ incident, severity, certainty, first, last }: HostAlert) {
  const confirmed = certainty === 'confirmed' ? 1 : 0
  return { incident, severity: severityRank(severity), confirmed, first, last }
}

/** What its alerts add up to, as a query gives it, and the body of the leading one. */
export interface IncidentSum {
  readonly host_id: number
  readonly incident: string
  readonly lead_row: number
  readonly body: string
  readonly severity: number
  readonly confirmed: number
  readonly alerts: number
  readonly active_alerts: number
  readonly first: number
  readonly last: number
  readonly changed: number
}

/** The columns of an incident that follow from its alerts. */
export interface IncidentRow extends Omit<IncidentSum, 'body'> {
  readonly site: string
  readonly host: string
  readonly active: number
  /** Open before closed, then by severity: higher is more urgent. */
  readonly urgency: number
  readonly kind: AlertKind
  readonly name: string
  readonly behaves: string
  readonly words: string
}

export function incidentRow({ body, ...sum }: IncidentSum): IncidentRow {
  const lead = JSON.parse(body) as HostAlert
  const active = sum.active_alerts > 0 ? 1 : 0
  return {
    ...sum,
    site: lead.site,
    host: lead.host,
    active,
    urgency: active * SEVERITIES.length + (SEVERITIES.length - 1 - sum.severity),
    kind: lead.kind,
    name: lead.process.name,
    behaves: lead.behaviour ?? lead.predicted.class,
    words: searchText(lead),
  }
}

/** The columns that are made anew from the alerts. */
export const INCIDENT_COLUMNS = [
  'host_id',
  'site',
  'host',
  'incident',
  'lead_row',
  'active',
  'urgency',
  'kind',
  'name',
  'behaves',
  'words',
  'severity',
  'confirmed',
  'alerts',
  'active_alerts',
  'first',
  'last',
  'changed',
] as const satisfies readonly (keyof IncidentRow)[]

/** Everything that a search looks into, in lower case. */
function searchText(alert: HostAlert): string {
  const { process, predicted, claimed, behaviour, techniques, technique, because, peers } = alert
  const texts = [
    ...[alert.site, alert.host, alert.incident, alert.id, alert.kind],
    ...[process.name, process.exe, process.user, process.unit, process.container],
    ...[process.package, process.command, String(process.pid)],
    ...(process.parents ?? []).map(({ name }) => name),
    ...[predicted.class, claimed.class, behaviour, technique],
    ...(techniques ?? []),
    ...(because ?? []),
    ...(peers ?? []),
  ]
  return texts
    .filter((text) => text !== undefined && text !== '')
    .join(' ')
    .toLowerCase()
}

/** What an action changes of an incident's row. */
export interface ActionChange {
  /** Assignments with a `?` for each of `values`. */
  readonly set: string
  readonly values: readonly (string | number)[]
  /** Also of the incidents of the same name and behaviour on that host that are no worse. */
  readonly alike: boolean
}

/** @param now Unix seconds */
export function changeOf(
  { action, value, until }: Action,
  actor: string,
  now: number,
): ActionChange {
  const own = (set: string, ...values: (string | number)[]) => ({ set, values, alike: false })
  switch (action) {
    case 'acknowledge':
      return own('acknowledged_by = ?, acknowledged_at = ?, quiet_severity = severity', actor, now)
    case 'unacknowledge':
      return own("acknowledged_by = '', acknowledged_at = 0")
    case 'assign':
      return own('assignee = ?', value)
    case 'note':
      return own('notes = notes + 1')
    case 'mute':
      return own('muted_until = ?, quiet_severity = severity', until)
    case 'unmute':
      return own('muted_until = 0')
    case 'allow':
      return {
        ...own('allowed_until = ?, quiet_severity = severity', until),
        alike: true,
      }
    case 'disallow':
      return { ...own('allowed_until = 0'), alike: true }
    case 'label':
      return own('label = ?', value)
  }
}

/** The columns of an incident that are the operators'. */
export const TRIAGE_COLUMNS = [
  'acknowledged_by',
  'acknowledged_at',
  'assignee',
  'muted_until',
  'allowed_until',
  'quiet_severity',
  'label',
  'notes',
] as const
export type ArchivedTriage = {
  readonly [K in (typeof TRIAGE_COLUMNS)[number]]: string | number
} & { readonly incident: string }

export const ACTION_COLUMNS = [
  'time',
  'actor',
  'site',
  'host',
  'incident',
  'action',
  'value',
  'until',
  'severity',
] as const
export type ArchivedAction = {
  readonly [K in (typeof ACTION_COLUMNS)[number]]: string | number
}
