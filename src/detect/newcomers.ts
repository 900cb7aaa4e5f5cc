/**
 * Programs whose name has no class and that this host has never seen: alerted once, after some
 * seconds of activity, then remembered.
 */
import type { FactJudge } from '../domain/finding.ts'
import { NEWCOMERS_MAX } from '../domain/limits.ts'
import { type Accusation, NO_CLASS } from './candidates.ts'
import type { ProcessEvidence } from './evidence.ts'
import type { HostMemory } from './memory.ts'
import { claimsNothing } from './names.ts'
import { isPackageManager } from './program-names.ts'
import { NEWCOMER_SECONDS, NEWCOMER_USUAL } from './thresholds.ts'

interface Trial {
  /** Judged so far. */
  seconds: number
  /** Frames of the newest and of the first of them. */
  last: number
  readonly from: number
}

export class Newcomers {
  readonly #memory: HostMemory
  readonly #facts: FactJudge | undefined
  readonly #trials = new Map<string, Trial>()

  constructor(memory: HostMemory, facts: FactJudge | undefined) {
    this.#memory = memory
    this.#facts = facts
  }

  /** Whether the name is new and has not shown enough of itself yet. */
  isOnTrial(name: string): boolean {
    return this.#trials.has(name)
  }

  clear(): void {
    this.#trials.clear()
  }

  /**
   * A window of a process whose name claims no class.
   * @param name as the memory writes it
   * @param state whitened, of this window
   * @param isLearning asked after the name was remembered: new names are not alerted then
   */
  see(
    { process, malice }: ProcessEvidence,
    name: string,
    state: Float32Array,
    frameIndex: number,
    isLearning: () => boolean,
  ): Accusation | undefined {
    if (claimsNothing(process.name)) return undefined
    if (this.#memory.known(name) !== undefined) return undefined
    const trial = this.#trialOf(name, frameIndex)
    // Where it comes from is asked now, while it lives.
    this.#facts?.want(process, 'tool-use')
    if (trial.last !== frameIndex) trial.seconds++
    trial.last = frameIndex
    // Where it begins to look malicious that question is answered first.
    if (trial.seconds < NEWCOMER_SECONDS || malice.level > 0) return undefined
    this.#trials.delete(name)
    this.#memory.meet(name, frameIndex)
    if (isLearning()) return undefined
    if (this.#memory.anyDistance(state) < NEWCOMER_USUAL) return undefined
    const manager = this.#facts
      ?.context(process)
      ?.parents?.find((parent) => isPackageManager(parent.name))
    return {
      kind: 'novelty',
      process,
      predicted: NO_CLASS,
      claimed: NO_CLASS,
      from: trial.from,
      windows: trial.seconds,
      ...(manager === undefined
        ? { outcome: { kind: 'alert', certainty: 'confirmed', because: [], isProven: false } }
        : {
            partOf: 'package upgrade',
            outcome: {
              kind: 'observation',
              because: [`package upgrade: below ${manager.name} (${manager.pid})`],
            },
          }),
      severity: 'medium',
      techniques: [],
    }
  }

  #trialOf(name: string, frameIndex: number): Trial {
    const known = this.#trials.get(name)
    if (known !== undefined) return known
    if (this.#trials.size >= NEWCOMERS_MAX) {
      this.#trials.delete(this.#trials.keys().next().value!)
    }
    const trial = { seconds: 0, last: -1, from: frameIndex }
    this.#trials.set(name, trial)
    return trial
  }
}
