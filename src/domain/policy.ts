/**
 * What this host's operator thinks of each malicious behaviour: its severity, which `agent policy`
 * changes (domain/behaviour.ts has the defaults).
 *
 * Severity decides what happens: critical and high are alerts and never become usual here; medium
 * is an alert that recurrence under one name can make usual; low is an observation, kept and
 * counted but shown only when asked for.
 */
import {
  BEHAVIOUR_IDS,
  BEHAVIOURS,
  type BehaviourId,
  SEVERITIES,
  type Severity,
} from './behaviour.ts'
import { defined } from './defined.ts'
import { Fields, reading } from './untrusted.ts'

export interface PolicyRule {
  readonly behaviour: BehaviourId
  readonly severity: Severity
  readonly reason?: string
  /** Unix seconds. */
  readonly made?: number
}

/** A stored rule as a value; undefined where it is none. */
export function parsePolicyRule(value: unknown): PolicyRule | undefined {
  const read = reading((): PolicyRule => {
    const rule = new Fields(value, '')
    return {
      behaviour: rule.oneOf('behaviour', BEHAVIOUR_IDS),
      severity: rule.oneOf('severity', SEVERITIES),
      ...defined({
        reason: rule.or('reason', undefined, (field) => field.text(Infinity, { empty: true })),
        made: rule.or('made', undefined, (field) => field.number(-8.64e12, 8.64e12)),
      }),
    }
  })
  return read.ok ? read.value : undefined
}

export class Policy {
  readonly #changed: ReadonlyMap<BehaviourId, Severity>

  constructor(rules: readonly PolicyRule[] = []) {
    this.#changed = new Map(rules.map(({ behaviour, severity }) => [behaviour, severity]))
  }

  severityOf(behaviour: BehaviourId): Severity {
    return this.#changed.get(behaviour) ?? BEHAVIOURS[behaviour].severity
  }

  /**
   * Whether the host's memory may take such a behaviour for usual once it has recurred for long
   * enough.
   */
  mayBecomeUsual(behaviour: BehaviourId): boolean {
    const severity = this.severityOf(behaviour)
    return severity === 'medium' || severity === 'low'
  }
}
