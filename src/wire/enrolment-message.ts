/**
 * How a host asks its aggregator for a certificate, over HTTPS: a JSON object signed with the host's
 * own key (`sig` as its last member), and the answer. A token holds a secret and the fingerprint of
 * the authority, so that a host knows from the start whom it talks to.
 */
import { PEM_CHARS_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { type Decoded, parseJson, reading, refuse } from '../domain/untrusted.ts'
import { isHostName, isTopicPart } from './topics.ts'

export interface EnrolmentRequest {
  readonly v: 1
  readonly host: string
  /** SubjectPublicKeyInfo of the key that the certificate is for, base64. */
  readonly publicKey: string
  /** Unix seconds. */
  readonly time: number
  /** With a first certificate. */
  readonly token?: string
  /** With a renewal. */
  readonly site?: string
}

export interface EnrolmentAnswer {
  readonly site: string
  readonly host: string
  /** PEM. */
  readonly certificate: string
  readonly authority: string
  /** As `--broker` takes it; the name "ENROLLED" stands for that of the address that was asked. */
  readonly broker: string
  /** The key that signs receipts. */
  readonly aggregatorKey: string
  /** Unix seconds. */
  readonly expires: number
}

export const ENROL_PATH = '/api/v1/enrol'
export const RENEW_PATH = '/api/v1/renew'
export const AUTHORITY_PATH = '/api/v1/authority'
/** In place of a host name in the broker's address. */
export const SAME_HOST = 'ENROLLED'

const TOKEN = /^cs1\.([0-9a-f]{64})\.([0-9a-f]{64})$/

export function showToken(secret: string, fingerprint: string): string {
  return `cs1.${secret}.${fingerprint}`
}

export function readToken(
  text: string,
): { readonly secret: string; readonly fingerprint: string } | undefined {
  const [, secret, fingerprint] = TOKEN.exec(text) ?? []
  if (secret === undefined || fingerprint === undefined) return undefined
  return { secret, fingerprint }
}

/** @param payload without its signature */
export function decodeEnrolmentRequest(
  payload: Uint8Array,
  bytesMax: number,
): Decoded<EnrolmentRequest> {
  return reading(() => {
    const fields = parseJson(payload, bytesMax)
    fields.version(1)
    const host = fields.text('host', TOPIC_PART_CHARS_MAX)
    // `*` would stand for every host.
    if (!isHostName(host) || host === '*') refuse('bad-field(host)')
    const site = fields.or('site', undefined, (field) => field.text(TOPIC_PART_CHARS_MAX))
    if (site !== undefined && !isTopicPart(site)) refuse('bad-field(site)')
    const token = fields.or('token', undefined, (field) => field.text(256))
    return {
      ...{ v: 1 as const, host, publicKey: fields.text('publicKey', 512) },
      time: fields.integer('time'),
      ...(site === undefined ? {} : { site }),
      ...(token === undefined ? {} : { token }),
    }
  })
}

export function decodeEnrolmentAnswer(text: string): Decoded<EnrolmentAnswer> {
  return reading(() => {
    const fields = parseJson(text, 4 * PEM_CHARS_MAX)
    const pem = (name: string) => {
      // Line ends are part of it: not a text as it is shown.
      const value = fields.raw(name)
      if (typeof value !== 'string' || value.length > PEM_CHARS_MAX) refuse(`bad-field(${name})`)
      return value as string
    }
    return {
      site: fields.text('site', TOPIC_PART_CHARS_MAX),
      host: fields.text('host', TOPIC_PART_CHARS_MAX),
      certificate: pem('certificate'),
      authority: pem('authority'),
      broker: fields.text('broker', 512),
      aggregatorKey: fields.text('aggregatorKey', 64),
      expires: fields.integer('expires'),
    }
  })
}
