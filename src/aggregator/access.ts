/**
 * Access rules of the embedded broker.
 *
 * Only the aggregator itself publishes receipts and an aggregator's status; an agent may subscribe
 * to receipts of single hosts and never with a wildcard, so no client can read the whole fleet. An
 * authenticated name (password file, or the CN of a client certificate) may act for one host or one
 * site:
 *
 *   web-1           the host web-1 of the aggregator's own site
 *   berlin/web-1    the host web-1 of the site berlin
 *   berlin/*        every host of the site berlin
 *   @grafana        reads every site, publishes nothing
 *   berlin/@grafana reads the site berlin, publishes nothing
 *
 * An unauthenticated client may send for a few hosts, so that one program cannot fill the store
 * with invented ones; use it on loopback and on fully trusted networks only.
 *
 * Password file: lines `name:secret`, `#` begins a comment. A secret that begins with `$` is a hash
 * as Bun.password makes it (argon2, bcrypt); anything else is the secret itself, and then no other
 * user may read the file. Wrong passwords are answered late, and later the more an address gives.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import {
  HOSTS_PER_ADDRESS_MAX,
  HOSTS_PER_CONNECTION_MAX,
  IDENTITIES_MAX,
  PAYLOAD_BYTES_MAX,
  SITES_PER_ADDRESS_MAX,
  STATUS_BYTES_MAX,
  VERIFYING_MAX,
  VERIFYING_QUEUE_MAX,
  WRONG_PASSWORD_MS,
  WRONG_PASSWORD_MS_MAX,
  WRONG_PASSWORDS_WAITING_MAX,
} from '../domain/limits.ts'
import type { BrokerRules, Peer } from '../platform/mqtt/broker-options.ts'
import { isTopicPart, parseTopic, TOPIC_ROOT } from '../wire/topics.ts'

/** @param address where the attempt comes from: wrong passwords are slowed by address */
export type Authenticate = (
  name: string,
  password: string,
  address: string,
) => Promise<string | undefined>

export interface AccessOptions {
  readonly authenticate?: Authenticate
  readonly isRevoked?: BrokerRules['isRevoked']
  /** The site of a name that names none. */
  readonly site?: string
}

export const DEFAULT_SITE = 'default'

export function brokerRules({
  authenticate,
  isRevoked,
  site: ownSite = DEFAULT_SITE,
}: AccessOptions = {}): BrokerRules {
  const unproven = new Unproven()
  const rightsOf = (peer: Peer) =>
    peer.identity === undefined ? undefined : readRights(peer.identity, ownSite)
  const mayActFor = (peer: Peer, site: string, host: string | undefined): string | undefined => {
    const rights = rightsOf(peer)
    if (rights === undefined) return unproven.refuse(peer, site, host)
    if (rights.reads || rights.site !== site) return 'not-your-topic'
    return rights.host === undefined || rights.host === host ? undefined : 'not-your-topic'
  }
  return {
    ...defined({ authenticate, isRevoked }),
    mayPublish(peer, { topic, retain, bytes }) {
      const parsed = parseTopic(topic)
      if (parsed === undefined) return 'unknown-topic'
      if (!('host' in parsed)) {
        // What a whole fleet shall do is the aggregator's to say (`agent policy push`).
        return parsed.kind === 'aggregator-status' ? 'forged-aggregator' : 'forged-fleet'
      }
      if (parsed.kind === 'receipt') return 'forged-receipt'
      if (parsed.kind === 'request') return 'forged-request'
      if (bytes > (parsed.kind === 'status' ? STATUS_BYTES_MAX : PAYLOAD_BYTES_MAX))
        return 'too-long'
      // An alert that is retained would be delivered again to everyone, for ever.
      if (retain && parsed.kind !== 'status') return 'not-to-be-retained'
      return mayActFor(peer, parsed.site, parsed.host)
    },
    maySubscribe(peer, filter) {
      const rights = rightsOf(peer)
      if (rights?.reads === true) return mayRead(rights.site, filter)
      const parsed = parseTopic(filter)
      if (parsed === undefined) return 'wide-subscription'
      if (!('host' in parsed))
        return rights === undefined
          ? unproven.refuse(peer, parsed.site, undefined)
          : rights.site === parsed.site
            ? undefined
            : 'not-your-topic'
      if (parsed.kind !== 'receipt' && parsed.kind !== 'request') return 'wide-subscription'
      return mayActFor(peer, parsed.site, parsed.host)
    },
  }
}

