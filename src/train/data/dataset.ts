/**
 * Makes windows of recordings: for each process and second the last ten seconds, by the same rule
 * as the live sequencer (active now, known for ten seconds, active in three of them; a silent
 * second is a row of zeros).
 *
 * Sparse and shared: each vector is stored once, as counts by component, and a window is ten
 * positions in that store (−1 for a silent second). Two million vectors with ten calls each take
 * 140 MB; the dense rows of a batch are made from counts when needed, so that training can augment
 * them.
 *
 * Excluded: a name that its process has for one second only (a forked child under its parent's
 * name, until it execs), and everything that `scenarios.ts` excludes.
 */
import { ShortLives } from '../../detect/short-lives.ts'
import { ACTIVE_FRAMES_MIN, SEQUENCE_FRAMES } from '../../domain/limits.ts'
import type { Process } from '../../domain/process.ts'
import { OTHER, SYSCALLS } from '../../domain/syscalls.ts'
import { type AliasRule, classNameOf } from '../../model/aliases.ts'
import type { Normaliser } from '../../model/normalise.ts'
import { GENERIC } from './classes.ts'
import type { LabelledFrame, Recording } from './recording.ts'
import { type Happening, HappeningIndex, MaliciousPrograms } from './scenarios.ts'
import type { Part, Split } from './split.ts'
import type { Window } from './window.ts'

/** From this many vectors per recording a garbage collection is worth its time. */
const LONG_RECORDING = 50_000

/** Active seconds that make a training window of a malicious program. */
const MALICIOUS_ACTIVE = 2
/** And calls: all waiting programs look alike. */
const MALICIOUS_CALLS = 30

export interface Windows {
  readonly frames: number
  readonly list: readonly Window[]
  /** [windows × frames] vector ids, −1 for a silent second. */
  readonly rows: Int32Array
  /** Vectors by column: vector v is [offsets[v], offsets[v + 1]) of the two below. */
  readonly offsets: Uint32Array
  readonly syscalls: Uint16Array
  readonly counts: Uint32Array
}

export interface WindowOptions {
  /** Rows of a window. */
  readonly frames?: number
  /** Seconds that are summed to one row. */
  readonly frameSeconds?: number
  readonly activeMin?: number
  /**
   * Minimum age of a process in seconds; JUDGED_AGE_FRAMES in the live sequencer, a whole sequence
   * in the paper.
   */
  readonly ageMin?: number
  /** Take each ordinary process's window every so many seconds. */
  readonly stride?: number
  /** Sum up short-lived processes of one name, as detection does (detect/short-lives.ts). */
  readonly groups?: boolean
}

export function makeWindows(
  recordings: readonly Recording[],
  happenings: readonly Happening[],
  split: Split,
  aliases: readonly AliasRule[],
  options: WindowOptions = {},
): Windows {
  const frames = options.frames ?? SEQUENCE_FRAMES
  const rowSeconds = options.frameSeconds ?? 1
  const length = frames * rowSeconds
  const activeMin = options.activeMin ?? ACTIVE_FRAMES_MIN
  const ageMin = options.ageMin ?? length
  const stride = options.stride ?? 1
  const index = new HappeningIndex(happenings)
  const store = new VectorStore()
  const list: Window[] = []
  let rows = new Int32Array(1 << 16)
  const classOf = classNamer(aliases)
  const programs = new MaliciousPrograms(namesOutside(recordings, index), (name) =>
    GENERIC.has(classOf(name)),
  )
  for (const [r, whole] of recordings.entries()) {
    const recording = options.groups === true ? withGroups(whole) : whole
    const pasts = new Map<number, Past>()
    const borne = secondsUnderNames(recording)
    const begin = recording.frames[0]?.index ?? 0
    for (const frame of recording.frames) {
      const vectors = store.add(frame)
      for (const [i, process] of frame.processes.entries()) {
        let past = pasts.get(process.pid)
        if (past === undefined || past.startMs !== process.startMs) {
          past = new Past(process.startMs, length, rowSeconds)
          pasts.set(process.pid, past)
        }
        past.take(frame.index, vectors + i)
        const first = frame.index - length + 1
        if (first < begin || (process.pid > 0 && borne.get(process) === 1)) continue
        const active = past.activeRows(first)
        let name = classOf(frame.labels?.[i] ?? process.name)
        let malicious = false
        let part: Part | undefined
        const happening = index.at(recording.host, process, frame.index)
        if (happening !== undefined) {
          const program = programs.at(happening, process.name, frame.index)
          if (program === undefined) continue
          name = program
          malicious = true
          part = split.partOfHappening(happening)
        } else part = split.partOf(recordings[r]!, first, frame.index)
        if (part === undefined) continue
        // There are too few attacks to skip any.
        if (!malicious && (frame.index + process.pid) % stride !== 0) continue
        const old = Math.floor(process.startMs / 1000) <= frame.index - ageMin + 1
        // Labelled attacks are few and short: windows too young or too quiet to be classified are
        // used for training.
        const teaches = malicious && part === 'train' && active >= MALICIOUS_ACTIVE
        if (!teaches && !(old && active >= activeMin)) continue
        const at = list.length * frames
        if (at + frames > rows.length) {
          const larger = new Int32Array(2 * rows.length)
          larger.set(rows)
          rows = larger
        }
        for (let t = 0; t < frames; t++)
          rows[at + t] = past.rowFrom(first + t * rowSeconds, (ids) => store.merge(ids))
        if (malicious && store.callsOf(rows.subarray(at, at + frames)) < MALICIOUS_CALLS) continue
        list.push({
          name,
          malicious,
          ...(happening === undefined ? {} : { scenario: happening.scenario }),
          part,
          recording: r,
          second: frame.index,
          pid: process.pid,
          at,
        })
      }
    }
    // The groups of a long recording take hundreds of megabytes and are not used any more.
    if (recording.vectors > LONG_RECORDING) Bun.gc(true)
  }
  return { frames, list, rows: rows.slice(0, list.length * frames), ...store.end() }
}

