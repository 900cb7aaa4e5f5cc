/**
 * What the first kilobytes of a file look like, in numbers that can leave the reader: how even its
 * bytes are, and whether it begins as a known format does. Encrypted data is even and begins as
 * nothing known.
 *
 * Pure. It tells nothing of what the file holds.
 */

/**
 * Bits per byte above which a block of some kilobytes is as even as chance (4 KiB of chance have
 * 7.95).
 */
const EVEN_BITS = 7.8
/** Shorter blocks of chance are less even: with fewer bytes nothing is said. */
const BLOCK_BYTES_LEAST = 512

export type Content = 'plain' | 'format' | 'cipher' | 'short'

/** Beginnings of formats whose content is even by compression, or of any other known format. */
const BEGINNINGS: readonly (readonly [offset: number, bytes: string])[] = [
  [0, '\x1f\x8b'], // gzip
  [0, '\x1f\x9d'], // compress
  [0, 'BZh'],
  [0, '\xfd7zXZ\0'],
  [0, '\x28\xb5\x2f\xfd'], // zstd
  [0, '\x04\x22\x4d\x18'], // lz4
  [0, 'LZIP'],
  [0, '\x5d\0\0'], // lzma
  [0, '\x89LZO'],
  [0, '\xffLZ'],
  [0, '\xff\x06\0\0sNaPpY'],
  [0, 'PK\x03\x04'],
  [0, 'PK\x05\x06'],
  [0, '7z\xbc\xaf'],
  [0, 'Rar!'],
  [0, '\x89PNG'],
  [0, '\xff\xd8\xff'],
  [0, 'GIF8'],
  [0, 'RIFF'],
  [0, 'II*\0'],
  [0, 'MM\0*'],
  [0, '8BPS'],
  [4, 'ftyp'],
  [0, '\x1a\x45\xdf\xa3'], // matroska, webm
  [0, 'OggS'],
  [0, 'ID3'],
  [0, '\xff\xfb'],
  [0, '\xff\xf3'],
  [0, '\xff\xf1'],
  [0, 'fLaC'],
  [0, 'FLV'],
  [0, '\0\0\x01\xba'],
  [0, 'wOF2'],
  [0, 'wOFF'],
  [0, '%PDF'],
  [0, '\x7fELF'],
  [0, 'MZ'],
  [0, '\xca\xfe\xba\xbe'],
  [0, '!<arch>'],
  [0, 'SQLite format 3'],
  [0, 'PACK'],
  [0, 'DIRC'],
  [0, 'LUKS'],
  [0, 'hsqs'],
  [0, '\0GITCRYPT'],
  [0, 'QFI\xfb'],
  [0, '\xd0\xcf\x11\xe0'],
  [0, '\xef\xbb\xbf'],
  [257, 'ustar'],
]

/** Headers of encryption tools: cipher text that says so. */
const CIPHER_BEGINNINGS: readonly string[] = [
  'Salted__',
  'U2FsdGVkX1', // the same in base64
  'age-encryption.org/',
  '-----BEGIN PGP MESSAGE',
  '-----BEGIN AGE ENCRYPTED',
]

/** @param bytes the beginning of a file */
export function contentOf(bytes: Uint8Array): Content {
  const text = latin1(bytes.subarray(0, 512))
  if (CIPHER_BEGINNINGS.some((beginning) => text.startsWith(beginning))) return 'cipher'
  if (isLockedZip(text)) return 'cipher'
  if (isZlib(bytes)) return 'format'
  for (const [offset, beginning] of BEGINNINGS)
    if (text.startsWith(beginning, offset)) return 'format'
  if (bytes.length < BLOCK_BYTES_LEAST) return 'short'
  if (evenness(bytes) < evenBits(bytes.length)) return 'plain'
  // The header of a public-key packet is three bytes, which chance has as well: both are cipher
  // text.
  return 'cipher'
}

/** What a block from the middle of a file is: formats do not begin there. */
export function isEven(block: Uint8Array): boolean {
  return block.length >= BLOCK_BYTES_LEAST && evenness(block) >= evenBits(block.length)
}

/** Used again: a watch looks into hundreds of blocks. */
const counts = new Uint32Array(256)

/** Entropy of the bytes, in bits per byte: 0…8. */
export function evenness(bytes: Uint8Array): number {
  counts.fill(0)
  for (const byte of bytes) counts[byte]!++
  let bits = 0
  for (const count of counts) {
    if (count === 0) continue
    const share = count / bytes.length
    bits -= share * Math.log2(share)
  }
  return bits
}

/**
 * Chance of `length` bytes has about 8 − 255/(2·ln 2·length) bits; what lies well below is no
 * chance.
 */
function evenBits(length: number): number {
  return Math.min(EVEN_BITS, 8 - 255 / (2 * Math.LN2 * length) - 0.1)
}

/** A ZIP file whose first member has a password: bit 0 of its flags (APPNOTE 4.4.4). */
function isLockedZip(text: string): boolean {
  return text.startsWith('PK\x03\x04') && (text.charCodeAt(6) & 1) === 1
}

/** As 7z writes it at the end of an archive: the method is AES. */
const AES_OF_7Z = '\x06\xf1\x07\x01'

export function is7z(head: Uint8Array): boolean {
  return latin1(head.subarray(0, 4)) === '7z\xbc\xaf'
}

/** @param end of a 7z archive, its last bytes: whether it needs a password */
export function isLocked7z(end: Uint8Array): boolean {
  return latin1(end).includes(AES_OF_7Z)
}

/**
 * A zlib stream (git's objects, thumbnails, caches): the method, and a checksum over the two bytes.
 */
function isZlib(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 0
  const second = bytes[1] ?? 0
  const windowFits = first >> 4 <= 7
  const known = second === 0x01 || second === 0x5e || second === 0x9c || second === 0xda
  return (first & 0x0f) === 8 && windowFits && known && (first * 256 + second) % 31 === 0
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
