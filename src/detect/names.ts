/**
 * Names in detection: the key of a name in the baseline, and names that claim nothing.
 *
 * The memory's key forgets what changes without meaning: versions (`python3.11`, `php-fpm8.2`),
 * numbers of workers (`nsd: server 1`), and the names that systemd gives a child between fork and
 * exec (`(sd-executor)`, `(time-dir)`, on newer systems bare numbers). Classes have alias rules of
 * their own, in the model's manifest.
 */

/**
 * Children of systemd that have not become their program yet: the second that they last says
 * nothing of it.
 */
const BEFORE_EXEC = '(…)'

export function memoryName(name: string): string {
  if (/^\(.*\)?$|^\d+$/.test(name)) return BEFORE_EXEC
  const stem = name.replace(/[-_. ]?v?\d[\d.]*$/, '')
  return stem === '' ? name : stem
}

export function isBeforeExec(name: string): boolean {
  return memoryName(name) === BEFORE_EXEC
}

/**
 * Names that claim no behaviour. That of a child before its exec is one: it says nothing of what
 * follows, and any process may keep such a name.
 */
export function claimsNothing(name: string): boolean {
  return isInterpreter(name) || isBeforeExec(name)
}

const INTERPRETERS =
  /^(python|pypy|perl|ruby|lua|luajit|php|java|bash|sh|dash|ash|zsh|ksh|fish|tcsh|busybox|tclsh|awk|gawk|mawk|env|sudo|su|timeout|xargs)[\d.]*$/

/**
 * Names that many programs share: an interpreter or a shell behaves like what it runs. Such a name
 * claims no behaviour, so it is never a masquerade nor strange; a malicious behaviour under it is
 * still non-grata.
 */
export function isInterpreter(name: string): boolean {
  return INTERPRETERS.test(name)
}
