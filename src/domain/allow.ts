/**
 * "This is fine": what the operator said about alerts that he does not want. A rule names a process's name, may
 * narrow it to a class that it behaves like, and may end. What it covers is counted, not raised (detect/allow.ts).
 */
export interface AllowRule {
  /** Presented name, exactly. */
  readonly name: string
  /** Class it may behave like; absent means any that is not malicious. */
  readonly class?: string
  /** Unix seconds; absent means until removed. */
  readonly until?: number
  readonly reason?: string
  /** Unix seconds. */
  readonly made?: number
}

/** A stored rule as a value; undefined where it is none. */
export function parseAllowRule(value: unknown): AllowRule | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, class: of, until, reason, made } = value as Record<string, unknown>
  if (typeof name !== 'string' || name === '') return undefined
  return {
    name,
    ...(typeof of === 'string' ? { class: of } : {}),
    ...(typeof until === 'number' ? { until } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof made === 'number' ? { made } : {}),
  }
}

/** Two rules about the same: the newer takes the older's place. */
export function isSameCause(a: AllowRule, b: Pick<AllowRule, 'name' | 'class'>): boolean {
  return a.name === b.name && a.class === b.class
}
