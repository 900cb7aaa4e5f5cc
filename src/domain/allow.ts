/**
 * "This is fine": what the operator said about alerts that are expected. A rule covers an alert if
 * everything it names is equal there; it names at least one thing. What it covers is counted, not
 * raised.
 *
 * A rule that names no behaviour does not cover a critical one: saying that `backup` may look
 * strange does not say that it may encrypt files.
 */
import { BEHAVIOUR_IDS, type BehaviourId, type Severity } from './behaviour.ts'
import { defined } from './defined.ts'
import { type Field, Fields, reading } from './untrusted.ts'

/** What a rule may name of an alert. */
export const ALLOW_FIELDS = ['name', 'exe', 'user', 'unit', 'container', 'class'] as const
type AllowField = (typeof ALLOW_FIELDS)[number]

export interface AllowRule {
  /** Presented name, exactly. */
  readonly name?: string
  /** Path of the executable. */
  readonly exe?: string
  readonly user?: string
  readonly unit?: string
  readonly container?: string
  /** Class it may behave like. */
  readonly class?: string
  /** Behaviour it may show; critical ones are covered only where they are named here. */
  readonly behaviour?: BehaviourId
  /** Unix seconds; absent means until removed. */
  readonly until?: number
  readonly reason?: string
  /** Unix seconds. */
  readonly made?: number
}

/** A stored rule as a value; undefined where it is none. */
export function parseAllowRule(value: unknown): AllowRule | undefined {
  const read = reading((): AllowRule => {
    const rule = new Fields(value, '')
    const second = (field: Field) => field.number(-8.64e12, 8.64e12)
    const text = (name: AllowField) => rule.or(name, undefined, (field) => field.text(Infinity))
    return defined({
      ...{ name: text('name'), exe: text('exe'), user: text('user') },
      ...{ unit: text('unit'), container: text('container'), class: text('class') },
      behaviour: rule.or('behaviour', undefined, (field) => field.oneOf(BEHAVIOUR_IDS)),
      until: rule.or('until', undefined, second),
      reason: rule.or('reason', undefined, (field) => field.text(Infinity, { empty: true })),
      made: rule.or('made', undefined, second),
    })
  })
  return read.ok && namesSomething(read.value) ? read.value : undefined
}

function namesSomething(rule: AllowRule): boolean {
  return rule.behaviour !== undefined || ALLOW_FIELDS.some((field) => rule[field] !== undefined)
}

/** Two rules about the same: the newer takes the older's place. */
export function isSameCause(a: AllowRule, b: AllowRule): boolean {
  return a.behaviour === b.behaviour && ALLOW_FIELDS.every((field) => a[field] === b[field])
}

/** What a rule looks at. */
export interface AllowSubject {
  readonly name: string
  readonly exe?: string | undefined
  readonly user?: string | undefined
  readonly unit?: string | undefined
  readonly container?: string | undefined
  /** What it behaves like. */
  readonly class: string
  readonly behaviour?: BehaviourId | undefined
  readonly severity: Severity
}

/** The first rule that covers it; undefined for none. */
export function allowedBy(
  rules: readonly AllowRule[],
  subject: AllowSubject,
  frameIndex: number,
): AllowRule | undefined {
  return rules.find(
    (rule) =>
      (rule.until === undefined || frameIndex <= rule.until) &&
      ALLOW_FIELDS.every((field) => rule[field] === undefined || rule[field] === subject[field]) &&
      (rule.behaviour === undefined
        ? subject.severity !== 'critical'
        : rule.behaviour === subject.behaviour),
  )
}
