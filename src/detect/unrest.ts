/**
 * Host-wide deviation: the share of processes that deviate from the baseline at the same time
 * (common-mode noise).
 *
 * On a host that is starved of CPU, restarted or restored from a snapshot all programs deviate.
 * Masquerade evidence is then discounted, down to zero. Malicious evidence is not discounted, and
 * neither is that of a host with a young baseline.
 *
 * Whoever starts a dozen strange processes must not switch masquerade alerts off by it. So only
 * processes with a past vote (`mayVote`), and what one user or one container does is not
 * host-wide: the share is that of the others, whichever user or container is left out. Where all
 * are of one user (a container, a host of one account), it is what one parent started that is left
 * out: a dozen processes of one shell are not the host.
 */
import { defined } from '../domain/defined.ts'
import { UNREST_GROUPS_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { UNREST } from './thresholds.ts'

export interface UnrestGroup {
  readonly uid?: number
  readonly container?: string
  readonly strange: number
  readonly seen: number
}

interface Group extends UnrestGroup {
  strange: number
  seen: number
}

export class Unrest {
  /** By user and container. */
  readonly #groups = new Map<string, Group>()
  /** By parent. */
  readonly #families = new Map<number, Group>()
  #mean = 0
  #most: UnrestGroup | undefined

  /** A process whose name the memory knows well. @param distance to what is usual under its name */
  see(distance: number, process: Pick<Process, 'uid' | 'container' | 'ppid'> = {}): void {
    const { uid, container, ppid } = process
    let key = `${uid ?? ''} ${container ?? ''}`
    if (!this.#groups.has(key) && this.#groups.size >= UNREST_GROUPS_MAX) key = ''
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = { ...(key === '' ? {} : defined({ uid, container })), strange: 0, seen: 0 }
      this.#groups.set(key, group)
    }
    const isStrange = distance > UNREST.strange
    count(group, isStrange)
    if (ppid === undefined) return
    const family = this.#families.get(ppid)
    if (family !== undefined) count(family, isStrange)
    else if (this.#families.size < UNREST_GROUPS_MAX)
      this.#families.set(ppid, { strange: isStrange ? 1 : 0, seen: 1 })
  }

  endSecond(): void {
    const groups = [...this.#groups.values()]
    const families = [...this.#families.values()]
    this.#groups.clear()
    this.#families.clear()
    const isOneUser = groups.length === 1 && groups[0]!.uid !== undefined
    const share = commonShare(groups, isOneUser ? families : groups)
    if (share === undefined) return
    this.#mean += UNREST.newest * (share - this.#mean)
    const most = groups.reduce((a, b) => (b.strange > a.strange ? b : a))
    this.#most = most.strange > 0 ? most : undefined
  }

  /** Running mean of the share of strange processes, 0…1. */
  get share(): number {
    return this.#mean
  }

  /** The user or container with most strange processes in the newest second; absent where none. */
  get most(): UnrestGroup | undefined {
    return this.#most
  }

  /** What evidence of strangeness is worth now, 1…0. */
  get calm(): number {
    return Math.max(
      0,
      Math.min(1, (UNREST.nothingFrom - this.#mean) / (UNREST.nothingFrom - UNREST.calmUpTo)),
    )
  }
}

/**
 * Whether a process counts. One that was there before the agent does; one that it saw begin must
 * have been usual for long enough: what is strange from its start was never this host's own.
 * @param firstFrame Unix second in which the agent began to watch
 */
export function mayVote(
  { startMs }: Pick<Process, 'startMs'>,
  usualWindows: number,
  firstFrame: number,
): boolean {
  return startMs <= firstFrame * 1000 || usualWindows >= UNREST.pastWindows
}

function count(group: Group, isStrange: boolean): void {
  group.seen++
  if (isStrange) group.strange++
}

/**
 * The share of strange ones among all, or among those that are left without one of the parts,
 * whichever is least. Undefined where too few were seen.
 */
function commonShare(
  groups: readonly UnrestGroup[],
  parts: readonly UnrestGroup[],
): number | undefined {
  let [seen, strange] = [0, 0]
  for (const group of groups) {
    seen += group.seen
    strange += group.strange
  }
  if (seen < UNREST.enough) return undefined
  const without = parts
    .filter((group) => seen - group.seen >= UNREST.enough)
    .map((group) => (strange - group.strange) / (seen - group.seen))
  return Math.min(strange / seen, ...without)
}
