/** Which checks share a boot: starting a machine takes longer than many a check. */
import { CHECKS, type Check } from './checks.ts'
import { type Machine, machineOf } from './machines.ts'

/** Checks that run one after the other in the same boot, or one check of several boots. */
export interface Group {
  readonly machine: Machine
  readonly checks: readonly Check[]
}

/**
 * @param words checks (`conservation`), checks of one machine (`conservation@trixie`), all of one
 *   machine (`@trixie`), or `all`
 * @throws Error for a check or a machine that there is none of
 */
export function groupsOf(words: readonly string[]): Group[] {
  const wanted = new Set(words.flatMap((word) => pairsOf(word)))
  const groups: { machine: Machine; checks: Check[] }[] = []
  const machines = new Set([...wanted].map((pair) => pair.slice(pair.indexOf('@') + 1)))
  for (const machine of machines)
    for (const check of CHECKS) {
      if (!wanted.has(`${check.name}@${machine}`)) continue
      const shared = groups.find(
        ({ machine: { name }, checks: [first] }) =>
          name === machine && first !== undefined && canShare(first, check),
      )
      if (shared === undefined) groups.push({ machine: machineOf(machine), checks: [check] })
      else shared.checks.push(check)
    }
  return groups
}

function pairsOf(word: string): string[] {
  const [name = '', only] = word.split('@')
  const named = CHECKS.filter((check) => name === '' || name === 'all' || check.name === name)
  if (named.length === 0) throw new Error(`No check "${name}"; "scripts/vm/run list" shows them`)
  if (only === undefined)
    return named.flatMap((check) => check.machines.map((machine) => `${check.name}@${machine}`))
  const { name: machine } = machineOf(only)
  // A check that is named may be tried where it usually is not.
  return named
    .filter((check) => named.length === 1 || check.machines.includes(machine))
    .map((check) => `${check.name}@${machine}`)
}

function canShare(a: Check, b: Check): boolean {
  const isOneBoot = a.scripts.length === 1 && b.scripts.length === 1
  return isOneBoot && JSON.stringify(a.boot) === JSON.stringify(b.boot)
}
