/** The first view: what is open and how bad, which hosts cannot be trusted to tell, what is new. */
import { SEVERITIES } from '../../domain/behaviour.ts'
import {
  type Counts,
  type FleetGuarantee,
  get,
  type Host,
  type IncidentGroup,
  type IncidentRecord,
  type Page,
  type Times,
} from './api.ts'
import { incidentChart } from './charts.ts'
import { block, type Child, element, name, note } from './element.ts'
import { hostLine } from './host-row.ts'
import { incidentList, severityMark } from './incident-row.ts'
import { type Filters, link } from './route.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount, fleetGuarantee } from './words.ts'

const DAY_S = 86_400
const LISTED = '8'
/** What asks for a person: open, and not yet seen to. */
export const ATTENTION: Filters = { state: 'open', triage: 'new,acknowledged' }

export async function overview(_: Filters, { now, hello }: ViewContext): Promise<Shown> {
  const until = Math.floor(now)
  const [counts, guarantee, severities, times, incidents, silent, losing] = await Promise.all([
    get<Counts>('counts'),
    get<FleetGuarantee>('guarantee'),
    get<Page<IncidentGroup>>('incidents/groups', { by: 'severity', ...ATTENTION }),
    get<Times>('incidents/times', {
      since: String(until - 7 * DAY_S),
      until: String(until),
      step: String(DAY_S / 4),
    }),
    get<Page<IncidentRecord>>('incidents', { limit: LISTED, ...ATTENTION }),
    get<Page<Host>>('hosts', { limit: LISTED, condition: 'silent' }),
    get<Page<Host>>('hosts', { limit: LISTED, condition: 'losing' }),
  ])
  const hosts = counts.hosts.online + counts.hosts.offline
  return {
    title: 'Overview',
    parts: [
      element('h1', {}, 'Overview'),
      hosts === 0 ? begin(hello.broker) : tiles(counts, severities.items),
      ...(hosts === 0
        ? []
        : [
            block(
              'Last 7 days',
              times.items.length === 0 ? note('No incident began.') : incidentChart(times),
              guaranteeLine(guarantee),
            ),
            block(
              'Needs attention',
              incidents.items.length === 0
                ? note('Nothing. No open incident waits for anybody.')
                : incidentList(incidents.items, now, 'Incidents that need attention'),
              incidents.next === null
                ? ''
                : element(
                    'p',
                    {},
                    element('a', { href: link(['incidents'], ATTENTION) }, 'All of them'),
                  ),
            ),
            ...hostBlock(
              'Silent hosts',
              'Connected, and no summary for more than 150 s.',
              silent,
              now,
            ),
            ...hostBlock(
              'Hosts that lose calls',
              'More than 1 % of their calls were lost in this or the last hour: what happens there may go unseen.',
              losing,
              now,
            ),
          ]),
    ],
  }
}

function guaranteeLine(guarantee: FleetGuarantee): HTMLElement {
  return element(
    'p',
    { class: 'guarantee' },
    element('strong', {}, 'False alerts: '),
    fleetGuarantee(guarantee),
  )
}

/** How to begin: shown while no host has reported. */
export function begin(broker: string): HTMLElement {
  return element(
    'div',
    { class: 'empty' },
    element('p', {}, 'No host has reported yet. On each host, run:'),
    element('pre', { tabindex: '0' }, `agent watch --broker ${broker || 'mqtt://HOST:PORT'}`),
  )
}

function tiles({ hosts }: Counts, groups: readonly IncidentGroup[]): HTMLElement {
  const found = new Map(groups.map((group) => [group.severity, group.incidents]))
  return element(
    'ul',
    { class: 'tiles', 'aria-label': 'Open incidents and hosts' },
    ...SEVERITIES.map((severity) =>
      tile(
        severityMark(severity),
        found.get(severity) ?? 0,
        link(['incidents'], { ...ATTENTION, severity }),
        severity,
      ),
    ),
    tile('Hosts online', hosts.online, link(['hosts'], { state: 'online' })),
    tile('Hosts offline', hosts.offline, link(['hosts'], { state: 'offline' })),
    tile('Hosts silent', hosts.silent, link(['hosts'], { condition: 'silent' })),
    tile('Hosts losing calls', hosts.losing, link(['hosts'], { condition: 'losing' })),
  )
}

function tile(label: Child, value: number, href: string, severity?: string): HTMLElement {
  return element(
    'li',
    { class: 'tile', 'data-severity': value === 0 ? undefined : severity },
    element(
      'a',
      { href },
      element('span', { class: 'number' }, amount(value)),
      element('span', {}, label),
    ),
  )
}

function hostBlock(title: string, why: string, page: Page<Host>, now: number): HTMLElement[] {
  if (page.items.length === 0) return []
  return [
    block(
      title,
      note(why),
      element(
        'ul',
        { class: 'rows' },
        ...page.items.map((host) => element('li', {}, hostLine(host, now))),
      ),
      page.next === null ? '' : note('There are more.'),
    ),
  ]
}

export function programLink(program: string): HTMLElement {
  return element('a', { href: link(['program', program]) }, name(program))
}
