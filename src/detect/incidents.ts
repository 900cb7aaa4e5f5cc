/**
 * Which incident an alert belongs to: one attack raises alerts on many processes, which are
 * grouped. Alerts are of one incident where they share a container, a unit or session, a parent
 * process below the host's own services, or a name together with a behaviour, within
 * INCIDENT_QUIET_SECONDS of each other.
 *
 * The id of an incident is that of its first alert. Keys are bounded; at the bound the longest
 * unused go, and a later alert then begins an incident of its own.
 */
import type { Alert } from '../domain/alert.ts'
import { INCIDENT_KEYS_MAX, INCIDENT_QUIET_SECONDS } from '../domain/limits.ts'
import { startsAnything } from './program-names.ts'

/** Units that hold whatever has no unit of its own. */
const HOLDS_ANYTHING = /^(init\.scope|-\.slice|system\.slice|user\.slice)$/

export class Incidents {
  /** Insertion order is order of the last use. */
  readonly #ofKey = new Map<string, { readonly id: string; last: number }>()

  /**
   * The incident of an alert that is raised now; it has its own id until it is known to belong to
   * another's.
   */
  of(alert: Alert, frameIndex: number): string {
    const keys = keysOf(alert)
    let id = alert.id
    for (const key of keys) {
      const known = this.#ofKey.get(key)
      if (known === undefined || frameIndex - known.last > INCIDENT_QUIET_SECONDS) continue
      id = known.id
      break
    }
    this.#note(keys, id, frameIndex)
    return id
  }

  /** An alert goes on, or is restored: what is like it is still of its incident. */
  touch(alert: Alert): void {
    this.#note(keysOf(alert), alert.incident, alert.last)
  }

  #note(keys: readonly string[], id: string, frameIndex: number): void {
    for (const key of keys) {
      this.#ofKey.delete(key)
      if (this.#ofKey.size >= INCIDENT_KEYS_MAX)
        this.#ofKey.delete(this.#ofKey.keys().next().value!)
      this.#ofKey.set(key, { id, last: frameIndex })
    }
  }
}

/** The most telling first. */
function keysOf({ process, kind, behaviour }: Alert): string[] {
  const { container, unit, parents = [], pid, name } = process
  const keys = [`process\n${pid}`]
  for (const parent of parents) {
    if (parent.pid <= 1 || startsAnything(parent.name)) break
    keys.push(`process\n${parent.pid}`)
  }
  if (container !== undefined) keys.push(`container\n${container}`)
  if (unit !== undefined && !HOLDS_ANYTHING.test(unit)) keys.push(`unit\n${unit}`)
  keys.push(`like\n${name}\n${behaviour ?? kind}`)
  return keys
}
