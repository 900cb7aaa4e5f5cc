/**
 * What a host did, as rows to learn from: one pass over its buffered seconds through the very
 * stages that judge it, a few hundred windows of each name spread evenly over the time, however
 * long or busy it was.
 *
 * Not taken: seconds with losses, processes under an alert, and windows that the shared model finds
 * near a critical or high behaviour ("quarantined", unless a person allowed the name). So what was
 * wrong when the agent came is not learnt as ordinary where anything speaks against it.
 */
import { claimsNothing, isBeforeExec, memoryName } from '../../detect/names.ts'
import { ShortLives } from '../../detect/short-lives.ts'
import { BEHAVIOURS } from '../../domain/behaviour.ts'
import type { Frame } from '../../domain/frame.ts'
import {
  ACTIVE_FRAMES_MIN,
  HOST_NAMES_MAX,
  HOST_ROWS_PER_NAME_MAX,
  HOST_WINDOWS_MAX,
} from '../../domain/limits.ts'
import type { ModelClasses } from '../../domain/prediction.ts'
import type { Process } from '../../domain/process.ts'
import { SYSCALLS } from '../../domain/syscalls.ts'
import { Classifier } from '../../model/classifier.ts'
import { hostRowWidth, writeHostRow } from '../../model/host-rows.ts'
import type { Model } from '../../model/model.ts'
import { type SparseRow, sparseRow } from '../../model/row-set.ts'
import { type SequenceBatch, sequencerOf } from '../../model/sequencer.ts'
import { collectEvery } from '../../platform/heap.ts'

/** Names beyond so many times HOST_NAMES_MAX are passed over until others are let go. */
const NAMES_FACTOR = 4
/** A window as malicious as this for the shared model is quarantined. */
const MALICIOUS_MIN = 0.5
/** A name with more of its windows quarantined than this is quarantined as a whole. */
const QUARANTINED_MAX = 0.5
const PROFILE_CALLS = 24
/** The last part of the time measures what was learnt from the first. */
export const HELD_OUT_SHARE = 0.25
/** Life of a name's longest process that makes it more than a name of moments, seconds. */
export const LASTING_SECONDS = 30
/** Rows of a name of moments: it is one of many in its class. */
const MOMENT_ROWS_MAX = 48
/** A probability below this is none, in what is kept of a window. */
const PROBABILITY_MIN = 0.01

export interface HostWindow {
  readonly second: number
  readonly row: SparseRow
  /** What the shared model says of it: classes and their probabilities, the least ones left out. */
  readonly shared: SparseRow
}

export interface HostName {
  /** As the host's memory writes it. */
  readonly name: string
  /** Class of the shared model that it claims. */
  readonly claimed: number | undefined
  /** It binds its process to nothing: an interpreter or shell. */
  readonly generic: boolean
  /** Longest life seen of one of its processes, seconds. */
  readonly life: number
  /** By time. */
  readonly windows: readonly HostWindow[]
  readonly profile: readonly (readonly [syscall: string, share: number])[]
}

export interface HostSample {
  readonly from: number
  readonly to: number
  readonly names: readonly HostName[]
  readonly quarantined: number
  /** Names of which hardly anything is left. */
  readonly quarantinedNames: readonly string[]
}

export interface SampleOptions {
  /** It belongs to an alert that was not labelled fine. */
  isSuspect(process: Process, second: number): boolean
  /** A person said that this name is fine. */
  isAllowed(name: string): boolean
  /** Windows of all names together; HOST_WINDOWS_MAX where absent. */
  readonly windowsMax?: number
}

