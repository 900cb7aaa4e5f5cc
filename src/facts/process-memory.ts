/**
 * Searches what a process has in memory for phrases of a protocol, whatever language it is written in.
 *
 * What leaves here is the one phrase that was found, never the memory around it. Bounded by the
 * caller; the stack and the heap come first.
 *
 * Reading a page that is not in memory waits for the file system that provides it. Nothing is read
 * that an ordinary user can provide: no program on a file system of a user's own (FUSE), and no
 * anonymous memory where users may answer the kernel's page faults (userfaultfd; off by default
 * since Linux 5.11).
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { isLocalPath, procLink, procText } from './proc-files.ts'

const PIECE_BYTES = 262_144
/** A phrase may lie across two pieces. */
const OVERLAP_BYTES = 64

/**
 * @param isEnough gets the memory a piece at a time, as Latin-1, until it says so
 * @param bytesMax so much is read at most
 * @param of the program's own file, too: not only what it writes to
 */
export function searchMemory(
  pid: number,
  bytesMax: number,
  isEnough: (text: string) => boolean,
  of: { readonly program: boolean },
): void {
  let memory: number | undefined
  try {
    memory = openSync(`/proc/${pid}/mem`, constants.O_RDONLY)
    const piece = Buffer.alloc(PIECE_BYTES + OVERLAP_BYTES)
    let left = bytesMax
    for (const { from, to } of readableOf(pid, of.program)) {
      for (let at = from; at < to && left > 0; at += PIECE_BYTES) {
        const length = Math.min(piece.length, to - at)
        if (isEnough(piece.toString('latin1', 0, read(memory, piece, length, at)))) return
        left -= length
      }
      if (left <= 0) return
    }
  } catch {
    // Gone, or of a kind that cannot be read.
  } finally {
    if (memory !== undefined) closeSync(memory)
  }
}

function readableOf(pid: number, withProgram: boolean): Region[] {
  const program = withProgram ? procLink(pid, 'exe') : undefined
  const isLocal = program !== undefined && isLocalPath(pid, program)
  return regionsOf(procText(pid, 'maps') ?? '', {
    program: isLocal ? program : undefined,
    // Absent in kernels without userfaultfd.
    anonymous: procText('self', '../sys/vm/unprivileged_userfaultfd', 16)?.trim() !== '1',
  })
}

interface Region {
  readonly from: number
  readonly to: number
}

/**
 * Memory that a process writes to, and its own program; libraries are others' text.
 * @param text of /proc/PID/maps
 * @param of which of them may be read
 */
export function regionsOf(
  text: string,
  of: { readonly program: string | undefined; readonly anonymous: boolean },
): Region[] {
  const regions: (Region & { readonly rank: number })[] = []
  for (const line of text.split('\n')) {
    const fields = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)\s*(.*)$/.exec(line)
    if (fields === null) continue
    const [, from, to, rights, inode, path] = fields as unknown as string[]
    const isOwn = of.program !== undefined && path === of.program
    const isAnonymous = of.anonymous && inode === '0' && rights!.startsWith('rw')
    if (!rights!.startsWith('r') || !(isOwn || isAnonymous)) continue
    const rank = path === '[stack]' ? 0 : path === '[heap]' ? 1 : isOwn ? 2 : 3
    // Addresses of user space fit a float's 53 bits.
    regions.push({ from: Number.parseInt(from!, 16), to: Number.parseInt(to!, 16), rank })
  }
  return regions.sort((a, b) => a.rank - b.rank || a.to - a.from - (b.to - b.from))
}

/** @returns bytes read; none where nothing is mapped */
function read(memory: number, into: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, into, 0, length, at)
  } catch {
    return 0
  }
}
