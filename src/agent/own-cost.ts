/**
 * What the agent itself costs: CPU and memory of this process and of the collector it started, for
 * status, summaries, metrics and the governor.
 *
 * CPU is user and system time of all threads. A collector that has ended is in the kernel's total
 * of ended children, so a restart loses nothing. Not in it: the kernel's own work for us (counting
 * adds to the calls that are counted; its maps are the kernel's memory).
 */
import type { Clock } from '../platform/clock.ts'
import {
  endedChildrenSeconds,
  type ProcessCost,
  processCost,
} from '../platform/linux/process-cost.ts'

const WINDOW_MS = 60_000
/** In the first moments a start's own work and what had waited would be told as rates. */
const RATES_FROM_MS = 5_000

export interface OwnCostReading {
  /** Since the start of the process: agent, collector and facts reader. */
  readonly cpuSeconds: number
  /** The same as a share of one core, over the last minute; 0 in the first five seconds. */
  readonly cpuShare: number
  /** Agent, collector and facts reader. */
  readonly rssBytes: number
  /** Calls seen, over the last minute; 0 in the first five seconds. */
  readonly callsPerSecond: number
  /** Its part; absent where nothing collects for us. */
  readonly collector?: ProcessCost & { readonly pid: number }
}

interface Reading {
  readonly atMs: number
  readonly cpuSeconds: number
  readonly calls: number
}

/** Of this process: user and system time of all threads. */
function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/**
 * CPU seconds of one kind of work of this thread. What the engine's other threads do meanwhile is
 * left out: compiling and collecting garbage are not what the work costs for good.
 */
export class CpuMeter {
  seconds = 0

  async measure<T>(work: () => Promise<T>): Promise<T> {
    const before = threadCpuSeconds()
    try {
      return await work()
    } finally {
      this.seconds += threadCpuSeconds() - before
    }
  }
}

function threadCpuSeconds(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1e6
}

export class OwnCost {
  readonly #clock: Clock
  readonly #calls: () => number
  readonly #readings: Reading[] = []
  #collector: () => number | undefined = () => undefined
  #collectorIsOurs = false
  readonly #reader: number | undefined
  /** What was done once, at the lowest priority, and is no reason to judge less. */
  #aside = 0
  /** Never goes back, also when a child is between its end and its account. */
  #cpuSeconds = 0

  /**
   * @param calls seen so far
   * @param reader pid of what reads facts for us, where something does
   */
  constructor(clock: Clock, calls: () => number = () => 0, reader?: number) {
    this.#clock = clock
    this.#reader = reader
    this.#calls = calls
    this.#note(this.cpuSeconds())
  }

  /**
   * @param pid the collector's, once it runs
   * @param isOurs it runs our own program, whose pages are counted already
   */
  include(pid: () => number | undefined, isOurs: boolean): void {
    this.#collector = pid
    this.#collectorIsOurs = isOurs
  }

  /** A child of ours has ended that used this much idle CPU time (seconds). */
  putAside(seconds: number): void {
    this.#aside += seconds
    this.#cpuSeconds -= seconds
  }

  /** Of the agent, its collector and its facts reader since the start. */
  cpuSeconds(collector: ProcessCost | undefined = this.#collectorCost()): number {
    const all =
      ownCpuSeconds() +
      endedChildrenSeconds() +
      (collector?.cpuSeconds ?? 0) +
      (this.#readerCost()?.cpuSeconds ?? 0) -
      this.#aside
    this.#cpuSeconds = Math.max(this.#cpuSeconds, all)
    return this.#cpuSeconds
  }

  read(): OwnCostReading {
    const pid = this.#collector()
    const collector = this.#collectorCost()
    const last = this.#note(this.cpuSeconds(collector))
    const first = this.#readings[0]!
    const seconds = (last.atMs - first.atMs) / 1000
    const hasRates = last.atMs - first.atMs >= RATES_FROM_MS
    return {
      cpuSeconds: last.cpuSeconds,
      cpuShare: hasRates ? (last.cpuSeconds - first.cpuSeconds) / seconds : 0,
      rssBytes:
        process.memoryUsage.rss() +
        (collector?.rssBytes ?? 0) +
        (this.#readerCost()?.rssBytes ?? 0),
      callsPerSecond: hasRates ? (last.calls - first.calls) / seconds : 0,
      ...(pid === undefined || collector === undefined ? {} : { collector: { pid, ...collector } }),
    }
  }

  #collectorCost(): ProcessCost | undefined {
    const pid = this.#collector()
    return pid === undefined ? undefined : processCost(pid, this.#collectorIsOurs)
  }

  #readerCost(): ProcessCost | undefined {
    return this.#reader === undefined ? undefined : processCost(this.#reader, true)
  }

  #note(cpuSeconds: number): Reading {
    const atMs = this.#clock.monotonic()
    const reading = { atMs, cpuSeconds, calls: this.#calls() }
    this.#readings.push(reading)
    while (this.#readings.length > 2 && atMs - this.#readings[1]!.atMs >= WINDOW_MS)
      this.#readings.shift()
    return reading
  }
}
