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
 * host-wide: the share is that of the others, whichever user or container is left out. A user has
 * other users (subuid) and can name containers: what counts is either by itself. Where all
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
  #all = { strange: 0, seen: 0 }
  readonly #users = new Map<number | undefined, Group>()
  readonly #containers = new Map<string, Group>()
  /** By parent. */
  readonly #families = new Map<number, Group>()
  #mean = 0
  #most: UnrestGroup | undefined

  /** A process whose name the memory knows well. @param distance to what is usual under its name */
  see(distance: number, process: Pick<Process, 'uid' | 'container' | 'ppid'> = {}): void {
    const { uid, container, ppid } = process
    const isStrange = distance > UNREST.strange
    this.#all.seen++
    if (isStrange) this.#all.strange++
    const account = uid === undefined ? undefined : accountOf(uid)
    note(this.#users, account, isStrange, defined({ uid: account }))
    if (container !== undefined) note(this.#containers, container, isStrange, { container })
    if (ppid !== undefined) note(this.#families, ppid, isStrange, {})
  }

  endSecond(): void {
    const users = [...this.#users.values()]
    const containers = [...this.#containers.values()]
    const families = [...this.#families.values()]
    const all = this.#all
    this.#all = { strange: 0, seen: 0 }
    for (const groups of [this.#users, this.#containers, this.#families]) groups.clear()
    const isOneUser = users.length === 1 && users[0]!.uid !== undefined && containers.length === 0
    const share = commonShare(all, [...users, ...containers, ...(isOneUser ? families : [])])
    if (share === undefined) return
    this.#mean += UNREST.newest * (share - this.#mean)
    const most = [...users, ...containers].reduce((a, b) => (b.strange > a.strange ? b : a))
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

/** Beyond the bound what comes is in no group, and left out of none. */
function note<Key>(
  groups: Map<Key, Group>,
  key: Key,
  isStrange: boolean,
  who: Pick<UnrestGroup, 'uid' | 'container'>,
): void {
  let group = groups.get(key)
  if (group === undefined) {
    if (groups.size >= UNREST_GROUPS_MAX) return
    group = { ...who, strange: 0, seen: 0 }
    groups.set(key, group)
  }
  group.seen++
  if (isStrange) group.strange++
}

/**
 * The share of strange ones among all, or among those that are left without one of the groups,
 * whichever is least. Undefined where too few were seen.
 */
function commonShare(
  { seen, strange }: Pick<Group, 'seen' | 'strange'>,
  groups: readonly UnrestGroup[],
): number | undefined {
  if (seen < UNREST.enough) return undefined
  const without = groups
    .filter((group) => seen - group.seen >= UNREST.enough)
    .map((group) => (strange - group.strange) / (seen - group.seen))
  return Math.min(strange / seen, ...without)
}

/**
 * Whoever has an account may run processes under 65,536 more users [subuid(5)]: they are one. Users
 * of a directory service have such numbers, too, and are then left out together.
 */
function accountOf(uid: number): number {
  return uid < FIRST_SUBUID ? uid : uid - ((uid - FIRST_SUBUID) % SUBUIDS)
}
const FIRST_SUBUID = 100_000
const SUBUIDS = 65_536
