/**
 * What votes against "ordinary" are worth as a probability of malice: its logit rises with the
 * votes' logit, and it is one half where so few ordinary windows of programs that the trees had not
 * seen have more votes. A likelihood fitted with the laboratory's share of malicious windows would
 * say "malicious" of a host's strangers all day.
 */
import { maliceOf } from '../../model/malice-judge.ts'
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
