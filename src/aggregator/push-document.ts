/**
 * Signs a document with the aggregator's key and puts it into its store, from which a running
 * aggregator publishes it (`fleet-documents.ts`).
 */
import { AgentError } from '../domain/error.ts'
import type { FleetSubject } from '../domain/fleet-state.ts'
import { openIdentity } from '../platform/identity.ts'
import { attachSignature } from '../wire/signed.ts'
import type { Store } from './store/store.ts'

export interface Push {
  readonly site: string
  /** Percent of the hosts. */
  readonly canary: number
  readonly lifeMs: number
  readonly nowMs: number
}

export interface Pushed {
  readonly site: string
  readonly version: number
  readonly expires: number
  readonly canary: number
  /** Of the site, and of these those that accept such a document. */
  readonly hosts: number
  readonly accepting: number
}

export interface DocumentHead<What extends FleetSubject> {
  readonly v: 1
  readonly what: What
  readonly site: string
  readonly version: number
  readonly made: number
  readonly expires: number
  readonly canary: number
}

/** @param encode the document with this head; `accepting` hosts may take it */
export async function pushDocument<What extends FleetSubject>(
  store: Store,
  what: What,
  { site, canary, lifeMs, nowMs }: Push,
  encode: (head: DocumentHead<What>, accepting: number) => Uint8Array,
  parts?: readonly Uint8Array[],
): Promise<Pushed> {
  const made = Math.floor(nowMs / 1000)
  const before = (await store.documents()).find((one) => one.site === site && one.what === what)
  // Greater than any before it, also where the store was lost.
  const version = Math.max(made, (before?.version ?? 0) + 1)
  const expires = made + Math.floor(lifeMs / 1000)
  const runs = (await store.fleetRuns()).filter((run) => run.site === site)
  const total = (some: typeof runs) => some.reduce((sum, run) => sum + run.hosts, 0)
  const accepting = total(runs.filter(({ fleet }) => accepts(fleet, what)))
  const payload = encode({ v: 1, what, site, version, made, expires, canary }, accepting)
  const identity = openIdentity(await store.identity())
  const body = attachSignature(payload, identity.sign(payload))
  if (!(await store.putDocument({ site, what, version, body }, parts)))
    throw new AgentError('ERR_INPUT', `Cannot push the ${what}: a newer one was pushed meanwhile`)
  return { site, version, expires, canary, hosts: total(runs), accepting }
}

/**
 * Whether a host takes such documents. One that takes models says so with version 0 before it has
 * seen any; agents before there were models took policies and nothing else.
 * @param fleet what it says of its documents, as JSON; '' where it takes none
 */
export function accepts(fleet: string, what: FleetSubject): boolean {
  if (fleet === '') return false
  const states = JSON.parse(fleet) as { model?: unknown; policy?: unknown }
  if (what === 'model') return states.model !== undefined
  return states.policy !== undefined || states.model === undefined
}
