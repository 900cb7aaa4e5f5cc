/**
 * The host's own alerts, newest state of each, for `agent alerts` and `agent explain`. Bounded: beyond
 * ALERTS_KEPT_MAX those that were heard of longest ago go, counted.
 */
import type { Alert } from '../domain/alert.ts'
import { ALERTS_KEPT_MAX } from '../domain/limits.ts'
import type { LocalFile } from './local-file.ts'

export class AlertStore {
  readonly #file: LocalFile
  readonly #alertsMax: number
  #evicted = 0

  constructor(file: LocalFile, alertsMax: number = ALERTS_KEPT_MAX) {
    this.#file = file
    this.#alertsMax = alertsMax
  }

  /** @returns false where the disk refused */
  put(alerts: readonly Alert[]): boolean {
    if (alerts.length === 0) return true
    let evicted = 0
    const stored = this.#file.write((database) => {
      const insert = database.prepare('INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)')
      for (const alert of alerts) insert.run(alert.id, alert.time, JSON.stringify(alert))
      evicted = database
        .prepare(
          'DELETE FROM alerts WHERE id IN (SELECT id FROM alerts ORDER BY last DESC, id LIMIT -1 OFFSET ?)',
        )
        .run(this.#alertsMax).changes
    })
    if (stored) this.#evicted += evicted
    return stored
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
          .flatMap(({ body }) => parseStored(body) ?? []),
      [],
    )
  }

  /** By its id, or by the beginning of one where that is unambiguous. */
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
      return exact === undefined ? undefined : parseStored(exact.body)
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

/** Our own writing, from a file that only we can write; a body that is cut is no alert. */
function parseStored(body: string): Alert | undefined {
  try {
    return JSON.parse(body) as Alert
  } catch {
    return undefined
  }
}
