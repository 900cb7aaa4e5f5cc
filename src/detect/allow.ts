/**
 * Whether a cause is covered by what the operator allowed.
 *
 * A rule without a class does not cover malicious classes: who says that his `backup` may look strange has not
 * said that it may look like a miner. Naming the class says so.
 */
import type { AllowRule } from '../domain/allow.ts'

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
