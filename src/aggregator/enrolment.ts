/**
 * Lets hosts in: a small certificate authority, in the store with everything else. Whoever has a
 * one-time token gets a certificate for its host and site; a host renews it with the key that signs
 * its messages. From then on the broker asks for the certificate (mTLS), and its common name says
 * whom a client may act for.
 *
 * A revoked certificate is refused by the embedded broker within seconds, on connections that stand,
 * too. Other brokers take the list (`agent aggregate crl`).
 */
import { createHash, randomBytes } from 'node:crypto'
import { hostname, networkInterfaces } from 'node:os'
import { AgentError } from '../domain/error.ts'
import {
  AUTHORITY_MS,
  CERTIFICATE_MS,
  CERTIFICATE_NAME_CHARS_MAX,
  ENROLMENT_CLOCK_OFF_S,
  RENEWAL_LATE_S,
  REQUEST_BYTES_MAX,
  REVOKED_LOOK_EVERY_MS,
  SERVER_CERTIFICATE_MS,
} from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import { signerOf } from '../platform/identity.ts'
import type { Log } from '../platform/log.ts'
import {
  type Authority,
  fingerprint,
  isPublicKeyInfo,
  issue,
  makeAuthority,
  makeKeyPair,
  revocationList,
} from '../platform/x509.ts'
import {
  AUTHORITY_PATH,
  decodeEnrolmentRequest,
  ENROL_PATH,
  type EnrolmentAnswer,
  type EnrolmentRequest,
  RENEW_PATH,
  readToken,
  showToken,
} from '../wire/enrolment-message.ts'
import { detachSignature } from '../wire/signed.ts'
import { isTopicPart } from '../wire/topics.ts'
import { Periodic } from './periodic.ts'
import type { Named, Store } from './store/store.ts'

/** Clocks of hosts may be behind. */
const BACKDATED_MS = 86_400_000
const TIDY_EVERY_S = 3_600
const REFUSAL_TOLD_EVERY_MS = 60_000

export interface EnrolmentParts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly aggregatorKey: string
}

/** What an HTTP request is answered with. */
export interface EnrolmentReply {
  readonly status: number
  readonly type: 'application/json' | 'application/x-pem-file'
  readonly body: string
}

export class Enrolment {
  readonly authority: Authority
  /** As hosts are told it; known when the broker is. */
  broker = ''
  readonly #parts: EnrolmentParts
  readonly #looks: Periodic
  #revoked: ReadonlySet<string> = new Set()
  #tidiedAt = 0
  /** When a reason for a refusal was last told; there are a dozen. */
  readonly #toldAt = new Map<string, number>()

  /** @throws where the store does not say who is revoked: without that no host is let in */
  static async open(parts: EnrolmentParts): Promise<Enrolment> {
    const authority = await authorityOf(parts.store, parts.clock.now())
    const enrolment = new Enrolment(authority, parts)
    try {
      await enrolment.#look()
    } catch (cause) {
      await enrolment.close()
      throw cause
    }
    return enrolment
  }

