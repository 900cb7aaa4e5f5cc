/**
 * Whose process root becomes when it gives its capabilities up: the owner of the place that it will
 * write to. Root without capabilities is a user like any other, and may not write into somebody
 * else's directory.
 */
import { type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface User {
  readonly uid: number
  readonly gid: number
}

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

/** What is there of a path: itself or the first directory above. */
function nearest(path: string): { readonly path: string; readonly stat: Stats } | undefined {
  for (let at = resolve(path); ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat !== undefined) return { path: at, stat }
    if (at === '/') return undefined
  }
}

/** By mode bits; where an access list says otherwise, root stays root or the exec says why. */
function canReach(path: string, { uid, gid }: User): boolean {
  for (let at = resolve(path); ; at = dirname(at)) {
    const stat = statSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return false
    const shift = stat.uid === uid ? 6 : stat.gid === gid ? 3 : 0
    const execute = (stat.mode >> shift) & 1
    // A file to be written to need not be executable, only what leads to it.
    if (execute === 0 && (at !== resolve(path) || stat.isDirectory())) return false
    if (at === '/') return true
  }
}
