/**
 * Makes sequences of frames: the last ten seconds of each process that is classified now, as one
 * batch for the net [Paper III-D].
 *
 * Nothing is copied per process. The last ten frames are kept unchanged, and a process is a slot:
 * ten small integers with the position of its vector in each of them.
 *
 *      ring position   0     1     2   …   9        frame index % 10
 *      slot 0          4     -1    3       7        vector in that frame, -1 = silent
 *      slot 1          -1    0     0       2
 *
 * A model with longer frames has rows that are sums of several seconds; its sequences still end
 * with every second.
 *
 * A second in which a process made no call, or of which there is no frame, is a row of zeros. A
 * process is judged in a frame in which it was active, once it has lived for `ageMin` seconds and
 * was active in `activeMin` of the ten; what was before its birth are rows of zeros. One that is
 * silent for ten seconds leaves; whoever returns is known by its start time.
 */
import type { Frame } from '../domain/frame.ts'
import {
  ACTIVE_FRAMES_MIN,
  FRAME_MS,
  JUDGED_AGE_FRAMES,
  PROCESSES_MAX,
  SEQUENCE_FRAMES,
} from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import type { Model } from './model.ts'
import type { Normaliser } from './normalise.ts'
import { WAITS } from './waiting.ts'

/** Whose sequences end in a frame, and how whole those are. */
export interface JudgedProcesses {
  readonly frameIndex: number
  readonly processes: readonly Process[]
  readonly activeFrames: Uint8Array
  /** 1 where all its calls wait for something. */
  readonly waiting: Uint8Array
  readonly incomplete: Uint8Array
}

/** One batch for the net; row i belongs to processes[i]. `rows` is valid until the next push. */
export interface SequenceBatch extends JudgedProcesses {
  /** [n, sequenceFrames, width], oldest second first. */
  readonly rows: Float32Array
  /** [n, sequenceFrames]: calls behind each row. Valid until the next push. */
  readonly calls: Float32Array
}

/** One process, one second: how often each of these syscalls [Paper III-B]. */
export interface CountVector {
  readonly syscalls: Uint16Array
  readonly counts: Uint32Array
}

export interface SequencerOptions {
  readonly sequenceFrames?: number
  /** Seconds that are added up to one row; 1 unless the model was trained on longer frames. */
  readonly frameSeconds?: number
  readonly activeMin?: number
  /** Seconds that a process must have lived to be judged. */
  readonly ageMin?: number
  readonly processesMax?: number
}

export class Sequencer {
  readonly #normaliser: Normaliser
  /** Rows of a sequence, seconds of a row, and of them all. */
  readonly #rowCount: number
  readonly #rowSeconds: number
  readonly #length: number
  readonly #activeMin: number
  readonly #ageMin: number
  readonly #processesMax: number
  /** The last `length` frames by index % length. */
  readonly #ring: (Frame | undefined)[]
  /** [slots × length], see the drawing above. */
  #vectorAt: Int32Array
  readonly #slotOf = new Map<number, number>()
  #startMs: Float64Array
  #lastIndex: Float64Array
  readonly #free: number[] = []
  #slots = 0
  #first = Number.NEGATIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  #rows = new Float32Array(0)
  #calls = new Float32Array(0)

  constructor(normaliser: Normaliser, options: SequencerOptions = {}) {
    this.#normaliser = normaliser
    this.#rowCount = options.sequenceFrames ?? SEQUENCE_FRAMES
    this.#rowSeconds = options.frameSeconds ?? 1
    this.#length = this.#rowCount * this.#rowSeconds
    this.#activeMin = options.activeMin ?? ACTIVE_FRAMES_MIN
    this.#ageMin = options.ageMin ?? JUDGED_AGE_FRAMES
    this.#processesMax = options.processesMax ?? PROCESSES_MAX
    this.#ring = new Array<Frame | undefined>(this.#length).fill(undefined)
    this.#vectorAt = new Int32Array(64 * this.#length).fill(-1)
    this.#startMs = new Float64Array(64)
    this.#lastIndex = new Float64Array(64)
  }

  /** Number of processes with a slot. */
  get size(): number {
    return this.#slotOf.size
  }

  /** As if no frame had come: after a second that failed half way, or where the clock was set. */
  reset(): void {
    this.#ring.fill(undefined)
    this.#vectorAt.fill(-1)
    this.#slotOf.clear()
    this.#free.length = 0
    this.#slots = 0
    this.#first = Number.NEGATIVE_INFINITY
    this.#last = Number.NEGATIVE_INFINITY
  }

  /**
   * Earlier frames, oldest first, whose sequences are not needed: from the buffer, after a restart.
   */
  warm(frames: Iterable<Frame>): void {
    for (const frame of frames) this.#take(frame)
  }

