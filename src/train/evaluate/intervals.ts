/**
 * Confidence intervals: exact Poisson bounds for rates, Wilson's for shares, both at 95 %.
 *
 * Twenty host-hours without an alarm show only "at most 3.6 a day" (two-sided: 4.4); a bare 0 would
 * claim more.
 */

/** Bounds of the mean of a Poisson count. @param tail probability beyond each bound */
export function poissonInterval(count: number, tail = 0.025): { low: number; high: number } {
  return {
    low: count === 0 ? 0 : solve((mean) => poissonBelow(count - 1, mean) - (1 - tail), count + 1),
    high: solve((mean) => poissonBelow(count, mean) - tail, count + 1),
  }
}

/** Bounds of a share, `of` > 0. */
export function wilsonInterval(found: number, of: number, z = 1.96): { low: number; high: number } {
  if (of === 0) return { low: 0, high: 1 }
  const share = found / of
  const middle = share + (z * z) / (2 * of)
  const width = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))
  const scale = 1 + (z * z) / of
  return { low: Math.max(0, (middle - width) / scale), high: Math.min(1, (middle + width) / scale) }
}

/** P(X ≤ count) of a Poisson variable. */
function poissonBelow(count: number, mean: number): number {
  let term = Math.exp(-mean)
  let sum = term
  for (let k = 1; k <= count; k++) {
    term *= mean / k
    sum += term
  }
  return sum
}

/** The zero of a decreasing function, by bisection. */
function solve(falling: (x: number) => number, near: number): number {
  let low = 0
  let high = near
  while (falling(high) > 0) high *= 2
  for (let step = 0; step < 80; step++) {
    const middle = (low + high) / 2
    if (falling(middle) > 0) low = middle
    else high = middle
  }
  return (low + high) / 2
}
