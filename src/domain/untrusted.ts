/**
 * How a value from outside (a file, a snapshot, a payload from the broker) becomes a value of ours:
 * each field is checked once, where it comes in, and nowhere else.
 *
 * `reading` never throws. It gives the value, or the first field that is wrong with what it is and
 * what it should be. Text comes out safe for terminals and pages (`safeName`) and no longer than
 * asked. Unknown fields do no harm: `Fields.rest()` hands them on, made safe, so that an older
 * reader stores and shows what a newer writer says.
 *
 * Parsers that look at every line of a capture use the two predicates at the end instead: no object
 * is made for a line.
 */
import { safeName } from './process.ts'

/** What is wrong, for people: `recipe.rate is "fast", it should be "none" or "quiet"`. */
export interface Problem {
  readonly field: string
  readonly is: string
  readonly should: string
}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  /** `reason` is one of few words, fit for a counter; `problem` is there where a field is wrong. */
  | { readonly ok: false; readonly reason: string; readonly problem?: Problem }

/** Thrown by the readers below and caught by `reading`; never leaves this file's callers. */
class Refusal extends Error {
  readonly problem: Problem | undefined
  constructor(reason: string, problem?: Problem) {
    super(reason)
    this.problem = problem
  }
}

export function reading<T>(read: () => T): Decoded<T> {
  try {
    return { ok: true, value: read() }
  } catch (error) {
    if (!(error instanceof Refusal)) return { ok: false, reason: 'not-readable' }
    const { message: reason, problem } = error
    return problem === undefined ? { ok: false, reason } : { ok: false, reason, problem }
  }
}

/** Within `reading` only. */
export function refuse(reason: string): never {
  throw new Refusal(reason)
}

/** What was refused, as the end of an error's message. */
export function problemText(refused: {
  readonly reason: string
  readonly problem?: Problem
}): string {
  const { reason, problem } = refused
  if (problem === undefined) return `it is ${reason.replaceAll('-', ' ').replace('json', 'JSON')}`
  return `${problem.field} is ${problem.is}, it should be ${problem.should}`
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The one object of a JSON text. Within `reading` only. */
export function parseJson(payload: Uint8Array | string, bytesMax = Infinity): Fields {
  if (payload.length > bytesMax) refuse('too-long')
  let value: unknown
  try {
    value = JSON.parse(typeof payload === 'string' ? payload : utf8.decode(payload))
  } catch {
    refuse('not-json')
  }
  return new Fields(value, '')
}

interface TextOptions {
  readonly empty?: boolean
}

/**
 * One value and where it stands, as `forest.weight` or `classes[2].name`. Within `reading` only.
 */
export class Field {
  readonly value: unknown
  readonly path: string

  constructor(value: unknown, path: string) {
    this.value = value
    this.path = path
  }

  /** @param should as it follows "it should be" */
  bad(should: string, is = show(this.value)): never {
    wrong(this.path, is, should)
  }

  text(charsMax: number, { empty = false }: TextOptions = {}): string {
    return (
      toText(this.value, charsMax, empty) ??
      this.bad(`text of ${empty ? 'at most' : '1 to'} ${charsMax} characters`)
    )
  }

  integer(min = 0, max = Number.MAX_SAFE_INTEGER): number {
    return toInteger(this.value, min, max) ?? this.bad(`a whole number from ${min} to ${max}`)
  }

  number(min: number, max: number): number {
    return toNumber(this.value, min, max) ?? this.bad(`a number from ${min} to ${max}`)
  }

  oneOf<const T extends string | number | boolean>(values: readonly T[]): T {
    return (
      values.find((known) => known === this.value) ??
      this.bad(values.map((known) => JSON.stringify(known)).join(' or '))
    )
  }

  list(lengthMax: number): readonly unknown[] {
    if (!Array.isArray(this.value)) return this.bad('a list')
    if (this.value.length > lengthMax)
      return this.bad(`at most ${lengthMax} long`, `${this.value.length} long`)
    return this.value
  }

  items(lengthMax: number): Field[] {
    return this.list(lengthMax).map((value, at) => new Field(value, `${this.path}[${at}]`))
  }

  /** Exactly so many. */
  exactly(length: number): Field[] {
    const items = this.items(length)
    return items.length === length ? items : this.bad(`${length} long`, `${items.length} long`)
  }

  record(): Readonly<Record<string, unknown>> {
    return isRecord(this.value) ? this.value : this.bad('an object')
  }

  object(): Fields {
    return new Fields(this.value, `${this.path}.`)
  }

  /** @param length of the bytes that the base64 text stands for */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const should = `${length} bytes in base64`
    if (typeof this.value !== 'string') return this.bad(should)
    const decoded = Uint8Array.from(Buffer.from(this.value, 'base64'))
    return decoded.length === length ? decoded : this.bad(should, `${decoded.length} bytes`)
  }

  /** Counts by reason: at most `entriesMax` short names with whole numbers. */
  counts(entriesMax: number): Record<string, number> {
    const entries = Object.entries(this.record())
    if (entries.length > entriesMax)
      return this.bad(`at most ${entriesMax} entries`, `${entries.length} entries`)
    const counts: [string, number][] = []
    for (const [key, count] of entries) {
      const reason = toText(key, 64, false)
      const number = toInteger(count, 0, Number.MAX_SAFE_INTEGER)
      if (reason === undefined || number === undefined)
        return this.bad('whole numbers from 0 by short names')
      counts.push([reason, number])
    }
    return Object.fromEntries(counts)
  }
}