  /**
   * The sequences that end in this frame. A frame that is not later than the last is a new present
   * (the clock went back), and one before which the clock was set has no past: sequences begin
   * anew.
   * @param choose which of the processes that could be judged are to be: ascending places in the
   *   list it is given
   */
  push(
    frame: Frame,
    choose?: (candidates: readonly Process[]) => readonly number[],
  ): SequenceBatch {
    const judged = this.advance(frame, choose)
    const cells = judged.processes.length * this.#rowCount
    const size = cells * this.#normaliser.width
    if (this.#rows.length < size) this.#rows = new Float32Array(Math.ceil(size * 1.25))
    if (this.#calls.length < cells) this.#calls = new Float32Array(Math.ceil(cells * 1.25))
    const rows = this.#rows.subarray(0, size)
    const calls = this.#calls.subarray(0, cells)
    this.write(judged.processes, rows, calls)
    return { ...judged, rows, calls }
  }

  /** As `push`, for who has room of its own for the rows (`write`): one batch of several hosts. */
  advance(
    frame: Frame,
    choose?: (candidates: readonly Process[]) => readonly number[],
  ): JudgedProcesses {
    this.#take(frame)
    let judged: Process[] = []
    let active: number[] = []
    if (frame.index - this.#first >= this.#length - 1) {
      for (const process of frame.processes) {
        const slot = this.#slotOf.get(process.pid)
        if (slot === undefined) continue
        if (isYoung(process, frame.index, this.#ageMin)) continue
        const count = this.#activeFrames(slot)
        if (count < this.#activeMin) continue
        judged.push(process)
        active.push(count)
      }
    }
    if (choose !== undefined) {
      const chosen = choose(judged)
      active = chosen.map((place) => active[place]!)
      judged = chosen.map((place) => judged[place]!)
    }
    const isIncomplete = this.#incompleteness()
    return {
      frameIndex: frame.index,
      processes: judged,
      activeFrames: Uint8Array.from(active),
      waiting: Uint8Array.from(judged, ({ pid }) =>
        this.#onlyWaits(this.#slotOf.get(pid)!) ? 1 : 0,
      ),
      incomplete: Uint8Array.from(judged, (process) => (isIncomplete(process) ? 1 : 0)),
    }
  }

  /**
   * The rows of the last frame's sequences. @param rows [n, sequenceFrames, width], @param calls
   * [n, sequenceFrames]: overwritten
   */
  write(processes: readonly Process[], rows: Float32Array, calls: Float32Array): void {
    const { width } = this.#normaliser
    rows.fill(0)
    for (let n = 0; n < processes.length; n++) {
      const slot = this.#slotOf.get(processes[n]!.pid)!
      for (let t = 0; t < this.#rowCount; t++) {
        const row = n * this.#rowCount + t
        calls[row] = this.#writeRow(slot, t, rows, row * width)
      }
    }
  }

  /** Whose sequence, of those that end in the last frame, lacks calls. */
  #incompleteness(): (process: Process) => boolean {
    const pids = new Set<number>()
    const users = new Set<number>()
    for (const past of this.#ring) {
      if (past === undefined) continue
      if (past.lost > 0) return () => true
      for (const { process } of past.unseen?.processes ?? []) pids.add(process.pid)
      for (const { uid } of past.unseen?.users ?? []) users.add(uid)
    }
    // A group of short-lived processes has the negative pid of its first.
    return ({ pid, latest, uid }) =>
      pids.has(Math.abs(pid)) ||
      (latest !== undefined && pids.has(latest)) ||
      (uid !== undefined && users.has(uid))
  }

  /**
   * The counts behind the last sequence of a process, oldest row first; undefined where it was
   * silent. Views into the frames where a row is one second, valid as long as the caller holds
   * them.
   */
  vectorsOf(process: Process): (CountVector | undefined)[] {
    const slot = this.#slotOf.get(process.pid)
    return Array.from({ length: this.#rowCount }, (_, t) =>
      slot === undefined ? undefined : this.#rowVector(slot, t),
    )
  }

  /** @returns the calls of the row */
  #writeRow(slot: number, t: number, rows: Float32Array, at: number): number {
    if (this.#rowSeconds > 1) {
      const vector = this.#rowVector(slot, t)
      if (vector === undefined) return 0
      const { syscalls, counts } = vector
      return this.#normaliser.row(syscalls, counts, 0, syscalls.length, rows, at)
    }
    const position = this.#positionOf(t)
    const vector = this.#vectorAt[slot * this.#length + position]!
    if (vector < 0) return 0
    const { offsets, syscalls, counts } = this.#ring[position]!
    return this.#normaliser.row(syscalls, counts, offsets[vector]!, offsets[vector + 1]!, rows, at)
  }

  /** Row t of the sequence that ends in the last frame: its seconds' calls one after the other. */
  #rowVector(slot: number, t: number): CountVector | undefined {
    const parts: CountVector[] = []
    for (let i = 0; i < this.#rowSeconds; i++) {
      const position = this.#positionOf(t * this.#rowSeconds + i)
      const vector = this.#vectorAt[slot * this.#length + position]!
      if (vector < 0) continue
      const { offsets, syscalls, counts } = this.#ring[position]!
      const [from, to] = [offsets[vector]!, offsets[vector + 1]!]
      parts.push({ syscalls: syscalls.subarray(from, to), counts: counts.subarray(from, to) })
    }
    if (parts.length < 2) return parts[0]
    return {
      syscalls: Uint16Array.from(parts.flatMap(({ syscalls }) => [...syscalls])),
      counts: Uint32Array.from(parts.flatMap(({ counts }) => [...counts])),
    }
  }

  /** Where in the ring a second of the last sequence stands, the oldest being 0. */
  #positionOf(second: number): number {
    return modulo(this.#last - this.#length + 1 + second, this.#length)
  }

  #take(frame: Frame): void {
    if (frame.index <= this.#last || frame.clockSetSeconds !== undefined) this.reset()
    const length = this.#length
    const gap = Math.min(frame.index - this.#last, length)
    if (this.#first === Number.NEGATIVE_INFINITY) this.#first = frame.index
    for (let step = 0; step < gap; step++) this.#clear(modulo(frame.index - step, length))
    const position = modulo(frame.index, length)
    this.#ring[position] = frame
    this.#last = frame.index
    for (let i = 0; i < frame.processes.length; i++) {
      const process = frame.processes[i]!
      const slot = this.#slotFor(process)
      this.#vectorAt[slot * length + position] = i
      this.#lastIndex[slot] = frame.index
    }
    this.#letGo(frame.index)
  }

  #clear(position: number): void {
    this.#ring[position] = undefined
    for (let at = position; at < this.#slots * this.#length; at += this.#length)
      this.#vectorAt[at] = -1
  }

  #slotFor(process: Process): number {
    const known = this.#slotOf.get(process.pid)
    if (known !== undefined) {
      // The same pid with another start is another process: nothing of the old one is its past.
      if (Math.floor(this.#startMs[known]! / 1000) !== Math.floor(process.startMs / 1000)) {
        this.#vectorAt.fill(-1, known * this.#length, (known + 1) * this.#length)
        this.#startMs[known] = process.startMs
      }
      return known
    }
    const slot = this.#free.pop() ?? this.#grow()
    this.#vectorAt.fill(-1, slot * this.#length, (slot + 1) * this.#length)
    this.#slotOf.set(process.pid, slot)
    this.#startMs[slot] = process.startMs
    return slot
  }

  #grow(): number {
    const slot = this.#slots++
    if (slot < this.#startMs.length) return slot
    const size = 2 * this.#startMs.length
    this.#startMs = copyInto(new Float64Array(size), this.#startMs)
    this.#lastIndex = copyInto(new Float64Array(size), this.#lastIndex)
    const vectorAt = new Int32Array(size * this.#length).fill(-1)
    vectorAt.set(this.#vectorAt)
    this.#vectorAt = vectorAt
    return slot
  }

  /**
   * Whoever was silent for a whole sequence has nothing to remember; beyond the bound the longest
   * silent goes first.
   */
  #letGo(index: number): void {
    let silence = this.#length
    while (silence > 0) {
      for (const [pid, slot] of this.#slotOf) {
        if (index - this.#lastIndex[slot]! < silence) continue
        this.#slotOf.delete(pid)
        this.#free.push(slot)
      }
      if (this.#slotOf.size <= this.#processesMax) return
      silence--
    }
  }

  #onlyWaits(slot: number): boolean {
    for (let position = 0; position < this.#length; position++) {
      const vector = this.#vectorAt[slot * this.#length + position]!
      if (vector < 0) continue
      const { offsets, syscalls } = this.#ring[position]!
      for (let k = offsets[vector]!; k < offsets[vector + 1]!; k++)
        if (WAITS[syscalls[k]!] === 0) return false
    }
    return true
  }

  #activeFrames(slot: number): number {
    let count = 0
    for (let t = 0; t < this.#length; t++) {
      if (this.#vectorAt[slot * this.#length + this.#positionOf(t)]! < 0) continue
      count++
      // On to the next row: this one has its active second.
      t += this.#rowSeconds - 1 - (t % this.#rowSeconds)
    }
    return count
  }
}

/**
 * A start time in the future is from before the clock was set: the age is unknown and treated as
 * sufficient.
 */
function isYoung({ startMs }: Process, frameIndex: number, ageMin: number): boolean {
  const started = Math.floor(startMs / 1000)
  return started > frameIndex - ageMin + 1 && started <= frameIndex
}

/** The sequencer that a model's manifest asks for. */
export function sequencerOf({
  normaliser,
  manifest,
}: Pick<Model, 'normaliser' | 'manifest'>): Sequencer {
  const { sequenceFrames, frameMs } = manifest
  return new Sequencer(normaliser, { sequenceFrames, frameSeconds: frameMs / FRAME_MS })
}

function modulo(index: number, length: number): number {
  return ((index % length) + length) % length
}

function copyInto(target: Float64Array, source: Float64Array): Float64Array {
  target.set(source)
  return target
}
