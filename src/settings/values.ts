/**
 * Parsers of values from flags, variables and the settings file. Each throws an Error that says
 * what is wrong with the value; `loadSettings` adds where it came from.
 */
import { DURATION_MS_MAX, MAIL_ADDRESSES_MAX } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import { isPublicKey } from '../platform/identity.ts'

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`${JSON.stringify(value)} is not text`)
  if (value === '') throw new Error('it is empty')
  return value
}

export function topicLevel(value: unknown): string {
  const name = text(value)
  if (/[/+#]/.test(name) || safeName(name) !== name || name.length > 128)
    throw new Error(
      `"${name}" must be a part of a topic: at most 128 printable characters, none of / + #`,
    )
  return name
}

export function brokerUrl(value: unknown): string {
  const url = text(value)
  if (!/^mqtts?:\/\/([^/@:\s]+@)?[^/@\s]+$/.test(url.replace(/\/$/, '')))
    throw new Error(
      `"${url}" must be mqtt://HOST[:PORT] or mqtts://HOST[:PORT] (a password belongs in a file)`,
    )
  return url
}

export function oneOf<const T extends string>(...allowed: T[]): (value: unknown) => T {
  return (value) => {
    const found = allowed.find((word) => word === value)
    if (found === undefined)
      throw new Error(`${JSON.stringify(value)} must be one of ${allowed.join(', ')}`)
    return found
  }
}

export function between(min: number, max: number): (value: unknown) => number {
  return (value) => {
    const number = typeof value === 'number' ? value : Number(text(value))
    if (!(number >= min && number <= max))
      throw new Error(`${JSON.stringify(value)} must be a number from ${min} to ${max}`)
    return number
  }
}

/** Ed25519 public keys as `agent status` shows them, with commas between. */
export function publicKeys(value: unknown): readonly string[] {
  const keys = Array.isArray(value) ? value.map(text) : text(value).split(',')
  const wrong = keys.find((key) => !isPublicKey(key))
  if (wrong !== undefined)
    throw new Error(`"${wrong}" is not a public key: 43 characters, as "agent status" shows them`)
  return keys
}

/** `90`, `90s`, `10m`, `24h`, `7d`, `250ms` → ms. */
export function durationMs(value: unknown): number {
  const written = typeof value === 'number' ? String(value) : text(value)
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(written)
  if (match === null) throw new Error(`"${written}" is not a duration (30s, 10m, 24h, 7d)`)
  const unit = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[match[2] ?? 's']!
  const ms = Number(match[1]) * unit
  if (ms > DURATION_MS_MAX)
    throw new Error(`"${written}" is longer than ${DURATION_MS_MAX / 864e5} days`)
  return ms
}

/** Some of these words, with commas between. */
export function listOf<const T extends string>(...allowed: T[]): (value: unknown) => readonly T[] {
  const one = oneOf(...allowed)
  return (value) =>
    text(value)
      .split(',')
      .map((word) => one(word.trim()))
}

/** An address that requests can be sent to. */
export function webUrl(value: unknown): string {
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Error('not an address like https://HOST/PATH')
  return url.href
}

/** HOST:PORT of which only programs of this host can reach the host. */
export function loopbackAddress(value: unknown): string {
  const address = text(value)
  const [, host, port] = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\]):(\d{1,5})$/.exec(address) ?? []
  if (host === undefined || Number(port) > 65_535)
    throw new Error(`"${address}" must be a loopback address and a port, such as 127.0.0.1:8471`)
  return address
}

/** node_exporter reads files of that ending alone. */
export function promFile(value: unknown): string {
  const path = text(value)
  if (!path.endsWith('.prom')) throw new Error(`"${path}" must end in .prom`)
  return path
}

/** Addresses of mailboxes, with commas between; nothing that could end a line or a bracket. */
export function mailAddresses(value: unknown): readonly string[] {
  const addresses = (Array.isArray(value) ? value.map(text) : text(value).split(',')).map((one) =>
    one.trim(),
  )
  const wrong = addresses.find((one) => !/^[^\s@<>,;:"()\\[\]]+@[A-Za-z0-9.-]+$/.test(one))
  if (wrong !== undefined) throw new Error(`"${wrong}" is not an address like name@example.org`)
  if (addresses.length > MAIL_ADDRESSES_MAX)
    throw new Error(`${addresses.length} addresses are more than ${MAIL_ADDRESSES_MAX}`)
  return addresses
}
