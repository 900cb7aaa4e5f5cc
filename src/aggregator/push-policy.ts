/**
 * Signs a policy with the aggregator's key and puts it into its store, from which a running
 * aggregator publishes it (`fleet-documents.ts`).
 */
import { AgentError } from '../domain/error.ts'
import { problemText } from '../domain/untrusted.ts'
import { openIdentity } from '../platform/identity.ts'
import { encodeFleetPolicy, parsePolicyFile } from '../wire/fleet-document.ts'
import { attachSignature } from '../wire/signed.ts'
import type { Store } from './store/store.ts'

export interface PolicyToPush {
  /** JSON of `rules` and `allow`. */
  readonly text: string
  readonly site: string
  /** Percent of the hosts. */
  readonly canary: number
  readonly lifeMs: number
  readonly nowMs: number
}

export interface PushedPolicy {
  readonly site: string
  readonly version: number
  readonly expires: number
  readonly canary: number
  readonly rules: number
  readonly allow: number
  /** Of the site, and of these those that accept policies. */
  readonly hosts: number
  readonly accepting: number
}

/** @throws AgentError where the text is no policy */
export async function pushPolicy(store: Store, push: PolicyToPush): Promise<PushedPolicy> {
  const { site, canary } = push
  const read = parsePolicyFile(push.text)
  if (!read.ok)
    throw new AgentError('ERR_INPUT', `Cannot push the policy: ${problemText(read)}`, {
      hint: 'It is {"rules":[…],"allow":[…]} with the fields that "agent policy" and "agent allow" keep',
    })
  const { rules, allow } = read.value
  const made = Math.floor(push.nowMs / 1000)
  const before = (await store.documents()).find((one) => one.site === site && one.what === 'policy')
  // Greater than any before it, also where the store was lost.
  const version = Math.max(made, (before?.version ?? 0) + 1)
  const expires = made + Math.floor(push.lifeMs / 1000)
  const head = { v: 1, what: 'policy', site, version, made, expires, canary } as const
  const payload = encodeFleetPolicy({ ...head, rules, allow })
  const identity = openIdentity(await store.identity())
  const body = attachSignature(payload, identity.sign(payload))
  if (!(await store.putDocument({ site, what: 'policy', version, body })))
    throw new AgentError('ERR_INPUT', 'Cannot push the policy: a newer one was pushed meanwhile')
  const runs = (await store.fleetRuns()).filter((run) => run.site === site)
  const total = (some: typeof runs) => some.reduce((sum, run) => sum + run.hosts, 0)
  return {
    ...{ site, version, expires, canary, rules: rules.length, allow: allow.length },
    hosts: total(runs),
    accepting: total(runs.filter((run) => run.fleet !== '')),
  }
}
