/** One incident: why, what was seen beside what is usual, when, in what context, and what to do. */
import type { HostAlert } from '../store/incident.ts'
import { alertContext, nextCommands } from './alert-context.ts'
import { claims, whyBars } from './alert-evidence.ts'
import { get, type HostProcesses, type IncidentDetail } from './api.ts'
import { block, element, name, note, words } from './element.ts'
import { heatMap } from './heat-map.ts'
import { ago, isOfSite, severityMark, tag } from './incident-row.ts'
import { likeWords } from './process-table.ts'
import { hostLink, link } from './route.ts'
import { timeline } from './timeline.ts'
import { actionLog, triagePanel } from './triage-panel.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount, headline, KIND_HELP, KIND_LABEL, sentence, TRIAGE_LABEL } from './words.ts'

const NEIGHBOURS = 8

export async function incident(
  at: { readonly site: string; readonly host: string; readonly id: string },
  context: ViewContext,
): Promise<Shown> {
  const { site, host, id } = at
  const [found, processes] = await Promise.all([
    get<IncidentDetail>(`incidents/${encodeURIComponent(id)}`, { site, host }),
    // A host that has gone from the store may still have an incident in hand.
    get<HostProcesses>(`hosts/${encodeURIComponent(host)}/processes`, { site }).catch(
      () => undefined,
    ),
  ])
  const { lead } = found.incident
  const { now } = context
  return {
    title: `${lead.kind === 'absence' ? lead.predicted.class : lead.process.name} on ${host}`,
    parts: [
      heading(found, now),
      element(
        'div',
        { class: 'columns incident' },
        because(lead, now),
        element(
          'div',
          { class: 'beside' },
          triagePanel(found.incident, context),
          actionLog(found.actions, now),
          alertContext(lead, now),
          block('Next, on the host', nextCommands(lead)),
        ),
        element(
          'div',
          {},
          lead.kind === 'absence' ? '' : whyBars(lead),
          heatMap(lead),
          block('Timeline', timeline(found, now)),
          otherAlerts(found.alerts, lead, now),
          isOfSite(host) ? '' : neighbours(processes, at, lead),
          raw(found.alerts),
        ),
      ),
    ],
  }
}

function heading({ incident }: IncidentDetail, now: number): HTMLElement {
  const { lead, severity, certainty, state, triage, alerts } = incident
  return element(
    'header',
    { class: 'incident-head', 'data-severity': severity },
    element(
      'p',
      { class: 'tags' },
      severityMark(severity),
      tag(state === 'open' ? 'Open' : 'Closed'),
      certainty === 'provisional' ? tag('Provisional') : '',
      triage.state === 'new' ? '' : tag(TRIAGE_LABEL[triage.state], triage.state),
      tag(KIND_LABEL[lead.kind]),
    ),
    element('h1', {}, ...words(headline(lead))),
    element(
      'p',
      { class: 'note' },
      'on ',
      isOfSite(incident.host)
        ? element(
            'a',
            { href: link(['hosts'], { condition: 'silent' }) },
            'hosts of site ',
            name(incident.site),
          )
        : element('a', { href: hostLink(incident) }, name(incident.host)),
      ` · ${amount(alerts.total)} ${alerts.total === 1 ? 'alert' : 'alerts'}, ${amount(alerts.active)} open · last seen `,
      ago(incident.last, now),
    ),
  )
}

/** The facts that decided, or what the numbers say. */
function because(lead: HostAlert, now: number): HTMLElement {
  return block(
    'Why',
    element('p', { class: 'sentence' }, ...words(sentence(lead, now))),
    note(`${KIND_LABEL[lead.kind]}: ${KIND_HELP[lead.kind]}.`),
    lead.because === undefined
      ? ''
      : element(
          'ul',
          { class: 'because' },
          ...lead.because.map((fact) => element('li', {}, name(fact))),
        ),
    lead.kind === 'absence' ? '' : claims(lead),
  )
}

function otherAlerts(alerts: readonly HostAlert[], lead: HostAlert, now: number): HTMLElement {
  const others = alerts.filter(({ id }) => id !== lead.id)
  if (others.length === 0) return element('div', { hidden: true })
  return block(
    'Other alerts of this incident',
    element(
      'ul',
      { class: 'others' },
      ...others.map((alert) =>
        element(
          'li',
          {},
          severityMark(alert.severity),
          ' ',
          ...words(headline(alert)),
          element(
            'span',
            { class: 'note' },
            `${alert.kind === 'absence' ? '' : ` · pid ${alert.process.pid}`} · ${alert.state === 'closed' ? 'closed' : 'open'} · `,
            ago(alert.last, now),
          ),
        ),
      ),
    ),
  )
}

/** What else ran on the host in its last summary: the busiest, those of the same container first. */
function neighbours(
  processes: HostProcesses | undefined,
  at: { readonly site: string; readonly host: string },
  lead: HostAlert,
): HTMLElement {
  const items = (processes?.items ?? []).filter(({ pid }) => pid !== lead.process.pid)
  const { container } = lead.process
  const sameContainer = (one: (typeof items)[number]) =>
    container !== undefined && one.container === container
  const listed = [...items]
    .sort((a, b) => Number(sameContainer(b)) - Number(sameContainer(a)) || b.calls - a.calls)
    .slice(0, NEIGHBOURS)
  return block(
    'Beside it on the host',
    listed.length === 0
      ? note('No summary of the host is in the store.')
      : element(
          'ul',
          { class: 'neighbours' },
          ...listed.map((process) =>
            element(
              'li',
              {},
              name(process.name),
              element(
                'span',
                { class: 'note' },
                ` · pid ${process.pid} · ${amount(process.calls)} calls a minute`,
                sameContainer(process) ? ' · same container' : '',
                likeWords(process),
              ),
            ),
          ),
        ),
    element('p', {}, element('a', { href: hostLink(at) }, 'All processes of the host')),
  )
}

function raw(alerts: readonly HostAlert[]): HTMLElement {
  return element(
    'details',
    { class: 'raw', 'data-key': 'raw' },
    element('summary', {}, alerts.length === 1 ? 'Raw message' : 'Raw messages'),
    element(
      'pre',
      { tabindex: '0', 'aria-label': 'Raw messages' },
      JSON.stringify(alerts, null, 2),
    ),
  )
}
