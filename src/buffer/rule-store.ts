/**
 * What the operator decided, as one small JSON document a kind: what is allowed, and severities. A
 * command writes it, the running agent reads it again every few seconds. Bounded: at the bound a
 * new rule is refused, for no old one may be dropped without a word.
 */
import type { LocalFile } from './local-file.ts'

export interface RuleKind<Rule> {
  /** Of the document. */
  readonly name: string
  readonly max: number
  /** Undefined where a stored value is no rule. */
  parse(value: unknown): Rule | undefined
  /** Two rules about the same: the newer takes the older's place. */
  isSame(a: Rule, b: Rule): boolean
}

export class RuleStore<Rule> {
  readonly #file: LocalFile
  readonly #kind: RuleKind<Rule>

  constructor(file: LocalFile, kind: RuleKind<Rule>) {
    this.#file = file
    this.#kind = kind
  }

  list(): Rule[] {
    return this.#file.read((database) => {
      const row = database
        .prepare<{ body: Uint8Array }>('SELECT body FROM documents WHERE name = ?')
        .get(this.#kind.name)
      return row === undefined ? [] : this.#parse(new TextDecoder().decode(row.body))
    }, [])
  }

  /** @returns false where there is no room, or the disk refused */
  put(rule: Rule): boolean {
    const rules = [...this.list().filter((old) => !this.#kind.isSame(old, rule)), rule]
    return rules.length <= this.#kind.max && this.#write(rules)
  }

  /** @returns the rules that went; none where the disk refused */
  remove(goes: (rule: Rule) => boolean): Rule[] {
    const rules = this.list()
    const gone = rules.filter(goes)
    return gone.length > 0 && this.#write(rules.filter((rule) => !gone.includes(rule))) ? gone : []
  }

  #write(rules: readonly Rule[]): boolean {
    const body = new TextEncoder().encode(JSON.stringify(rules))
    return this.#file.write((database) => {
      database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)').run(this.#kind.name, body)
    })
  }

  #parse(text: string): Rule[] {
    try {
      const value: unknown = JSON.parse(text)
      return Array.isArray(value) ? value.flatMap((rule) => this.#kind.parse(rule) ?? []) : []
    } catch {
      return []
    }
  }
}
