/**
 * The process that has a pid now: identity is pid@start, and a pid seen after its process exited,
 * or with another start, is another process. Columnar, one slot per process, slots are reused.
 *
 * The name of a process is that of its thread-group leader. Until that is known, another thread's
 * name is used (the leader of a daemon may make no call for minutes). A forked child has its
 * parent's name until it execs; a rename or an exec keeps the identity.
 *
 * Known gap: a process that ended without an exit in the stream and whose pid was reused. It is
 * taken for the old process unless the source reports start times.
 */
import { PROCESSES_MAX } from '../domain/limits.ts'
import type { Process } from '../domain/process.ts'
import { type NameId, NO_NAME, type ProcessFacts } from '../domain/tally.ts'

/** Calls of other CPUs come at most this long after the exit line of their process. */
const EXIT_GRACE_MS = 1
/** What the host was asked about a process. */
const NAME_ASKED = 1
const START_ASKED = 2

export class ProcessTable {
  readonly max: number
  #mask: number
  /** pid → slot + 1 of the process that has it now. */
  #index: Int32Array
  #pids: Int32Array
  /** Whole seconds if the source reports it; else -1, and the first second with a call is used. */
  #starts: Float64Array
  /** First second with a call, as a frame index; Infinity before it. */
  #firstSeen: Float64Array
  /** The leader's name; the other threads' is negative [see threadName]. */
  #names: Int32Array
  /** Last second with a call, as a frame index. */
  #lastSeen: Float64Array
  /** Unix ms; NaN while it lives. */
  #ended: Float64Array
  #asked: Uint8Array
  readonly #facts: (ProcessFacts | undefined)[] = []
  readonly #cached: (Process | undefined)[] = []
  readonly #cachedName: NameId[] = []
  readonly #free: number[] = []
  #used = 0

  constructor(max = PROCESSES_MAX) {
    this.max = max
    const capacity = Math.min(1_024, max)
    this.#mask = 4_095
    this.#index = new Int32Array(this.#mask + 1)
    this.#pids = new Int32Array(capacity)
    this.#starts = new Float64Array(capacity)
    this.#firstSeen = new Float64Array(capacity)
    this.#names = new Int32Array(capacity)
    this.#lastSeen = new Float64Array(capacity)
    this.#ended = new Float64Array(capacity)
    this.#asked = new Uint8Array(capacity)
  }

  get size(): number {
    return this.#used - this.#free.length
  }

  /** One past the highest slot given out: how long arrays by slot must be. */
  get slotCount(): number {
    return this.#used
  }