  private constructor(authority: Authority, parts: EnrolmentParts) {
    this.authority = authority
    this.#parts = parts
    // What was known holds.
    this.#looks = new Periodic(
      () => this.#look(),
      REVOKED_LOOK_EVERY_MS,
      (cause, isFirst) =>
        isFirst && parts.log.warn('Cannot read which hosts are revoked', { why: String(cause) }),
    )
  }

  close(): Promise<void> {
    return this.#looks.close()
  }

  /** For listeners without a certificate of the operator's. */
  serverCertificate(names: readonly string[]): { readonly cert: string; readonly key: string } {
    const now = this.#parts.clock.now()
    const { key, publicKey } = makeKeyPair()
    const all = [...new Set([...names, ...ownNames()])]
    const span = { from: now - BACKDATED_MS, until: now + SERVER_CERTIFICATE_MS }
    const { certificate } = issue(this.authority, {
      ...{
        ...span,
        publicKey,
        names: all,
        commonName: all[0]!.slice(0, CERTIFICATE_NAME_CHARS_MAX),
      },
    })
    return { cert: certificate, key }
  }

  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial.toLowerCase())
  }

  /** Reads which certificates are revoked. */
  look(): Promise<void> {
    return this.#looks.run()
  }

  async #look(): Promise<void> {
    const { store, clock } = this.#parts
    const now = Math.floor(clock.now() / 1000)
    const rows = await store.enrolment.revoked(now)
    this.#revoked = new Set(rows.map(({ serial }) => serial))
    if (now - this.#tidiedAt < TIDY_EVERY_S) return
    await store.enrolment.tidy(now)
    this.#tidiedAt = now
  }

  static isPath(path: string): boolean {
    return [ENROL_PATH, RENEW_PATH, AUTHORITY_PATH].includes(path)
  }

  /** @returns undefined where there is nothing of that name */
  async answer(
    method: string,
    path: string,
    body: Uint8Array,
  ): Promise<EnrolmentReply | undefined> {
    if (method === 'GET' && path === AUTHORITY_PATH)
      return { status: 200, type: 'application/x-pem-file', body: this.authority.certificate }
    if (method !== 'POST' || path === AUTHORITY_PATH) return undefined
    const given = await (path === ENROL_PATH ? this.#enrol(body) : this.#renew(body))
    if (typeof given !== 'string')
      return { status: 201, type: 'application/json', body: JSON.stringify(given) }
    this.#tellRefusal(given)
    const error = { code: given, message: `The certificate is not issued: ${given}` }
    return { status: 403, type: 'application/json', body: JSON.stringify({ error }) }
  }

  /** Anybody may ask, so each reason is told now and then only; all are counted. */
  #tellRefusal(reason: string): void {
    const now = this.#parts.clock.monotonic()
    if (now - (this.#toldAt.get(reason) ?? Number.NEGATIVE_INFINITY) < REFUSAL_TOLD_EVERY_MS) return
    this.#toldAt.set(reason, now)
    this.#parts.log.warn('A certificate was not issued', { reason })
  }

  /** @returns the answer, or why there is none */
  async #enrol(body: Uint8Array): Promise<EnrolmentAnswer | string> {
    const asked = this.#read(body)
    if (typeof asked === 'string') return asked
    const { request, key } = asked
    const { store, clock, log } = this.#parts
    const token = readToken(request.token ?? '')
    if (token === undefined) return 'no-token'
    const now = Math.floor(clock.now() / 1000)
    const used = await store.enrolment.useToken(hashOf(token.secret), request.host, now)
    if (used === undefined) return 'unknown-token'
    const of = { site: used.site, host: request.host }
    if (!isNameable(of)) return 'name-too-long'
    if (used.host === '*') {
      // A token for any host is for none that is there already or was shut out, nor for a reader of
      // all of them.
      const [pinned = ''] = await store.keysOf([of])
      const isTaken = pinned !== '' && pinned !== key
      if (of.host.startsWith('@') || isTaken || (await store.enrolment.wasRevoked(of)))
        return 'needs-own-token'
    }
    // A token for this host stands for a person: where it had another key, this is the new one.
    await store.acceptKey(of, key)
    log.info('Enrolled', { ...of, key })
    return this.#issue(of, request)
  }

  /** With the key that is pinned for the host, and not after a revocation. */
  async #renew(body: Uint8Array): Promise<EnrolmentAnswer | string> {
    const asked = this.#read(body)
    if (typeof asked === 'string') return asked
    const { request, key } = asked
    const { store, clock, log } = this.#parts
    const { site, host, time } = request
    if (site === undefined) return 'no-site'
    const now = Math.floor(clock.now() / 1000)
    // Whoever kept an old request gets nothing by it but a certificate for a key that he lacks.
    if (Math.abs(time - now) > ENROLMENT_CLOCK_OFF_S) return 'clock-off'
    const [pinned = ''] = await store.keysOf([{ site, host }])
    if (pinned !== key) return 'other-key'
    if (!(await store.enrolment.isEnrolled({ site, host }, now - RENEWAL_LATE_S)))
      return 'not-enrolled'
    log.info('Certificate renewed', { site, host })
    return this.#issue({ site, host }, request)
  }

  #read(body: Uint8Array): { request: EnrolmentRequest; key: string } | string {
    const { payload, signature } = detachSignature(body, undefined)
    const decoded = decodeEnrolmentRequest(payload, REQUEST_BYTES_MAX)
    if (!decoded.ok) return decoded.reason
    const key = signature === undefined ? undefined : signerOf(payload, signature)
    if (key === undefined) return 'bad-signature'
    if (!isPublicKeyInfo(Buffer.from(decoded.value.publicKey, 'base64'))) return 'bad-key'
    return { request: decoded.value, key }
  }

  async #issue({ site, host }: Named, { publicKey }: EnrolmentRequest): Promise<EnrolmentAnswer> {
    const { broker } = this
    const { store, clock, aggregatorKey } = this.#parts
    const now = clock.now()
    const until = now + CERTIFICATE_MS
    const { serial, certificate } = issue(this.authority, {
      ...{ commonName: `${site}/${host}`, publicKey: Buffer.from(publicKey, 'base64') },
      ...{ from: now - BACKDATED_MS, until },
    })
    const expires = Math.floor(until / 1000)
    await store.enrolment.putCertificate({ serial, site, host, expires })
    const authority = this.authority.certificate
    return { site, host, certificate, authority, broker, aggregatorKey, expires }
  }
}

