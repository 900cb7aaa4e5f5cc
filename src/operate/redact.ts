/**
 * Redacts private data in texts: host and site names, users, addresses, mail addresses, home
 * directories and what stands in URLs beside the scheme. The same word becomes the same token
 * everywhere, so that a report stays readable.
 *
 * It knows what it is told and what has a known shape. The names of programs stay: they are what a
 * report is about.
 */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s"'<>,]+/gi, 'address'],
  [/\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b/g, 'mail'],
  [/\b(?:\d{1,3}\.){3}\d{1,3}\b/g, 'ip'],
  // IPv6, and MAC addresses: two colons together, or five apart.
  [
    /(?<![\w:.])(?=[0-9a-f:]*::|(?:[0-9a-f]{1,4}:){5})[0-9a-f]{0,4}(?::{1,2}[0-9a-f]{1,4}){1,7}(?:::)?(?![\w:])/gi,
    'ip',
  ],
  [/\/(?:home|Users)\/[^/\s"':]+/g, 'home'],
  [/-----BEGIN [A-Z ]*KEY-----[\s\S]*?-----END [A-Z ]*KEY-----/g, 'key'],
]

export class Redactor {
  readonly #tokens = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  readonly #words: readonly (readonly [string, string])[]

  /** @param words what must not appear, by kind: host, site, user */
  constructor(words: Readonly<Record<string, readonly (string | undefined)[]>>) {
    this.#words = Object.entries(words)
      .flatMap(([kind, list]) => list.map((word) => [kind, word ?? ''] as const))
      .filter(([, word]) => word.length > 1)
      .sort((a, b) => b[1].length - a[1].length)
  }

  text(text: string): string {
    let out = text
    for (const [shape, kind] of SHAPES)
      out = out.replace(shape, (found) => this.#token(kind, found))
    for (const [kind, word] of this.#words)
      out = out.replaceAll(
        new RegExp(`(?<![A-Za-z0-9])${RegExp.escape(word)}(?![A-Za-z0-9])`, 'gi'),
        () => this.#token(kind, word),
      )
    return out
  }

  /** Every text in a value, keys included. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((item) => this.value(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [this.text(key), this.value(inner)]),
    )
  }

  #token(kind: string, found: string): string {
    const key = found.toLowerCase()
    const known = this.#tokens.get(key)
    if (known !== undefined) return known
    const number = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, number)
    const token = `<${kind}-${number}>`
    this.#tokens.set(key, token)
    return token
  }
}
