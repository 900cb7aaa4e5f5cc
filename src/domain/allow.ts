/**
 * "This is fine": what the operator said about alerts that he does not want. A rule names a process's name, may
 * narrow it to a class that it behaves like, and may end. What it covers is counted, not raised (detect/allow.ts).
 */
import { defined } from './defined.ts'
import { type Field, Fields, reading } from './untrusted.ts'

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
  const read = reading(() => {
    const rule = new Fields(value, '')
    const second = (field: Field) => field.number(-8.64e12, 8.64e12)
    return {
      name: rule.text('name', Infinity),
      ...defined({
        class: rule.or('class', undefined, (field) => field.text(Infinity)),
        until: rule.or('until', undefined, second),
        reason: rule.or('reason', undefined, (field) => field.text(Infinity, { empty: true })),
        made: rule.or('made', undefined, second),
      }),
    }
  })
  return read.ok ? read.value : undefined
}

/** Two rules about the same: the newer takes the older's place. */
export function isSameCause(a: AllowRule, b: Pick<AllowRule, 'name' | 'class'>): boolean {
  return a.name === b.name && a.class === b.class
}
