/**
 * A host's certificate: asked for once with a token (`agent enrol`), and renewed with the host's own
 * key before it ends, by the running agent. What is needed for that stands in `tls/` of the state
 * directory; the private key never leaves it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { RENEW_BELOW_SHARE, RENEW_LOOK_EVERY_MS } from '../domain/limits.ts'
import { problemText } from '../domain/untrusted.ts'
import { openIdentity } from '../platform/identity.ts'
import type { Log } from '../platform/log.ts'
import { fingerprint, isPair, makeKeyPair, validityOf } from '../platform/x509.ts'
import { hostSecret } from '../settings/host-secret.ts'
import { actAsOwner, requireOwnState } from '../settings/state-directory.ts'
import {
  AUTHORITY_PATH,
  decodeEnrolmentAnswer,
  ENROL_PATH,
  type EnrolmentAnswer,
  type EnrolmentRequest,
  RENEW_PATH,
  readToken,
  SAME_HOST,
} from '../wire/enrolment-message.ts'
import { attachSignature } from '../wire/signed.ts'

export interface Enrolled {
  readonly site: string
  readonly host: string
  readonly broker: string
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly aggregatorKey: string
  /** Unix seconds. */
  readonly expires: number
}

interface Kept {
  readonly url: string
  readonly site: string
  readonly host: string
}

const TIMEOUT_MS = 20_000

/** @throws AgentError where the aggregator is another one than the token's, or refuses */
export async function enrol(
  state: string,
  url: string,
  token: string,
  host: string,
  nowMs: number,
): Promise<Enrolled> {
  const read = readToken(token)
  if (read === undefined)
    throw new AgentError('ERR_INPUT', 'Cannot enrol: the token file holds no token', {
      hint: 'The aggregator makes one with "agent aggregate token SITE/HOST"',
    })
  if (!url.startsWith('https://'))
    throw new AgentError('ERR_USAGE', `Cannot enrol at "${url}": it is not an https:// address`, {
      hint: 'The address of the page of an aggregator that runs with --enrol',
    })
  actAsOwner(state)
  requireOwnState(state)
  const base = url.replace(/\/+$/, '')
  const authority = await readAuthority(base, read.fingerprint)
  const pair = makeKeyPair()
  const request = { v: 1, host, ...asked(pair.publicKey, nowMs), token } as const
  const answer = await ask(state, `${base}${ENROL_PATH}`, authority, request)
  return keep(state, { url: base, site: answer.site, host: answer.host }, pair.key, answer)
}

/**
 * Renews it if it ends soon, or if a crash between the two left a key and a certificate that do not
 * belong together. @returns whether it did
 */
export async function renewIfDue(state: string, nowMs: number): Promise<boolean> {
  const kept = readKept(state)
  if (kept === undefined) return false
  const files = filesIn(state)
  const certificate = readFileSync(files.cert, 'utf8')
  if (isPair(certificate, readFileSync(files.key, 'utf8'))) {
    const { from, until } = validityOf(certificate)
    if (until - nowMs > (until - from) * RENEW_BELOW_SHARE) return false
  }
  const authority = readFileSync(files.ca, 'utf8')
  const pair = makeKeyPair()
  const { site, host } = kept
  const request = { v: 1, site, host, ...asked(pair.publicKey, nowMs) } as const
  keep(state, kept, pair.key, await ask(state, `${kept.url}${RENEW_PATH}`, authority, request))
  return true
}

/** Looks now and then, as long as the agent runs; the next connection uses what is new. */
export function keepRenewed(
  state: string,
  now: () => number,
  log: Log,
  everyMs: number = RENEW_LOOK_EVERY_MS,
): () => void {
  if (readKept(state) === undefined) return () => {}
  const look = () =>
    renewIfDue(state, now()).then(
      (renewed) => renewed && log.info('The certificate of this host was renewed'),
      (error) => log.warn('Cannot renew the certificate of this host', { why: String(error) }),
    )
  const timer = setInterval(look, everyMs)
  timer.unref()
  void look()
  return () => clearInterval(timer)
}

/** The authority by its fingerprint: before that is known nothing secret is sent. */
async function readAuthority(base: string, wanted: string): Promise<string> {
  const response = await request(`${base}${AUTHORITY_PATH}`, { tls: { rejectUnauthorized: false } })
  const text = response.ok ? await response.text() : ''
  let found: string | undefined
  try {
    found = fingerprint(text)
  } catch {
    // Nothing that is a certificate.
  }
  if (found === wanted) return text
  throw new AgentError(
    'ERR_SIGNATURE',
    `Cannot enrol at "${base}": it is not the aggregator that made the token`,
    { hint: 'Check the address; a proxy that ends TLS cannot be used here' },
  )
}

async function ask(
  state: string,
  url: string,
  authority: string,
  message: EnrolmentRequest,
): Promise<EnrolmentAnswer> {
  const payload = new TextEncoder().encode(JSON.stringify(message))
  const { sign } = openIdentity(hostSecret(state, 'host.key'))
  const response = await request(url, {
    method: 'POST',
    body: attachSignature(payload, sign(payload)),
    headers: { 'content-type': 'application/json' },
    tls: { ca: authority },
  })
  const text = await response.text()
  if (response.status !== 201)
    throw new AgentError('ERR_INPUT', `The aggregator refuses: ${reasonIn(text)}`, {
      hint: 'A token holds for its host, for a time and for so many hosts; "agent aggregate token" makes another',
    })
  const answer = decodeEnrolmentAnswer(text)
  if (answer.ok) return answer.value
  throw new AgentError('ERR_INPUT', `Cannot read the answer of "${url}": ${problemText(answer)}`)
}

async function request(url: string, options: RequestInit & { tls: object }): Promise<Response> {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) } as RequestInit)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AgentError('ERR_BROKER', `Cannot reach "${url}": ${why}`, { cause })
  }
}

function asked(publicKey: Uint8Array, nowMs: number) {
  const time = Math.floor(nowMs / 1000)
  return { publicKey: Buffer.from(publicKey).toString('base64'), time }
}

function reasonIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } }
    return String(error?.message ?? 'no reason is given').slice(0, 200)
  } catch {
    return 'no reason is given'
  }
}

function filesIn(state: string) {
  const at = (name: string) => join(state, 'tls', name)
  return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem'), about: at('enrolment.json') }
}

function keep(state: string, kept: Kept, key: string, answer: EnrolmentAnswer): Enrolled {
  const files = filesIn(state)
  mkdirSync(join(state, 'tls'), { recursive: true, mode: 0o700 })
  // Certificate and key are two files: whoever reads between the two fails once, and tries again.
  write(files.key, key)
  write(files.cert, answer.certificate)
  write(files.ca, answer.authority)
  write(files.about, `${JSON.stringify(kept)}\n`)
  const { site, host, aggregatorKey, expires } = answer
  const broker = answer.broker.replace(SAME_HOST, new URL(kept.url).hostname)
  return {
    site,
    host,
    broker,
    ca: files.ca,
    cert: files.cert,
    key: files.key,
    aggregatorKey,
    expires,
  }
}

function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function readKept(state: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(filesIn(state).about, 'utf8')) as Kept
  } catch {
    return undefined
  }
}
