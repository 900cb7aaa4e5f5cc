/**
 * Whose turn it is to be judged where not every window of every process is: each process once in so
 * many seconds, those under suspicion every second, and no more than a bound of them all, so that
 * no host takes more than its share. Evidence neither grows nor fades over windows that are left
 * out.
 */
import type { Standing } from '../detect/detector-status.ts'
import { PROCESSES_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'

export interface TurnsOptions {
  /** Seconds between two windows of one process; 1: every window. */
  readonly every: number
  /** Windows of one second. */
  readonly windowsMax: number
  /** The detector. */
  readonly judge: {
    isSuspect(process: Process): boolean
    standing(process: Process): Standing
    hold(processes: Iterable<Process>): void
  }
}

interface Turn {
  readonly startMs: number
  /** Frame in which the process was judged last. */
  at: number
}

export class Turns {
  readonly #options: TurnsOptions
  /** By pid; the longest ago first. */
  readonly #turns = new Map<number, Turn>()
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
    let chosen: number[] = []
    for (let place = 0; place < candidates.length; place++) {
      const process = candidates[place]!
      const isDue = frameIndex - this.#turnOf(process, frameIndex).at >= every
      if (isDue || judge.isSuspect(process)) chosen.push(place)
    }
    if (chosen.length > windowsMax) chosen = this.#mostUrgent(chosen, candidates, frameIndex)
    const others: Process[] = []
    let next = 0
    for (let place = 0; place < candidates.length; place++) {
      const process = candidates[place]!
      if (chosen[next] !== place) {
        others.push(process)
        continue
      }
      next++
      const turn = this.#turnOf(process, frameIndex)
      turn.at = frameIndex
      this.#turns.delete(process.pid)
      this.#turns.set(process.pid, turn)
    }
    this.#leftOut += others.length
    judge.hold(others)
    return chosen
  }

  /** Those with most evidence against them, then those that waited longest. */
  #mostUrgent(
    places: readonly number[],
    candidates: readonly Process[],
    frameIndex: number,
  ): number[] {
    const { windowsMax, judge } = this.#options
    return places
      .map((place) => {
        const process = candidates[place]!
        const waited = frameIndex - this.#turnOf(process, frameIndex).at
        return { place, waited, suspicion: judge.standing(process).suspicion }
      })
      .sort((a, b) => b.suspicion - a.suspicion || b.waited - a.waited || a.place - b.place)
      .slice(0, windowsMax)
      .map(({ place }) => place)
      .sort((a, b) => a - b)
  }

  /** One that was never judged is due by its pid, so that not all are due in one second. */
  #turnOf({ pid, startMs }: Process, frameIndex: number): Turn {
    const known = this.#turns.get(pid)
    if (known !== undefined && known.startMs === startMs && known.at <= frameIndex) return known
    const { every } = this.#options
    const turn = { startMs, at: frameIndex - 1 - (((pid % every) + every) % every) }
    if (this.#turns.size >= PROCESSES_MAX) this.#turns.delete(this.#turns.keys().next().value!)
    this.#turns.set(pid, turn)
    return turn
  }
}
