/**
 * The newest state of each alert of this host, for `agent alerts` and `agent explain`, and what the
 * detector must know about them after a restart, written in the same transaction. At most
 * ALERTS_KEPT_MAX alerts are kept; the least recently updated are evicted and counted.
 */
import type { Alert } from '../domain/alert.ts'
import { ALERTS_KEPT_MAX } from '../domain/limits.ts'
import type { Database } from '../platform/sqlite.ts'
import type { LocalFile } from './local-file.ts'

const COUNTS = 'alert-counts'

/** The detector's state of its alerts; plain JSON, opaque here. */
export interface BookRows {
  readonly causes: readonly { readonly alert: { readonly id: string } }[]
  readonly forgotten: readonly string[]
  readonly counts: unknown
}

export class AlertStore {
  readonly #file: LocalFile
  readonly #alertsMax: number
  #evicted = 0

  constructor(file: LocalFile, alertsMax: number = ALERTS_KEPT_MAX) {
    this.#file = file
    this.#alertsMax = alertsMax
  }

  /** @returns false if the write failed */
  put(alerts: readonly Alert[], book?: BookRows): boolean {
    if (alerts.length === 0 && book === undefined) return true
    let evicted = 0
    const stored = this.#file.write((database) => {
      const insert = database.prepare('INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)')
      for (const alert of alerts) insert.run(alert.id, alert.time, JSON.stringify(alert))
      evicted = database
        .prepare(
          'DELETE FROM alerts WHERE id IN (SELECT id FROM alerts ORDER BY last DESC, id LIMIT -1 OFFSET ?)',
        )
        .run(this.#alertsMax).changes
      if (book !== undefined) putBook(database, book)
    })
    if (stored) this.#evicted += evicted
    return stored
  }

  /** The detector's state as last written. */
  book(): { causes: unknown[]; counts: unknown } {
    return this.#file.read(
      (database) => {
        const causes = database.prepare<{ body: string }>('SELECT body FROM causes').all()
        const counts = database
          .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
          .get(COUNTS)
        return {
          causes: causes.flatMap(({ body }) => parseStored(body) ?? []),
          counts:
            counts === undefined ? undefined : parseStored(new TextDecoder().decode(counts.body)),
        }
      },
      { causes: [], counts: undefined },
    )
  }

  /** Newest first. */
  list({ limit = 100, before = Infinity }: { limit?: number; before?: number } = {}): Alert[] {
    return this.#file.read(
      (database) =>
        database
          .prepare<{ body: string }>(
            'SELECT body FROM alerts WHERE last < ? ORDER BY last DESC, id LIMIT ?',
          )
          .all(Math.min(before, Number.MAX_SAFE_INTEGER), Math.max(0, Math.floor(limit)))
          .flatMap(({ body }) => parseStored<Alert>(body) ?? []),
      [],
    )
  }

  /** By id, or by an unambiguous prefix of one. */
  get(id: string): Alert | undefined {
    return this.#file.read((database) => {
      const found = database
        .prepare<{ id: string; body: string }>(
          'SELECT id, body FROM alerts WHERE id >= ? ORDER BY id LIMIT 2',
        )
        .all(id)
        .filter((row) => row.id.startsWith(id))
      const exact =
        found.find((row) => row.id === id) ?? (found.length === 1 ? found[0] : undefined)
      return exact === undefined ? undefined : parseStored<Alert>(exact.body)
    }, undefined)
  }

  get count(): number {
    return this.#file.read(
      (database) =>
        database.prepare<{ n: number }>('SELECT count(*) AS n FROM alerts').get()?.n ?? 0,
      0,
    )
  }

  get evicted(): number {
    return this.#evicted
  }
}

function putBook(database: Database, { causes, forgotten, counts }: BookRows): void {
  const insert = database.prepare('INSERT OR REPLACE INTO causes VALUES (?, ?)')
  const remove = database.prepare('DELETE FROM causes WHERE id = ?')
  for (const cause of causes) insert.run(cause.alert.id, JSON.stringify(cause))
  for (const id of forgotten) remove.run(id)
  database
    .prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)')
    .run(COUNTS, new TextEncoder().encode(JSON.stringify(counts)))
}

/** Written by this agent in a file that only it can write; a truncated body is ignored. */
function parseStored<T = unknown>(body: string): T | undefined {
  try {
    return JSON.parse(body) as T
  } catch {
    return undefined
  }
}
