/**
 * The JSON API: one function from a URL to a text, so that it can be read in one go.
 *
 * Lists are `{"items":[…],"next":cursor}`; `next` goes back as `after` and is null on the last
 * page. Alerts are given as they came on the wire. A parameter that is unknown, repeated or out of
 * range is refused and not guessed at: a script with `?stat=open` must not get an answer that looks
 * like no alerts.
 */
import { ALERT_KINDS } from '../domain/alert.ts'
import {
  API_ID_CHARS_MAX,
  HOURS_LISTED_MAX,
  PAGE_ROWS_MAX,
  PROGRAM_HOSTS_MAX,
} from '../domain/limits.ts'
import type { ProcessSummary, Summary } from '../domain/summary.ts'
import { isTopicPart } from '../wire/topics.ts'
import { answerFleet } from './api-fleet.ts'
import { answerActions, answerIncidents } from './api-incidents.ts'
import { decodePart, Parameters } from './api-parameters.ts'
import { oddProcesses } from './odd-processes.ts'
import { readAlertCursor, readHostCursor } from './store/cursor.ts'
import type { Reads } from './store/store.ts'

const STATES = ['open', 'update', 'closed'] as const

/**
 * @param now Unix seconds: what is muted, and until when
 * @returns JSON, or undefined where there is nothing of that name
 */
export async function answerApi(store: Reads, url: URL, now: number): Promise<string | undefined> {
  const [, , version, what, name, part, ...rest] = url.pathname.split('/')
  if (version !== 'v1' || rest.length > 0) return undefined
  const given = url.searchParams
  if (what === 'alerts' && name === undefined) return listAlerts(store, given)
  if (what === 'alerts' && part === undefined) return showAlert(store, name, given)
  if (what === 'hosts' && name === undefined) return listHosts(store, given, now)
  if (what === 'hosts' && part === 'processes') return listProcesses(store, name, given)
  if (what === 'hosts' && part === 'hours') return listHours(store, name, given)
  if (what === 'programs' && name === undefined) return listPrograms(store, given)
  if (what === 'programs' && name !== undefined && part === undefined)
    return showProgram(store, name, given)
  if (what === 'incidents') return answerIncidents(store.incidents, name, part, given, now)
  if (what === 'actions' && name === undefined) return answerActions(store.incidents, given)
  if (what === 'fleet' && name === undefined) return answerFleet(store, given)
  if (what === 'counts' && name === undefined) return showCounts(store, given, now)
  return undefined
}

async function listAlerts(store: Reads, given: URLSearchParams): Promise<string> {
  const query = new Parameters(given, ['limit', 'after', 'site', 'host', 'kind', 'state'])
  const { bodies, next } = await store.alerts({
    limit: query.limit(),
    ...query.optional('after', (text) => query.cursor(text, readAlertCursor)),
    ...query.where(),
    ...query.renamed('kind', 'kinds', (text) => query.someOf('kind', text, ALERT_KINDS)),
    ...query.renamed('state', 'states', (text) => query.someOf('state', text, STATES)),
  })
  return `{"items":[${bodies.join(',')}],"next":${JSON.stringify(next)}}`
}

async function showAlert(
  store: Reads,
  name = '',
  given: URLSearchParams,
): Promise<string | undefined> {
  const query = new Parameters(given, ['site', 'host'])
  const id = decodePart(name)
  if (id === undefined || id === '' || id.length > API_ID_CHARS_MAX) return undefined
  const found = await store.alert(id, query.where())
  if (found === undefined) return undefined
  const more = JSON.stringify({ received: found.received, history: found.history })
  return `${found.body.slice(0, -1)},${more.slice(1)}`
}

async function listHosts(store: Reads, given: URLSearchParams, now: number): Promise<string> {
  const query = new Parameters(given, [
    'limit',
    'after',
    'site',
    'state',
    'condition',
    'search',
    'order',
  ])
  const page = await store.hosts({
    limit: query.limit(),
    ...query.optional('after', (text) => query.cursor(text, readHostCursor)),
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('state', (text) => query.oneOf('state', text, ['online', 'offline'])),
    ...query.optional('condition', (text) => ({
      is: query.oneOf('condition', text, ['silent', 'losing']),
      now,
    })),
    ...query.optional('search', (text) => query.part('search', text)),
    ...query.optional('order', (text) => query.oneOf('order', text, ['name', 'attention'])),
  })
  return JSON.stringify(page)
}

