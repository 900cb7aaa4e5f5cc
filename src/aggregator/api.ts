/**
 * The JSON API: one function from a URL to a text, so that it can be read in one go.
 *
 * Lists are `{"items":[…],"next":cursor}`; `next` goes back as `after` and is null on the last page.
 * Alerts are given as they came on the wire. A parameter that is unknown, repeated or out of range is
 * refused and not guessed at: a script that asks for `?stat=open` must not believe that all is well.
 */
import { API_ID_CHARS_MAX, PAGE_ROWS_MAX } from '../domain/limits.ts'
import { isHostName, isTopicPart } from '../wire/topics.ts'
import type { Store } from './store.ts'

/** The message names the parameter and what it may be. */
export class BadParameter extends Error {}

const LIMIT_DEFAULT = 100
const KINDS = ['novelty', 'non-grata', 'masquerade'] as const
const STATES = ['open', 'update', 'closed'] as const

/** @returns JSON, or undefined where there is nothing of that name */
export function answerApi(store: Store, url: URL): string | undefined {
  const [, , version, what, name, part, ...rest] = url.pathname.split('/')
  if (version !== 'v1' || rest.length > 0) return undefined
  if (what === 'alerts' && name === undefined) return listAlerts(store, url.searchParams)
  if (what === 'alerts' && part === undefined) return showAlert(store, name, url.searchParams)
  if (what === 'hosts' && name === undefined) return listHosts(store, url.searchParams)
  if (what === 'hosts' && part === 'processes') return listProcesses(store, name, url.searchParams)
  return undefined
}

function listAlerts(store: Store, given: URLSearchParams): string {
  const query = new Parameters(given, ['limit', 'after', 'site', 'host', 'kind', 'state'])
  const { bodies, next } = store.alerts({
    limit: query.limit(),
    ...query.optional('after', (text) => query.integer('after', text, 1, Number.MAX_SAFE_INTEGER)),
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('host', (text) => query.name('host', text, isHostName)),
    ...query.renamed('kind', 'kinds', (text) => query.someOf('kind', text, KINDS)),
    ...query.renamed('state', 'states', (text) => query.someOf('state', text, STATES)),
  })
  return `{"items":[${bodies.join(',')}],"next":${next === null ? null : `"${next}"`}}`
}

function showAlert(store: Store, name = '', given: URLSearchParams): string | undefined {
  const query = new Parameters(given, ['site', 'host'])
  const id = decode(name)
  if (id === undefined || id === '' || id.length > API_ID_CHARS_MAX) return undefined
  const found = store.alert(id, {
    ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
    ...query.optional('host', (text) => query.name('host', text, isHostName)),
  })
  if (found === undefined) return undefined
  const more = JSON.stringify({ received: found.received, history: found.history })
  return `${found.body.slice(0, -1)},${more.slice(1)}`
}

function listHosts(store: Store, given: URLSearchParams): string {
  const query = new Parameters(given, ['limit', 'after', 'site', 'state'])
  return JSON.stringify(
    store.hosts({
      limit: query.limit(),
      ...query.optional('after', (text) =>
        query.name('after', text, (cursor) => cursor.split('/').every(isTopicPart)),
      ),
      ...query.optional('site', (text) => query.name('site', text, isTopicPart)),
      ...query.optional('state', (text) => query.oneOf('state', text, ['online', 'offline'])),
    }),
  )
}

/** What the host's newest summary says, busiest first. */
function listProcesses(store: Store, name = '', given: URLSearchParams): string | undefined {
  const query = new Parameters(given, ['site', 'limit'])
  const site = query.optional('site', (text) => query.name('site', text, isTopicPart)).site
  const limit = query.limit(PAGE_ROWS_MAX)
  const host = decode(name)
  const found = host === undefined ? undefined : store.latestSummary(host, site)
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
      throw new BadParameter(
        max === Number.MAX_SAFE_INTEGER
          ? `"${name}" must be a cursor that "next" gave`
          : `"${name}" must be a whole number from ${min} to ${max}`,
      )
    return value
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
