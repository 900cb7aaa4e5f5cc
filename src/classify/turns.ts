/**
 * Whose turn it is to be judged where not every window of every process is: each process once in so
 * many seconds, those under suspicion every second, and no more than a bound of them all, so that
 * no host takes more than its share. Evidence neither grows nor fades over windows that are left
 * out.
 */
import type { Standing } from '../detect/detector.ts'
import { PROCESSES_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'

export interface TurnsOptions {
  /** Seconds between two windows of one process; 1: every window. */
  readonly every: number
  /** Windows of one second. */
  readonly windowsMax: number
  /** The detector. */
  readonly judge: {
    standing(process: Process): Standing
    hold(processes: Iterable<Process>): void
  }
}

export class Turns {
  readonly #options: TurnsOptions
  /** Frame in which a process was judged last; the longest ago first. */
  readonly #judged = new Map<ProcessKey, number>()
  #leftOut = 0

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** Windows that were not judged so far. */
  get leftOut(): number {
    return this.#leftOut
  }

  /** @returns ascending places of those that are judged in this frame */
  choose(candidates: readonly Process[], frameIndex: number): readonly number[] {
    const { every, windowsMax, judge } = this.#options
    if (every === 1 && candidates.length <= windowsMax) return candidates.map((_, place) => place)
    const keys = candidates.map(processKey)
    const due = candidates.flatMap((process, place) => {
      const { suspicion } = judge.standing(process)
      const waited = frameIndex - this.#lastTurn(keys[place]!, process, frameIndex)
      return suspicion > 0 || waited >= every ? [{ place, suspicion, waited }] : []
    })
    if (due.length > windowsMax) {
      due.sort((a, b) => b.suspicion - a.suspicion || b.waited - a.waited || a.place - b.place)
      due.length = windowsMax
    }
    const chosen = due.map(({ place }) => place).sort((a, b) => a - b)
    const isChosen = new Set(chosen)
    for (const place of chosen) {
      this.#judged.delete(keys[place]!)
      this.#judged.set(keys[place]!, frameIndex)
    }
    while (this.#judged.size > PROCESSES_MAX) this.#judged.delete(this.#judged.keys().next().value!)
    const others = candidates.filter((_, place) => !isChosen.has(place))
    this.#leftOut += others.length
    judge.hold(others)
    return chosen
  }

  /** Of a process that was never judged: by its pid, so that not all are due in one second. */
  #lastTurn(key: ProcessKey, { pid }: Process, frameIndex: number): number {
    const known = this.#judged.get(key)
    if (known !== undefined && known <= frameIndex) return known
    const { every } = this.#options
    const last = frameIndex - 1 - (((pid % every) + every) % every)
    this.#judged.set(key, last)
    return last
  }
}