/** How many there are of all, whatever a list shows of them. */
async function showCounts(store: Reads, given: URLSearchParams, now: number): Promise<string> {
  new Parameters(given, [])
  const [counts, usage, silent, losing] = await Promise.all([
    store.counts(),
    store.usage(),
    store.countHosts({ is: 'silent', now }),
    store.countHosts({ is: 'losing', now }),
  ])
  return JSON.stringify({ ...counts, hosts: { ...counts.hosts, silent, losing }, store: usage })
}

/** What the host's newest summary says, busiest first. */
async function listProcesses(
  store: Reads,
  name = '',
  given: URLSearchParams,
): Promise<string | undefined> {
  const query = new Parameters(given, ['site', 'limit'])
  const site = query.optional('site', (text) => query.name('site', text, isTopicPart)).site
  const limit = query.limit(PAGE_ROWS_MAX)
  const host = decodePart(name)
  const found = host === undefined ? undefined : await store.latestSummary(host, site)
  if (found === undefined) return undefined
  const { summary } = found
  const processes = [...(summary?.processes ?? [])].sort((a, b) => b.calls - a.calls)
  return JSON.stringify({
    items: processes.slice(0, limit).map((process) => processItem(process, summary!)),
    next: null,
    host: found.host,
    summary:
      summary === undefined
        ? null
        : {
            from: summary.from,
            to: summary.to,
            calls: summary.calls,
            dropped: summary.dropped,
            processesOmitted: summary.processesOmitted + Math.max(0, processes.length - limit),
            alertsOpen: summary.alertsOpen,
            unjudged: summary.unjudged,
            missed: summary.missed,
            guarantee: summary.guarantee,
            agent: summary.agent,
          },
  })
}

/** Programs that no host of their site had shown before, the newest first. */
async function listPrograms(store: Reads, given: URLSearchParams): Promise<string> {
  const query = new Parameters(given, ['limit'])
  const [items, since] = await Promise.all([
    store.programs.newest(query.limit()),
    store.programs.since(),
  ])
  return JSON.stringify({ items, next: null, ...(since === undefined ? {} : { since }) })
}

/** Where a program of this name runs, as the newest summaries tell. */
async function showProgram(
  store: Reads,
  name: string,
  given: URLSearchParams,
): Promise<string | undefined> {
  new Parameters(given, [])
  const program = decodePart(name)
  if (program === undefined) return undefined
  const [found, { hosts }] = await Promise.all([
    store.latestSummaries(PROGRAM_HOSTS_MAX),
    store.counts(),
  ])
  const items = found.flatMap(({ host: { site, host }, summary }) =>
    summary.processes
      .filter((process) => process.name === program)
      .map((process) => ({ site, host, to: summary.to, process: processItem(process, summary) })),
  )
  const shown = items.slice(0, PAGE_ROWS_MAX)
  const odd = oddProcesses(
    shown.map(({ site, host, process: { calls, top } }) => ({
      ...{ where: `${site}/${host}`, calls },
      top: top.map(({ syscall = '', count }) => ({ syscall, count })),
    })),
  )
  return JSON.stringify({
    items: shown.map((item, i) => (odd[i] === undefined ? item : { ...item, odd: odd[i] })),
    next: null,
    hosts: found.length,
    hostsOmitted: Math.max(0, hosts.online + hosts.offline - found.length),
  })
}

/** A process with the names of its most frequent calls. */
function processItem(process: ProcessSummary, { syscalls }: Summary) {
  return {
    ...process,
    top: process.top.map(([syscall, count]) => ({ syscall: syscalls[syscall], count })),
  }
}

/** What the host's summaries add up to, by hours. */
async function listHours(
  store: Reads,
  name = '',
  given: URLSearchParams,
): Promise<string | undefined> {
  const query = new Parameters(given, ['site', 'limit'])
  const site = query.optional('site', (text) => query.name('site', text, isTopicPart)).site
  const host = decodePart(name)
  const limit = query.limit(HOURS_LISTED_MAX)
  const items = host === undefined ? undefined : await store.hours(host, site, limit)
  return items === undefined ? undefined : JSON.stringify({ items, next: null })
}
