/** Incidents as rows of a list, and the marks that severity and state have everywhere. */
import type { Severity } from '../../domain/behaviour.ts'
import type { IncidentRecord } from './api.ts'
import { type Child, element, name, words } from './element.ts'
import { incidentLink } from './route.ts'
import { clockTime, fullTime } from './times.ts'
import {
  amount,
  headline,
  KIND_LABEL,
  relativeTime,
  SEVERITY_LABEL,
  TRIAGE_LABEL,
} from './words.ts'

/** A shape and a word for each severity: colour alone does not tell. */
export function severityMark(severity: Severity): HTMLElement {
  return element(
    'span',
    { class: 'severity', 'data-severity': severity },
    element('span', { class: 'shape', 'aria-hidden': 'true' }),
    SEVERITY_LABEL[severity],
  )
}

export function tag(text: string, kind?: string): HTMLElement {
  return element('span', { class: 'tag', 'data-tag': kind }, text)
}

/** A point in time by its age; `ageTimes` keeps it true. */
export function ago(seconds: number, now: number): HTMLElement {
  const date = new Date(seconds * 1_000)
  return element(
    'time',
    {
      datetime: Number.isNaN(date.getTime()) ? undefined : date.toISOString(),
      title: fullTime(seconds),
      'data-at': String(seconds),
    },
    relativeTime(seconds, now),
  )
}

export function at(seconds: number, now: number): HTMLElement {
  return element('time', { title: fullTime(seconds) }, clockTime(seconds, now))
}

export function ageTimes(root: ParentNode, now: number): void {
  for (const one of root.querySelectorAll<HTMLElement>('time[data-at]'))
    one.textContent = relativeTime(Number(one.dataset.at), now)
}

export function incidentList(
  incidents: readonly IncidentRecord[],
  now: number,
  label: string,
): HTMLElement {
  return element(
    'ol',
    { class: 'rows', 'aria-label': label },
    ...incidents.map((incident) => element('li', {}, incidentRow(incident, now))),
  )
}

function incidentRow(incident: IncidentRecord, now: number): HTMLElement {
  const { lead, alerts, triage, state, certainty } = incident
  return element(
    'a',
    {
      class: 'row',
      href: incidentLink(incident),
      'data-severity': incident.severity,
      'data-state': state,
      'data-row': `${incident.site}/${incident.host}/${incident.id}`,
    },
    severityMark(incident.severity),
    element(
      'span',
      { class: 'what' },
      element('span', { class: 'headline' }, ...words(headline(lead))),
      element('span', { class: 'where' }, ...whereOf(incident)),
    ),
    element(
      'span',
      { class: 'tags' },
      certainty === 'provisional' ? tag('Provisional') : '',
      triage.state === 'new' ? '' : tag(TRIAGE_LABEL[triage.state], triage.state),
      triage.assignee === undefined ? '' : tag(`→ ${triage.assignee}`),
      triage.label === undefined ? '' : tag(`Label: ${triage.label}`),
    ),
    element(
      'span',
      { class: 'when' },
      ago(incident.last, now),
      element('span', { class: 'state' }, state === 'open' ? 'Open' : 'Closed'),
      element(
        'span',
        { class: 'unseen' },
        `, ${alerts.total} ${alerts.total === 1 ? 'alert' : 'alerts'}`,
      ),
    ),
  )
}

/** Alerts about a site as a whole stand under a name that no host has. */
export function isOfSite(host: string): boolean {
  return host === 'fleet'
}

function whereIs({ site, host }: { readonly site: string; readonly host: string }): Child {
  return isOfSite(host) ? element('span', {}, 'site ', name(site)) : name(host)
}

function whereOf({ site, host, lead, alerts }: IncidentRecord): Child[] {
  const { process, kind } = lead
  return [
    whereIs({ site, host }),
    kind === 'absence' ? '' : ` · pid ${process.pid}`,
    process.user === undefined ? '' : ` · user ${process.user}`,
    process.unit === undefined ? '' : ` · ${process.unit}`,
    ` · ${KIND_LABEL[kind]}`,
    alerts.total > 1 ? ` · ${amount(alerts.total)} alerts` : '',
  ]
}
