/** What the page asks the aggregator, and what it tells it (docs/reference/api.md). */
import type { FleetStates } from '../../domain/fleet-state.ts'
import type { ProcessSummary, Summary } from '../../domain/summary.ts'
import type { Oddness } from '../odd-processes.ts'
import type {
  Action,
  ActionRecord,
  HostAlert,
  IncidentGroup,
  IncidentKey,
  IncidentRecord,
  IncidentTimes,
} from '../store/incident.ts'

export type { ActionRecord, IncidentGroup, IncidentRecord, IncidentTimes }

export interface IncidentDetail {
  readonly incident: IncidentRecord
  readonly alerts: readonly HostAlert[]
  readonly actions: readonly ActionRecord[]
}

export interface Times {
  readonly items: readonly IncidentTimes[]
  readonly since: number
  readonly until: number
  readonly step: number
}

/** Programs that no host of their site had shown before. */
export interface NewPrograms {
  readonly items: readonly {
    readonly site: string
    readonly name: string
    readonly host: string
    readonly first: number
  }[]
  /** Since when names are gathered. */
  readonly since?: number
}

export interface Fleet {
  readonly documents: readonly {
    readonly site: string
    readonly what: string
    readonly version: number
    readonly made?: number
    readonly expires?: number
    readonly canary?: number
    readonly rules?: readonly { readonly behaviour: string; readonly severity: string }[]
    readonly allow?: readonly unknown[]
    /** Of a model: id of its net, and how long it is. */
    readonly model?: string
    readonly bytes?: number
    /** By what became of it. */
    readonly hosts: Readonly<Record<string, number>>
  }[]
  readonly runs: readonly {
    readonly site: string
    readonly version: string
    readonly model: string
    readonly fleet?: FleetStates
    readonly hosts: number
    readonly online: number
  }[]
}

export interface Host {
  readonly site: string
  readonly host: string
  readonly state: 'online' | 'offline'
  readonly reason?: string
  readonly since: number
  readonly lastSeen: number
  readonly version: string
  readonly model: string
  readonly source: string
  readonly fleet?: FleetStates
  /** The public key that its messages are signed with, and another one that signs for it. */
  readonly key?: { readonly key: string; readonly since: number }
  readonly refusedKey?: { readonly key: string; readonly since: number }
  readonly alerts?: { readonly active: number; readonly total: number }
}

export type ProcessItem = Omit<ProcessSummary, 'top'> & {
  readonly top: readonly { readonly syscall: string; readonly count: number }[]
}

export interface HostProcesses {
  readonly items: readonly ProcessItem[]
  readonly host: Host
  /** The newest summary; its processes are the items. */
  readonly summary: Omit<Summary, 'syscalls' | 'processes'> | null
}

export interface HostHour {
  readonly hour: number
  readonly seconds: number
  readonly calls: number
  readonly dropped: number
  readonly cpuSeconds: number
  readonly rssBytes: number
}

/** A process of that name in the newest summary of its host. */
export interface ProgramItem {
  readonly site: string
  readonly host: string
  readonly to: number
  readonly process: ProcessItem
  /** Where it does other things than those of its name on other hosts. */
  readonly odd?: Oddness
}

export interface Counts {
  readonly hosts: {
    readonly online: number
    readonly offline: number
    readonly silent: number
    readonly losing: number
  }
  readonly alerts: { readonly active: number; readonly total: number }
}

/** What the hosts together say of false alerts. */
export interface FleetGuarantee {
  readonly hosts: number
  readonly guaranteed: number
  readonly alertHoursPerDay: number
  readonly worst: number
}

export interface Me {
  readonly name: string | null
  readonly mayAct: boolean
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
  return read<T>(response)
}

export async function act(
  { site, host, incident }: IncidentKey,
  action: Partial<Action> & Pick<Action, 'action'>,
): Promise<ActionRecord> {
  const query = new URLSearchParams({ site, host })
  const path = `/api/v1/incidents/${encodeURIComponent(incident)}/actions?${query}`
  const response = await fetch(path, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify(action),
  })
  return read<ActionRecord>(response)
}

async function read<T>(response: Response): Promise<T> {
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok) return body as T
  const message = (body as { error?: { message?: string } } | undefined)?.error?.message
  throw new ApiError(response.status, message ?? `The aggregator answered ${response.status}`)
}

/** What to say where a question failed. */
export function wordsOfError(error: unknown): string {
  if (error instanceof ApiError) return error.status === 404 ? 'Not in the store.' : error.message
  return 'The aggregator does not answer.'
}
