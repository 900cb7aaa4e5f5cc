/**
 * Which programs no host of a site has shown before: names of alerts as they come, and those of each
 * host's newest summary once an hour, beside the commits and a bounded number a second. A program that
 * runs for a minute between two looks and raises nothing is not seen.
 *
 * Names come from hosts. One that invents them has a quota a day; nothing here changes what any host
 * alerts about.
 */
import {
  HOSTS_MAX,
  PROGRAM_NAMES_MAX,
  PROGRAM_NAMES_PER_HOST_DAY_MAX,
  PROGRAMS_HOSTS_PER_SECOND_MAX,
  PROGRAMS_LOOK_EVERY_MS,
} from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { Periodic } from './periodic.ts'
import type { Named, Store, StoreChange } from './store/store.ts'

export interface ProgramNamesParts {
  readonly store: Pick<Store, 'programs' | 'latestSummary'>
  readonly clock: Clock
  readonly log: Log
}

const SECOND_MS = 1_000
const DAY_MS = 86_400_000

export class ProgramNames {
  readonly #parts: ProgramNamesParts
  readonly #looks: Periodic
  /** `site/name`; undefined before the store was read. */
  #known: Set<string> | undefined
  /** When a host is looked at again, and hosts that are due, by `site/host`. */
  readonly #again = new Map<string, number>()
  readonly #due = new Map<string, Named>()
  readonly #fromAlerts: (Named & { readonly name: string })[] = []
  /** New names of a host since its day began. */
  readonly #quota = new Map<string, { since: number; count: number }>()
  /** Names that found no room, or were beyond a host's quota. */
  omitted = 0

  constructor(parts: ProgramNamesParts, everyMs = SECOND_MS) {
    this.#parts = parts
    this.#looks = new Periodic(
      () => this.#look(),
      everyMs,
      (cause, isFirst) =>
        isFirst && parts.log.warn('Cannot keep names of programs', { why: String(cause) }),
    )
  }

  /** What was stored; costs nothing here. */
  push(change: StoreChange): void {
    if (change.kind !== 'alert' && change.kind !== 'summary') return
    const { site, host } = change.message
    if (change.kind === 'alert') {
      const { name } = change.message.process
      if (change.message.kind === 'absence' || this.#known?.has(`${site}/${name}`)) return
      if (this.#fromAlerts.length < PROGRAM_NAMES_PER_HOST_DAY_MAX)
        this.#fromAlerts.push({ site, host, name })
      return
    }
    const key = `${site}/${host}`
    const now = this.#parts.clock.monotonic()
    if (now < (this.#again.get(key) ?? 0) || this.#due.size >= HOSTS_MAX) return
    this.#due.set(key, { site, host })
  }

  /** Hears what the other does. */
  hearing(other: (change: StoreChange) => void): (change: StoreChange) => void {
    return (change) => {
      other(change)
      this.push(change)
    }
  }

  look(): Promise<void> {
    return this.#looks.run()
  }

  close(): Promise<void> {
    return this.#looks.close()
  }

  async #look(): Promise<void> {
    const { store, clock } = this.#parts
    this.#known ??= new Set(await store.programs.names())
    for (const { site, host, name } of this.#fromAlerts.splice(0))
      await this.#take({ site, host }, name)
    let left = PROGRAMS_HOSTS_PER_SECOND_MAX
    for (const [key, where] of this.#due) {
      if (left-- === 0) return
      this.#due.delete(key)
      if (this.#again.size >= HOSTS_MAX) this.#again.clear()
      this.#again.set(key, clock.monotonic() + PROGRAMS_LOOK_EVERY_MS)
      const found = await store.latestSummary(where.host, where.site)
      for (const { name } of found?.summary?.processes ?? []) await this.#take(where, name)
    }
  }

  async #take({ site, host }: Named, name: string): Promise<void> {
    const known = this.#known!
    const key = `${site}/${name}`
    if (name === '' || known.has(key)) return
    if (known.size >= PROGRAM_NAMES_MAX || !this.#hasQuota(`${site}/${host}`)) {
      this.omitted++
      return
    }
    const { store, clock } = this.#parts
    await store.programs.put({ site, host, name, first: Math.floor(clock.now() / 1000) })
    known.add(key)
  }

  #hasQuota(host: string): boolean {
    const now = this.#parts.clock.monotonic()
    const used = this.#quota.get(host)
    if (used === undefined || now - used.since > DAY_MS) {
      if (this.#quota.size >= HOSTS_MAX) this.#quota.clear()
      this.#quota.set(host, { since: now, count: 1 })
      return true
    }
    used.count++
    return used.count <= PROGRAM_NAMES_PER_HOST_DAY_MAX
  }
}
