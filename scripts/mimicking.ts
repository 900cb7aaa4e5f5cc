/**
 * The price of mimicry: how many ordinary calls a second a malicious process has to make beside its
 * own work so that nothing is raised about it. Its recorded seconds go on in a loop, with the
 * recorded seconds of an ordinary program added at a given rate.
 */
import type { Frame } from '../src/domain/frame.ts'
import type { Process } from '../src/domain/process.ts'

/** A second of a process; calls ascend. */
export interface Second {
  readonly syscalls: readonly number[]
  readonly counts: readonly number[]
}

const NOTHING: Second = { syscalls: [], counts: [] }

/** A process's seconds from its first to its last; the silent ones among them are empty. */
export function secondsOf(frames: readonly Frame[], isOf: (process: Process) => boolean): Second[] {
  const seconds: Second[] = []
  let first: number | undefined
  for (const { index, processes, offsets, syscalls, counts } of frames) {
    const i = processes.findIndex(isOf)
    if (i < 0) continue
    first ??= index
    while (seconds.length < index - first) seconds.push(NOTHING)
    const [from, to] = [offsets[i]!, offsets[i + 1]!]
    seconds.push({
      syscalls: [...syscalls.subarray(from, to)],
      counts: [...counts.subarray(from, to)],
    })
  }
  return seconds
}

/** A second's calls at another rate: whole numbers that add up to `rate`, nearest to its shares. */
export function atRate({ syscalls, counts }: Second, rate: number): Second {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return NOTHING
  let left = 0
  const scaled = counts.map((count) => {
    const exact = (count * rate) / total + left
    const whole = Math.max(0, Math.round(exact))
    left = exact - whole
    return whole
  })
  const kept = [...syscalls.keys()].filter((k) => scaled[k]! > 0)
  return { syscalls: kept.map((k) => syscalls[k]!), counts: kept.map((k) => scaled[k]!) }
}

export function added(a: Second, b: Second): Second {
  const sums = new Map<number, number>()
  for (const { syscalls, counts } of [a, b])
    for (const [k, syscall] of syscalls.entries())
      sums.set(syscall, (sums.get(syscall) ?? 0) + counts[k]!)
  const syscalls = [...sums.keys()].toSorted((x, y) => x - y)
  return { syscalls, counts: syscalls.map((syscall) => sums.get(syscall)!) }
}

/**
 * A host on which one process does its work in a loop, and ordinary calls beside it.
 * @param rate ordinary calls a second
 */
export function* mimicking(
  process: Process,
  { work, cover }: { readonly work: readonly Second[]; readonly cover: readonly Second[] },
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): Generator<Frame> {
  const from = Math.floor(process.startMs / 1000)
  for (let t = 0; t < seconds; t++) {
    const own = work[t % work.length]!
    const { syscalls, counts } =
      rate === 0 ? own : added(own, atRate(cover[t % cover.length]!, rate))
    const isSilent = syscalls.length === 0
    yield {
      index: from + t,
      processes: isSilent ? [] : [process],
      offsets: Uint32Array.from(isSilent ? [0] : [0, syscalls.length]),
      syscalls: Uint16Array.from(syscalls),
      counts: Uint32Array.from(counts),
      lost: 0,
    }
  }
}

/** The least of ascending rates at which nothing is raised; undefined where every one fails. */
export async function leastRate(
  rates: readonly number[],
  isRaised: (rate: number) => Promise<boolean>,
): Promise<number | undefined> {
  for (const rate of rates) if (!(await isRaised(rate))) return rate
  return undefined
}