/** The last seconds of one process, and of which vectors its rows are made. */
class Past {
  readonly startMs: number
  readonly #rowSeconds: number
  readonly #length: number
  /** By second % length: which second stands there, its vector, and the row that begins with it. */
  readonly #seconds: Float64Array
  readonly #vectors: Int32Array
  readonly #rowBegins: Float64Array
  readonly #rows: Int32Array

  constructor(startMs: number, length: number, rowSeconds: number) {
    this.startMs = startMs
    this.#rowSeconds = rowSeconds
    this.#length = length
    this.#seconds = new Float64Array(length).fill(-1)
    this.#vectors = new Int32Array(length)
    this.#rowBegins = new Float64Array(rowSeconds > 1 ? length : 0).fill(-1)
    this.#rows = new Int32Array(rowSeconds > 1 ? length : 0)
  }

  take(second: number, vector: number): void {
    this.#seconds[second % this.#length] = second
    this.#vectors[second % this.#length] = vector
  }

  /** Rows with an active second, of those from `first` on. */
  activeRows(first: number): number {
    let active = 0
    for (let second = first; second < first + this.#length; second++) {
      if (this.#vectorAt(second) < 0) continue
      active++
      second += this.#rowSeconds - 1 - ((second - first) % this.#rowSeconds)
    }
    return active
  }

  /**
   * The vector of the row that begins with a second, −1 where it is silent. @param merge makes one
   * of several
   */
  rowFrom(second: number, merge: (vectors: readonly number[]) => number): number {
    if (this.#rowSeconds === 1) return this.#vectorAt(second)
    const position = second % this.#length
    if (this.#rowBegins[position] !== second) {
      const vectors: number[] = []
      for (let i = 0; i < this.#rowSeconds; i++) {
        const vector = this.#vectorAt(second + i)
        if (vector >= 0) vectors.push(vector)
      }
      this.#rowBegins[position] = second
      this.#rows[position] = vectors.length < 2 ? (vectors[0] ?? -1) : merge(vectors)
    }
    return this.#rows[position]!
  }

  #vectorAt(second: number): number {
    const position = second % this.#length
    return this.#seconds[position] === second ? this.#vectors[position]! : -1
  }
}

/** Class names of presented names, cached. */
function classNamer(aliases: readonly AliasRule[]): (name: string) => string {
  const known = new Map<string, string>()
  return (name) => {
    let found = known.get(name)
    if (found === undefined) {
      found = classNameOf(name, aliases)
      known.set(name, found)
    }
    return found
  }
}

/**
 * Names of recordings without any malicious scenario: a process that an attack leaves behind is not
 * benign just because no scenario lists it.
 */
export function ordinaryNames(
  recordings: readonly Recording[],
  index: HappeningIndex,
): Set<string> {
  const quiet = recordings.filter(
    ({ host, frames }) => !index.within(host, frames[0]!.index, frames.at(-1)!.index),
  )
  return namesOutside(quiet, index)
}

/** Names of processes outside any scenario. */
function namesOutside(recordings: readonly Recording[], index: HappeningIndex): Set<string> {
  const names = new Set<string>()
  for (const { host, frames } of recordings)
    for (const frame of frames)
      for (const process of frame.processes)
        if (!names.has(process.name) && index.at(host, process, frame.index) === undefined)
          names.add(process.name)
  return names
}

/** Calls in each row of a window. */
export function callsOf(
  { rows, list, frames, offsets, counts }: Windows,
  id: number,
): Float32Array {
  return Float32Array.from({ length: frames }, (_, t) => {
    const vector = rows[list[id]!.at + t]!
    if (vector < 0) return 0
    let calls = 0
    for (let k = offsets[vector]!; k < offsets[vector + 1]!; k++) calls += counts[k]!
    return calls
  })
}

/**
 * Names of the calls that occur in these windows, `other` first, then in the order of
 * domain/syscalls.ts.
 */
export function vocabularyOf(windows: Windows, parts: ReadonlySet<Part>): string[] {
  const seen = new Uint8Array(SYSCALLS.length)
  seen[OTHER] = 1
  for (const window of windows.list) {
    if (!parts.has(window.part)) continue
    for (let t = 0; t < windows.frames; t++) {
      const vector = windows.rows[window.at + t]!
      if (vector < 0) continue
      for (let k = windows.offsets[vector]!; k < windows.offsets[vector + 1]!; k++)
        seen[windows.syscalls[k]!] = 1
    }
  }
  return SYSCALLS.filter((_, index) => seen[index] === 1)
}

/** Vectors by component of a normaliser, each component once per vector. */
export interface ComponentVectors {
  readonly offsets: Uint32Array
  readonly components: Uint16Array
  readonly counts: Uint32Array
}

export function componentVectors(windows: Windows, normaliser: Normaliser): ComponentVectors {
  const size = windows.offsets.length - 1
  const offsets = new Uint32Array(size + 1)
  const components = new Uint16Array(windows.syscalls.length)
  const counts = new Uint32Array(windows.syscalls.length)
  const place = new Int32Array(normaliser.components.length)
  let end = 0
  for (let v = 0; v < size; v++) {
    const begin = end
    for (let k = windows.offsets[v]!; k < windows.offsets[v + 1]!; k++) {
      const component = normaliser.componentOf[windows.syscalls[k]!]!
      const at = place[component]!
      if (at >= begin && at < end && components[at] === component) counts[at]! += windows.counts[k]!
      else {
        place[component] = end
        components[end] = component
        counts[end++] = windows.counts[k]!
      }
    }
    offsets[v + 1] = end
  }
  return { offsets, components: components.slice(0, end), counts: counts.slice(0, end) }
}

/** Seconds that each process has each name: a Process value stands for both. */
function secondsUnderNames({ frames }: Recording): Map<Process, number> {
  const seconds = new Map<Process, number>()
  for (const frame of frames)
    for (const process of frame.processes) seconds.set(process, (seconds.get(process) ?? 0) + 1)
  return seconds
}

function withGroups(recording: Recording): Recording {
  const shortLives = new ShortLives()
  return {
    ...recording,
    frames: recording.frames.map((frame): LabelledFrame => shortLives.push(frame)),
  }
}

/**
 * Vectors of many frames in three arrays that grow; one recording's groups are in memory at a time.
 */
class VectorStore {
  #vectors = 0
  #cells = 0
  #offsets = new Uint32Array(1 << 12)
  #syscalls = new Uint16Array(1 << 15)
  #counts = new Uint32Array(1 << 15)

