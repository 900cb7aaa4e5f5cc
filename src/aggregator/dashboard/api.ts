/** What the page asks the aggregator, and what it is told (docs/reference/api.md). */
import type { Alert, AlertState } from '../../domain/alert.ts'
import type { ProcessSummary, Summary } from '../../domain/summary.ts'

export interface HostAlert extends Alert {
  readonly site: string
  readonly host: string
  readonly boot: number
  readonly seq: number
}

export interface AlertDetail extends HostAlert {
  readonly received: number
  readonly history: readonly {
    readonly time: number
    readonly state: AlertState
    readonly count: number
    readonly class: string
    readonly confidence: number
  }[]
}

export interface Host {
  readonly site: string
  readonly host: string
  readonly state: 'online' | 'offline'
  readonly reason?: 'ended' | 'lost' | 'unknown'
  readonly since: number
  readonly lastSeen: number
  readonly version: string
  readonly model: string
  readonly source: string
  readonly alerts?: { readonly active: number; readonly total: number }
}

type ProcessItem = Omit<ProcessSummary, 'top'> & {
  readonly top: readonly { readonly syscall: string; readonly count: number }[]
}

export interface HostProcesses {
  readonly items: readonly ProcessItem[]
  readonly host: Host
  /** The newest summary; its processes are the items. */
  readonly summary: Omit<Summary, 'syscalls' | 'processes'> | null
}

/** Of all, whatever the lists show. */
export interface Counts {
  readonly hosts: { readonly online: number; readonly offline: number }
  readonly alerts: { readonly active: number; readonly total: number }
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

/** The aggregator answered with an error; the message is fit to be shown. */
export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export async function get<T>(
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<T> {
  const search = new URLSearchParams(query).toString()
  const response = await fetch(`/api/v1/${path}${search === '' ? '' : `?${search}`}`, {
    headers: { accept: 'application/json' },
  })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok) return body as T
  const message = (body as { error?: { message?: string } } | undefined)?.error?.message
  throw new ApiError(response.status, message ?? `The aggregator answered ${response.status}`)
}

export interface Hello {
  readonly version: string
  readonly broker: string
}

export interface FeedListener {
  connected(hello: Hello): void
  /** Events may have been missed: ask anew. */
  reset(): void
  lost(): void
  alert(alert: HostAlert): void
  host(host: Host): void
}

const PAUSE_MS = 3_000

/**
 * Events as they happen. The browser reconnects where it can; where it gives up (a 5xx, a proxy),
 * we do.
 */
export function listen(listener: FeedListener, again = false): void {
  const source = new EventSource('/api/v1/events')
  let seen = again
  source.addEventListener('hello', (event) => {
    if (seen) listener.reset()
    seen = true
    listener.connected(JSON.parse(event.data))
  })
  source.addEventListener('reset', () => listener.reset())
  source.addEventListener('alert', (event) => listener.alert(JSON.parse(event.data)))
  source.addEventListener('host', (event) => listener.host(JSON.parse(event.data)))
  source.addEventListener('error', () => {
    listener.lost()
    if (source.readyState !== EventSource.CLOSED) return
    source.close()
    setTimeout(() => listen(listener, true), PAUSE_MS)
  })
}
