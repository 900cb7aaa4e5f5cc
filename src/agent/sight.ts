/**
 * How much of the host was seen, for `agent status` and whoever must be told that this host cannot
 * see: seconds with losses, processes that were not seen whole and why, and the share of the last
 * day's windows that were not judged for it. Counted by hour, so that a blind hour fades after a
 * day.
 */
import { type AgentState, type Blinded, Blindness } from '../detect/blindness.ts'
import { defined } from '../domain/defined.ts'
import type { Proof } from '../domain/finding.ts'
import type { Frame, UnseenProcess, UnseenReason } from '../domain/frame.ts'
import type { Predictions } from '../domain/prediction.ts'
import type { Process } from '../domain/process.ts'

export interface SightStatus {
  /**
   * Seconds in which calls were lost and it is not known whose: no window with one of them is
   * judged.
   */
  readonly lossySeconds: number
  /** Processes that were not seen whole, counted once a second, by reason. */
  readonly unseen: Readonly<Partial<Record<UnseenReason, number>>>
  /** Users of whose processes some were not seen, counted once a second. */
  readonly unseenUsers: number
  /** Windows of the last 24 hours, and those among them that were not judged for lost calls. */
  readonly day: { readonly windows: number; readonly blind: number }
  /** Seconds so far in which this host could not be seen, and why not now. */
  readonly blindSeconds: number
  readonly blind?: Blinded
  /**
   * Of the latest second with processes that were not seen whole: the one that made most different
   * calls.
   */
  readonly most?: {
    readonly second: number
    readonly pid: number
    readonly name: string
    readonly uid?: number
    readonly kinds: number
  }
}

interface Hour {
  readonly hour: number
  windows: number
  blind: number
}

const HOURS = 24

export interface SightOptions {
  /** The agent itself, and how it stands: for a host that is watched. A recording is not blind. */
  readonly self: Process
  readonly state: () => AgentState
}

export class Sight {
  readonly #options: SightOptions | undefined
  readonly #blindness = new Blindness()
  #blindSeconds = 0
  #proof: Proof | undefined
  #lossySeconds = 0
  readonly #unseen: Partial<Record<UnseenReason, number>> = {}
  #unseenUsers = 0
  /** Oldest first. */
  readonly #hours: Hour[] = []
  #most: SightStatus['most']

  constructor(options?: SightOptions) {
    this.#options = options
  }

  /** That this host could not be seen in the last second, where it could not. */
  proofs(): Proof[] {
    const proof = this.#proof
    this.#proof = undefined
    return proof === undefined ? [] : [proof]
  }

  /** So far. */
  get blindSeconds(): number {
    return this.#blindSeconds
  }

  /** @param predictions of the second; undefined where it was not judged at all */
  push(frame: Frame, predictions: Predictions | undefined): void {
    if (frame.lost > 0) this.#lossySeconds++
    if (this.#options !== undefined) {
      const { self, state } = this.#options
      const finding = this.#blindness.push(frame, predictions, state())
      this.#proof = finding && { process: self, finding }
      if (finding?.says === 'proves') this.#blindSeconds++
    }
    const { processes = [], users = [] } = frame.unseen ?? {}
    for (const { reason } of processes) this.#unseen[reason] = (this.#unseen[reason] ?? 0) + 1
    this.#unseenUsers += users.length
    if (processes.length > 0) this.#most = mostOf(processes, frame.index)
    const hour = this.#hourOf(frame.index)
    for (const incomplete of predictions?.incomplete ?? []) {
      hour.windows++
      hour.blind += incomplete
    }
  }

  status(): SightStatus {
    let [windows, blind] = [0, 0]
    for (const hour of this.#hours) {
      windows += hour.windows
      blind += hour.blind
    }
    return {
      lossySeconds: this.#lossySeconds,
      unseen: { ...this.#unseen },
      unseenUsers: this.#unseenUsers,
      day: { windows, blind },
      blindSeconds: this.#blindSeconds,
      ...defined({ blind: this.#blindness.state }),
      ...defined({ most: this.#most }),
    }
  }

  #hourOf(second: number): Hour {
    const hour = Math.floor(second / 3600)
    let last = this.#hours.at(-1)
    if (last?.hour !== hour) {
      last = { hour, windows: 0, blind: 0 }
      this.#hours.push(last)
      if (this.#hours.length > HOURS) this.#hours.shift()
    }
    return last
  }
}

/** Whoever makes most different calls is likely to be why others find no room. */
function mostOf(processes: readonly UnseenProcess[], second: number): SightStatus['most'] {
  const most = processes.reduce((a, b) => (b.kinds > a.kinds ? b : a))
  const { pid, name, uid } = most.process
  return { second, pid, name, ...defined({ uid }), kinds: most.kinds }
}
