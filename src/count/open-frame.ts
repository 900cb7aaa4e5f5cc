/**
 * A second while it is being counted: (process slot, syscall) → count in flat arrays that are
 * reused for later seconds, so that the only allocation per second is its Frame.
 *
 * Cells are dense, in the order of first occurrence; an open-addressing index finds them. Counts
 * are doubles, because one hostile line may claim 2^31 calls; `close` clamps them to 32 bits and
 * returns what was cut off.
 */
import { defined } from '../domain/defined.ts'
import type {
  Activity,
  Frame,
  ProcessActivity,
  SilentProcess,
  Unseen,
  UnseenProcess,
} from '../domain/frame.ts'
import { FRAME_PROCESSES_MAX, SILENT_PROCESSES_MAX, UNSEEN_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { type NameId, NO_NAME, type ProcessFacts, type UnseenCalls } from '../domain/tally.ts'

/** Bits of a cell's key that hold the syscall index. */
const SYSCALL_BITS = 10
const SYSCALL_MASK = (1 << SYSCALL_BITS) - 1
const COUNT_MAX = 0xffff_ffff

/** What was known about a process in the frame's second. */
export interface Pinned {
  readonly facts: ProcessFacts | undefined
}

export class OpenFrame {
  index = 0
  lost = 0
  /** The clock was set before this second, by so many seconds. */
  clockSetSeconds: number | undefined
  /** Calls in the cells. */
  total = 0
  vectorCount = 0
  #cellCount = 0
  /** process slot → vector number + 1 */
  #vectorOf = new Int32Array(1_024)
  #slots = new Int32Array(512)
  #names = new Int32Array(512)
  /** CPU time by process slot; empty if the source does not report it. */
  readonly #cpu = new Map<number, { ms: number; name: NameId }>()
  readonly #unseen = new Map<number, UnseenCalls & { readonly name: NameId }>()
  readonly #unseenUsers = new Map<number, number>()
  /** By process slot. */
  readonly #activity = new Map<number, Activity & { readonly name: NameId }>()
  readonly #pinned = new Map<number, Pinned>()
  #mask = 8_191
  /** key → cell number + 1 */
  #index = new Int32Array(this.#mask + 1)
  #keys = new Int32Array(4_096)
  #counts = new Float64Array(4_096)

  get isEmpty(): boolean {
    const unseen = this.#unseen.size + this.#unseenUsers.size + this.#activity.size
    return this.vectorCount === 0 && this.lost === 0 && this.#cpu.size === 0 && unseen === 0
  }

  /** @param name the leader's; NO_NAME keeps the current one */
  add(slot: number, name: NameId, syscall: number, count: number): void {
    let vector = slot < this.#vectorOf.length ? this.#vectorOf[slot]! - 1 : -1
    if (vector < 0) vector = this.#addVector(slot)
    if (name !== NO_NAME) this.#names[vector] = name
    this.total += count
    const key = (vector << SYSCALL_BITS) | syscall
    let at = hashOf(key)
    for (;;) {
      const cell = this.#index[at & this.#mask]! - 1
      if (cell < 0) break
      if (this.#keys[cell] === key) {
        this.#counts[cell] = this.#counts[cell]! + count
        return
      }
      at++
    }
    this.#addCell(key, count, at & this.#mask)
  }

  /** CPU time of a process in this second; repeated reports add up. */
  addCpu(slot: number, name: NameId, ms: number): void {
    const told = this.#cpu.get(slot)
    if (told === undefined) this.#cpu.set(slot, { ms, name })
    else {
      told.ms += ms
      if (name !== NO_NAME) told.name = name
    }
  }

  addActivity(slot: number, name: NameId, activity: Activity): void {
    this.#activity.set(slot, { ...activity, name })
  }

  /** Of too many the rest counts as a loss of the whole second. */
  addUnseen(slot: number, name: NameId, unseen: UnseenCalls): void {
    if (this.#unseen.size < UNSEEN_MAX || this.#unseen.has(slot))
      this.#unseen.set(slot, { ...unseen, name })
    else this.lost += Math.max(1, unseen.lost)
  }

  addUnseenUser(uid: number, lost: number): void {
    if (this.#unseenUsers.size < UNSEEN_MAX || this.#unseenUsers.has(uid))
      this.#unseenUsers.set(uid, (this.#unseenUsers.get(uid) ?? 0) + lost)
    else this.lost += lost
  }

  /** The process's facts changed in a later second: the frame keeps the old ones. */
  pin(slot: number, facts: ProcessFacts | undefined): void {
    const hasVector = slot < this.#vectorOf.length && this.#vectorOf[slot]! > 0
    const isTold = this.#cpu.has(slot) || this.#unseen.has(slot) || this.#activity.has(slot)
    if ((hasVector || isTold) && !this.#pinned.has(slot)) this.#pinned.set(slot, { facts })
  }

  /** The process slots that something is known of here. */
  slots(): Iterable<number> {
    return new Set([
      ...this.#slots.subarray(0, this.vectorCount),
      ...this.#cpu.keys(),
      ...this.#unseen.keys(),
      ...this.#activity.keys(),
    ])
  }

  /** Name ids of this frame's vectors. */
  addNamesTo(names: Set<NameId>): void {
    for (let vector = 0; vector < this.vectorCount; vector++) names.add(this.#names[vector]!)
    const others = [this.#cpu, this.#unseen, this.#activity]
    for (const told of others) for (const { name } of told.values()) names.add(name)
  }

  /**
   * Makes the Frame and clears this. Beyond `processesMax` the processes with the fewest calls are
   * left out.
   * @returns the frame and how many calls it does not contain
   */
  close(
    processAt: (slot: number, name: NameId, pinned: Pinned | undefined) => Process,
    processesMax = FRAME_PROCESSES_MAX,
  ): { frame: Frame; cut: number; clamped: number } {
    const vectors: { vector: number; process: Process }[] = []
    for (const vector of this.#loudest(processesMax)) {
      const slot = this.#slots[vector]!
      const process = processAt(slot, this.#names[vector]!, this.#pinned.get(slot))
      vectors.push({ vector, process })
    }
    // By pid, so that a capture gives the same frame however it was read.
    vectors.sort((a, b) => a.process.pid - b.process.pid || a.process.startMs - b.process.startMs)
    const kept = vectors.length
    const processes = vectors.map(({ process }) => process)
    const rank = new Int32Array(this.vectorCount).fill(-1)
    for (let i = 0; i < kept; i++) rank[vectors[i]!.vector] = i

    const offsets = new Uint32Array(kept + 1)
    for (let cell = 0; cell < this.#cellCount; cell++) {
      const to = rank[this.#keys[cell]! >>> SYSCALL_BITS]!
      if (to >= 0) offsets[to + 1]!++
    }
    for (let i = 0; i < kept; i++) offsets[i + 1]! += offsets[i]!
    const syscalls = new Uint16Array(offsets[kept]!)
    const counts = new Uint32Array(offsets[kept]!)
    const ends = offsets.slice(0, kept)
    let cut = 0
    let clamped = 0
    for (let cell = 0; cell < this.#cellCount; cell++) {
      const key = this.#keys[cell]!
      const to = rank[key >>> SYSCALL_BITS]!
      let count = this.#counts[cell]!
      if (to < 0) {
        cut += count
        continue
      }
      if (count > COUNT_MAX) {
        clamped += count - COUNT_MAX
        count = COUNT_MAX
      }
      insertSorted(syscalls, counts, offsets[to]!, ends[to]!++, key & SYSCALL_MASK, count)
    }
    const frame = {
      ...{ index: this.index, processes, offsets, syscalls, counts, lost: this.lost },
      ...defined({ clockSetSeconds: this.clockSetSeconds }),
    }
    const cpu = this.#cpu.size === 0 ? undefined : this.#closeCpu(vectors, processAt)
    const unseen = this.#closeUnseen(processAt)
    const activity = this.#closeActivity(processAt)
    this.#clear()
    return { frame: { ...frame, ...cpu, ...defined({ activity, unseen }) }, cut, clamped }
  }

  #closeActivity(
    processAt: (slot: number, name: NameId, pinned: Pinned | undefined) => Process,
  ): readonly ProcessActivity[] | undefined {
    if (this.#activity.size === 0) return undefined
    return [...this.#activity]
      .map(([slot, { name, ...activity }]) => ({
        process: processAt(slot, name, this.#pinned.get(slot)),
        ...activity,
      }))
      .sort((a, b) => a.process.pid - b.process.pid)
  }

  #closeUnseen(
    processAt: (slot: number, name: NameId, pinned: Pinned | undefined) => Process,
  ): Unseen | undefined {
    if (this.#unseen.size + this.#unseenUsers.size === 0) return undefined
    const processes: UnseenProcess[] = []
    for (const [slot, { name, reason, kinds, lost }] of this.#unseen) {
      const process = processAt(slot, name, this.#pinned.get(slot))
      processes.push({ process, reason, kinds, lost })
    }
    const users = [...this.#unseenUsers].map(([uid, lost]) => ({ uid, lost }))
    return {
      processes: processes.sort((a, b) => a.process.pid - b.process.pid),
      users: users.sort((a, b) => a.uid - b.uid),
    }
  }

  /**
   * CPU times of the frame's vectors, and processes with CPU time only; at the limit the busiest
   * are kept.
   */
  #closeCpu(
    vectors: readonly { readonly vector: number }[],
    processAt: (slot: number, name: NameId, pinned: Pinned | undefined) => Process,
  ): { cpuMs: Uint32Array; silent: readonly SilentProcess[] } {
    const cpuMs = new Uint32Array(vectors.length)
    for (const [i, { vector }] of vectors.entries())
      cpuMs[i] = Math.round(this.#cpu.get(this.#slots[vector]!)?.ms ?? 0)
    const silent: SilentProcess[] = []
    for (const [slot, { ms, name }] of this.#cpu) {
      if (slot < this.#vectorOf.length && this.#vectorOf[slot]! > 0) continue
      const process = processAt(slot, name, this.#pinned.get(slot))
      silent.push({ process, cpuMs: Math.round(ms) })
    }
    if (silent.length > SILENT_PROCESSES_MAX) {
      silent.sort((a, b) => b.cpuMs - a.cpuMs || a.process.pid - b.process.pid)
      silent.length = SILENT_PROCESSES_MAX
    }
    return { cpuMs, silent: silent.sort((a, b) => a.process.pid - b.process.pid) }
  }

  /** Clears this. @returns how many calls it had */
  drop(): number {
    const total = this.total
    this.#clear()
    return total
  }

  /** The vectors of the frame, by number; at the limit those with the most calls. */
  #loudest(processesMax: number): number[] {
    const all = Array.from({ length: this.vectorCount }, (_, vector) => vector)
    if (this.vectorCount <= processesMax) return all
    const totals = new Float64Array(this.vectorCount)
    for (let cell = 0; cell < this.#cellCount; cell++) {
      totals[this.#keys[cell]! >>> SYSCALL_BITS]! += this.#counts[cell]!
    }
    return all.sort((a, b) => totals[b]! - totals[a]! || a - b).slice(0, processesMax)
  }

  #addVector(slot: number): number {
    if (slot >= this.#vectorOf.length) this.#vectorOf = resized(this.#vectorOf, 2 * (slot + 1))
    if (this.vectorCount === this.#slots.length) {
      this.#slots = resized(this.#slots, 2 * this.vectorCount)
      this.#names = resized(this.#names, 2 * this.vectorCount)
    }
    const vector = this.vectorCount++
    this.#vectorOf[slot] = vector + 1
    this.#slots[vector] = slot
    this.#names[vector] = NO_NAME
    return vector
  }

  #addCell(key: number, count: number, at: number): void {
    if (this.#cellCount === this.#keys.length) {
      this.#grow()
      at = hashOf(key)
      while (this.#index[at & this.#mask] !== 0) at++
      at &= this.#mask
    }
    const cell = this.#cellCount++
    this.#keys[cell] = key
    this.#counts[cell] = count
    this.#index[at] = cell + 1
  }

  #grow(): void {
    this.#keys = resized(this.#keys, 2 * this.#cellCount)
    const counts = new Float64Array(2 * this.#cellCount)
    counts.set(this.#counts)
    this.#counts = counts
    this.#mask = 2 * this.#mask + 1
    this.#index = new Int32Array(this.#mask + 1)
    for (let cell = 0; cell < this.#cellCount; cell++) {
      let at = hashOf(this.#keys[cell]!)
      while (this.#index[at & this.#mask] !== 0) at++
      this.#index[at & this.#mask] = cell + 1
    }
  }

  #clear(): void {
    for (let vector = 0; vector < this.vectorCount; vector++) {
      this.#vectorOf[this.#slots[vector]!] = 0
    }
    this.#index.fill(0)
    this.#pinned.clear()
    this.#cpu.clear()
    this.#unseen.clear()
    this.#unseenUsers.clear()
    this.#activity.clear()
    this.vectorCount = 0
    this.#cellCount = 0
    this.lost = 0
    this.clockSetSeconds = undefined
    this.total = 0
  }
}

function hashOf(key: number): number {
  const product = Math.imul(key, 0x9e3779b1)
  return product ^ (product >>> 15)
}

function resized(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length)
  larger.set(array)
  return larger
}

/** A vector has about ten cells: insertion beats any sort. */
function insertSorted(
  syscalls: Uint16Array,
  counts: Uint32Array,
  from: number,
  to: number,
  syscall: number,
  count: number,
): void {
  let at = to
  while (at > from && syscalls[at - 1]! > syscall) {
    syscalls[at] = syscalls[at - 1]!
    counts[at] = counts[at - 1]!
    at--
  }
  syscalls[at] = syscall
  counts[at] = count
}
