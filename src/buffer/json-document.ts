/**
 * One JSON value under a name in the local store. Its content is opaque here: who wrote it checks
 * it when it comes back.
 */
import type { LocalFile } from './local-file.ts'

export class JsonDocument {
  readonly #file: LocalFile
  readonly #name: string

  constructor(file: LocalFile, name: string) {
    this.#file = file
    this.#name = name
  }

  /** @returns false where the disk refused */
  put(value: unknown): boolean {
    const body = new TextEncoder().encode(JSON.stringify(value))
    return this.#file.write((database) => {
      database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)').run(this.#name, body)
    })
  }

  /** Undefined where there is none, or it is no JSON. */
  get(): unknown {
    return this.#file.read((database) => {
      const row = database
        .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
        .get(this.#name)
      if (row === undefined) return undefined
      try {
        return JSON.parse(new TextDecoder().decode(row.body)) as unknown
      } catch {
        return undefined
      }
    }, undefined)
  }
}
