/**
 * A directory that no other user can write to. Needed for libraries, which an agent running as root
 * executes, and for the agent's state.
 *
 * Required: our own uid, not writable for group or others, not a symbolic link, and no parent
 * directory that others could replace (root's and our own are trusted; so is /tmp with its sticky
 * bit). Any other directory is refused and never repaired: root's `--state /tmp` must not change
 * the mode of /tmp.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { AgentError } from '../../domain/error.ts'

/**
 * Creates the directory if it is missing, with mode 0700.
 * @returns why it cannot be used; undefined if it can
 */
export function privateDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const at = lstatSync(directory)
    if (!at.isDirectory()) return 'is no directory'
    if (at.uid !== ourUid()) return 'belongs to another user'
    if ((at.mode & 0o022) !== 0) return 'can be written to by others'
    // The path as given and as resolved: a symbolic link could be changed after this check.
    const parent =
      untrustedParent(dirname(resolve(directory))) ??
      untrustedParent(dirname(realpathSync(directory)))
    if (parent !== undefined) return `can be replaced by others, through "${parent}"`
    return isWritable(directory) ? undefined : 'is not writable'
  } catch (error) {
    return `cannot be used: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** True for a file that only we and root can have written. */
export function isOurFile(path: string): boolean {
  const at = lstatSync(path, { throwIfNoEntry: false })
  return at?.isFile() === true && at.uid === ourUid() && (at.mode & 0o022) === 0
}

/**
 * Why an existing file or directory that we obey cannot be trusted; undefined where only we, root,
 * and whoever became root by sudo can change it.
 */
export function troubleWithOwner(path: string, isTrusted = isAdministrators): string | undefined {
  try {
    const real = realpathSync(path)
    const { uid, gid, mode } = lstatSync(real)
    if (!isTrusted(uid)) return 'belongs to another user'
    const groupWrites = (mode & 0o020) !== 0 && gid !== process.getegid?.() && gid !== 0
    if ((mode & 0o002) !== 0 || groupWrites) return 'can be written to by others'
    const parent = untrustedParent(dirname(real), isTrusted)
    return parent === undefined ? undefined : `can be replaced by others, through "${parent}"`
  } catch (error) {
    return `cannot be looked at: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * For files whose content decides whom we believe or who we are.
 * @throws AgentError where others can change it; one that is not there is for its reader to refuse
 */
export function requireOwnFile(path: string, what: string): void {
  const why = existsSync(path) ? troubleWithOwner(path) : undefined
  if (why === undefined) return
  throw new AgentError('ERR_CONFIG', `Cannot use ${what} "${path}": it ${why}`, {
    hint: "Make it yours or root's and writable for the owner alone (chown, chmod go-w)",
  })
}

/** True where root alone can change an existing file or directory. */
export function isRootsAlone(path: string): boolean {
  return troubleWithOwner(path, (uid) => uid === 0) === undefined
}

/** Whoever may become root by sudo can change everything anyway. */
function isAdministrators(uid: number): boolean {
  const asked = ourUid() === 0 ? Number(process.env.SUDO_UID ?? Number.NaN) : Number.NaN
  return isOurs(uid) || uid === asked
}

function isOurs(uid: number): boolean {
  return uid === 0 || uid === ourUid()
}

/** Where a user's programs keep what can be made again; of root it is no home directory. */
export function cacheHome(): string {
  const { XDG_CACHE_HOME } = process.env
  return XDG_CACHE_HOME || (ourUid() === 0 ? '/var/cache' : join(homedir(), '.cache'))
}

/** A randomly named directory, removed when the process ends; undefined if none can be made. */
export function temporaryDirectory(): string | undefined {
  for (const parent of [tmpdir(), '/var/tmp', '/dev/shm']) {
    try {
      if (isNoexec(parent)) continue
      const directory = mkdtempSync(join(parent, 'callsign-'))
      process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
      return directory
    } catch {
      // Not writable: the next one.
    }
  }
  return undefined
}

function untrustedParent(directory: string, isTrusted = isOurs): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const found = lstatSync(at)
    const { uid, gid } = found
    // The mode of a link is meaningless; who may write to its directory can change it.
    const mode = found.isSymbolicLink() ? 0 : found.mode
    const sticky = (mode & 0o1000) !== 0
    const groupWrites = (mode & 0o020) !== 0 && gid !== process.getegid?.() && gid !== 0
    const othersWrite = (mode & 0o002) !== 0 || groupWrites
    if (!isTrusted(uid) || (othersWrite && !sticky)) return at
    if (at === '/') return undefined
  }
}

/** access(2) reports to root that everything is writable, also on a read-only mount: so try. */
function isWritable(directory: string): boolean {
  const probe = join(directory, `.probe-${process.pid}`)
  try {
    mkdirSync(probe)
    rmdirSync(probe)
    return true
  } catch {
    return false
  }
}

/** True where the mount that holds an existing path forbids execution, which dlopen needs. */
export function isNoexec(path: string): boolean {
  try {
    return isNoexecIn(realpathSync(path), readFileSync('/proc/self/mountinfo', 'utf8'))
  } catch {
    return false
  }
}

/** @param path absolute, without symbolic links */
export function isNoexecIn(path: string, mountinfo: string): boolean {
  let longest = ''
  let noexec = false
  for (const line of mountinfo.split('\n')) {
    const [, , , , escaped, options] = line.split(' ')
    if (escaped === undefined || options === undefined) continue
    const mount = escaped.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const within = mount === '/' || path === mount || path.startsWith(`${mount}/`)
    // Of several mounts on one point the last covers the others.
    if (!within || mount.length < longest.length) continue
    longest = mount
    noexec = options.split(',').includes('noexec')
  }
  return noexec
}

function ourUid(): number {
  return process.geteuid?.() ?? -1
}
