/**
 * The policy of the fleet on this host: severities and allow rules that the aggregator published.
 * What this host's operator says goes before it.
 *
 * Only a newer version than the newest seen is looked at. One that is for a share of the hosts
 * (canary) leaves other hosts as they are. If it brings too many alerts in its first hour
 * (fleet-watch.ts), it is taken out of use and the same rules are not tried again.
 */
import type { JsonDocument } from '../buffer/json-document.ts'
import type { LocalStore } from '../buffer/local-store.ts'
import type { AllowRule } from '../domain/allow.ts'
import { FLEET_STATES, type FleetState, type FleetStateName } from '../domain/fleet-state.ts'
import { Policy, type PolicyRule } from '../domain/policy.ts'
import { isRecord } from '../domain/untrusted.ts'
import type { Log } from '../platform/log.ts'
import { canaryPlace, decodeFleetPolicy, type FleetPolicy } from '../wire/fleet-document.ts'
import { type FleetWatchParts, harmSince, worstHour } from './fleet-watch.ts'

export interface FleetPolicyOptions extends FleetWatchParts {
  readonly site: string
  readonly host: string
  /** Where it is kept over a restart. */
  readonly document: JsonDocument
  /** Unix seconds. */
  readonly now: () => number
  readonly log: Log
}

/** As it is kept. */
interface Kept {
  /** Newest version that was seen, whatever became of it. */
  readonly newest: number
  /** That one is not for this host yet: the policy below is an older one. */
  readonly waits: boolean
  /** Of the policy. */
  readonly state: FleetStateName
  /** In use, or that was. */
  readonly policy: FleetPolicy | undefined
  /** Unix seconds. */
  readonly appliedAt: number
  /** Alerts of the worst hour of the day before. */
  readonly usual: number
}

const utf8 = new TextEncoder()

export class FleetPolicyKeeper {
  /** Told of each change. */
  onState: (state: FleetState) => void = () => {}
  readonly #options: FleetPolicyOptions
  #kept: Kept | undefined

  constructor(options: FleetPolicyOptions) {
    this.#options = options
    this.#kept = readKept(options.document.get())
  }

  get state(): FleetState | undefined {
    return stateOf(this.#kept)
  }

  /** A document of the aggregator's, whose signature was checked. @returns why it is not used */
  receive(payload: Uint8Array): string | undefined {
    const { site, host, now, log } = this.#options
    const decoded = decodeFleetPolicy(payload)
    if (!decoded.ok) return decoded.reason
    const policy = decoded.value
    const kept = this.#kept
    if (policy.site !== site) return 'other-site'
    // The retained document comes with each connection.
    if (policy.version === kept?.newest) return undefined
    if (policy.version < (kept?.newest ?? 0)) return 'old-version'
    const { version } = policy
    const at = now()
    if (policy.expires <= at) return 'expired'
    if (canaryPlace(site, host) >= policy.canary) {
      const none = { state: 'waiting' as const, policy: undefined, appliedAt: 0, usual: 0 }
      this.#keep({ ...(kept ?? none), newest: version, waits: true })
      log.info('A policy of the fleet is not for this host yet', { version, canary: policy.canary })
      return undefined
    }
    const isSame = kept?.policy !== undefined && rulesOf(kept.policy) === rulesOf(policy)
    if (isSame && (kept.state === 'active' || kept.state === 'rolled-back')) {
      this.#keep({ ...kept, newest: version, waits: false, policy })
      log.info('The policy of the fleet has a new version with the same rules', { version })
      return undefined
    }
    this.#keep({
      newest: version,
      waits: false,
      state: 'active',
      policy,
      appliedAt: at,
      usual: worstHour(this.#options, at),
    })
    const { rules, allow } = policy
    log.info('Policy of the fleet', { version, rules: rules.length, allow: allow.length })
    return undefined
  }

  /** Those in use; ends the use of one that has expired or raises too many alerts. */
  current(): { readonly rules: readonly PolicyRule[]; readonly allow: readonly AllowRule[] } {
    this.#check()
    const { state, policy } = this.#kept ?? {}
    return state === 'active' && policy !== undefined ? policy : { rules: [], allow: [] }
  }

  #check(): void {
    const kept = this.#kept
    if (kept?.state !== 'active' || kept.policy === undefined) return
    const { now, log } = this.#options
    const { version, expires } = kept.policy
    const at = now()
    if (at >= expires) {
      this.#keep({ ...kept, state: 'expired' })
      log.warn('The policy of the fleet has expired: defaults hold', { version })
      return
    }
    const harm = harmSince(this.#options, kept, at)
    if (harm === undefined) return
    this.#keep({ ...kept, state: 'rolled-back' })
    log.warn('The policy of the fleet raises more alerts than before: rolled back', {
      ...{ version, ...harm },
    })
  }

  #keep(kept: Kept): void {
    this.#kept = kept
    this.#options.document.put(kept)
    this.onState(stateOf(kept)!)
  }
}

/** What the detector goes by: this host's operator before the fleet. */
export function rulesInUse({
  local,
  fleetPolicy,
}: {
  readonly local: Pick<LocalStore, 'allowed' | 'policy'>
  readonly fleetPolicy: FleetPolicyKeeper | undefined
}): { readonly allow: readonly AllowRule[]; readonly policy: Policy } {
  const { rules = [], allow = [] } = fleetPolicy?.current() ?? {}
  return {
    allow: [...local.allowed.list(), ...allow],
    policy: new Policy([...rules, ...local.policy.list()]),
  }
}

/** The fleet's severities in use, each with that as its reason; for commands. */
export function fleetRulesIn(document: JsonDocument, now: number): PolicyRule[] {
  const { state, policy } = readKept(document.get()) ?? {}
  if (state !== 'active' || policy === undefined || policy.expires <= now) return []
  return policy.rules.map((rule) => ({
    ...rule,
    reason: `of the fleet, ${policy.version}${rule.reason === undefined ? '' : `: ${rule.reason}`}`,
  }))
}

function stateOf(kept: Kept | undefined): FleetState | undefined {
  if (kept === undefined) return undefined
  return { version: kept.newest, state: kept.waits ? 'waiting' : kept.state }
}

function rulesOf({ rules, allow }: FleetPolicy): string {
  return JSON.stringify([rules, allow])
}

function readKept(value: unknown): Kept | undefined {
  if (!isRecord(value)) return undefined
  const { newest, waits, state, policy, appliedAt, usual } = value
  const numbers = [newest, appliedAt, usual]
  if (!numbers.every((one) => typeof one === 'number')) return undefined
  if (!FLEET_STATES.includes(state as FleetStateName)) return undefined
  const decoded =
    policy === undefined ? undefined : decodeFleetPolicy(utf8.encode(JSON.stringify(policy)))
  return {
    ...{ newest: newest as number, appliedAt: appliedAt as number, usual: usual as number },
    waits: waits === true,
    state: state as FleetStateName,
    policy: decoded?.ok ? decoded.value : undefined,
  }
}
