/**
 * The allow rules as one small JSON document: `agent allow` writes it, the running agent reads it every few seconds.
 * At the limit a new rule is refused, because dropping an old one silently would bring its alerts back.
 */
import { type AllowRule, isSameCause, parseAllowRule } from '../domain/allow.ts'
import { ALLOW_RULES_MAX } from '../domain/limits.ts'
import type { LocalFile } from './local-file.ts'

const NAME = 'allow'

export class AllowStore {
  readonly #file: LocalFile

  constructor(file: LocalFile) {
    this.#file = file
  }

  list(): AllowRule[] {
    return this.#file.read((database) => {
      const row = database
        .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
        .get(NAME)
      return row === undefined ? [] : parseRules(new TextDecoder().decode(row.body))
    }, [])
  }

  /** @returns false at the limit of rules, or if the write failed */
  put(rule: AllowRule): boolean {
    const rules = [...this.list().filter((old) => !isSameCause(old, rule)), rule]
    return rules.length <= ALLOW_RULES_MAX && this.#write(rules)
  }

  /** @returns how many rules were removed */
  remove(name: string, of: string | undefined): number {
    const rules = this.list()
    const left = rules.filter(
      (rule) => rule.name !== name || (of !== undefined && rule.class !== of),
    )
    return left.length < rules.length && this.#write(left) ? rules.length - left.length : 0
  }

  #write(rules: readonly AllowRule[]): boolean {
    const body = new TextEncoder().encode(JSON.stringify(rules))
    return this.#file.write((database) => {
      database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)').run(NAME, body)
    })
  }
}

function parseRules(text: string): AllowRule[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value.flatMap((rule) => parseAllowRule(rule) ?? []) : []
  } catch {
    return []
  }
}
