/**
 * Maps a presented name to the class it claims. Names contain versions (`php-fpm8.2` on one host,
 * `php-fpm8.4` on another) and some programs rename themselves; the rules are part of the manifest,
 * so that each model defines which names are the same program.
 *
 * A rule is plain text with at most a few `#`, each for a version (digits and dots), and at most
 * one `*` at its end. It is not a regular expression, so that a hostile manifest cannot cause slow
 * matching.
 */
export interface AliasRule {
  readonly pattern: string
  readonly class: string
}

/** Rules that `agent train` puts into every model whose classes they name. */
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

/** Whether `name` matches `pattern`. Linear in both. */
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

/** The class name of a presented name: by the first matching rule, else the name itself. */
export function classNameOf(name: string, rules: readonly AliasRule[]): string {
  for (const rule of rules) if (matchesAlias(rule.pattern, name)) return rule.class
  return name
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9'
}
