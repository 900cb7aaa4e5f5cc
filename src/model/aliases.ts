/**
 * Which class a presented name claims. Programs carry versions in their names (`php-fpm8.2` here,
 * `php-fpm8.4` on the next host) and some rename themselves; the rules are part of the manifest, so that a
 * model says itself what it takes for the same program.
 *
 * A rule is a plain text with at most a few `#`, each standing for a version (digits and dots), and at most
 * one `*` at its end. That is all: a rule from a hostile manifest must not be able to cost time.
 */
export interface AliasRule {
  readonly pattern: string
  readonly class: string
}

/** Rules that `agent train` gives to every model; a rule applies where its class exists. */
export const ALIAS_RULES: readonly AliasRule[] = [
  { pattern: 'php-fpm#', class: 'php-fpm' },
  { pattern: 'python#', class: 'python' },
  { pattern: 'ruby#', class: 'ruby' },
  { pattern: 'perl#', class: 'perl' },
  { pattern: 'lua#', class: 'lua' },
  { pattern: 'nodejs', class: 'node' },
  { pattern: 'postgres: *', class: 'postgres' },
  { pattern: 'nginx: *', class: 'nginx' },
  { pattern: 'sshd: *', class: 'sshd' },
  { pattern: 'sshd-session', class: 'sshd' },
  { pattern: 'sshd-auth', class: 'sshd' },
  { pattern: 'amavisd*', class: '/usr/sbin/amavi' },
  { pattern: '/usr/sbin/apach', class: 'apache2' },
  { pattern: 'httpd', class: 'apache2' },
  { pattern: 'mysqld', class: 'mariadbd' },
  { pattern: 'postgrey --*', class: 'postgrey --inet' },
  { pattern: 'prometheus-node', class: 'prometheus-node' },
  { pattern: 'nsd: *', class: 'nsd' },
  { pattern: 'stress-ng-*', class: 'stress-ng' },
]

/** True where `name` fits `pattern`. Linear in both. */
export function matchesAlias(pattern: string, name: string): boolean {
  let at = 0
  for (let i = 0; i < pattern.length; i++) {
    const want = pattern[i]!
    if (want === '*' && i === pattern.length - 1) return true
    if (want !== '#') {
      if (name[at] !== want) return false
      at++
      continue
    }
    if (!isDigit(name[at])) return false
    while (isDigit(name[at]) || name[at] === '.') at++
  }
  return at === name.length
}

/** The class name of a presented name: the first rule that fits, else the name itself. */
export function classNameOf(name: string, rules: readonly AliasRule[]): string {
  for (const rule of rules) if (matchesAlias(rule.pattern, name)) return rule.class
  return name
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9'
}
