/**
 * What the agent itself costs: CPU and memory of this process and of the collector it started, for status,
 * summaries and metrics. An agent that watches others has to be watched first.
 */
import type { Clock } from '../platform/clock.ts'
import { type ProcessCost, processCost } from '../platform/process-cost.ts'

const WINDOW_MS = 60_000

export class OwnCost {
  readonly #clock: Clock
  readonly #startedMs: number
  /** Readings of the last minute: [monotonic ms, CPU seconds]. */
  #readings: [at: number, cpuSeconds: number][] = []
  #collector: () => number | undefined = () => undefined
  /** The collector's last; a dead one has cost what it has cost. */
  #collectorCost: ProcessCost = { cpuSeconds: 0, rssBytes: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonic()
    this.#readings.push([this.#startedMs, cpuSeconds()])
  }

  /** @param pid the collector's, once it runs */
  include(pid: () => number | undefined): void {
    this.#collector = pid
  }

  /** CPU since the start of the process in seconds, its share of one core over the last minute, resident bytes. */
  read(): { cpuSeconds: number; cpuShare: number; rssBytes: number } {
    const now = this.#clock.monotonic()
    const pid = this.#collector()
    const cost = pid === undefined ? undefined : processCost(pid)
    this.#collectorCost = cost ?? { ...this.#collectorCost, rssBytes: 0 }
    const used = cpuSeconds() + this.#collectorCost.cpuSeconds
    this.#readings.push([now, used])
    while (this.#readings.length > 2 && now - this.#readings[1]![0] >= WINDOW_MS) {
      this.#readings.shift()
    }
    const [from, before] = this.#readings[0]!
    const cpuShare = now > from ? ((used - before) * 1000) / (now - from) : 0
    const rssBytes = process.memoryUsage.rss() + this.#collectorCost.rssBytes
    return { cpuSeconds: used, cpuShare, rssBytes }
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
