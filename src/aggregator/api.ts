/**
 * The JSON API: one function from a URL to a text, so that it can be read in one go.
 *
 * Lists are `{"items":[…],"next":cursor}`; `next` goes back as `after` and is null on the last
 * page. Alerts are given as they came on the wire. A parameter that is unknown, repeated or out of
 * range is refused and not guessed at: a script with `?stat=open` must not get an answer that looks
 * like no alerts.
 */
import {
  API_ID_CHARS_MAX,
  HOURS_LISTED_MAX,
  PAGE_ROWS_MAX,
  TOPIC_PART_CHARS_MAX,
} from '../domain/limits.ts'
import { isHostName, isTopicPart } from '../wire/topics.ts'
import { readAlertCursor, readHostCursor } from './store/cursor.ts'
import type { Reads } from './store/store.ts'

/** The message names the parameter and what it may be. */
export class BadParameter extends Error {}

const LIMIT_DEFAULT = 100
const KINDS = ['novelty', 'non-grata', 'masquerade'] as const
const STATES = ['open', 'update', 'closed'] as const

/** @returns JSON, or undefined where there is nothing of that name */
export async function answerApi(store: Reads, url: URL): Promise<string | undefined> {
  const [, , version, what, name, part, ...rest] = url.pathname.split('/')
  if (version !== 'v1' || rest.length > 0) return undefined
  const given = url.searchParams
  if (what === 'alerts' && name === undefined) return listAlerts(store, given)
  if (what === 'alerts' && part === undefined) return showAlert(store, name, given)
  if (what === 'hosts' && name === undefined) return listHosts(store, given)
  if (what === 'hosts' && part === 'processes') return listProcesses(store, name, given)
  if (what === 'hosts' && part === 'hours') return listHours(store, name, given)
  if (what === 'counts' && name === undefined) return showCounts(store, given)
  return undefined
}

async function listAlerts(store: Reads, given: URLSearchParams): Promise<string> {
  const query = new Parameters(given, ['limit', 'after', 'site', 'host', 'kind', 'state'])
  const { bodies, next } = await store.alerts({
    limit: query.limit(),
    ...query.optional('after', (text) => query.cursor(text, readAlertCursor)),
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('host', (text) => query.name('host', text, isHostName)),
    ...query.renamed('kind', 'kinds', (text) => query.someOf('kind', text, KINDS)),
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
  const id = decode(name)
  if (id === undefined || id === '' || id.length > API_ID_CHARS_MAX) return undefined
  const found = await store.alert(id, {
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('host', (text) => query.name('host', text, isHostName)),
  })
  if (found === undefined) return undefined
  const more = JSON.stringify({ received: found.received, history: found.history })
  return `${found.body.slice(0, -1)},${more.slice(1)}`
}

async function listHosts(store: Reads, given: URLSearchParams): Promise<string> {
  const query = new Parameters(given, ['limit', 'after', 'site', 'state', 'search', 'order'])
  const page = await store.hosts({
    limit: query.limit(),
    ...query.optional('after', (text) => query.cursor(text, readHostCursor)),
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('state', (text) => query.oneOf('state', text, ['online', 'offline'])),
    ...query.optional('search', (text) => query.part('search', text)),
    ...query.optional('order', (text) => query.oneOf('order', text, ['name', 'attention'])),
  })
  return JSON.stringify(page)
}

/** How many there are of all, whatever a list shows of them. */
async function showCounts(store: Reads, given: URLSearchParams): Promise<string> {
  new Parameters(given, [])
  const [counts, usage] = await Promise.all([store.counts(), store.usage()])
  return JSON.stringify({ ...counts, store: usage })
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
  const host = decode(name)
  const found = host === undefined ? undefined : await store.latestSummary(host, site)
  if (found === undefined) return undefined
  const { summary } = found
  const processes = [...(summary?.processes ?? [])].sort((a, b) => b.calls - a.calls)
  return JSON.stringify({
    items: processes.slice(0, limit).map((process) => ({
      ...process,
      top: process.top.map(([syscall, count]) => ({ syscall: summary?.syscalls[syscall], count })),
    })),
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
            agent: summary.agent,
          },
  })
}

/** What the host's summaries add up to, by hours. */
async function listHours(
  store: Reads,
  name = '',
  given: URLSearchParams,
): Promise<string | undefined> {
  const query = new Parameters(given, ['site', 'limit'])
  const site = query.optional('site', (text) => query.name('site', text, isTopicPart)).site
  const host = decode(name)
  const limit = query.limit(HOURS_LISTED_MAX)
  const items = host === undefined ? undefined : await store.hours(host, site, limit)
  return items === undefined ? undefined : JSON.stringify({ items, next: null })
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** Query parameters, each named once and known. */
class Parameters {
  readonly #given: URLSearchParams

  constructor(given: URLSearchParams, known: readonly string[]) {
    this.#given = given
    for (const name of given.keys()) {
      if (!known.includes(name))
        throw new BadParameter(`Unknown parameter: known here are ${known.join(', ')}`)
      if (given.getAll(name).length > 1) throw new BadParameter(`"${name}" is given twice`)
    }
  }

  limit(otherwise = LIMIT_DEFAULT): number {
    const text = this.#given.get('limit')
    return text === null ? otherwise : this.integer('limit', text, 1, PAGE_ROWS_MAX)
  }

  optional<const N extends string, T>(name: N, read: (text: string) => T): { [K in N]?: T } {
    return this.renamed(name, name, read)
  }

  renamed<const N extends string, T>(
    name: string,
    as: N,
    read: (text: string) => T,
  ): { [K in N]?: T } {
    const text = this.#given.get(name)
    return (text === null ? {} : { [as]: read(text) }) as { [K in N]?: T }
  }

  integer(name: string, text: string, min: number, max: number): number {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max))
      throw new BadParameter(`"${name}" must be a whole number from ${min} to ${max}`)
    return value
  }

  cursor(text: string, read: (text: string) => unknown): string {
    if (read(text) === undefined)
      throw new BadParameter('"after" must be a cursor that "next" gave')
    return text
  }

  part(name: string, text: string): string {
    if (text === '' || text.length > 2 * TOPIC_PART_CHARS_MAX)
      throw new BadParameter(`"${name}" must be part of a name`)
    return text
  }

  name(name: string, text: string, is: (text: string) => boolean): string {
    if (!is(text)) throw new BadParameter(`"${name}" cannot be a name here`)
    return text
  }

  oneOf<const T extends string>(name: string, text: string, values: readonly T[]): T {
    const found = values.find((value) => value === text)
    if (found === undefined) throw new BadParameter(`"${name}" must be one of ${values.join(', ')}`)
    return found
  }

  /** One or more, separated by commas. */
  someOf<const T extends string>(name: string, text: string, values: readonly T[]): T[] {
    return text.split(',').map((one) => this.oneOf(name, one, values))
  }
}
