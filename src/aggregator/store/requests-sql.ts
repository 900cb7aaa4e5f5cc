/**
 * What `agent fetch-windows` asks hosts, and what they answered, in SQL that SQLite and PostgreSQL
 * both understand. Kept for minutes: who asked reads the answer and writes it where it is wanted.
 */
import { WINDOWS_REQUEST_S, WINDOWS_REQUESTS_MAX } from '../../domain/limits.ts'
import type { RunQuery } from './incident-sql.ts'

export interface OpenRequest {
  readonly nonce: string
  readonly site: string
  readonly host: string
  /** As it is published, with its signature. */
  readonly body: string
}

export class RequestsSql {
  readonly #query: RunQuery
  readonly #table: string

  /** @param prefix of the table's name */
  constructor(query: RunQuery, prefix: string) {
    this.#query = query
    this.#table = `${prefix}requests`
  }

  /** @param now Unix seconds @returns false where too many wait */
  async put({ nonce, site, host, body }: OpenRequest, now: number): Promise<boolean> {
    await this.#query(`DELETE FROM ${this.#table} WHERE made < ? RETURNING nonce`, [
      now - WINDOWS_REQUEST_S,
    ])
    const [counted] = await this.#query<{ waiting: number }>(
      `SELECT CAST(count(*) AS integer) AS waiting FROM ${this.#table}`,
      [],
    )
    if (counted!.waiting >= WINDOWS_REQUESTS_MAX) return false
    await this.#query(
      `INSERT INTO ${this.#table} (nonce, site, host, made, body, answer)
       VALUES (?, ?, ?, ?, ?, '') RETURNING nonce`,
      [nonce, site, host, now, body],
    )
    return true
  }

  /** Those that no host has answered. @param now Unix seconds */
  open(now: number): Promise<OpenRequest[]> {
    return this.#query<OpenRequest>(
      `SELECT nonce, site, host, body FROM ${this.#table} WHERE answer = '' AND made >= ?`,
      [now - WINDOWS_REQUEST_S],
    )
  }

  /** @returns false where this host was not asked so, or has answered */
  async answer(
    { nonce, site, host }: Omit<OpenRequest, 'body'>,
    answer: string,
    now: number,
  ): Promise<boolean> {
    const taken = await this.#query(
      `UPDATE ${this.#table} SET answer = ?
       WHERE nonce = ? AND site = ? AND host = ? AND answer = '' AND made >= ? RETURNING nonce`,
      [answer, nonce, site, host, now - WINDOWS_REQUEST_S],
    )
    return taken.length > 0
  }

  /** @returns undefined as long as there is none; it is removed then */
  async take(nonce: string): Promise<string | undefined> {
    const [found] = await this.#query<{ answer: string }>(
      `DELETE FROM ${this.#table} WHERE nonce = ? AND answer <> '' RETURNING answer`,
      [nonce],
    )
    return found?.answer
  }

  /** Nobody waits for it any more. */
  async drop(nonce: string): Promise<void> {
    await this.#query(`DELETE FROM ${this.#table} WHERE nonce = ? RETURNING nonce`, [nonce])
  }
}
