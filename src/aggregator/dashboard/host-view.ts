/** One host: its condition, incidents, cost, ledger and processes, as its summaries tell them. */
import {
  get,
  type Host,
  type HostHour,
  type HostProcesses,
  type IncidentRecord,
  type Page,
} from './api.ts'
import { hourChart } from './charts.ts'
import { block, element, facts, hash, name, note } from './element.ts'
import { stateWords } from './fleet-view.ts'
import { condition } from './host-row.ts'
import { ago, incidentList } from './incident-row.ts'
import { processTable } from './process-table.ts'
import { link } from './route.ts'
import type { Shown, ViewContext } from './view.ts'
import { amount, bytes, hostGuarantee, percent } from './words.ts'

const INCIDENTS = '10'
const HOURS = '168'
const PROCESSES = '500'
/** So many are in view at once; the quieter ones are behind a click. */
const PROCESSES_SHOWN = 40

export async function host(
  at: { readonly site: string; readonly host: string },
  { now }: ViewContext,
): Promise<Shown> {
  const path = `hosts/${encodeURIComponent(at.host)}`
  const { site, host: called } = at
  const where = { site, host: called }
  const [found, hours, incidents] = await Promise.all([
    get<HostProcesses>(`${path}/processes`, { site, limit: PROCESSES }),
    get<Page<HostHour>>(`${path}/hours`, { site, limit: HOURS }),
    get<Page<IncidentRecord>>('incidents', { ...where, limit: INCIDENTS }),
  ])
  return {
    title: at.host,
    parts: [
      element('h1', {}, name(at.host)),
      element(
        'p',
        { class: 'note' },
        condition(found.host, now),
        ` · site ${site} · last heard `,
        ago(found.host.lastSeen, now),
      ),
      block(
        'Incidents',
        incidents.items.length === 0
          ? note('None.')
          : incidentList(incidents.items, now, 'Incidents of this host'),
        incidents.next === null
          ? ''
          : element(
              'p',
              {},
              element('a', { href: link(['incidents'], { ...where, show: 'all' }) }, 'All of them'),
            ),
      ),
      charts(hours.items),
      element('div', { class: 'columns' }, ledger(found), agent(found)),
      processes(found),
    ],
  }
}

function charts(hours: readonly HostHour[]): HTMLElement {
  if (hours.length < 2) return block('Over time', note('Too few hours yet.'))
  const perSecond = (value: (hour: HostHour) => number) => (hour: HostHour) =>
    value(hour) / Math.max(1, hour.seconds)
  return block(
    'Over time',
    element(
      'div',
      { class: 'charts' },
      hourChart(
        'Calls a second',
        hours,
        perSecond(({ calls }) => calls),
        amountRounded,
      ),
      hourChart(
        'CPU of the agent, percent of a core',
        hours,
        perSecond(({ cpuSeconds }) => 100 * cpuSeconds),
        oneDigit,
      ),
      hourChart('Memory of the agent', hours, ({ rssBytes }) => rssBytes, bytes),
    ),
  )
}

function amountRounded(value: number): string {
  return amount(Math.round(value))
}

function oneDigit(value: number): string {
  return value.toFixed(1)
}

/** Undefined, which shows no line, for none. */
function countOf(count: number | undefined): string | undefined {
  return count === undefined ? undefined : amount(count)
}

/** What became of the calls of the last minute. */
function ledger({ summary }: HostProcesses): HTMLElement {
  if (summary === null) return block('Ledger', note('No summary yet. Agents send one each minute.'))
  const dropped = Object.entries(summary.dropped).filter(([, count]) => count > 0)
  const unjudged = Object.entries(summary.unjudged ?? {})
  return block(
    'Ledger of the last minute',
    facts([
      ['Calls counted', amount(summary.calls)],
      [
        'Calls dropped',
        dropped.length === 0
          ? 'none'
          : dropped.map(([reason, count]) => `${amount(count)} ${reason}`).join(', '),
      ],
      [
        'Seconds not classified',
        unjudged.length === 0
          ? 'none'
          : unjudged.map(([reason, count]) => `${count} (${reason})`).join(', '),
      ],
      ['Seconds in which this host was not seen', countOf(summary.missed?.['seconds-blind'])],
      ['Windows blind, as calls were lost', countOf(summary.missed?.['windows-blind'])],
      ['Alerts held, as too many came', countOf(summary.missed?.['alerts-held'])],
      ['Alerts open', String(summary.alertsOpen)],
      ['Waiting to be sent', String(summary.agent.outboxRows)],
    ]),
  )
}

function agent({ host: at, summary }: HostProcesses): HTMLElement {
  const seconds = summary === null ? 1 : Math.max(1, summary.to - summary.from + 1)
  return block(
    'Agent',
    facts([
      ['Source', at.source === '' ? undefined : at.source],
      ['Version', at.version === '' ? undefined : at.version],
      ['Model', at.model === '' ? undefined : [hash(at.model)]],
      ['Model of the fleet', stateWords(at.fleet?.model) || undefined],
      ['Policy of the fleet', stateWords(at.fleet?.policy) || undefined],
      ['Key', at.key === undefined ? 'none: its messages are not signed' : [hash(at.key.key)]],
      ['Key changed', at.refusedKey === undefined ? undefined : refusedWords(at)],
      ...(summary === null
        ? []
        : ([
            ['CPU', `${percent(summary.agent.cpuSeconds / seconds)} of a core`],
            ['Memory', bytes(summary.agent.rssBytes)],
            [
              'False alerts',
              summary.guarantee === undefined ? undefined : hostGuarantee(summary.guarantee),
            ],
            ['Behind by', `${summary.agent.lagMs} ms`],
            ['Reduced', reducedWords(summary.agent.reduced)],
          ] as const)),
    ]),
  )
}

/** Another key signs for this host: a new installation, or somebody else. */
function refusedWords({ site, host, refusedKey }: Host) {
  const command = `agent aggregate accept ${site}/${host} ${refusedKey?.key}`
  return [
    'messages of another key are refused; if "agent status" there shows it: ',
    element('code', {}, command),
  ]
}

/** What the agent left out to stay below its cap; undefined (no line) where it left out nothing. */
function reducedWords(
  reduced: NonNullable<HostProcesses['summary']>['agent']['reduced'],
): string | undefined {
  if (reduced === undefined) return undefined
  const seconds = reduced.seconds.reduce((sum, count) => sum + count, 0)
  const level = reduced.seconds.findLastIndex((count) => count > 0) + 1
  return `for ${seconds} s, to spare CPU (level ${level}): ${amount(reduced.windows)} windows not classified; counting was not reduced`
}

function processes({ items, summary }: HostProcesses): HTMLElement {
  const omitted = summary?.processesOmitted ?? 0
  return block(
    'Processes of the last minute',
    items.length === 0 ? note('None is known.') : processTable(items.slice(0, PROCESSES_SHOWN)),
    quieter(items.slice(PROCESSES_SHOWN)),
    omitted > 0 ? note(`${amount(omitted)} quieter processes are not listed.`) : '',
  )
}

function quieter(items: HostProcesses['items']): HTMLElement | '' {
  if (items.length === 0) return ''
  return element(
    'details',
    { class: 'act', 'data-key': 'quieter' },
    element('summary', {}, `${amount(items.length)} quieter processes`),
    processTable(items),
  )
}
