/**
 * Which class of the model a process's name claims, remembered per name, and which classes accuse.
 */
import { defined } from '../domain/defined.ts'
import { CLAIMED_NAMES_MAX } from '../domain/limits.ts'
import type { ModelClasses } from '../domain/prediction.ts'
import { claimsNothing } from './names.ts'

export class ClaimedClasses {
  readonly #classes: ModelClasses
  readonly #byName = new Map<string, number | undefined>()
  #accusing: ModelClasses

  constructor(classes: ModelClasses) {
    this.#classes = classes
    this.#accusing = accusingOf(classes)
  }

  /** Undefined where the name has no class, or its class describes no program. */
  of(name: string): number | undefined {
    if (this.#byName.has(name)) return this.#byName.get(name)
    let claimed = claimsNothing(name) ? undefined : this.#classes.claimedBy(name)
    if (claimed === this.#classes.background) claimed = undefined
    if (this.#byName.size >= CLAIMED_NAMES_MAX) this.#byName.clear()
    this.#byName.set(name, claimed)
    return claimed
  }

  /**
   * The classes, of which those are malicious that accuse: all malicious ones but dual-use tools,
   * which are programs like any other.
   */
  get accusing(): ModelClasses {
    return this.#accusing
  }

  /** The model's classes have changed. */
  refresh(): void {
    this.#byName.clear()
    this.#accusing = accusingOf(this.#classes)
  }
}

function accusingOf(classes: ModelClasses): ModelClasses {
  const { modelId, names, malicious, behaviours, generic, background } = classes
  return {
    ...{ modelId, names, ...defined({ behaviours, generic, background }) },
    malicious: malicious.map((is, c) => is && behaviours?.[c] !== 'tool-use'),
    claimedBy: (name) => classes.claimedBy(name),
  }
}