interface Rights {
  /** Undefined: every site (readers only). */
  readonly site: string | undefined
  /** Undefined: every host of the site. */
  readonly host: string | undefined
  readonly reads: boolean
}

function readRights(identity: string, ownSite: string): Rights {
  const slash = identity.indexOf('/')
  const name = identity.slice(slash + 1)
  if (name.startsWith('@'))
    return { site: slash < 0 ? undefined : identity.slice(0, slash), host: undefined, reads: true }
  const site = slash < 0 ? ownSite : identity.slice(0, slash)
  return { site, host: name === '*' && slash > 0 ? undefined : name, reads: false }
}

function mayRead(site: string | undefined, filter: string): string | undefined {
  const [root, version, wanted] = filter.split('/')
  if (`${root}/${version}` !== TOPIC_ROOT || wanted === undefined) return 'wide-subscription'
  return site === undefined || wanted === site ? undefined : 'not-your-topic'
}

/** What clients that proved nothing have named so far, by connection and by address. */
class Unproven {
  readonly #byPeer = new WeakMap<Peer, Set<string>>()
  readonly #byAddress = new Map<string, { hosts: Set<string>; sites: Set<string> }>()

  refuse(peer: Peer, site: string, host: string | undefined): string | undefined {
    let named = this.#byAddress.get(peer.address)
    if (named === undefined) {
      if (this.#byAddress.size >= IDENTITIES_MAX)
        this.#byAddress.delete(this.#byAddress.keys().next().value!)
      named = { hosts: new Set(), sites: new Set() }
      this.#byAddress.set(peer.address, named)
    }
    if (!fits(named.sites, site, SITES_PER_ADDRESS_MAX)) return 'too-many-sites'
    if (host === undefined) return undefined
    const key = `${site}/${host}`
    const own = this.#byPeer.get(peer) ?? new Set()
    this.#byPeer.set(peer, own)
    if (!fits(own, key, HOSTS_PER_CONNECTION_MAX)) return 'too-many-hosts'
    return fits(named.hosts, key, HOSTS_PER_ADDRESS_MAX) ? undefined : 'too-many-hosts'
  }
}

/** Adds, unless that would be one too many. */
function fits(set: Set<string>, value: string, most: number): boolean {
  if (set.has(value)) return true
  if (set.size >= most) return false
  set.add(value)
  return true
}

// --- Passwords -----------------------------------------------------------------------------------

/** Reads a password file; names and secrets are checked at connect. */
export function readPasswordFile(path: string): Authenticate {
  return slowed(authenticator(parsePasswords(path, readSecretFile(path))))
}

/**
 * One secret for one name, without a file: for a demonstration that begins and ends with its own
 * agents.
 */
export function singlePassword(name: string, secret: string): Authenticate {
  return slowed(authenticator(new Map([[name, secret]])))
}

type Verify = (name: string, password: string) => Promise<string | undefined>

/** A right password is answered at once; wrong ones wait, so that guessing takes its time. */
function slowed(
  verify: Verify,
  pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
): Authenticate {
  const wrong = new Map<string, { count: number; waiting: number }>()
  return async (name, password, address) => {
    const known = wrong.get(address)
    if (known !== undefined && known.waiting >= WRONG_PASSWORDS_WAITING_MAX) return undefined
    const identity = await verify(name, password)
    if (identity !== undefined) return identity
    if (wrong.size >= IDENTITIES_MAX) wrong.delete(wrong.keys().next().value!)
    const tries = wrong.get(address) ?? { count: 0, waiting: 0 }
    wrong.set(address, tries)
    tries.count++
    tries.waiting++
    await pause(
      Math.min(WRONG_PASSWORD_MS * 2 ** Math.min(10, tries.count >> 3), WRONG_PASSWORD_MS_MAX),
    )
    tries.waiting--
    if (tries.waiting === 0) tries.count >>= 1
    return undefined
  }
}

function authenticator(secrets: ReadonlyMap<string, string>): Verify {
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
      throw new AgentError(
        'ERR_CONFIG',
        `Cannot use password file "${path}": other users can read it`,
        {
          hint: `Run "chmod 600 ${path}"`,
        },
      )
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
        { hint: 'A name is a host, "site/host", "site/*", or "@name" for a reader' },
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
