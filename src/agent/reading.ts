/**
 * Reads sources to closed seconds: bytes at the source's pace, and each second once, in order.
 *
 * A frame closes by event time; the kernel source says itself when a second is over. Where another
 * stream of the present falls silent, event time is taken to go on as the monotonic clock does
 * since the last byte, which closes the last second of an idle host. A recording that comes through
 * a pipe is not closed so: its writer may only have paused. Seconds are processed one at a time
 * (seconds.ts), and the source waits for them: a pipe then fills, and what its writer loses is its
 * writer's to tell.
 */
import type { Counter } from '../count/counter.ts'
import { defined } from '../domain/defined.ts'
import type { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { CLOSE_EVERY_MS } from '../domain/limits.ts'
import type { SightName } from '../domain/sight.ts'
import type { Parser, Source, SourceFormat, UserInput } from '../domain/source.ts'
import type { Clock } from '../platform/clock.ts'
import { ingest, isAbreast, mayBeSilent } from './ingest.ts'
import type { OwnCost } from './own-cost.ts'
import { Seconds, type SecondsLedger, type UnjudgedReason } from './seconds.ts'

export interface ReadingOptions {
  readonly counter: Counter
  readonly clock: Clock
  readonly cost: OwnCost
  readonly ledger: SecondsLedger
  readonly input: UserInput
  readonly signal: AbortSignal
  /** @returns why the second was not judged, where it was not */
  readonly process: (frame: Frame) => Promise<UnjudgedReason | undefined>
  /** After seconds, and now and then without any. @param count how many */
  readonly after: (count: number) => void
}

export class Reading {
  readonly #options: ReadingOptions
  readonly #seconds: Seconds
  /** Aborted when seconds are given up. */
  readonly #giveUp = new AbortController()
  #givenUp: AgentError | undefined
  /** That is read; undefined before the first and after the last. */
  #source: Source | undefined
  /** That is read, or was read last. */
  #latest: Source | undefined
  /** What is read, or was read last, waits for us. */
  #isRecording = false
  #heardAtMs = 0
  /** What the input is, of several the last. */
  format: SourceFormat | undefined
  /** Of the source that is read, or was read last. */
  parser: Parser | undefined

  constructor(options: ReadingOptions) {
    this.#options = options
    this.#seconds = new Seconds({
      process: options.process,
      ledger: options.ledger,
      clock: options.clock,
      isInterrupted: () => this.#isRecording && options.signal.aborted,
      onGivenUp: (error) => {
        this.#givenUp = error
        this.#giveUp.abort()
      },
    })
  }

  async take(source: Source): Promise<void> {
    const { counter, clock, cost, input, signal } = this.#options
    cost.include(() => source.pid, source.name === 'kernel')
    this.#source = source
    this.#latest = source
    this.#isRecording = !source.live
    const { format, host, pid, name, dateMs } = input
    this.#heardAtMs = clock.monotonic()
    const timer = setInterval(() => this.#closeSilent(source), CLOSE_EVERY_MS)
    try {
      const ingested = await ingest(
        source,
        counter,
        {
          ...defined({ format, host, pid, name, dateMs }),
          onParser: (parser) => {
            this.parser = parser
          },
          afterChunk: async () => {
            await this.#add(counter.closeReady())
            this.#heardAtMs = clock.monotonic()
          },
        },
        AbortSignal.any([signal, this.#giveUp.signal]),
      )
      this.format = ingested.format
    } finally {
      clearInterval(timer)
      await this.#seconds.add([])
      this.#source = undefined
    }
    if (this.#givenUp !== undefined) throw this.#givenUp
  }

  /** Which calls the source that is read, or was read last, can show; undefined: all. */
  get sight(): SightName | undefined {
    return this.#latest?.sight
  }

  /** What is still open is closed and processed. */
  async end(): Promise<void> {
    await this.#add(this.#options.counter.end())
  }

  /** How far behind the clock a second is that is processed now, ms; 0 for a recording. */
  lagOf({ index }: Frame): number {
    const now = this.#options.clock.now()
    const endMs = (index + 1) * 1000
    const source = this.#source
    // A source that tells whole seconds of this host is never a recording, however late it is.
    const isOfNow =
      source !== undefined &&
      ((source.live && source.wholeSeconds === true) || isAbreast(source, endMs, now))
    return isOfNow ? Math.max(0, now - endMs) : 0
  }

  #closeSilent(source: Source): void {
    const { counter, clock } = this.#options
    if (!this.#seconds.isIdle) return
    const silentMs = clock.monotonic() - this.#heardAtMs
    const silent = mayBeSilent(source, counter.eventTimeMs, clock.now())
    const frames = silent ? counter.closeUntil(counter.eventTimeMs + silentMs) : []
    void this.#add(frames)
  }

  async #add(frames: readonly Frame[]): Promise<void> {
    await this.#seconds.add(frames)
    this.#options.after(frames.length)
  }
}
