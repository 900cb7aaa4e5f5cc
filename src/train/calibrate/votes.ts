/**
 * What votes against "ordinary" are worth as a probability of malice: its logit rises with the
 * votes' logit, and it is one half where so few ordinary windows of programs that the trees had not
 * seen have more votes. A likelihood fitted with the laboratory's share of malicious windows would
 * say "malicious" of a host's strangers all day.
 */
import { hostRowWidth } from '../../model/host-rows.ts'
import { vote } from '../../model/host-trees.ts'
import { type MaliceTable, maliceOf } from '../../model/malice-judge.ts'
import type { Model } from '../../model/model.ts'
import type { SparseRow } from '../../model/row-set.ts'
import { auroc } from '../evaluate/metrics.ts'

/** Share of strangers' ordinary windows that get one half or more. */
const FALSE_SHARE = 0.01
const SLOPE = 1.5

export function worthOfVotes(against: readonly number[], truth: readonly boolean[]) {
  const ordinary = against.filter((_, i) => !truth[i]).sort((a, b) => b - a)
  const at = ordinary[Math.floor(FALSE_SHARE * ordinary.length)] ?? 0.5
  const votes = Math.min(HIGHEST, Math.max(1 - HIGHEST, at))
  const worth = { slope: SLOPE, shift: -SLOPE * Math.log(votes / (1 - votes)) }
  const malice = against.map((share) => maliceOf(worth, share))
  const of = (is: boolean) => malice.filter((_, i) => truth[i] === is)
  const share = (list: readonly number[]) =>
    list.filter((p) => p >= 0.5).length / Math.max(1, list.length)
  return {
    ...worth,
    figures: {
      auc: auroc(of(true), of(false)),
      recall: share(of(true)),
      falseShare: share(of(false)),
      windows: truth.length,
    },
  }
}

/** A leaf in a hundred has no other opinion: above this votes are no reason to wait for more. */
const HIGHEST = 0.97

/** Share of a host's held-out ordinary windows that may have HIGH or more. */
const HIGH_SHARE = 0.002
const HIGH = 0.25
/** The shift was fitted on programs from anywhere; one host's quarter of an hour moves it so far. */
const SHIFT_MAX = 1
/** Fewer windows say nothing about their highest ones. */
const HERE_MIN = 100

/**
 * How much surer of malice votes are on a host than elsewhere, to be added to the shift: what is
 * known as ordinary here gets fewer votes than strangers do.
 * @param malice probabilities of held-out ordinary windows of the host
 */
export function shiftHere(malice: readonly number[]): number {
  if (malice.length < HERE_MIN) return 0
  const high = malice.toSorted((a, b) => b - a)[Math.floor(HIGH_SHARE * malice.length)]!
  const logit = (p: number) => Math.log(p / (1 - p))
  return Math.max(-SHIFT_MAX, Math.min(SHIFT_MAX, logit(HIGH) - logit(high)))
}

/**
 * Probabilities of malice by a model's trees and a host's own, each counting as much as the other;
 * none where either is missing.
 */
export function maliceHere(
  { malice, manifest }: Pick<Model, 'malice' | 'manifest'>,
  grown: MaliceTable | undefined,
  rows: readonly SparseRow[],
): number[] {
  if (grown === undefined || malice === undefined) return []
  const dense = new Float32Array(hostRowWidth(manifest.width))
  const tables = [malice.table.trees, grown.trees]
  const votes = new Float32Array(grown.trees.classes)
  return rows.map(({ columns, values }) => {
    dense.fill(0)
    for (let k = 0; k < columns.length; k++) dense[columns[k]!] = values[k]!
    let ordinary = 0
    for (const trees of tables) {
      vote(trees, dense, votes)
      ordinary += votes[0]! / tables.length
    }
    return maliceOf(grown, 1 - ordinary)
  })
}