  /**
   * The slot of the process that has this pid at this time, made where there is none; -1 when the
   * table is full.
   */
  slotOf(pid: number, timeMs: number): number {
    const slot = this.find(pid)
    if (slot < 0) return this.#create(pid)
    if (timeMs > this.#ended[slot]! + EXIT_GRACE_MS) return this.#succeed(slot, pid, timeMs)
    return slot
  }

  /** The slot that has this pid, dead or alive; -1 where there is none. */
  find(pid: number): number {
    let at = Math.imul(pid, 0x9e3779b1) >>> 15
    for (;;) {
      const slot = this.#index[at & this.#mask]! - 1
      if (slot < 0 || this.#pids[slot] === pid) return slot
      at++
    }
  }

  /**
   * Notes a call in this second (NaN: quarantined). @returns the leader's name if `name` is one,
   * else NO_NAME
   */
  see(slot: number, name: NameId, frameIndex: number): NameId {
    if (frameIndex > this.#lastSeen[slot]!) this.#lastSeen[slot] = frameIndex
    if (frameIndex < this.#firstSeen[slot]!) this.#firstSeen[slot] = frameIndex
    if (name > 0) {
      this.#names[slot] = name
      return name
    }
    if (name < 0 && this.#names[slot]! <= 0) this.#names[slot] = name
    return NO_NAME
  }

  /**
   * What a source reports beside calls. A start that differs from the known one makes another
   * process.
   * @returns the slot, and the previous facts if they changed
   */
  describe(
    pid: number,
    name: NameId,
    facts: ProcessFacts,
    timeMs: number,
  ): { slot: number; before: ProcessFacts | undefined } | undefined {
    let slot = this.slotOf(pid, timeMs)
    if (slot < 0) return undefined
    if (facts.startMs !== undefined) {
      const start = Math.floor(facts.startMs / 1000)
      const known = this.#startOf(slot)
      // Sources may round the same start to neighbouring seconds.
      if (start > known + 1) slot = this.#replace(slot, pid)
      if (slot < 0) return undefined
      if (this.#firstSeen[slot] === Number.POSITIVE_INFINITY) this.#starts[slot] = start
    }
    if (name !== NO_NAME) this.see(slot, name, Number.NaN)
    const before = this.#facts[slot]
    this.#facts[slot] = before === undefined ? facts : { ...before, ...facts }
    this.#cached[slot] = undefined
    return { slot, before }
  }

  exit(pid: number, timeMs: number): void {
    const slot = this.find(pid)
    if (slot >= 0 && Number.isNaN(this.#ended[slot]!)) this.#ended[slot] = timeMs
  }

  /**
   * The clock was set back to this second: none was seen or ended in what is the future now. Starts
   * that were reported stay.
   */
  stepBack(frameIndex: number): void {
    for (let slot = 0; slot < this.#used; slot++) {
      this.#lastSeen[slot] = Math.min(this.#lastSeen[slot]!, frameIndex)
      // NaN stays NaN: it lives.
      this.#ended[slot] = Math.min(this.#ended[slot]!, frameIndex * 1000)
    }
  }

  /** True once for each process whose start no source has reported. */
  shouldAskStart(slot: number): boolean {
    if (this.#starts[slot]! >= 0 || (this.#asked[slot]! & START_ASKED) !== 0) return false
    this.#asked[slot]! |= START_ASKED
    return true
  }

  /** Its start, Unix seconds, as the host itself says. Not after it was first seen. */
  setStart(slot: number, start: number): void {
    if (start <= this.#firstSeen[slot]! + 1) this.#starts[slot] = start
  }

  /** True once for each process whose leader's name is not known: it should be looked up now. */
  shouldAsk(slot: number): boolean {
    if (this.#names[slot]! > 0 || (this.#asked[slot]! & NAME_ASKED) !== 0) return false
    this.#asked[slot]! |= NAME_ASKED
    return true
  }

  /**
   * The process as it presented itself in a frame; the same object while nothing changes.
   * @param pinned the facts of that second, if they have changed since
   */
  processAt(
    slot: number,
    name: NameId,
    pinned: { readonly facts: ProcessFacts | undefined } | undefined,
    nameOf: (id: NameId) => string,
  ): Process {
    const id = name === NO_NAME ? Math.abs(this.#names[slot]!) : name
    if (pinned !== undefined) return this.#make(slot, nameOf(id), pinned.facts)
    const cached = this.#cached[slot]
    if (cached !== undefined && this.#cachedName[slot] === id) return cached
    const process = this.#make(slot, nameOf(id), this.#facts[slot])
    this.#cached[slot] = process
    this.#cachedName[slot] = id
    return process
  }

  #make(slot: number, name: string, facts: ProcessFacts | undefined): Process {
    // Its start is handed out here and must not change afterwards.
    this.#starts[slot] = this.#startOf(slot)
    const { startMs: _, exe = '', ...known } = facts ?? {}
    const process = { pid: this.#pids[slot]!, startMs: this.#starts[slot]! * 1000, name, ...known }
    return exe === '' ? process : { ...process, exe }
  }

  /** Whole seconds; Infinity if not known yet. */
  #startOf(slot: number): number {
    const start = this.#starts[slot]!
    return start >= 0 ? start : this.#firstSeen[slot]!
  }

  /** Name ids that processes still have. */
  namesInUse(): Set<NameId> {
    const names = new Set<NameId>()
    for (let slot = 0; slot < this.#used; slot++) names.add(Math.abs(this.#names[slot]!))
    return names
  }

  /** After names were reclaimed an id may stand for another name: cached processes are dropped. */
  forgetCachedNames(): void {
    this.#cachedName.fill(-1)
  }

  /**
   * Frees processes that ended before the second `beforeIndex`, and the longest silent until `keep`
   * are left.
   */
  evict(beforeIndex: number, keep: number): void {
    const silent: number[] = []
    const free = new Set(this.#free)
    for (let slot = 0; slot < this.#used; slot++) {
      if (free.has(slot) || this.#lastSeen[slot]! >= beforeIndex) continue
      if (Number.isNaN(this.#ended[slot]!)) silent.push(slot)
      else this.#release(slot)
    }
    const surplus = this.size - keep
    if (surplus > 0) {
      silent.sort((a, b) => this.#lastSeen[a]! - this.#lastSeen[b]! || a - b)
      for (const slot of silent.slice(0, surplus)) this.#release(slot)
    }
    this.#reindex()
  }

  /** The pid was reused. Within the same whole second the two processes cannot be distinguished. */
  #succeed(slot: number, pid: number, timeMs: number): number {
    if (this.#startOf(slot) === Math.floor(timeMs / 1000)) {
      this.#ended[slot] = Number.NaN
      return slot
    }
    return this.#replace(slot, pid)
  }

  /**
   * The old slot stays until its frames are closed (evict frees it), but the pid means the new one.
   */
  #replace(slot: number, pid: number): number {
    if (Number.isNaN(this.#ended[slot]!)) this.#ended[slot] = 0
    const made = this.#take(pid)
    if (made < 0) return made
    let at = Math.imul(pid, 0x9e3779b1) >>> 15
    while (this.#index[at & this.#mask] !== slot + 1) at++
    this.#index[at & this.#mask] = made + 1
    return made
  }

  #create(pid: number): number {
    const slot = this.#take(pid)
    if (slot >= 0) this.#place(slot)
    return slot
  }

  #take(pid: number): number {
    const slot = this.#free.pop() ?? (this.#used < this.max ? this.#used++ : -1)
    if (slot < 0) return slot
    if (slot >= this.#pids.length) this.#grow()
    this.#pids[slot] = pid
    this.#starts[slot] = -1
    this.#firstSeen[slot] = Number.POSITIVE_INFINITY
    this.#names[slot] = NO_NAME
    this.#lastSeen[slot] = -1
    this.#ended[slot] = Number.NaN
    this.#asked[slot] = 0
    this.#facts[slot] = undefined
    this.#cached[slot] = undefined
    this.#cachedName[slot] = -1
    return slot
  }

  #place(slot: number): void {
    let at = Math.imul(this.#pids[slot]!, 0x9e3779b1) >>> 15
    while (this.#index[at & this.#mask] !== 0) at++
    this.#index[at & this.#mask] = slot + 1
  }

  #release(slot: number): void {
    this.#free.push(slot)
    this.#facts[slot] = undefined
    this.#cached[slot] = undefined
    this.#names[slot] = NO_NAME
  }

  #reindex(): void {
    const current = new Map<number, number>()
    const free = new Set(this.#free)
    for (let at = 0; at <= this.#mask; at++) {
      const slot = this.#index[at]! - 1
      if (slot >= 0 && !free.has(slot)) current.set(this.#pids[slot]!, slot)
    }
    this.#index.fill(0)
    for (const slot of current.values()) this.#place(slot)
  }

  #grow(): void {
    const capacity = Math.min(this.#pids.length * 2, this.max)
    const grown = <T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T => {
      to.set(from)
      return to
    }
    this.#pids = grown(this.#pids, new Int32Array(capacity))
    this.#starts = grown(this.#starts, new Float64Array(capacity))
    this.#firstSeen = grown(this.#firstSeen, new Float64Array(capacity))
    this.#names = grown(this.#names, new Int32Array(capacity))
    this.#lastSeen = grown(this.#lastSeen, new Float64Array(capacity))
    this.#ended = grown(this.#ended, new Float64Array(capacity))
    this.#asked = grown(this.#asked, new Uint8Array(capacity))
    // capacity may not be a power of two at the bound; the mask must be.
    this.#mask = 2 ** Math.ceil(Math.log2(capacity * 4)) - 1
    const slots = this.#index.filter((entry) => entry !== 0)
    this.#index = new Int32Array(this.#mask + 1)
    for (const entry of slots) this.#place(entry - 1)
  }
}
