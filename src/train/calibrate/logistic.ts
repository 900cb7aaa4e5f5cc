/**
 * What votes against "ordinary" are worth as a probability: a logistic of their logit, fitted by Newton's method on
 * examples weighted so that there are `odds` ordinary ones for each malicious one.
 */
import { maliceOf } from '../../model/malice-judge.ts'
import { auroc } from '../evaluate/metrics.ts'

const ROUNDS = 30
const LEAST_VOTES = 0.004

export function logistic(against: readonly number[], truth: readonly boolean[], odds: number) {
  const bad = truth.filter(Boolean).length
  const weights = truth.map((is) =>
    is ? 1 / Math.max(1, bad) : odds / Math.max(1, truth.length - bad),
  )
  const x = against.map((share) => {
    const kept = Math.min(1 - LEAST_VOTES, Math.max(LEAST_VOTES, share))
    return Math.log(kept / (1 - kept))
  })
  let slope = 1
  let shift = -Math.log(odds)
  for (let round = 0; round < ROUNDS; round++) {
    // Gradient and Hessian of the weighted log-likelihood, with a little pull towards slope 1.
    let [g0, g1, h00, h01, h11] = [0, 0.01 * (1 - slope), 1e-9, 0, 0.01]
    for (const [i, xi] of x.entries()) {
      const p = 1 / (1 + Math.exp(-(slope * xi + shift)))
      const w = weights[i]!
      const error = w * ((truth[i] ? 1 : 0) - p)
      const curve = w * p * (1 - p)
      g0 += error
      g1 += error * xi
      h00 += curve
      h01 += curve * xi
      h11 += curve * xi * xi
    }
    const determinant = h00 * h11 - h01 * h01
    if (!(determinant > 1e-15)) break
    shift += Math.max(-1, Math.min(1, (h11 * g0 - h01 * g1) / determinant))
    slope += Math.max(-0.5, Math.min(0.5, (h00 * g1 - h01 * g0) / determinant))
    slope = Math.max(0.2, slope)
  }
  const malice = against.map((share) => maliceOf({ slope, shift }, share))
  const of = (is: boolean) => malice.filter((_, i) => truth[i] === is)
  const share = (list: readonly number[]) =>
    list.filter((p) => p >= 0.5).length / Math.max(1, list.length)
  return {
    slope,
    shift,
    figures: {
      auc: bad === 0 || bad === truth.length ? 0 : auroc(of(true), of(false)),
      recall: share(of(true)),
      falseShare: share(of(false)),
      windows: truth.length,
    },
  }
}
