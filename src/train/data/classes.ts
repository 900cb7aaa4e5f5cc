/**
 * Chooses the classes of a model. A name (after the alias rules) with at least `windowsMin`
 * training windows is a class; rarer names are pooled in one class of other benign programs, so
 * that an unknown benign program is not assigned to the nearest malicious class. Each malicious
 * behaviour (behaviours.ts) is a class, however few windows it has; a malicious program without a
 * known behaviour is a class of its own.
 */
import { BEHAVIOURS } from '../../domain/behaviour.ts'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import type { ManifestClass } from '../../model/manifest.ts'
import { behaviourOf, TOOL_NAMES } from './behaviours.ts'
import type { Window } from './window.ts'

export const WINDOWS_MIN = 100
export const BACKGROUND = 'other programs'

/** Suffix of a malicious class's name if a benign program has the same name. */
const NON_GRATA = ' (non-grata)'

/** Interpreters and shells by class name: one name, many programs. */
export const GENERIC: ReadonlySet<string> = new Set(
  'bash sh dash zsh busybox python python3 perl ruby java node php lua awk mono dotnet'.split(' '),
)

export interface Classes {
  readonly list: readonly ManifestClass[]
  /** Index of a window's class, −1 for none. */
  of(window: Pick<Window, 'name' | 'malicious'>): number
}

export interface ClassOptions {
  readonly windowsMin?: number
  readonly background?: boolean
  /** Names that are pooled however many windows they have. */
  readonly pooled?: ReadonlySet<string>
  /** Only this many of the most frequent benign names [Paper V-A: 28]. */
  readonly most?: number
}

export function chooseClasses(training: readonly Window[], options: ClassOptions = {}): Classes {
  const windowsMin = options.windowsMin ?? WINDOWS_MIN
  const ordinary = new Map<string, number>()
  const malicious = new Map<string, number>()
  for (const { name, malicious: bad } of training) {
    const counts = bad ? malicious : ordinary
    const key = bad ? maliciousKey(name) : name
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const byCount = [...ordinary].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  const isClass = ([name, count]: readonly [string, number]) =>
    count >= windowsMin && options.pooled?.has(name) !== true
  const chosen = byCount.filter(isClass).slice(0, options.most)
  const names = new Set(chosen.map(([name]) => name))
  const rest = byCount.filter(([name]) => !names.has(name))
  const list: ManifestClass[] = chosen.map(([name, windows]) => ({
    name,
    malicious: false,
    generic: GENERIC.has(name),
    background: false,
    windows,
  }))
  const background = (options.background ?? true) && rest.length > 1 ? list.length : -1
  if (background >= 0)
    list.push({
      name: BACKGROUND,
      malicious: false,
      generic: false,
      background: true,
      windows: rest.reduce((sum, [, count]) => sum + count, 0),
    })
  const maliciousAt = new Map<string, number>()
  for (const [key, windows] of [...malicious].sort()) {
    maliciousAt.set(key, list.length)
    list.push({ ...maliciousClass(key, (name) => ordinary.has(name)), windows })
  }
  if (list.length < 2)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot train on this data: a model tells at least 2 classes apart, here is ${list.length === 0 ? 'none' : `only "${list[0]!.name}"`} (a class is a name with ${windowsMin} windows)`,
      { hint: 'Record more programs or for longer, or lower --windows-min' },
    )
  const ordinaryAt = new Map(chosen.map(([name], index) => [name, index]))
  return {
    list,
    of: ({ name, malicious: bad }) =>
      bad ? (maliciousAt.get(maliciousKey(name)) ?? -1) : (ordinaryAt.get(name) ?? background),
  }
}

/** Malicious programs with the same key share a class. */
function maliciousKey(program: string): string {
  return behaviourOf(program) ?? program
}

function maliciousClass(key: string, isOrdinary: (name: string) => boolean): ManifestClass {
  const rest = { generic: false, background: false, windows: 0 }
  const behaviour = behaviourOf(key)
  if (behaviour !== undefined) {
    const tools = TOOL_NAMES[behaviour]
    return {
      name: BEHAVIOURS[behaviour].name,
      malicious: behaviour !== 'tool-use',
      behaviour,
      ...defined({ tools }),
      ...rest,
    }
  }
  // A reverse shell may be called bash: its class must not get the name of the benign class.
  const name = isOrdinary(key) || GENERIC.has(key) ? key + NON_GRATA : key
  return { name, malicious: true, ...rest }
}

export interface GrownClasses extends Classes {
  /** How many classes at the end of the list are new. */
  readonly added: number
  /** Benign names that equal a malicious class of the base: their windows have no class. */
  readonly clashing: readonly string[]
}

/**
 * The classes of a base in their order, followed by those that the user's windows add: names with
 * enough windows and non-grata programs. Windows of an existing class are added to it; those of a
 * rare name to the base's class of other programs, if it has one.
 */
export function growClasses(
  base: readonly ManifestClass[],
  training: readonly Window[],
  { windowsMin = WINDOWS_MIN }: Pick<ClassOptions, 'windowsMin'> = {},
): GrownClasses {
  const ordinary = new Map<string, number>()
  const malicious = new Map<string, number>()
  const background = base.findIndex((entry) => entry.background)
  for (const [index, entry] of base.entries())
    if (entry.behaviour !== undefined) malicious.set(entry.behaviour, index)
    else if (entry.malicious) malicious.set(entry.name.replace(NON_GRATA, ''), index)
    else if (index !== background) ordinary.set(entry.name, index)
  const names = new Set(base.map(({ name }) => name))
  const fresh: ManifestClass[] = []
  const clashing: string[] = []
  for (const { name, malicious: bad, count } of countedNames(training, malicious)) {
    const known = bad ? malicious : ordinary
    if (known.has(name) || (!bad && count < windowsMin)) continue
    if (!bad && names.has(name)) {
      clashing.push(name)
      continue
    }
    known.set(name, base.length + fresh.length)
    const entry = bad
      ? maliciousClass(name, (other) => names.has(other))
      : { name, malicious: false, generic: GENERIC.has(name), background: false, windows: 0 }
    names.add(entry.name)
    fresh.push(entry)
  }
  const of = ({ name, malicious: bad }: Pick<Window, 'name' | 'malicious'>) => {
    // A base from before behaviours has a class of this program.
    if (bad) return malicious.get(name) ?? malicious.get(maliciousKey(name)) ?? -1
    return ordinary.get(name) ?? (clashing.includes(name) ? -1 : background)
  }
  const list = [...base, ...fresh]
  const windows = list.map((entry) => entry.windows)
  for (const window of training) if (of(window) >= 0) windows[of(window)]!++
  return {
    list: list.map((entry, index) => ({ ...entry, windows: windows[index]! })),
    of,
    added: fresh.length,
    clashing,
  }
}

/**
 * Counts windows by name: benign names first, then the most frequent. @param known malicious
 * programs with a class
 */
function countedNames(windows: readonly Window[], known: ReadonlyMap<string, number>) {
  const counts = new Map<string, { name: string; malicious: boolean; count: number }>()
  for (const { name: said, malicious } of windows) {
    const name = malicious && !known.has(said) ? maliciousKey(said) : said
    const key = `${malicious} ${name}`
    const counted = counts.get(key)
    if (counted === undefined) counts.set(key, { name, malicious, count: 1 })
    else counted.count++
  }
  return [...counts.values()].sort(
    (a, b) =>
      Number(a.malicious) - Number(b.malicious) || b.count - a.count || (a.name < b.name ? -1 : 1),
  )
}
