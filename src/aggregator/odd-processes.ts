/**
 * Processes of one name that do not behave as those of other hosts do, from the shares of their most
 * frequent calls in the newest summaries. A hint for a person and no alert: a summary is a minute.
 *
 * Shares and not counts, because hosts are unequally loaded; and a process is compared with the
 * nearest hosts and not with the middle of all, because a name may have several roles (a database and
 * its replicas). Hosts count once, however many processes of the name they have. Pure.
 */
import {
  ODD_CALLS_MIN,
  ODD_DISTANCE_MIN,
  ODD_HOSTS_MIN,
  ODD_NEAREST,
  ODD_TIMES_USUAL,
} from '../domain/limits.ts'

/** A process in a summary. */
export interface ComparedProcess {
  /** Site and host. */
  readonly where: string
  readonly calls: number
  readonly top: readonly { readonly syscall: string; readonly count: number }[]
}

export interface Oddness {
  /** Share of its calls that would have to be others to be as on the nearest hosts, 0…1. */
  readonly distance: number
  /** The calls that differ most from the middle of all hosts, as shares. */
  readonly why: readonly {
    readonly syscall: string
    readonly seen: number
    readonly usual: number
  }[]
}

type Shares = ReadonlyMap<string, number>

const REASONS = 3

/** @returns for each process, in order: how odd it is, or undefined */
export function oddProcesses(processes: readonly ComparedProcess[]): (Oddness | undefined)[] {
  const none = processes.map(() => undefined)
  const shares = processes.map((process) =>
    process.calls < ODD_CALLS_MIN ? undefined : sharesOf(process),
  )
  const hosts = hostsOf(processes, shares)
  if (hosts.size < ODD_HOSTS_MIN) return none
  const nearest = shares.map((one, i) =>
    one === undefined ? undefined : nearestDistance(one, processes[i]!.where, hosts),
  )
  const usual = median([...hosts].map(([where, of]) => nearestDistance(of, where, hosts)))
  const middle = middleOf([...hosts.values()])
  return nearest.map((distance, i) => {
    if (distance === undefined || distance < ODD_DISTANCE_MIN) return undefined
    if (distance < ODD_TIMES_USUAL * usual) return undefined
    return { distance: round(distance), why: reasonsOf(shares[i]!, middle) }
  })
}

function sharesOf({ calls, top }: ComparedProcess): Shares {
  return new Map(top.map(({ syscall, count }) => [syscall, count / calls]))
}

/** What the processes of each host do, on average. */
function hostsOf(
  processes: readonly ComparedProcess[],
  shares: readonly (Shares | undefined)[],
): ReadonlyMap<string, Shares> {
  const byHost = Map.groupBy(
    processes.flatMap(({ where }, i) =>
      shares[i] === undefined ? [] : [{ where, of: shares[i] }],
    ),
    ({ where }) => where,
  )
  const means = [...byHost].map(([where, all]): [string, Shares] => {
    const sums = new Map<string, number>()
    for (const { of } of all)
      for (const [syscall, share] of of)
        sums.set(syscall, (sums.get(syscall) ?? 0) + share / all.length)
    return [where, sums]
  })
  return new Map(means)
}

/** To the host that is ODD_NEAREST in nearness, its own left out. */
function nearestDistance(of: Shares, where: string, hosts: ReadonlyMap<string, Shares>): number {
  const distances = [...hosts].flatMap(([host, shares]) =>
    host === where ? [] : [distanceOf(of, shares)],
  )
  return distances.sort((a, b) => a - b)[ODD_NEAREST - 1] ?? 0
}

/** Total variation: half of what the shares differ by in all. */
function distanceOf(a: Shares, b: Shares): number {
  let sum = 0
  for (const [syscall, share] of a) sum += Math.abs(share - (b.get(syscall) ?? 0))
  for (const [syscall, share] of b) if (!a.has(syscall)) sum += share
  return Math.min(1, sum / 2)
}

function middleOf(hosts: readonly Shares[]): Shares {
  const syscalls = new Set(hosts.flatMap((shares) => [...shares.keys()]))
  return new Map(
    [...syscalls].map((syscall) => [syscall, median(hosts.map((one) => one.get(syscall) ?? 0))]),
  )
}

function reasonsOf(shares: Shares, middle: Shares): Oddness['why'] {
  return [...new Set([...shares.keys(), ...middle.keys()])]
    .map((syscall) => {
      const [seen, usual] = [shares.get(syscall) ?? 0, middle.get(syscall) ?? 0]
      return { syscall, seen: round(seen), usual: round(usual) }
    })
    .sort((a, b) => Math.abs(b.seen - b.usual) - Math.abs(a.seen - a.usual))
    .slice(0, REASONS)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}

function round(share: number): number {
  return Math.round(share * 1e4) / 1e4
}
