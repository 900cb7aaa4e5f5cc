/**
 * The ledger as a JSON document, saved every few seconds and at the end, so that `agent status` can
 * show it while the agent runs and after it ended, also by kill -9. Its content is opaque here.
 */
import { parseJson, reading } from '../domain/untrusted.ts'
import type { LocalFile } from './local-file.ts'

const NAME = 'ledger'

export interface SavedLedger {
  /** Unix ms of the save. */
  readonly savedAtMs: number
  readonly pid: number
  /** The agent shut down cleanly after this save. */
  readonly ended: boolean
  readonly ledger: unknown
}

export class LedgerStore {
  readonly #file: LocalFile

  constructor(file: LocalFile) {
    this.#file = file
  }

  put(saved: SavedLedger): boolean {
    const body = new TextEncoder().encode(JSON.stringify(saved))
    return this.#file.write((database) => {
      database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)').run(NAME, body)
    })
  }

  get(): SavedLedger | undefined {
    return this.#file.read((database) => {
      const row = database
        .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
        .get(NAME)
      return row === undefined ? undefined : parseSaved(new TextDecoder().decode(row.body))
    }, undefined)
  }
}

function parseSaved(text: string): SavedLedger | undefined {
  const read = reading(() => {
    const saved = parseJson(text)
    return {
      savedAtMs: saved.integer('savedAtMs'),
      pid: saved.integer('pid'),
      ended: saved.or('ended', false, (ended) => ended.oneOf([true, false])),
      ledger: saved.raw('ledger'),
    }
  })
  return read.ok ? read.value : undefined
}
