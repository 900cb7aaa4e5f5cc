/**
 * Groups short-lived processes of one name: a tool that is started every second (a scanner in a
 * loop, helpers of a shell script) has no process with ten seconds of evidence, and would never be
 * classified.
 *
 * Beside its processes a frame gets one more vector per name (and parent, where one is known): the
 * sum over the processes that bear it and are in the first seconds of their life. Its pid is minus
 * the first member's, as kill(2) names groups, so it can never meet a real process; `latest` says
 * which pid to look at. It goes to the model like any process. A group needs several processes.
 *
 * What it does not promise: that the members belong together. Two users' `grep` are one group where
 * the source tells no parent.
 */
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import {
  SEQUENCE_FRAMES,
  SHORT_LIFE_FRAMES,
  SHORT_LIVES_MAX,
  SHORT_LIVES_MIN,
  FRAME_PROCESSES_MAX as YOUNG_MAX,
} from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { SYSCALLS } from '../domain/syscalls.ts'

interface Group {
  process: Process
  /** Frames in which the youngest members began, newest last; no longer than SHORT_LIVES_MIN. */
  births: number[]
  lastFrame: number
}

export class ShortLives {
  readonly #groups = new Map<string, Group>()
  /** pid@start of the young ones that are counted already, with the second they began. */
  readonly #young = new Map<string, number>()
  readonly #max: number
  /** By syscall; all zeros between two uses. */
  readonly #sums = new Float64Array(SYSCALLS.length)
  #evicted = 0
  #first = -1
  #last = -1

  constructor(options: { max?: number } = {}) {
    this.#max = options.max ?? SHORT_LIVES_MAX
  }

  /** Groups given up because there were too many at a time. */
  get evicted(): number {
    return this.#evicted
  }

  /** As if no frame had come. */
  reset(): void {
    this.#groups.clear()
    this.#young.clear()
    this.#first = -1
    this.#last = -1
  }

  /**
   * The frame with its groups behind its processes; the frame itself where there is none. A frame
   * that is not later than the last is a new present.
   */
  push(frame: Frame): Frame {
    if (this.#first < 0 || frame.index < this.#last) this.#first = frame.index
    this.#last = frame.index
    this.#forget(frame.index)
    const members = new Map<string, number[]>()
    for (let i = 0; i < frame.processes.length; i++) {
      const process = frame.processes[i]!
      const started = Math.floor(process.startMs / 1000)
      // Where no source tells the start it is the second of first sight: what was there when we
      // came is not young.
      if (frame.index - started >= SHORT_LIFE_FRAMES || started <= this.#first) continue
      // Told by a clock that has been set since.
      if (started > frame.index) continue
      const key = `${process.pid}@${started}`
      if (!this.#young.has(key) && this.#young.size < YOUNG_MAX) {
        this.#young.set(key, started)
        this.#join(process, frame.index)
      }
      const name = groupKey(process)
      const list = members.get(name)
      if (list === undefined) members.set(name, [i])
      else list.push(i)
    }
    const active = [...members].filter(([name]) => this.#isGroup(name, frame.index))
    return active.length === 0 ? frame : this.#extended(frame, active)
  }

  #join(process: Process, frameIndex: number): void {
    const name = groupKey(process)
    let group = this.#groups.get(name)
    if (group === undefined) {
      if (this.#groups.size >= this.#max) {
        // The map keeps insertion order and a group that lives on is moved to its end: the first is
        // the longest silent.
        const oldest = this.#groups.keys().next().value!
        this.#groups.delete(oldest)
        this.#evicted++
      }
      const { pid, startMs, name: presented, exe, container, ppid, uid } = process
      group = {
        process: {
          pid: -pid,
          startMs,
          name: presented,
          ...defined({ exe, container, ppid, uid }),
        },
        births: [],
        lastFrame: frameIndex,
      }
    } else {
      this.#groups.delete(name)
      // The first member may be seen before its container is known.
      if (group.process.container === undefined && process.container !== undefined)
        group.process = { ...group.process, container: process.container }
    }
    this.#groups.set(name, group)
    group.births.push(frameIndex)
    if (group.births.length > SHORT_LIVES_MIN) group.births.shift()
    group.lastFrame = frameIndex
  }

  #isGroup(name: string, frameIndex: number): boolean {
    const births = this.#groups.get(name)?.births
    return (
      births !== undefined &&
      births.length >= SHORT_LIVES_MIN &&
      frameIndex - births[0]! <= 2 * SEQUENCE_FRAMES
    )
  }

  #extended(frame: Frame, active: readonly (readonly [string, readonly number[]])[]): Frame {
    const before = frame.processes.length
    const processes = [...frame.processes]
    const vectors = active.map(([, rows]) => this.#added(frame, rows))
    const cells = vectors.reduce((sum, { length }) => sum + length, frame.syscalls.length)
    const offsets = copied(frame.offsets, new Uint32Array(before + active.length + 1))
    const syscalls = copied(frame.syscalls, new Uint16Array(cells))
    const counts = copied(frame.counts, new Uint32Array(cells))
    const cpuMs = frame.cpuMs && copied(frame.cpuMs, new Uint32Array(before + active.length))
    let at = frame.syscalls.length
    active.forEach(([name, rows], i) => {
      const latest = frame.processes[rows.at(-1)!]!
      processes.push({ ...this.#groups.get(name)!.process, latest: latest.pid })
      for (const [syscall, count] of vectors[i]!) {
        syscalls[at] = syscall
        counts[at++] = Math.min(count, 0xffffffff)
      }
      offsets[before + i + 1] = at
      if (cpuMs !== undefined)
        cpuMs[before + i] = rows.reduce((sum, row) => sum + frame.cpuMs![row]!, 0)
    })
    return { ...frame, processes, offsets, syscalls, counts, ...defined({ cpuMs }) }
  }

  /** The sum of these vectors, by ascending syscall. */
  #added({ offsets, syscalls, counts }: Frame, rows: readonly number[]): [number, number][] {
    const sums = this.#sums
    const seen: number[] = []
    for (const row of rows) {
      for (let k = offsets[row]!; k < offsets[row + 1]!; k++) {
        const syscall = syscalls[k]!
        if (sums[syscall] === 0) seen.push(syscall)
        sums[syscall]! += counts[k]!
      }
    }
    return seen
      .sort((a, b) => a - b)
      .map((syscall) => {
        const sum = sums[syscall]!
        sums[syscall] = 0
        return [syscall, sum]
      })
  }

  #forget(frameIndex: number): void {
    for (const [key, started] of this.#young) {
      if (frameIndex - started >= SHORT_LIFE_FRAMES || started > frameIndex) this.#young.delete(key)
    }
    for (const [name, group] of this.#groups) {
      if (frameIndex - group.lastFrame > 2 * SEQUENCE_FRAMES || group.lastFrame > frameIndex)
        this.#groups.delete(name)
    }
  }
}

function copied<T extends Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}

function groupKey(process: Process): string {
  return process.ppid === undefined ? process.name : `${process.ppid}/${process.name}`
}
