/** What each host may keep, so that those above it give up at least `count` alerts together. */
export function levelFor(hosts: Iterable<{ readonly alerts: number }>, count: number): number {
  /** How many hosts have so many alerts. */
  const having: number[] = []
  for (const { alerts } of hosts) having[alerts] = (having[alerts] ?? 0) + 1
  let above = 0
  let left = count
  for (let level = having.length - 1; level > 0; level--) {
    above += having[level] ?? 0
    left -= above
    if (left <= 0) return level - 1
  }
  return 0
}
