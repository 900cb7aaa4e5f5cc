/**
 * Keeps the host's baseline (`detect/memory.ts`) as bytes over a restart. A checksum precedes them:
 * a truncated baseline is discarded.
 */
import type { LocalFile } from './local-file.ts'

const HEAD_BYTES = 4

export class HostMemoryStore {
  readonly #file: LocalFile
  readonly #name: string

  constructor(file: LocalFile, name: string) {
    this.#file = file
    this.#name = name
  }

  /** @returns false if the write failed; the baseline stays in memory and is written again later */
  put(bytes: Uint8Array): boolean {
    const body = new Uint8Array(HEAD_BYTES + bytes.byteLength)
    body.set(bytes, HEAD_BYTES)
    new DataView(body.buffer).setUint32(0, Bun.hash.crc32(bytes), true)
    return this.#file.write((database) => {
      database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)').run(this.#name, body)
    })
  }

  /** @returns undefined if there is none, or its checksum is wrong */
  get(): Uint8Array | undefined {
    return this.#file.read((database) => {
      const row = database
        .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
        .get(this.#name)
      if (row === undefined || row.body.byteLength < HEAD_BYTES) return undefined
      const { buffer, byteOffset, byteLength } = row.body
      const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice(HEAD_BYTES)
      const checksum = new DataView(buffer, byteOffset, byteLength).getUint32(0, true)
      return checksum === Bun.hash.crc32(bytes) ? bytes : undefined
    }, undefined)
  }
}
