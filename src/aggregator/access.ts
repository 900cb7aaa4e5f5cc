/**
 * Who may say and hear what at the embedded broker.
 *
 * Nobody but the aggregator itself publishes receipts or an aggregator's status; an agent hears receipts for one host at a
 * time and never a wildcard, so that no client reads along with the fleet. A name that is proven, by the
 * password file or a client certificate (its CN), is a host (`name`), a host of one site (`site/name`) or all
 * hosts of a site (`site/*`), and may act for these only; unproven, every client may act for any host.
 *
 * Password file: lines `name:secret`, `#` begins a comment. A secret that begins with `$` is a hash as
 * Bun.password makes it (argon2, bcrypt); anything else is the secret itself, and then nobody else may read the file.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  FLEET_MODEL_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  VERIFYING_MAX,
  VERIFYING_QUEUE_MAX,
} from '../domain/limits.ts'
import type { BrokerRules } from '../platform/mqtt/broker.ts'
import { isTopicPart, parseTopic } from '../wire/topics.ts'

export type Authenticate = (name: string, password: string) => Promise<string | undefined>

export function brokerRules(authenticate?: Authenticate): BrokerRules {
  return {
    ...defined({ authenticate }),
    mayPublish(identity, { topic, retain, bytes }) {
      const parsed = parseTopic(topic)
      if (parsed === undefined) return 'unknown-topic'
      if (!('host' in parsed)) {
        if (parsed.kind === 'aggregator-status') return 'forged-aggregator'
        if (bytes > FLEET_MODEL_BYTES_MAX) return 'too-long'
        return mayActFor(identity, parsed.site, undefined) ? undefined : 'not-your-topic'
      }
      if (parsed.kind === 'receipt') return 'forged-receipt'
      if (bytes > PAYLOAD_BYTES_MAX) return 'too-long'
      // An alert that is retained would be delivered again to everyone, for ever.
      if (retain && parsed.kind !== 'status') return 'not-to-be-retained'
      return mayActFor(identity, parsed.site, parsed.host) ? undefined : 'not-your-topic'
    },
    maySubscribe(identity, filter) {
      const parsed = parseTopic(filter)
      if (parsed === undefined) return 'wide-subscription'
      if (!('host' in parsed)) return isOfSite(identity, parsed.site) ? undefined : 'not-your-topic'
      if (parsed.kind !== 'receipt') return 'wide-subscription'
      return mayActFor(identity, parsed.site, parsed.host) ? undefined : 'not-your-topic'
    },
  }
}

/** @param host undefined asks for the whole site */
function mayActFor(identity: string | undefined, site: string, host: string | undefined): boolean {
  if (identity === undefined || identity === `${site}/*`) return true
  return host !== undefined && (identity === host || identity === `${site}/${host}`)
}

function isOfSite(identity: string | undefined, site: string): boolean {
  return identity === undefined || !identity.includes('/') || identity.startsWith(`${site}/`)
}

/** Reads a password file; names and secrets are checked at connect. */
export function readPasswordFile(path: string): Authenticate {
  const secrets = parsePasswords(path, readSecretFile(path))
  // A hash that has been verified once is not computed again at each reconnect of 20,000 hosts.
  const verified = new Map<string, string>()
  let verifying = 0
  const queue: (() => void)[] = []

  return async (name, password) => {
    const secret = secrets.get(name)
    if (secret === undefined) return undefined
    if (!secret.startsWith('$')) return same(secret, password) ? name : undefined
    const digest = sha256(password).toString('hex')
    if (verified.get(name) === digest) return name
    if (verifying >= VERIFYING_MAX) {
      if (queue.length >= VERIFYING_QUEUE_MAX) return undefined
      await new Promise<void>((resolve) => queue.push(resolve))
    }
    verifying++
    try {
      if (!(await Bun.password.verify(password, secret))) return undefined
      verified.set(name, digest)
      return name
    } finally {
      verifying--
      queue.shift()?.()
    }
  }
}

function readSecretFile(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if ((statSync(path).mode & 0o077) !== 0 && /^[^#\n:]+:[^$\n]/m.test(text))
      throw new AgentError('ERR_CONFIG', `Cannot use password file "${path}": others may read it`, {
        hint: `Run "chmod 600 ${path}"`,
      })
    return text
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('ERR_CONFIG', `Cannot read password file "${path}"`, {
      hint: 'Give a file with lines "name:secret"',
      cause,
    })
  }
}

function parsePasswords(path: string, text: string): Map<string, string> {
  const secrets = new Map<string, string>()
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const secret = line.slice(colon + 1).replace(/\r$/, '')
    if (
      colon < 1 ||
      secret === '' ||
      !name.split('/').every(isTopicPart) ||
      name.split('/').length > 2
    )
      throw new AgentError(
        'ERR_CONFIG',
        `Cannot read password file "${path}": line ${at + 1} is not "name:secret"`,
        { hint: 'A name is a host, "site/host" or "site/*"' },
      )
    secrets.set(name, secret)
  }
  return secrets
}

/** Equal in a time that does not tell how much of it was right. */
function same(wanted: string, given: string): boolean {
  return timingSafeEqual(sha256(wanted), sha256(given))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
