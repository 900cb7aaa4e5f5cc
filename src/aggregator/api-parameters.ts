/**
 * Query parameters of the API: each is known, given once and within its bounds, or the request is
 * refused. A misspelt filter must not give an answer that looks like no alerts.
 */
import { PAGE_ROWS_MAX, TOPIC_PART_CHARS_MAX } from '../domain/limits.ts'
import { isTopicPart } from '../wire/topics.ts'

/** The message names the parameter and what it may be. */
export class BadParameter extends Error {}

const LIMIT_DEFAULT = 100

/** One part of a path; undefined where its escapes are wrong. */
export function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

export class Parameters {
  readonly #given: URLSearchParams

  constructor(given: URLSearchParams, known: readonly string[]) {
    this.#given = given
    for (const name of given.keys()) {
      if (!known.includes(name))
        throw new BadParameter(`Unknown parameter: known here are ${known.join(', ')}`)
      if (given.getAll(name).length > 1) throw new BadParameter(`"${name}" is given twice`)
    }
  }

  limit(otherwise = LIMIT_DEFAULT): number {
    const text = this.#given.get('limit')
    return text === null ? otherwise : this.integer('limit', text, 1, PAGE_ROWS_MAX)
  }

  optional<const N extends string, T>(name: N, read: (text: string) => T): { [K in N]?: T } {
    return this.renamed(name, name, read)
  }

  renamed<const N extends string, T>(
    name: string,
    as: N,
    read: (text: string) => T,
  ): { [K in N]?: T } {
    const text = this.#given.get(name)
    return (text === null ? {} : { [as]: read(text) }) as { [K in N]?: T }
  }

  integer(name: string, text: string, min: number, max: number): number {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= min && value <= max))
      throw new BadParameter(`"${name}" must be a whole number from ${min} to ${max}`)
    return value
  }

  cursor(text: string, read: (text: string) => unknown): string {
    if (read(text) === undefined)
      throw new BadParameter('"after" must be a cursor that "next" gave')
    return text
  }

  part(name: string, text: string, charsMax = 2 * TOPIC_PART_CHARS_MAX): string {
    if (text.trim() === '' || text.length > charsMax)
      throw new BadParameter(`"${name}" must be a text of 1 to ${charsMax} characters`)
    return text
  }

  name(name: string, text: string, is: (text: string) => boolean): string {
    if (!is(text)) throw new BadParameter(`"${name}" cannot be a name here`)
    return text
  }

  oneOf<const T extends string>(name: string, text: string, values: readonly T[]): T {
    const found = values.find((value) => value === text)
    if (found === undefined) throw new BadParameter(`"${name}" must be one of ${values.join(', ')}`)
    return found
  }

  /** `site` and `host`, where given. */
  where(): { site?: string; host?: string } {
    return {
      ...this.optional('site', (text) => this.name('site', text, isTopicPart)),
      ...this.optional('host', (text) => this.name('host', text, isTopicPart)),
    }
  }

  /** One or more, separated by commas. */
  someOf<const T extends string>(name: string, text: string, values: readonly T[]): T[] {
    return text.split(',').map((one) => this.oneOf(name, one, values))
  }
}
