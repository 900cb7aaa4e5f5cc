/**
 * The policy of the fleet on this host: severities and allow rules that the aggregator published.
 * What this host's operator says goes before it.
 *
 * Only a newer version than the newest seen is looked at. One that is for a share of the hosts
 * (canary) leaves other hosts as they are. In the first hour its alerts are counted: if they are more
 * than twice those of the worst hour of the day before, it is taken out of use and the same rules are
 * not tried again. Alerts of low severity, and those that a person labelled "bad", do not count.
 */
import type { AlertStore } from '../buffer/alert-store.ts'
import type { JsonDocument } from '../buffer/json-document.ts'
import type { LocalStore } from '../buffer/local-store.ts'
import type { AlertLabel } from '../domain/alert-label.ts'
import type { AllowRule } from '../domain/allow.ts'
import { FLEET_STATES, type FleetState, type FleetStateName } from '../domain/fleet-state.ts'
import {
  ALERTS_KEPT_MAX,
  FLEET_ROLLBACK_ALERTS,
  FLEET_ROLLBACK_FACTOR,
  FLEET_WATCH_SECONDS,
} from '../domain/limits.ts'
import { Policy, type PolicyRule } from '../domain/policy.ts'
import { isRecord } from '../domain/untrusted.ts'
import type { Log } from '../platform/log.ts'
import { canaryPlace, decodeFleetPolicy, type FleetPolicy } from '../wire/fleet-document.ts'

export interface FleetPolicyOptions {
  readonly site: string
  readonly host: string
  /** Where it is kept over a restart. */
  readonly document: JsonDocument
  readonly alerts: Pick<AlertStore, 'list'>
  readonly labels: { list(): readonly AlertLabel[] }
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

const HOUR_S = 3_600
const DAY_HOURS = 24
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
      usual: this.#worstHour(at),
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
    if (at - kept.appliedAt > FLEET_WATCH_SECONDS) return
    const alerts = this.#opened(kept.appliedAt, at + 1).length
    const most = FLEET_ROLLBACK_FACTOR * kept.usual + FLEET_ROLLBACK_ALERTS
    if (alerts <= most) return
    this.#keep({ ...kept, state: 'rolled-back' })
    log.warn('The policy of the fleet raises more alerts than before: rolled back', {
      ...{ version, alerts, most },
    })
  }

  /** Alerts that were opened from then on, and are not known to be true. */
  #opened(from: number, until: number): number[] {
    const { alerts, labels } = this.#options
    const labelled = new Set<string>()
    for (const { id, label } of labels.list()) if (label !== 'fine') labelled.add(id)
    return alerts
      .list({ limit: ALERTS_KEPT_MAX })
      .filter(({ id, severity, first }) => {
        return first >= from && first < until && severity !== 'low' && !labelled.has(id)
      })
      .map(({ first }) => first)
  }

  #worstHour(at: number): number {
    const hours = new Array<number>(DAY_HOURS).fill(0)
    for (const first of this.#opened(at - DAY_HOURS * HOUR_S, at))
      hours[Math.min(DAY_HOURS - 1, Math.floor((at - first - 1) / HOUR_S))]!++
    return Math.max(...hours)
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
