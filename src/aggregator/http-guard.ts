/**
 * Who may ask, and who may change something.
 *
 * The Host header must be an address, this host's name or one that was given; on a loopback
 * address, its name. Otherwise any page in the operator's browser could read the fleet by giving
 * its own name a second address (DNS rebinding).
 *
 * A browser repeats HTTP Basic credentials by itself, also in a request that another site makes. A
 * request that changes something is therefore answered only where the browser says that our own
 * page made it (`Sec-Fetch-Site`, or `Origin` from older ones), and only as JSON, which no form can
 * send. A program sends neither header and is let through: it has to know the password.
 */
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { Authenticate } from './access.ts'

export interface Login {
  readonly name: string
  /** Names that begin with `@` read and change nothing. */
  readonly mayAct: boolean
}

/**
 * @param address where the attempt comes from: wrong passwords are slowed by address
 * @returns `missing` where no login was given
 */
export async function loginOf(
  authenticate: Authenticate,
  request: Request,
  address: string,
): Promise<Login | 'missing' | 'wrong'> {
  const [, encoded] = /^Basic ([\w+/=-]+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  if (encoded === undefined) return 'missing'
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return 'wrong'
  const name = await authenticate(text.slice(0, colon), text.slice(colon + 1), address)
  return name === undefined ? 'wrong' : { name, mayAct: !isReader(name) }
}

function isReader(name: string): boolean {
  return name.slice(name.indexOf('/') + 1).startsWith('@')
}

/** Whether another site made the request. */
export function isCrossSite(request: Request): boolean {
  const site = request.headers.get('sec-fetch-site')
  if (site !== null) return site !== 'same-origin'
  const origin = request.headers.get('origin')
  return origin !== null && URL.parse(origin)?.host !== request.headers.get('host')
}

export function isJson(request: Request): boolean {
  return /^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')
}

/** @param host an address to listen at, not a header */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/**
 * @param names under which the page is served beyond loopback, beside addresses and the host's own
 * @param loopback the server listens on a loopback address
 */
export function isServedName(
  names: readonly string[],
  loopback: boolean,
  header: string | null,
): boolean {
  const name = (header ?? '').replace(/:\d+$/, '').toLowerCase()
  if (name === 'localhost' || name === '[::1]' || isLoopback(name)) return true
  if (loopback) return false
  const own = hostname().toLowerCase()
  return (
    isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 ||
    name === own ||
    name === own.split('.')[0] ||
    names.some((one) => one.toLowerCase() === name)
  )
}
