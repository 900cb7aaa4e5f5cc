/**
 * A directory that nobody else can write to: what lies in it was put there by us. Needed for libraries, which
 * an agent that runs as root will execute, and for the agent's state.
 *
 * Ours alone means: our own uid, not writable for group or others, no symbolic link, and no folder above
 * it that others could swap for one of theirs (root's and our own are trusted; /tmp's sticky bit protects
 * what lies in it). A directory that is not like this is refused, never repaired: `--state /tmp` given to
 * root must not become the end of everybody's /tmp.
 */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/**
 * Makes the directory where it is missing, for us alone.
 * @returns why it cannot be used; undefined if it can.
 */
export function privateDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const at = lstatSync(directory)
    if (!at.isDirectory()) return 'is no directory'
    if (at.uid !== ourUid()) return 'belongs to another user'
    if ((at.mode & 0o022) !== 0) return 'can be written to by others'
    // As it is written and as it is: a link on the way could be turned elsewhere after this check.
    const parent =
      untrustedParent(dirname(resolve(directory))) ??
      untrustedParent(dirname(realpathSync(directory)))
    if (parent !== undefined) return `can be replaced by others, through "${parent}"`
    return isWritable(directory) ? undefined : 'is not writable'
  } catch (error) {
    return `cannot be used: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** True for a file that nobody but us and root can have written. */
export function isOurFile(path: string): boolean {
  const at = lstatSync(path, { throwIfNoEntry: false })
  return at?.isFile() === true && at.uid === ourUid() && (at.mode & 0o022) === 0
}

/** One with a random name that goes when the process ends; undefined where none can be had. */
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

function untrustedParent(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const found = lstatSync(at)
    const { uid, gid } = found
    // The mode of a link says nothing; whoever may change the folder it lies in may turn it.
    const mode = found.isSymbolicLink() ? 0 : found.mode
    const sticky = (mode & 0o1000) !== 0
    const groupWrites = (mode & 0o020) !== 0 && gid !== process.getegid?.() && gid !== 0
    const othersWrite = (mode & 0o002) !== 0 || groupWrites
    if ((uid !== 0 && uid !== ourUid()) || (othersWrite && !sticky)) return at
    if (at === '/') return undefined
  }
}

/** access(2) tells root that everything is writable, also on a read-only mount: so try. */
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
