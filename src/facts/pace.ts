/**
 * Keeps the reader's CPU time near its share of a core on average: what is saved in quiet minutes may
 * be spent at once, as an encryptor is seen best by sampling often. When that is used up, loops that
 * sample wait longer and fewer of them run side by side. On a build host five processes that rewrite files were
 * watched at a time; without this they took a fifth of a core (measured).
 */
import { READER_CPU_SAVED_MS, READER_CPU_SHARE } from '../domain/limits.ts'

const MEASURE_EVERY_MS = 500
const SLOWEST = 16

export class Pace {
  readonly #cpuMs: () => number
  readonly #nowMs: () => number
  #factor = 1
  #savedMs: number
  #cpuBefore: number
  #measuredMs: number

  /**
   * @param cpuMs user and system time of the process so far
   * @param savedMs CPU time that may be spent at once
   */
  constructor(
    cpuMs: () => number = ownCpuMs,
    nowMs: () => number = () => performance.now(),
    savedMs = READER_CPU_SAVED_MS,
  ) {
    this.#savedMs = savedMs
    this.#cpuMs = cpuMs
    this.#nowMs = nowMs
    this.#cpuBefore = cpuMs()
    this.#measuredMs = nowMs()
  }

  /** @returns `ms`, or a multiple of it while too much is used */
  wait(ms: number): number {
    this.#measure()
    return ms * this.#factor
  }

  /** @returns how many of `most` loops may run side by side: one at least */
  room(most: number): number {
    this.#measure()
    return Math.max(1, Math.floor(most / this.#factor))
  }

  #measure(): void {
    const passed = this.#nowMs() - this.#measuredMs
    if (passed >= MEASURE_EVERY_MS) {
      const cpu = this.#cpuMs()
      const used = cpu - this.#cpuBefore
      const granted = READER_CPU_SHARE * passed
      this.#savedMs = Math.min(READER_CPU_SAVED_MS, Math.max(0, this.#savedMs + granted - used))
      // The longer wait shows in the next measurement only, so it changes by a bounded step.
      const step = this.#savedMs > 0 ? 0.5 : Math.min(2, Math.max(0.5, used / granted))
      this.#factor = Math.min(SLOWEST, Math.max(1, this.#factor * step))
      this.#cpuBefore = cpu
      this.#measuredMs += passed
    }
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
