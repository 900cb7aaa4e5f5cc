/**
 * Accumulates evidence over windows: one sequential test per process and question, after Page's
 * cumulative sum (CUSUM).
 *
 * Each window contributes a number that is negative for benign activity and positive otherwise; the
 * CUSUM statistic is floored at zero. It decays over seconds without a window. One deviating window
 * is never an alert; ten in a row are. Windows overlap by nine tenths, so the numbers are no
 * independent likelihoods: levels are calibrated on recordings, not derived.
 *
 * Evidence stays with pid@start: a process that renames itself keeps what it has done.
 */
import { PROCESSES_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { StreamName } from './calibration.ts'
import { isHeir } from './lineage.ts'
import { NOTHING, type Tally } from './memory.ts'
import { claimsNothing } from './names.ts'
import { EVIDENCE } from './thresholds.ts'

export interface Stream {
  level: number
  /** Frame in which the sum last left zero. */
  from: number
  /** Windows since then that spoke for yes. */
  windows: number
  /** Highest level ever: what calibration reads. */
  peak: number
}

export interface ProcessEvidence {
  process: Process
  first: number
  last: number
  /** Seconds since then with a window that was not classified. */
  held: number
  readonly claim: Stream
  readonly malice: Stream
  /**
   * What it added to its name's memory since its claim is in doubt: no process is the measure of
   * itself.
   */
  readonly own: Tally
  /** Seconds of it that the host's memory took. */
  remembered: number
  /** Windows that were usual under its name here. */
  usual: number
  /** Running share of its windows that are like no class of the model (known.ts), 0…1. */
  unknown: number
  /** Running mean of the class probabilities; absent while there is no evidence on the process. */
  mean: Float32Array | undefined
}

export class Evidence {
  readonly #of = new Map<ProcessKey, ProcessEvidence>()
  readonly #lines = new Map<number, ProcessEvidence>()
  /** The latest process of each pid, for its heirs. */
  readonly #byPid = new Map<number, ProcessEvidence>()
  readonly #max: number
  readonly #onForget: ((evidence: ProcessEvidence) => void) | undefined
  #evicted = 0

  /** @param options.onForget called with what is dropped, and at `end` with what is left */
  constructor(options: { max?: number; onForget?: (evidence: ProcessEvidence) => void } = {}) {
    this.#max = options.max ?? PROCESSES_MAX
    this.#onForget = options.onForget
  }

  get size(): number {
    return this.#of.size
  }

  get evicted(): number {
    return this.#evicted
  }

  /**
   * The evidence on a process, faded to this frame.
   * @param line restart chain of the same name: a new process continues with the malicious evidence
   *   of the last, as a tool that is started over and over leaves none of them time to show itself
   */
  at(process: Process, frameIndex: number, line?: number): ProcessEvidence {
    const key = processKey(process)
    let found = this.#of.get(key)
    if (found === undefined) {
      if (this.#of.size >= this.#max) this.#evict()
      found = {
        process,
        first: frameIndex,
        last: frameIndex,
        held: 0,
        claim: stream(frameIndex),
        malice: stream(frameIndex),
        own: { ...NOTHING },
        remembered: 0,
        usual: 0,
        unknown: 0,
        mean: undefined,
      }
      const before = line === undefined ? undefined : this.#lines.get(line)
      if (before !== undefined)
        found.malice.level = faded(before.malice.level, frameIndex - before.last - 1)
      this.#inherit(found, frameIndex)
    } else {
      const gap = frameIndex - found.last - 1 - found.held
      found.claim.level = faded(found.claim.level, gap)
      found.malice.level = faded(found.malice.level, gap)
      // Moved to the end: the map's first is the longest silent.
      this.#of.delete(key)
      found.process = process
      found.last = frameIndex
      found.held = 0
    }
    this.#of.set(key, found)
    this.#byPid.set(process.pid, found)
    if (line !== undefined) this.#lines.set(line, found)
    return found
  }

  /**
   * What spoke against a parent that is silent since its child came speaks against the child: a
   * process that forks and ends every few seconds goes on. Not where any program may be meant: a
   * shell waits for its children.
   */
  #inherit(found: ProcessEvidence, frameIndex: number): void {
    const { process } = found
    const parent = process.ppid === undefined ? undefined : this.#byPid.get(process.ppid)
    if (parent === undefined || parent.last >= frameIndex - 1) return
    const program = process.exe?.slice(process.exe.lastIndexOf('/') + 1) ?? process.name
    if (!isHeir(process, parent.process) || claimsNothing(program)) return
    const seconds = frameIndex - parent.last - 1
    for (const name of ['claim', 'malice'] as const) {
      const level = Math.max(found[name].level, faded(parent[name].level, seconds))
      if (level <= 0) continue
      const { from, windows } = parent[name]
      Object.assign(found[name], { level, from, windows })
    }
  }

  /** The evidence on a process as it was left, if there is any. */
  peek(process: Process): ProcessEvidence | undefined {
    return this.#of.get(processKey(process))
  }

  /** A window of the process is not classified. Only silence lets evidence decay. */
  hold(process: Process): void {
    const found = this.#of.get(processKey(process))
    if (found !== undefined) found.held++
  }

  /** The classes have changed: running means of the old ones mean nothing for the new. */
  forgetMeans(): void {
    for (const found of this.#of.values()) found.mean = undefined
  }

  /** Lets go of who has been silent for so long that nothing is left. */
  forget(frameIndex: number): void {
    for (const [key, found] of this.#of) {
      if (frameIndex - found.last < 10 * EVIDENCE.fadeSeconds && found.last <= frameIndex) return
      this.#drop(key, found)
    }
  }

  end(): void {
    for (const found of this.#of.values()) this.#onForget?.(found)
    this.#of.clear()
  }

  #drop(key: ProcessKey, found: ProcessEvidence): void {
    this.#of.delete(key)
    const { pid } = found.process
    if (this.#byPid.get(pid) === found) this.#byPid.delete(pid)
    this.#onForget?.(found)
  }

  #evict(): void {
    const [key, found] = this.#of.entries().next().value!
    this.#evicted++
    this.#drop(key, found)
  }
}

function faded(level: number, seconds: number): number {
  return seconds > 0 ? level * Math.exp(-seconds / EVIDENCE.fadeSeconds) : level
}

function stream(frameIndex: number): Stream {
  return { level: 0, from: frameIndex, windows: 0, peak: 0 }
}

/** One window's number onto the sum. */
export function accumulate(to: Stream, increment: number, frameIndex: number): void {
  if (to.level <= 0) {
    to.from = frameIndex
    to.windows = 0
  }
  to.level = Math.min(EVIDENCE.most, Math.max(0, to.level + increment))
  if (increment > 0) to.windows++
  if (to.level > to.peak) to.peak = to.level
}

/**
 * Keeps the running mean of row `row` while there is a suspicion, so that the alert names what the
 * run looked like.
 */
export function average(
  evidence: ProcessEvidence,
  probabilities: Float32Array,
  row: number,
  classCount: number,
): void {
  if (evidence.claim.level <= 0 && evidence.malice.level <= 0) {
    evidence.mean = undefined
    return
  }
  const from = row * classCount
  if (evidence.mean === undefined) {
    evidence.mean = probabilities.slice(from, from + classCount)
    return
  }
  const mean = evidence.mean
  for (let c = 0; c < classCount; c++)
    mean[c]! += EVIDENCE.newest * (probabilities[from + c]! - mean[c]!)
}

/** The first window says all there is; later ones add to a running mean. */
export function noteKnown(evidence: ProcessEvidence, isKnown: boolean, frameIndex: number): void {
  const unknown = isKnown ? 0 : 1
  if (evidence.first === frameIndex) evidence.unknown = unknown
  else evidence.unknown += EVIDENCE.newest * (unknown - evidence.unknown)
}

/** Which streams there are, for those who go over all of them. */
export const STREAMS: readonly StreamName[] = ['claim', 'malice']
