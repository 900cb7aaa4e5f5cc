/**
 * The fleet's authority, one-time tokens and issued certificates, in SQL that SQLite and PostgreSQL
 * both understand.
 */
import { RENEWAL_LATE_S } from '../../domain/limits.ts'
import type { Authority } from '../../platform/x509.ts'
import type { RunQuery } from './incident-sql.ts'

/** A host by its whole name. */
type Named = { readonly site: string; readonly host: string }

/** Lets so many hosts of a site enrol. */
export interface EnrolmentToken {
  /** SHA-256 of the token, hex. */
  readonly hash: string
  readonly site: string
  /** One host, or '*' for any of the site. */
  readonly host: string
  readonly uses: number
  /** Unix seconds. */
  readonly expires: number
}

export interface IssuedCertificate extends Named {
  /** Hex. */
  readonly serial: string
  /** Unix seconds. */
  readonly expires: number
}

export class EnrolmentSql {
  readonly #query: RunQuery
  readonly #prefix: string

  /** @param prefix of the tables' names */
  constructor(query: RunQuery, prefix: string) {
    this.#query = query
    this.#prefix = prefix
  }

  /** The authority; the first request makes it. */
  async authority(make: () => Authority): Promise<Authority> {
    const read = () =>
      this.#query<Authority>(`SELECT key, certificate FROM ${this.#prefix}authority`, [])
    const [known] = await read()
    if (known !== undefined) return known
    const { key, certificate } = make()
    await this.#query(
      `INSERT INTO ${this.#prefix}authority (one, key, certificate) VALUES (1, ?, ?)
       ON CONFLICT DO NOTHING RETURNING one`,
      [key, certificate],
    )
    return (await read())[0]!
  }

  putToken({ hash, site, host, uses, expires }: EnrolmentToken): Promise<void> {
    return this.#put('tokens', { hash, site, host, uses, expires })
  }

  /** @returns what it was for, where the token lets this host enrol; it has one use less then */
  async useToken(hash: string, host: string, now: number): Promise<Named | undefined> {
    const [used] = await this.#query<Named>(
      `UPDATE ${this.#prefix}tokens SET uses = uses - 1
       WHERE hash = ? AND uses > 0 AND expires > ? AND host IN ('*', ?) RETURNING site, host`,
      [hash, now, host],
    )
    return used
  }

  putCertificate({ serial, site, host, expires }: IssuedCertificate): Promise<void> {
    return this.#put('certificates', { serial, site, host, expires, revoked: 0 })
  }

  /**
   * Also those that are over: with one of them, the host could renew.
   * @returns how many certificates they were
   */
  async revoke({ site, host }: Named, now: number): Promise<number> {
    const revoked = await this.#query(
      `UPDATE ${this.#prefix}certificates SET revoked = ?
       WHERE site = ? AND host = ? AND revoked = 0 RETURNING serial`,
      [now, site, host],
    )
    return revoked.length
  }

  /** Whether certificates of the host were revoked, as far back as is remembered. */
  async wasRevoked({ site, host }: Named): Promise<boolean> {
    const rows = await this.#query(
      `SELECT serial FROM ${this.#prefix}certificates
       WHERE site = ? AND host = ? AND revoked > 0 LIMIT 1`,
      [site, host],
    )
    return rows.length > 0
  }

  /** Certificates that are revoked and would be valid otherwise. */
  revoked(now: number): Promise<{ readonly serial: string; readonly revoked: number }[]> {
    return this.#query(
      `SELECT serial, CAST(revoked AS double precision) AS revoked
       FROM ${this.#prefix}certificates WHERE revoked > 0 AND expires > ? ORDER BY serial`,
      [now],
    )
  }

  /** Whether the host has a certificate that is valid, or was until a short while ago. */
  async isEnrolled({ site, host }: Named, since: number): Promise<boolean> {
    const rows = await this.#query(
      `SELECT serial FROM ${this.#prefix}certificates
       WHERE site = ? AND host = ? AND revoked = 0 AND expires > ? LIMIT 1`,
      [site, host, since],
    )
    return rows.length > 0
  }

  /** Everything into another store, which may have an authority of its own. */
  async copyTo(other: EnrolmentSql): Promise<void> {
    const [authority] = await this.#query<Authority>(
      `SELECT key, certificate FROM ${this.#prefix}authority`,
      [],
    )
    if (authority === undefined) return
    await other.authority(() => authority)
    const tokens = await this.#query<EnrolmentToken>(
      `SELECT hash, site, host, CAST(uses AS double precision) AS uses,
         CAST(expires AS double precision) AS expires FROM ${this.#prefix}tokens`,
      [],
    )
    for (const { hash, site, host, uses, expires } of tokens)
      await other.#put('tokens', { hash, site, host, uses, expires })
    const certificates = await this.#query<IssuedCertificate & { readonly revoked: number }>(
      `SELECT serial, site, host, CAST(expires AS double precision) AS expires,
         CAST(revoked AS double precision) AS revoked FROM ${this.#prefix}certificates`,
      [],
    )
    for (const { serial, site, host, expires, revoked } of certificates)
      await other.#put('certificates', { serial, site, host, expires, revoked })
  }

  /** What is there already stays. */
  async #put(table: string, row: Readonly<Record<string, string | number>>): Promise<void> {
    const columns = Object.keys(row)
    await this.#query(
      `INSERT INTO ${this.#prefix}${table} (${columns.join(', ')})
       VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING RETURNING site`,
      Object.values(row),
    )
  }

  /** Tokens that are over, and certificates that cannot be renewed any more. */
  async tidy(now: number): Promise<void> {
    await this.#query(`DELETE FROM ${this.#prefix}tokens WHERE expires < ? RETURNING hash`, [now])
    await this.#query(
      `DELETE FROM ${this.#prefix}certificates WHERE expires < ? RETURNING serial`,
      [now - RENEWAL_LATE_S],
    )
  }
}
