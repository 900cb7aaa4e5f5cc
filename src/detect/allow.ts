/**
 * "This is fine": what the operator said about alerts that he does not want. A rule names a process's name, may
 * narrow it to a class that it behaves like, and may end. What is allowed is counted, not raised.
 *
 * A rule without a class does not cover malicious classes: who says that his `backup` may look strange has not
 * said that it may look like a miner. Naming the class says so.
 */
export interface AllowRule {
  /** Presented name, exactly. */
  readonly name: string
  /** Class it may behave like; absent means any that is not malicious. */
  readonly class?: string
  /** Unix seconds; absent means until removed. */
  readonly until?: number
  readonly reason?: string
}

export function isAllowed(
  rules: readonly AllowRule[],
  cause: { readonly name: string; readonly class: string; readonly malicious: boolean },
  frameIndex: number,
): boolean {
  return rules.some(
    (rule) =>
      rule.name === cause.name &&
      (rule.class === undefined ? !cause.malicious : rule.class === cause.class) &&
      (rule.until === undefined || frameIndex <= rule.until),
  )
}
