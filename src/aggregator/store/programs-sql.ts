/**
 * Programs by the first host that showed one of that name, in SQL that SQLite and PostgreSQL both
 * understand.
 */
import type { RunQuery } from './incident-sql.ts'

export interface FirstSeen {
  readonly site: string
  readonly name: string
  readonly host: string
  /** Unix seconds by the aggregator's clock. */
  readonly first: number
}

export class ProgramsSql {
  readonly #query: RunQuery
  readonly #prefix: string

  /** @param prefix of the table's name */
  constructor(query: RunQuery, prefix: string) {
    this.#query = query
    this.#prefix = prefix
  }

  /** All names, `site/name`. */
  async names(): Promise<string[]> {
    const rows = await this.#query<Pick<FirstSeen, 'site' | 'name'>>(
      `SELECT site, name FROM ${this.#prefix}programs`,
      [],
    )
    return rows.map(({ site, name }) => `${site}/${name}`)
  }

  /** Unless another aggregator has seen it. @returns whether it is new */
  async put({ site, name, host, first }: FirstSeen): Promise<boolean> {
    const put = await this.#query(
      `INSERT INTO ${this.#prefix}programs (site, name, host, first) VALUES (?, ?, ?, ?)
       ON CONFLICT (site, name) DO NOTHING RETURNING first`,
      [site, name, host, first],
    )
    return put.length > 0
  }

  /** The newest first. */
  newest(limit: number): Promise<FirstSeen[]> {
    return this.#query<FirstSeen>(
      `SELECT site, name, host, CAST(first AS float) AS first FROM ${this.#prefix}programs
       ORDER BY first DESC, site, name LIMIT ?`,
      [limit],
    )
  }

  /** Since when names are gathered, Unix seconds; undefined where there are none. */
  async since(): Promise<number | undefined> {
    const [found] = await this.#query<{ first: number | null }>(
      `SELECT CAST(min(first) AS float) AS first FROM ${this.#prefix}programs`,
      [],
    )
    return found?.first ?? undefined
  }
}