  /** Calls in these vectors, −1 for none. */
  callsOf(vectors: Int32Array): number {
    let calls = 0
    for (const vector of vectors) {
      if (vector < 0) continue
      for (let k = this.#offsets[vector]!; k < this.#offsets[vector + 1]!; k++)
        calls += this.#counts[k]!
    }
    return calls
  }

  /** @returns the id of the frame's first vector; the others follow */
  add(frame: LabelledFrame): number {
    const first = this.#room(frame.processes.length, frame.syscalls.length)
    this.#syscalls.set(frame.syscalls, this.#cells)
    this.#counts.set(frame.counts, this.#cells)
    for (let i = 1; i <= frame.processes.length; i++)
      this.#offsets[first + i] = this.#cells + frame.offsets[i]!
    this.#vectors += frame.processes.length
    this.#cells += frame.syscalls.length
    return first
  }

  /** A vector of several ones' counts. @returns its id */
  merge(vectors: readonly number[]): number {
    const counts = new Map<number, number>()
    for (const vector of vectors)
      for (let k = this.#offsets[vector]!; k < this.#offsets[vector + 1]!; k++) {
        const syscall = this.#syscalls[k]!
        counts.set(syscall, (counts.get(syscall) ?? 0) + this.#counts[k]!)
      }
    const id = this.#room(1, counts.size)
    for (const [syscall, count] of counts) {
      this.#syscalls[this.#cells] = syscall
      this.#counts[this.#cells++] = Math.min(count, 0xffff_ffff)
    }
    this.#offsets[id + 1] = this.#cells
    this.#vectors++
    return id
  }

  /** @returns the id of the next vector */
  #room(vectors: number, cells: number): number {
    if (this.#cells + cells > this.#syscalls.length) {
      const size = Math.max(this.#cells + cells, Math.ceil(1.5 * this.#syscalls.length))
      this.#syscalls = grown(this.#syscalls, new Uint16Array(size))
      this.#counts = grown(this.#counts, new Uint32Array(size))
    }
    const end = this.#vectors + vectors
    if (end >= this.#offsets.length)
      this.#offsets = grown(
        this.#offsets,
        new Uint32Array(Math.max(end + 1, Math.ceil(1.5 * this.#offsets.length))),
      )
    return this.#vectors
  }

  end(): Pick<Windows, 'offsets' | 'syscalls' | 'counts'> {
    return {
      offsets: this.#offsets.slice(0, this.#vectors + 1),
      syscalls: this.#syscalls.slice(0, this.#cells),
      counts: this.#counts.slice(0, this.#cells),
    }
  }
}

function grown<T extends Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
