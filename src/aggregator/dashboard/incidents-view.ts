/** The list of incidents: filters, groups, pages. */
import { get, type IncidentGroup, type IncidentRecord, type Page } from './api.ts'
import { element, name, note } from './element.ts'
import { ago, incidentList, severityMark } from './incident-row.ts'
import { ATTENTION } from './overview-view.ts'
import { type Filters, link } from './route.ts'
import { type Choice, toolbar } from './toolbar.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount } from './words.ts'

const PAGE_ROWS = '100'
const HOUR_S = 3_600
const RANGES: Readonly<Record<string, number>> = {
  '1h': HOUR_S,
  '24h': 24 * HOUR_S,
  '7d': 7 * 24 * HOUR_S,
  '30d': 30 * 24 * HOUR_S,
}

const CHOICES: readonly Choice[] = [
  {
    name: 'show',
    label: 'Show',
    options: [
      ['', 'Needs attention'],
      ['new', 'New'],
      ['quiet', 'Muted or allowed'],
      ['open', 'All open'],
      ['closed', 'Closed'],
      ['all', 'All'],
    ],
  },
  {
    name: 'severity',
    label: 'Severity',
    options: [
      ['', 'Any'],
      ['critical', 'Critical'],
      ['critical,high', 'High and worse'],
      ['critical,high,medium', 'Medium and worse'],
      ['low', 'Low'],
    ],
  },
  {
    name: 'range',
    label: 'Time',
    options: [
      ['', 'Any time'],
      ['1h', 'Last hour'],
      ['24h', 'Last 24 hours'],
      ['7d', 'Last 7 days'],
      ['30d', 'Last 30 days'],
    ],
  },
  {
    name: 'order',
    label: 'Order',
    options: [
      ['', 'Most urgent first'],
      ['time', 'Newest first'],
    ],
  },
  {
    name: 'group',
    label: 'Group by',
    options: [
      ['', 'Nothing'],
      ['host', 'Host'],
      ['name', 'Program'],
      ['behaviour', 'Behaviour'],
      ['severity', 'Severity'],
      ['assignee', 'Assignee'],
    ],
  },
]

const SHOW: Readonly<Record<string, Filters>> = {
  '': ATTENTION,
  new: { state: 'open', triage: 'new' },
  quiet: { triage: 'muted,allowed' },
  open: { state: 'open' },
  closed: { state: 'closed' },
  all: {},
}
/** Filters that are the API's own. */
const PASSED = ['q', 'severity', 'state', 'triage', 'site', 'host', 'name', 'assignee']

export async function incidents(filters: Filters, context: ViewContext): Promise<Shown> {
  const { now, filter } = context
  const query = queryOf(filters, now)
  const group = filters.group ?? ''
  const found =
    group === '' ? await list(query, filters, now) : await groups(group, query, filters, now)
  return {
    title: 'Incidents',
    parts: [
      element('h1', {}, 'Incidents'),
      toolbar(
        filters,
        { name: 'q', label: 'Search names, paths, users, units, hosts, techniques' },
        CHOICES,
        filter,
      ),
      ...narrowed(filters),
      ...found,
    ],
  }
}

function queryOf(filters: Filters, now: number): Filters {
  const range = RANGES[filters.range ?? '']
  const passed = PASSED.flatMap((key) => (filters[key] === undefined ? [] : [[key, filters[key]]]))
  return {
    ...(filters.state === undefined && filters.triage === undefined
      ? SHOW[filters.show ?? '']
      : {}),
    ...Object.fromEntries(passed),
    ...(range === undefined ? {} : { since: String(Math.floor(now - range)) }),
  }
}

async function list(query: Filters, filters: Filters, now: number): Promise<HTMLElement[]> {
  const order = filters.order === 'time' ? { order: 'time' } : {}
  const ask = (after?: string) =>
    get<Page<IncidentRecord>>('incidents', {
      limit: PAGE_ROWS,
      ...query,
      ...order,
      ...(after === undefined ? {} : { after }),
    })
  const first = await ask()
  if (first.items.length === 0) return [nothing(filters)]
  const rows = incidentList(first.items, now, 'Incidents')
  return [rows, ...more(first.next, rows, ask, now)]
}

function more(
  next: string | null,
  rows: HTMLElement,
  ask: (after: string) => Promise<Page<IncidentRecord>>,
  now: number,
): HTMLElement[] {
  if (next === null) return []
  let after: string | null = next
  const button = element('button', { type: 'button', class: 'more' }, 'Show more')
  button.addEventListener('click', async () => {
    if (after === null) return
    button.disabled = true
    const page = await ask(after).catch(() => undefined)
    button.disabled = false
    if (page === undefined) return
    rows.append(...incidentList(page.items, now, '').children)
    after = page.next
    button.hidden = after === null
  })
  return [button]
}

function nothing(filters: Filters): HTMLElement {
  const narrow = Object.keys(filters).some((key) => key !== 'order' && key !== 'group')
  return element(
    'div',
    { class: 'empty' },
    element('p', {}, narrow ? 'No incident matches these filters.' : 'Nothing needs attention.'),
    element(
      'p',
      {},
      element(
        'a',
        { href: narrow ? link(['incidents']) : link(['incidents'], { show: 'all' }) },
        narrow ? 'Remove the filters' : 'Show all incidents',
      ),
    ),
  )
}

async function groups(
  by: string,
  query: Filters,
  filters: Filters,
  now: number,
): Promise<HTMLElement[]> {
  const { items } = await get<Page<IncidentGroup>>('incidents/groups', { by, ...query })
  if (items.length === 0) return [nothing(filters)]
  const { group: _, ...rest } = filters
  return [
    element(
      'ul',
      { class: 'rows', 'aria-label': 'Groups of incidents' },
      ...items.map((group) =>
        element(
          'li',
          {},
          element(
            'a',
            {
              class: 'row',
              href: link(['incidents'], { ...rest, ...memberFilter(by, group.key) }),
              'data-row': group.key,
            },
            severityMark(group.severity),
            element(
              'span',
              { class: 'what' },
              element('span', { class: 'headline' }, group.key === '' ? 'Nobody' : name(group.key)),
              element(
                'span',
                { class: 'where' },
                `${amount(group.incidents)} incidents, ${amount(group.open)} open`,
              ),
            ),
            element('span', { class: 'when' }, ago(group.changed, now)),
          ),
        ),
      ),
    ),
  ]
}

/** The filter that leaves the members of a group. */
function memberFilter(by: string, key: string): Filters {
  const [site = '', ...host] = key.split('/')
  switch (by) {
    case 'host':
      return { site, host: host.join('/') }
    case 'behaviour':
      return { q: key }
    default:
      return { [by]: key }
  }
}

/** Filters that no choice shows, each with a way to remove it. */
function narrowed(filters: Filters): HTMLElement[] {
  const shown = ['site', 'host', 'name', 'assignee', 'state', 'triage'].filter(
    (key) => filters[key] !== undefined,
  )
  if (shown.length === 0) return []
  return [
    note(
      'Only ',
      ...shown.flatMap((key, i) => {
        const { [key]: value = '', ...rest } = filters
        return [
          i === 0 ? '' : ', ',
          `${key} `,
          name(value),
          ' ',
          element(
            'a',
            { href: link(['incidents'], rest), 'aria-label': `Remove the filter ${key} ${value}` },
            'remove',
          ),
        ]
      }),
    ),
  ]
}
