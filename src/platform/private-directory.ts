/**
 * A directory that nobody else can write to: what lies in it was put there by us. Needed for libraries,
 * which an agent that runs as root will execute.
 *
 * Ours alone means: our own uid, mode 0700, no symbolic link, and no folder above it that others could swap
 * for one of theirs (root's and our own are trusted; /tmp's sticky bit protects what lies in it). It must
 * also allow execution, which dlopen needs.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/**
 * Makes the directory ours alone, and takes out what others have put there.
 * @returns why it cannot be; undefined if it is.
 */
export function privateDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const at = lstatSync(directory)
    if (!at.isDirectory()) return 'is no directory'
    if (at.uid !== ourUid()) return 'belongs to another user'
    // Others could write here until now, so all that lies here may be theirs.
    const wasOpen = (at.mode & 0o022) !== 0
    if ((at.mode & 0o077) !== 0) chmodSync(directory, 0o700)
    const real = realpathSync(directory)
    const parent = untrustedParent(dirname(real))
    if (parent !== undefined) return `can be replaced by others, through "${parent}"`
    if (isNoexec(real)) return 'is mounted noexec'
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const file = lstatSync(path)
      const foreign = !file.isFile() || file.uid !== ourUid() || (file.mode & 0o022) !== 0
      if (wasOpen || foreign) rmSync(path, { recursive: true, force: true })
    }
    return isWritable(directory) ? undefined : 'is not writable'
  } catch (error) {
    return `cannot be used: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** One with a random name that goes when the process ends; undefined where none can be had. */
export function temporaryDirectory(): string | undefined {
  for (const parent of [tmpdir(), '/var/tmp', '/dev/shm']) {
    try {
      if (isNoexec(realpathSync(parent))) continue
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
    const { uid, gid, mode } = lstatSync(at)
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
    rmSync(probe, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}

/**
 * True where the mount that holds a path forbids execution.
 * @param path absolute, without symbolic links
 */
export function isNoexec(path: string, mountinfo: string = readMountinfo()): boolean {
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

function readMountinfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return ''
  }
}

function ourUid(): number {
  return process.geteuid?.() ?? -1
}