export async function sampleHost(
  model: Model,
  frames: Iterable<Frame>,
  { isSuspect, isAllowed, windowsMax = HOST_WINDOWS_MAX }: SampleOptions,
): Promise<HostSample> {
  const { classes, manifest } = model
  const grave = graveClasses(classes)
  const classifier = new Classifier(model)
  const sequencer = sequencerOf(model)
  const shortLives = new ShortLives()
  const row = new Float32Array(hostRowWidth(manifest.width))
  const names = new Map<string, NameSample>()
  const collect = collectEvery(48)
  let quarantined = 0
  let held = 0
  let from = 0
  let to = 0
  const nameOf = (process: Process): NameSample | undefined => {
    if (isBeforeExec(process.name)) return undefined
    const claimed = claimsNothing(process.name) ? undefined : classes.claimedBy(process.name)
    const name = claimed === undefined ? memoryName(process.name) : classes.names[claimed]!
    let sample = names.get(name)
    if (sample === undefined && names.size < NAMES_FACTOR * HOST_NAMES_MAX) {
      sample = new NameSample(name, claimed, claimsNothing(process.name))
      names.set(name, sample)
    }
    return sample
  }
  for (const frame of frames) {
    collect()
    if (from === 0) from = frame.index
    to = frame.index
    const batch = sequencer.push(shortLives.push(frame), (candidates) =>
      [...candidates.keys()].filter((place) => {
        const process = candidates[place]!
        return nameOf(process)?.wants(process, frame.index) ?? false
      }),
    )
    if (batch.processes.length === 0) continue
    const { probabilities, classCount } = await classifier.predict(batch)
    for (const [n, process] of batch.processes.entries()) {
      if (batch.activeFrames[n]! < ACTIVE_FRAMES_MIN) continue
      const sample = nameOf(process)!
      const said = probabilities.slice(n * classCount, (n + 1) * classCount)
      const isGrave = grave.reduce((sum, c) => sum + said[c]!, 0) >= MALICIOUS_MIN
      const spared = isAllowed(process.name)
      if (isLossy(batch, n) || (!spared && (isGrave || isSuspect(process, frame.index)))) {
        quarantined++
        sample.quarantined++
        continue
      }
      writeHostRow(batch, n, manifest.sequenceFrames, manifest.width, row)
      held += sample.take({ second: frame.index, row: sparseRow(row), shared: likely(said) })
      if (held > windowsMax) held = thinned(names)
      const newest = sequencer.vectorsOf(process).at(-1)
      newest?.syscalls.forEach((syscall, k) => {
        sample.calls.set(syscall, (sample.calls.get(syscall) ?? 0) + newest.counts[k]!)
      })
    }
  }
  const all = [...names.values()]
  const isClean = (sample: NameSample) =>
    sample.quarantined <= QUARANTINED_MAX * (sample.taken + sample.quarantined)
  return {
    from,
    to,
    quarantined,
    quarantinedNames: all.filter((sample) => !isClean(sample)).map(({ name }) => name),
    names: all
      .filter((sample) => isClean(sample) && sample.windows.length > 0)
      .sort((a, b) => b.seen - a.seen || (a.name < b.name ? -1 : 1)),
  }
}

/** Classes of critical and high severity; a malicious class of no known behaviour is one. */
function graveClasses({ malicious, behaviours }: ModelClasses): number[] {
  return [...malicious.keys()].filter((c) => {
    const behaviour = behaviours?.[c]
    if (!malicious[c]) return false
    const severity = behaviour === undefined ? 'high' : BEHAVIOURS[behaviour].severity
    return severity === 'critical' || severity === 'high'
  })
}

/** The longest lists are halved, until a quarter of all windows is gone. @returns windows that are left */
function thinned(names: ReadonlyMap<string, NameSample>): number {
  const longest = [...names.values()].sort((a, b) => b.windows.length - a.windows.length)
  const before = longest.reduce((sum, { windows }) => sum + windows.length, 0)
  let left = before
  for (const sample of longest) {
    if (left <= 0.75 * before) break
    left += sample.thin()
  }
  return left
}

/** A window's probabilities with those alone that say something. */
function likely(probabilities: Float32Array): SparseRow {
  return sparseRow(probabilities.map((p) => (p < PROBABILITY_MIN ? 0 : p)))
}

function isLossy({ incomplete }: SequenceBatch, n: number): boolean {
  return incomplete[n] === 1
}

/**
 * Windows of one name: every so many of them, twice as many apart each time that there are too
 * many.
 */
class NameSample implements HostName {
  readonly name: string
  readonly claimed: number | undefined
  readonly generic: boolean
  readonly calls = new Map<number, number>()
  windows: HostWindow[] = []
  life = 0
  taken = 0
  quarantined = 0
  seen = 0
  #stride = 1

  constructor(name: string, claimed: number | undefined, generic: boolean) {
    this.name = name
    this.claimed = claimed
    this.generic = generic
  }

  wants({ pid, startMs }: Process, second: number): boolean {
    if (pid > 0) this.life = Math.max(this.life, second - Math.floor(startMs / 1000))
    return this.seen++ % this.#stride === 0
  }

  /** @returns how many windows more it holds */
  take(window: HostWindow): number {
    this.taken++
    this.windows.push(window)
    const isMoment = this.claimed === undefined && !this.generic && this.life < LASTING_SECONDS
    const most = isMoment ? MOMENT_ROWS_MAX : HOST_ROWS_PER_NAME_MAX
    return this.windows.length < 2 * most ? 1 : 1 + this.thin()
  }

  /** Every second window goes, and of those to come. @returns how many more it holds: less than 0 */
  thin(): number {
    const before = this.windows.length
    this.windows = this.windows.filter((_, i) => i % 2 === 0)
    this.#stride *= 2
    return this.windows.length - before
  }

  get profile(): (readonly [syscall: string, share: number])[] {
    const total = [...this.calls.values()].reduce((sum, count) => sum + count, 0)
    return [...this.calls]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, PROFILE_CALLS)
      .map(([syscall, count]) => [
        SYSCALLS[syscall]!,
        Math.round((count / total) * 10_000) / 10_000,
      ])
  }
}