/** One object; each reader names the field that it refuses. Within `reading` only. */
export class Fields {
  readonly #object: object
  readonly #path: string
  readonly #asked = new Set<string>()

  /** @param path with its dot, as `forest.`; empty for the outermost object */
  constructor(value: unknown, path: string) {
    if (!isRecord(value)) {
      if (path === '') refuse('not-an-object')
      wrong(path.slice(0, -1), show(value), 'an object')
    }
    this.#object = value
    this.#path = path
  }

  has(name: string): boolean {
    this.#asked.add(name)
    return Object.hasOwn(this.#object, name)
  }

  /** Own properties only: `__proto__` and its kind are ordinary, absent names. */
  raw(name: string): unknown {
    return this.has(name) ? Reflect.get(this.#object, name) : undefined
  }

  /** The fields that were not read, sanitised. Their size is bounded by that of the payload. */
  rest(): Record<string, unknown> {
    const left: [string, unknown][] = []
    for (const key of Object.keys(this.#object)) {
      if (this.#asked.has(key)) continue
      left.push([safeName(key), safeValue(Reflect.get(this.#object, key), REST_DEPTH)])
    }
    // Not by assignment: `__proto__` becomes an own field like any other.
    return Object.fromEntries(left)
  }

  field(name: string): Field {
    return new Field(this.raw(name), this.#path + name)
  }

  /** `fields.or('seed', 0, (seed) => seed.integer())`: the first where the field is absent. */
  or<T>(name: string, absent: T, read: (field: Field) => T): T {
    return this.has(name) ? read(this.field(name)) : absent
  }

  version(wanted: number): void {
    if (this.raw('v') !== wanted) refuse('unknown-version')
  }

  text(name: string, charsMax: number, options: TextOptions = {}): string {
    return this.field(name).text(charsMax, options)
  }

  integer(name: string, min?: number, max?: number): number {
    return this.field(name).integer(min, max)
  }

  number(name: string, min: number, max: number): number {
    return this.field(name).number(min, max)
  }

  flag(name: string): boolean {
    return this.field(name).oneOf([true, false])
  }

  oneOf<const T extends string | number | boolean>(name: string, values: readonly T[]): T {
    return this.field(name).oneOf(values)
  }

  list(name: string, lengthMax: number): readonly unknown[] {
    return this.field(name).list(lengthMax)
  }

  /** A list of objects; an absent one is empty. */
  objects(name: string, lengthMax: number): Fields[] {
    return this.or(name, [], (field) => field.items(lengthMax).map((item) => item.object()))
  }

  object(name: string): Fields {
    return this.field(name).object()
  }

  counts(name: string, entriesMax: number): Record<string, number> {
    return this.field(name).counts(entriesMax)
  }
}

/** How deep a field may nest that is handed on without being known. */
const REST_DEPTH = 6

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return safeName(value.toWellFormed())
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) return refuse('too-deep')
  if (Array.isArray(value)) return value.map((item) => safeValue(item, depth - 1))
  const entries = Object.entries(value).map(([key, item]) => [
    safeName(key),
    safeValue(item, depth - 1),
  ])
  return Object.fromEntries(entries)
}

/** Places in lists are for people; a counter gets one reason for all of them. */
function wrong(field: string, is: string, should: string): never {
  throw new Refusal(`bad-field(${field.replace(/\[\d+\]/g, '')})`, { field, is, should })
}

/** Cheap whatever it is: a hostile payload is not written out again. */
function show(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return 'a list'
  if (isRecord(value)) return 'an object'
  return safeName(JSON.stringify(typeof value === 'string' ? value.slice(0, 60) : value))
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

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A whole number from 0. */
export function isCount(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}
