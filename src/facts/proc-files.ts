/**
 * Gets the bytes: bounded reads of /proc and of files that other users own, by a process that may
 * read everything.
 *
 * So it is careful whom it serves: nothing but regular files on local file systems is opened (a
 * pipe would wait, a device act, a dead network mount hang), links are followed only where the
 * kernel made them, and what is read stays in the reader. Each function gives undefined (or
 * nothing) where a process is gone, hidden or odd.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs'
import {
  DESCRIPTORS_MAX,
  MOUNT_TABLES_MAX,
  PROC_TEXT_BYTES_MAX,
  PROCESS_TABLE_MAX,
} from '../domain/limits.ts'
import { type ProcStat, parseStat } from './proc-text.ts'
import { Recent } from './recent.ts'

const SAFE = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY
const scratch = new Uint8Array(PROC_TEXT_BYTES_MAX)

/** The first bytes of a file of /proc/PID. */
export function procText(
  pid: number | 'self',
  file: string,
  bytesMax: number = PROC_TEXT_BYTES_MAX,
): string | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(`/proc/${pid}/${file}`, SAFE)
    // In pieces of the same memory: a socket table may have megabytes, and nearly none has.
    const pieces = new TextDecoder()
    let text = ''
    for (let length = 0; length < bytesMax; ) {
      const got = readSync(
        descriptor,
        scratch,
        0,
        Math.min(scratch.length, bytesMax - length),
        null,
      )
      if (got === 0) break
      length += got
      text += pieces.decode(scratch.subarray(0, got), { stream: true })
    }
    return text
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

export function procLink(pid: number | 'self', file: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${file}`)
  } catch {
    return undefined
  }
}

export function procStat(pid: number): ProcStat | undefined {
  return parseStat(procText(pid, 'stat', 4096) ?? '')
}

/** Descriptors and where they lead, a bounded number. */
export function descriptorsOf(pid: number): Map<number, string> {
  const links = new Map<number, string>()
  for (const name of entriesOf(`/proc/${pid}/fd`, DESCRIPTORS_MAX)) {
    const link = procLink(pid, `fd/${name}`)
    if (link !== undefined) links.set(Number(name), link)
  }
  return links
}

/**
 * Runs with a path of a process's root that leads there for as long as it runs, also when the
 * process has ended: what /proc/PID/root leads to is gone with it, in the middle of any work.
 */
export async function withRoot<T>(
  pid: number,
  use: (root: string) => Promise<T>,
): Promise<T | undefined> {
  let descriptor: number
  try {
    descriptor = openSync(`/proc/${pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch {
    return undefined
  }
  try {
    return await use(`/proc/self/fd/${descriptor}`)
  } finally {
    closeSync(descriptor)
  }
}

/** Names in a directory, at most so many, in the file system's order. */
export function entriesOf(path: string, max: number): string[] {
  try {
    // Half the cost of opendirSync, which reads all of it as well.
    return readdirSync(path).slice(0, max)
  } catch {
    // Gone, or never there.
    return []
  }
}

/** Every process with its parent and session. */
export function processTable(): Map<number, ProcStat> {
  const table = new Map<number, ProcStat>()
  let names: string[] = []
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    // Without /proc there are no processes.
  }
  for (const name of names.slice(0, PROCESS_TABLE_MAX)) {
    const stat = procStat(Number(name))
    if (stat !== undefined) table.set(Number(name), stat)
  }
  return table
}

export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

/**
 * Opens a regular file for reading and hands it over; never waits, never acts on a device.
 * @param path its last part may be a link only where the kernel made it (/proc/PID/exe,
 *   /proc/PID/fd/3)
 */
export function withFile<T>(
  path: string,
  act: (descriptor: number, stat: Stats) => T,
  options: { readonly follow?: boolean } = {},
): T | undefined {
  let descriptor: number | undefined
  try {
    // Looked at before it is opened, and again after: opening alone can do something to a device.
    if (options.follow === true && !statSync(path).isFile()) return undefined
    descriptor = openSync(path, options.follow === true ? SAFE : SAFE | constants.O_NOFOLLOW)
    const stat = fstatSync(descriptor)
    return stat.isFile() ? act(descriptor, stat) : undefined
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/**
 * Reads from an open file at a place; shorter at its end.
 * @param into used again for large pieces, else a buffer of its own
 */
export function readAt(
  descriptor: number,
  at: number,
  length: number,
  into?: Uint8Array,
): Uint8Array {
  const bytes = into ?? new Uint8Array(length)
  let got = 0
  while (got < length) {
    const n = readSync(descriptor, bytes, got, length - got, at + got)
    if (n === 0) break
    got += n
  }
  return bytes.subarray(0, got)
}

/** File systems that answer by themselves; behind another a look may wait for ever. */
const LOCAL = new Set(
  (
    'ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs reiserfs nilfs2 tmpfs ramfs devtmpfs rootfs overlay aufs ' +
    'squashfs erofs cramfs iso9660 udf vfat exfat ntfs3 virtiofs 9p'
  ).split(' '),
)

interface Mount {
  readonly point: string
  readonly type: string
}

/** @param text of mountinfo */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = []
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    const point = fields[4]?.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    )
    const type = fields[fields.indexOf('-') + 1]
    if (point !== undefined && type !== undefined && fields.includes('-'))
      mounts.push({ point, type })
  }
  return mounts
}

/**
 * Whether what lies at an absolute path can be looked at without waiting for another machine or
 * process.
 */
export function isLocalIn(mounts: readonly Mount[], path: string): boolean {
  let best: Mount | undefined
  for (const mount of mounts) {
    const { point } = mount
    const within = point === '/' || path === point || path.startsWith(`${point}/`)
    // Of several mounts on one point the last covers the others.
    if (within && (best === undefined || point.length >= best.point.length)) best = mount
  }
  return best !== undefined && LOCAL.has(best.type)
}

const MOUNTINFO_BYTES = 262_144
/** By mount namespace and root; they seldom change. */
const mountTables = new Recent<readonly Mount[]>(2_000, MOUNT_TABLES_MAX)

/** @param path as the process's root shows it */
export function isLocalPath(pid: number, path: string): boolean {
  const key = `${procLink(pid, 'ns/mnt')} ${procLink(pid, 'root')}`
  const mounts = mountTables.get(key, () =>
    parseMounts(procText(pid, 'mountinfo', MOUNTINFO_BYTES) ?? ''),
  )
  return isLocalIn(mounts, path)
}

/** Links on the way of one path. */
const LINK_HOPS = 16

/**
 * Where a path leads within the root of a process, every link on its way followed; undefined where
 * nothing is there, null where the way leaves the file systems that answer by themselves: whoever
 * serves another can keep for ever whoever asks.
 * @param root how that root is reached
 */
export function localPathIn(pid: number, root: string, path: string): string | undefined | null {
  const rest = path.split('/')
  let at = ''
  try {
    for (let hops = 0; rest.length > 0; ) {
      const name = rest.shift()!
      if (name === '' || name === '.') continue
      if (name === '..') {
        at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
        continue
      }
      const next = `${at}/${name}`
      if (!isLocalPath(pid, next)) return null
      if (!lstatSync(`${root}${next}`).isSymbolicLink()) {
        at = next
        continue
      }
      if (++hops > LINK_HOPS) return null
      const to = readlinkSync(`${root}${next}`)
      if (to.startsWith('/')) at = ''
      rest.unshift(...to.split('/'))
    }
  } catch {
    // Nothing there, or gone.
    return undefined
  }
  return at === '' ? '/' : at
}
