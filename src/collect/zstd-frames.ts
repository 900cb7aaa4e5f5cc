/**
 * Whether a .zst file holds its last frame to the end (RFC 8878, section 3). Only headers are read:
 * a few bytes for each 128 KiB, so that asking costs nothing beside unpacking.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const MAGIC = 0xfd2fb528
const SKIPPABLE = 0x184d2a50
const RLE_BLOCK = 1

export function isWholeZstd(path: string): boolean {
  const descriptor = openSync(path, 'r')
  try {
    const size = fstatSync(descriptor).size
    const read = reader(descriptor)
    let at = 0
    while (at < size) {
      const magic = read(at, 4)
      if ((magic & ~15) >>> 0 === SKIPPABLE) at += 8 + read(at + 4, 4)
      else if (magic === MAGIC) at = frameEnd(read, at, size)
      else return false
    }
    return at === size
  } finally {
    closeSync(descriptor)
  }
}

function frameEnd(
  read: (at: number, length: number) => number,
  from: number,
  size: number,
): number {
  const descriptor = read(from + 4, 1)
  const isSingle = (descriptor & 0x20) !== 0
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!
  let at = from + 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes
  for (;;) {
    if (at + 3 > size) return Number.POSITIVE_INFINITY
    const block = read(at, 3)
    at += 3 + (((block >> 1) & 3) === RLE_BLOCK ? 1 : block >> 3)
    if ((block & 1) !== 0) return at + ((descriptor & 4) !== 0 ? 4 : 0)
  }
}

/** Little-endian numbers of the file; 0 where it has ended. */
function reader(descriptor: number): (at: number, length: number) => number {
  const bytes = new Uint8Array(4)
  const view = new DataView(bytes.buffer)
  return (at, length) => {
    bytes.fill(0)
    readSync(descriptor, bytes, 0, length, at)
    return view.getUint32(0, true)
  }
}
