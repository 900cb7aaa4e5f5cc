/**
 * Whose process root becomes when it gives its capabilities up. Root without capabilities is a user
 * like any other, may not write into somebody else's directory, and may still write all that is
 * root's. So it becomes the owner of the place that it will write to; and where that is root's own
 * state directory, a user without any rights, to whom the directory is handed over.
 *
 * That user is `callsign` where there is one. Elsewhere it is a number that no system gives away
 * (FREE_UIDS), another one for each state directory, so that several agents are apart. Nothing is
 * written to /etc: a uid needs no name.
 */
import {
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Capability, effectiveCapabilities, hasCapability } from './capabilities.ts'

export interface User {
  readonly uid: number
  readonly gid: number
}

/**
 * Neither users (up to 60000), nor systemd's homes and containers (60001…60705) and dynamic users
 * (61184…65519) are here. [https://systemd.io/UIDS-GIDS]
 */
const FREE_UIDS = { first: 60_706, count: 294 } as const
const SERVICE_USER = 'callsign'
/** Directories below a state directory are few, and two deep. */
const DEEPEST = 8

/**
 * @param writesTo a file or directory, there or to be made
 * @param program what the user must be able to execute
 * @returns undefined where root stays root: its own place, or one that its owner could not reach
 */
export function userFor(writesTo: string, program: string): User | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const place = nearest(writesTo)
  if (place === undefined || place.stat.uid === 0) return undefined
  const user = { uid: place.stat.uid, gid: place.stat.gid }
  return canReach(place.path, user) && canReach(program, user) ? user : undefined
}

/** What the user must be able to use beside its state directory, to take root's place. */
export interface Needs {
  readonly program: string
  /** Files and directories that are read; those that are missing need nothing. */
  readonly reads: readonly string[]
  /** Directories that are written to. */
  readonly writes: readonly string[]
  /** Whether a name in the state directory is an agent's. */
  readonly isOurs: (name: string) => boolean
}

/** Root's state directory may become this user's; or why it stays root's. */
export type Successor = { readonly user: User } | { readonly why: string }

/**
 * Who takes root's place, in a state directory of root's. @returns undefined where we are not root,
 * or the directory is another user's (`userFor`)
 */
export function successorOf(state: string, needs: Needs): Successor | undefined {
  if (process.geteuid?.() !== 0) return undefined
  const place = nearest(state)
  if (place === undefined || place.stat.uid !== 0) return undefined
  const user = serviceUser() ?? freeUser(state)
  const lacking = whyNotBecome(user)
  if (lacking !== undefined) return { why: lacking }
  const isThere = place.path === resolve(state)
  const above = isThere ? dirname(place.path) : place.path
  if (!canReach(above, user)) return { why: `"${above}" is closed to other users` }
  if (!canReach(needs.program, user)) return { why: `"${needs.program}" is closed to other users` }
  const strange = isThere ? strangerIn(state, needs.isOurs) : undefined
  if (strange !== undefined) return { why: strange }
  for (const path of needs.reads)
    if (!canRead(path, user)) return { why: `"${path}" can be read by root alone` }
  for (const path of needs.writes)
    if (!canWrite(path, user)) return { why: `"${path}" can be written to by root alone` }
  return { user }
}

/**
 * Makes the state directory, or what root left in it, the user's. Links are not followed, and files
 * with several names stay as they are: they may be somebody's elsewhere.
 * @throws what chown(2) says, as on a file system that is read-only
 */
export function handOver(state: string, { uid, gid }: User): void {
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const give = (path: string, depth: number) => {
    const at = lstatSync(path)
    if (at.isDirectory()) {
      if (depth < DEEPEST) for (const name of readdirSync(path)) give(join(path, name), depth + 1)
    } else if (at.nlink > 1) return
    lchownSync(path, uid, gid)
  }
  for (const name of readdirSync(state)) give(join(state, name), 1)
  // Last: until then nobody but root can change what is in it.
  chownSync(state, uid, gid)
}

/** Why a directory of root's is not handed over with all that is in it. */
function strangerIn(state: string, isOurs: Needs['isOurs']): string | undefined {
  const at = lstatSync(state)
  if (!at.isDirectory()) return `"${state}" is no directory`
  if ((at.mode & 0o022) !== 0) return `"${state}" can be written to by others`
  const other = readdirSync(state).find((name) => !isOurs(name))
  return other === undefined ? undefined : `"${state}" holds "${other}", which is not an agent's`
}

const TO_BECOME: readonly Capability[] = ['chown', 'setuid', 'setgid']

function whyNotBecome(user: User): string | undefined {
  const held = effectiveCapabilities()
  if (!TO_BECOME.every((capability) => hasCapability(held, capability)))
    return 'root here may not become another user'
  const isMapped = isIn('/proc/self/uid_map', user.uid) && isIn('/proc/self/gid_map', user.gid)
  return isMapped ? undefined : `this user namespace has no user ${user.uid}`
}

/** Lines of user_namespaces(7): first id inside, first outside, how many. */
function isIn(map: string, id: number): boolean {
  return readFileSync(map, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some(([first = 0, , count = 0]) => id >= first && id < first + count)
}

function serviceUser(): User | undefined {
  const fields = passwords().find(([name]) => name === SERVICE_USER)
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])]
  return Number.isSafeInteger(uid) && uid > 0 && Number.isSafeInteger(gid) && gid > 0
    ? { uid, gid }
    : undefined
}

function freeUser(state: string): User {
  const taken = new Set(passwords().map((fields) => Number(fields[2])))
  const from = Bun.hash.crc32(resolve(state)) % FREE_UIDS.count
  for (let i = 0; i < FREE_UIDS.count; i++) {
    const uid = FREE_UIDS.first + ((from + i) % FREE_UIDS.count)
    if (!taken.has(uid)) return { uid, gid: uid }
  }
  const nobody = FREE_UIDS.first + from
  return { uid: nobody, gid: nobody }
}

function passwords(): string[][] {
  try {
    return readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}

/** What is there of a path: itself or the first directory above. */
function nearest(path: string): { readonly path: string; readonly stat: Stats } | undefined {
  for (let at = resolve(path); ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat !== undefined) return { path: at, stat }
    if (at === '/') return undefined
  }
}

/** By mode bits; where an access list says otherwise, root stays root or the exec says why. */
function canReach(path: string, user: User): boolean {
  for (let at = resolve(path); ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return false
    const execute = bitsFor(stat, user) & 1
    // A file to be written to need not be executable, only what leads to it.
    if (execute === 0 && (at !== resolve(path) || stat.isDirectory())) return false
    if (at === '/') return true
  }
}

/** Its owner must be one that is trusted by whoever is not root (private-directory.ts). */
function canRead(path: string, user: User): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return true
  return stat.uid === 0 && (bitsFor(stat, user) & 4) !== 0 && canReach(path, user)
}

function canWrite(path: string, user: User): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && (bitsFor(stat, user) & 2) !== 0 && canReach(path, user)
}

function bitsFor({ uid, gid, mode }: Stats, user: User): number {
  return (mode >> (uid === user.uid ? 6 : gid === user.gid ? 3 : 0)) & 7
}
