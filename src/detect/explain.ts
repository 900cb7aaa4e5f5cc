/**
 * The decisive calls of an alert, from the net's output with and without each of them.
 * `classify/explainer.ts` runs the net.
 *
 * A call's contribution is by how much the odds of the alert fall when all of that call is taken
 * out of the sequence (occlusion): exact for this net and this sequence, no estimate. What is not
 * there cannot be taken away, so calls that the claimed class always shows and the process never
 * made are added behind.
 */
import type { Reason } from '../domain/alert.ts'
import { defined } from '../domain/defined.ts'
import { SHOWN } from './thresholds.ts'

/**
 * What the alert is about: the odds of `predicted` against `claimed`; indexes of classes, undefined
 * where there is none.
 */
export interface Question {
  readonly predicted: number | undefined
  readonly claimed: number | undefined
}

/** Reasons in one alert; more would be a list and no explanation. */
const REASONS_MAX = 6
const ABSENT_MAX = 2

/** Log-odds of the question's answer, from logits. Higher speaks for the alert. */
export function logOdds(
  logits: Float32Array,
  row: number,
  classCount: number,
  q: Question,
): number {
  const at = row * classCount
  const of = (index: number) => logits[at + index]!
  if (q.predicted !== undefined && q.claimed !== undefined && q.predicted !== q.claimed) {
    return of(q.predicted) - of(q.claimed)
  }
  const asked = q.predicted ?? q.claimed
  if (asked === undefined) return 0
  let max = Number.NEGATIVE_INFINITY
  for (let c = 0; c < classCount; c++) if (c !== asked) max = Math.max(max, of(c))
  let others = 0
  for (let c = 0; c < classCount; c++) if (c !== asked) others += Math.exp(of(c) - max)
  const odds = of(asked) - max - Math.log(others)
  return q.predicted === undefined ? -odds : odds
}

export interface Occluded {
  readonly syscall: string
  /** Share of the sequence's calls, 0…1. */
  readonly seen: number
  /** By how much the log-odds fall without it. */
  readonly contribution: number
  /** As a reason has it. */
  readonly seconds?: string
}

/**
 * @param expected usual share by syscall, of the claimed class or of ordinary programs
 * @returns what decided most first; where nothing speaks for the alert, what differs most from what
 *   is usual
 */
export function reasonsOf(
  occluded: readonly Occluded[],
  expected: ReadonlyMap<string, number>,
): Reason[] {
  const usual = (syscall: string) => expected.get(syscall) ?? 0
  const deciding = occluded
    .filter(({ contribution }) => contribution > 0)
    .sort((a, b) => b.contribution - a.contribution)
  const differing = [...occluded].sort(
    (a, b) => Math.abs(b.seen - usual(b.syscall)) - Math.abs(a.seen - usual(a.syscall)),
  )
  const made = new Set(occluded.map(({ syscall }) => syscall))
  const missed = [...expected]
    .filter(([syscall, share]) => share >= SHOWN.missedShare && !made.has(syscall))
    .sort((a, b) => b[1] - a[1])
    .slice(0, ABSENT_MAX)
    .map(([syscall, share]) => ({ syscall, seen: 0, expected: share }))
  return [
    ...(deciding.length > 0 ? deciding : differing)
      .slice(0, REASONS_MAX - missed.length)
      .map(({ syscall, seen, seconds }) => ({
        ...{ syscall, seen, expected: usual(syscall) },
        ...defined({ seconds }),
      })),
    ...missed,
  ]
}