export function authorityOf(store: Store, nowMs: number): Promise<Authority> {
  return store.enrolment.authority(() =>
    makeAuthority('Callsign fleet', nowMs - BACKDATED_MS, nowMs + AUTHORITY_MS),
  )
}

/** @returns a token, which is stored nowhere */
export async function makeToken(
  store: Store,
  { site, host }: Named,
  uses: number,
  lifeMs: number,
  nowMs: number,
): Promise<string> {
  if (!isTopicPart(site) || !isTopicPart(host))
    throw new AgentError('ERR_USAGE', 'Cannot make a token without the host that may enrol', {
      hint: "agent aggregate token SITE/HOST, or 'SITE/*' with --uses N for N hosts that are new",
    })
  if (host !== '*' && !isNameable({ site, host }))
    throw new AgentError(
      'ERR_USAGE',
      `Cannot enrol "${site}/${host}": a certificate names at most ${CERTIFICATE_NAME_CHARS_MAX} characters`,
    )
  const secret = randomBytes(32).toString('hex')
  const expires = Math.floor((nowMs + lifeMs) / 1000)
  await store.enrolment.putToken({ hash: hashOf(secret), site, host, uses, expires })
  const { certificate } = await authorityOf(store, nowMs)
  return showToken(secret, fingerprint(certificate))
}

/** PEM, for brokers that are not our own. */
export async function revokedList(store: Store, nowMs: number, lifeMs: number): Promise<string> {
  const rows = await store.enrolment.revoked(Math.floor(nowMs / 1000))
  const list = rows.map(({ serial, revoked }) => ({ serial, at: revoked * 1000 }))
  return revocationList(await authorityOf(store, nowMs), list, nowMs - BACKDATED_MS, nowMs + lifeMs)
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** A common name has a bound [RFC 5280, ub-common-name]. */
function isNameable({ site, host }: Named): boolean {
  return `${site}/${host}`.length <= CERTIFICATE_NAME_CHARS_MAX
}

/** Under which this host can be asked for. */
function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address).filter((address) => !address.includes('%')),
  )
  return [hostname(), 'localhost', '127.0.0.1', '::1', ...addresses.slice(0, 64)]
}
