/**
 * How bytes from the broker become values: every field is looked at once, here, and nowhere else.
 *
 * Whoever can publish to the broker can send anything: a payload that is not what its topic promises is a
 * value with a reason, never an exception in the caller. Strings come out safe for terminals and pages
 * (`safeName`) and no longer than asked. Unknown fields are ignored, so that an older aggregator
 * understands a newer agent.
 */
import { safeName } from '../domain/process.ts'

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** Thrown by the readers below and caught by `decoding`; never leaves this room. */
class Refusal extends Error {}

export function decoding<T>(read: () => T): Decoded<T> {
  try {
    return { ok: true, value: read() }
  } catch (error) {
    return { ok: false, reason: error instanceof Refusal ? error.message : 'not-readable' }
  }
}

export function refuse(reason: string): never {
  throw new Refusal(reason)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function parseJson(payload: Uint8Array, bytesMax: number): Fields {
  if (payload.byteLength > bytesMax) refuse('too-long')
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(payload))
  } catch {
    refuse('not-json')
  }
  return new Fields(value, '')
}

/** One object of a payload; each reader names the field that it refuses. */
export class Fields {
  readonly #object: object
  readonly #path: string

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      refuse(path === '' ? 'not-an-object' : `bad-field(${path})`)
    }
    this.#object = value
    this.#path = path
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name)
  }

  /** Own properties only: `__proto__` and its kind are ordinary, absent names. */
  raw(name: string): unknown {
    return this.has(name) ? Reflect.get(this.#object, name) : undefined
  }

  bad(name: string): never {
    refuse(`bad-field(${this.#path}${name})`)
  }

  version(wanted: number): void {
    if (this.raw('v') !== wanted) refuse('unknown-version')
  }

  text(name: string, charsMax: number, { empty = false } = {}): string {
    return toText(this.raw(name), charsMax, empty) ?? this.bad(name)
  }

  integer(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    return toInteger(this.raw(name), min, max) ?? this.bad(name)
  }

  number(name: string, min: number, max: number): number {
    return toNumber(this.raw(name), min, max) ?? this.bad(name)
  }

  oneOf<const T extends string | boolean>(name: string, values: readonly T[]): T {
    const value = this.raw(name)
    return values.find((known) => known === value) ?? this.bad(name)
  }

  list(name: string, lengthMax: number): readonly unknown[] {
    const value = this.raw(name)
    if (!Array.isArray(value) || value.length > lengthMax) return this.bad(name)
    return value
  }

  object(name: string): Fields {
    return new Fields(this.raw(name), `${this.#path}${name}.`)
  }

  /** Counts by reason: at most `entriesMax` short names with whole numbers. */
  counts(name: string, entriesMax: number): Record<string, number> {
    const value = this.raw(name)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.bad(name)
    const entries = Object.entries(value)
    if (entries.length > entriesMax) return this.bad(name)
    const counts: [string, number][] = []
    for (const [key, count] of entries) {
      const reason = toText(key, 64, false)
      const number = toInteger(count, 0, Number.MAX_SAFE_INTEGER)
      if (reason === undefined || number === undefined) return this.bad(name)
      counts.push([reason, number])
    }
    return Object.fromEntries(counts)
  }
}

export function toText(value: unknown, charsMax: number, empty: boolean): string | undefined {
  if (typeof value !== 'string' || value.length > charsMax) return undefined
  if (value === '' && !empty) return undefined
  return safeName(value.toWellFormed())
}

export function toInteger(value: unknown, min: number, max: number): number | undefined {
  return Number.isSafeInteger(value) ? toNumber(value, min, max) : undefined
}

export function toNumber(value: unknown, min: number, max: number): number | undefined {
  return typeof value === 'number' && value >= min && value <= max ? value : undefined
}
