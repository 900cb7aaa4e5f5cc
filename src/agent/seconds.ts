/**
 * The queue of closed seconds, with one consumer: seconds are processed one after the other,
 * whoever closed them.
 *
 * A second is the unit of failure. One whose processing throws is counted as unjudged, the stages
 * are left in a defined state (pipeline.ts), and the next second is processed. Only
 * FAILED_SECONDS_MAX in a row end the agent.
 */
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { FAILED_SECONDS_MAX, FAILURE_TOLD_EVERY_MS, SEQUENCE_FRAMES } from '../domain/limits.ts'
import type { Clock } from '../platform/clock.ts'
import { type Log, log as processLog } from '../platform/log.ts'

/** Why a second was counted and not judged, or not as a whole. */
export type UnjudgedReason =
  | 'error' // its processing threw
  | 'filtered' // a capture without whole families of calls
  | 'interrupted' // the user ended a replay: what was read ahead is not judged
  | 'clock-set' // the clock was set, or the machine suspended, less than a sequence before

export interface SecondsLedger {
  /** All that were taken. */
  frames: number
  /** Unix second of the last. */
  lastFrame: number
  readonly unjudged: Partial<Record<UnjudgedReason, number>>
}

export interface SecondsOptions {
  /** @returns why it was not judged, where it was not */
  readonly process: (frame: Frame) => Promise<UnjudgedReason | undefined>
  readonly ledger: SecondsLedger
  readonly clock: Clock
  /** True once the queue is abandoned. */
  readonly isInterrupted?: () => boolean
  /** Called when FAILED_SECONDS_MAX in a row have failed. */
  readonly onGivenUp?: (error: AgentError) => void
  readonly failedMax?: number
  readonly log?: Log
}

export class Seconds {
  readonly #options: SecondsOptions
  readonly #log: Log
  readonly #waiting: Frame[] = []
  #consuming: Promise<void> | undefined
  #failedInARow = 0
  #toldAtMs = Number.NEGATIVE_INFINITY
  /** Frames before this have no whole sequence since the clock was set. */
  #wholeFrom = Number.NEGATIVE_INFINITY

  constructor(options: SecondsOptions) {
    this.#options = options
    this.#log = options.log ?? processLog
  }

  get isIdle(): boolean {
    return this.#consuming === undefined
  }

  /** Resolves when these seconds, and those before them, have been processed. Never rejects. */
  add(frames: readonly Frame[]): Promise<void> {
    this.#waiting.push(...frames)
    if (this.#waiting.length > 0)
      this.#consuming ??= this.#consume().finally(() => {
        this.#consuming = undefined
      })
    return this.#consuming ?? Promise.resolve()
  }

  async #consume(): Promise<void> {
    for (;;) {
      const frame = this.#waiting.shift()
      if (frame === undefined) return
      const { ledger, isInterrupted } = this.#options
      ledger.frames += 1
      if (isInterrupted?.() === true) {
        this.#count('interrupted')
        continue
      }
      this.#noteClock(frame)
      try {
        const unjudged = await this.#options.process(frame)
        if (unjudged !== undefined) this.#count(unjudged)
        this.#failedInARow = 0
      } catch (error) {
        this.#failed(frame, error)
      }
      ledger.lastFrame = frame.index
    }
  }

  #noteClock({ index, clockSetSeconds: by }: Frame): void {
    if (by !== undefined) {
      this.#wholeFrom = index + SEQUENCE_FRAMES - 1
      this.#log.warn('The clock was set or the machine was suspended: sequences restart', {
        seconds: by,
      })
    }
    if (index < this.#wholeFrom) this.#count('clock-set')
  }

  #failed(frame: Frame, error: unknown): void {
    this.#count('error')
    this.#failedInARow += 1
    const { clock, failedMax = FAILED_SECONDS_MAX, onGivenUp } = this.#options
    const now = clock.monotonic()
    if (now - this.#toldAtMs >= FAILURE_TOLD_EVERY_MS) {
      this.#toldAtMs = now
      this.#log.error('Cannot classify a second; it is counted as unjudged', {
        second: frame.index,
        error: String(error),
        at: placeOf(error),
      })
    }
    if (this.#failedInARow === failedMax)
      onGivenUp?.(
        new AgentError(
          'ERR_PIPELINE',
          `Cannot classify ${failedMax} seconds in a row, the last one with: ${String(error)}`,
          { hint: 'Restart the agent, and report this with its log', cause: error },
        ),
      )
  }

  #count(reason: UnjudgedReason): void {
    const { unjudged } = this.#options.ledger
    unjudged[reason] = (unjudged[reason] ?? 0) + 1
  }
}

/** The first line of the stack that says where. */
function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? error.stack : undefined
  return stack
    ?.split('\n')
    .find((line) => line.trimStart().startsWith('at '))
    ?.trim()
}
