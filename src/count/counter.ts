/**
 * Tallies become frames: the counts of each second and process, keyed by pid@start, under the name
 * that the thread-group leader last presented in that second.
 *
 * Time is what the tallies say. A frame closes when event time has passed its end by the allowed
 * lateness; `closeUntil` closes by another clock (live sources that fall silent). Frame indexes
 * only grow, but as said below.
 *
 *   closed … | open frames … event time |  ← within CLOCK_JUMP_MS: progress
 *            ^ nextIndex                        beyond it, either way: quarantined until confirmed for
 *                                               CLOCK_JUMP_CONFIRM_MS, or dropped when time returns;
 *                                               CLOCK_BACK_MS back are enough where nothing is late
 *
 * A jump forward that goes on is accepted, and nothing is made for the gap. So is one that another
 * follows: in a capture of what happens every ten minutes all times are far apart, and each is
 * right. A jump backward that goes on is accepted, too. In a recording indexes cannot shrink: from
 * then on times are shifted so that counting goes on where it stood, until the clock has caught up.
 * On a live host, where the clock was wrong and has been put right, indexes go back with it, and
 * the first frame says so (`clockSetSeconds`). Nothing here reads a clock.
 *
 * Accounting: every observed call is counted, or dropped with a reason, at any moment.
 */
import type { Activity, Frame } from '../domain/frame.ts'
import type { InputLedger } from '../domain/ledger.ts'
import {
  CLOCK_BACK_MS,
  CLOCK_JUMP_CONFIRM_MS,
  CLOCK_JUMP_MS,
  FRAME_MS,
  FRAME_PROCESSES_MAX,
  LATENESS_MS,
  NAMES_MAX,
  PROC_READS_MAX,
  PROCESSES_MAX,
  REJECT_SAMPLE_BYTES,
} from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'
import type { DropReason, NameId, ProcessFacts, TallySink, UnseenCalls } from '../domain/tally.ts'
import { NO_NAME } from '../domain/tally.ts'
import { NameTable } from './name-table.ts'
import { OpenFrame } from './open-frame.ts'
import { ProcessTable } from './process-table.ts'

export interface CounterOptions {
  readonly latenessMs?: number
  readonly frameProcessesMax?: number
  readonly processesMax?: number
  readonly namesMax?: number
  readonly clockJumpMs?: number
  readonly clockJumpConfirmMs?: number
  /**
   * The clock of a live host: where it is set back, indexes go back with it, and frames after a
   * jump are marked.
   */
  readonly followsClock?: boolean
  /**
   * Called once for a process of which only another thread's name is known (live sources read
   * /proc). Not used for captures.
   */
  readonly leaderName?: (pid: number) => string | undefined
  /**
   * Asked once for each process, at most PROC_READS_MAX times a second, where the source reports no
   * start: then a process has the same key in every run of the agent. Unix seconds.
   */
  readonly startOf?: (pid: number) => number | undefined
}

const encoder = new TextEncoder()

export class Counter implements TallySink {
  readonly #latenessMs: number
  readonly #frameProcessesMax: number
  readonly #jumpMs: number
  /** Behind event time by more than this is a jump, and no lateness. */
  readonly #backMs: number
  readonly #confirmMs: number
  readonly #followsClock: boolean
  readonly #leaderName: ((pid: number) => string | undefined) | undefined
  readonly #startOf: ((pid: number) => number | undefined) | undefined
  /** Questions about starts in the second of this index. */
  #startsAsked = 0
  #startsAskedIn = Number.NaN

  readonly #names: NameTable
  #nameEpoch = 0
  /** The oldest open frame when the table was last found to hold nothing older to free. */
  #fullSince = Number.NaN
  readonly #processes: ProcessTable

  /** Frames being counted, ascending by index; a handful. */
  #open: OpenFrame[] = []
  /** A far-off time that is quarantined. */
  #apart: OpenFrame[] = []
  #apartFromMs = Number.NaN
  #apartToMs = Number.NaN
  readonly #spare: OpenFrame[] = []
  #current: OpenFrame | undefined
  #ready: Frame[] = []

  /** Frames below this are closed. */
  #nextIndex = Number.NaN
  #eventTimeMs = Number.NaN
  /** Event time at which the first open frame closes. */
  #closeAtMs = Number.NaN
  /** Added to every time after an accepted jump backward. */
  #shiftMs = 0

  #observed = 0
  #counted = 0
  readonly #dropped = new Map<DropReason, number>()
  readonly #samples = new Map<DropReason, string>()

  constructor(options: CounterOptions = {}) {
    this.#latenessMs = options.latenessMs ?? LATENESS_MS
    this.#frameProcessesMax = options.frameProcessesMax ?? FRAME_PROCESSES_MAX
    this.#jumpMs = options.clockJumpMs ?? CLOCK_JUMP_MS
    this.#confirmMs = options.clockJumpConfirmMs ?? CLOCK_JUMP_CONFIRM_MS
    this.#followsClock = options.followsClock ?? false
    // Of a live host, and of a source that tells whole seconds: less its rounding to them.
    this.#backMs =
      this.#followsClock || this.#latenessMs === 0 ? CLOCK_BACK_MS - 2 * FRAME_MS : this.#jumpMs
    this.#leaderName = options.leaderName
    this.#startOf = options.startOf
    this.#names = new NameTable(options.namesMax ?? NAMES_MAX)
    this.#processes = new ProcessTable(options.processesMax ?? PROCESSES_MAX)
  }

  /** The latest accepted time, Unix ms; NaN before the first. */
  get eventTimeMs(): number {
    return this.#eventTimeMs
  }

  get nameEpoch(): number {
    return this.#nameEpoch
  }

  // --- What parsers call ------------------------------------------------------------------------

  intern(bytes: Uint8Array, from: number, to: number): NameId {
    return this.#names.intern(bytes, from, to)
  }

  add(pid: number, name: NameId, syscall: number, count: number, timeMs: number): void {
    this.#observed += count
    const frame = this.#frameAt(timeMs + this.#shiftMs, count)
    if (frame === undefined) return
    let slot = this.#processes.slotOf(pid, timeMs + this.#shiftMs)
    if (slot < 0) {
      if (this.#apart.length === 0) this.#makeRoom()
      slot = this.#processes.slotOf(pid, timeMs + this.#shiftMs)
      if (slot < 0) {
        this.#refuse('processes', count)
        return
      }
    }
    // A quarantined time must not change the age of a process.
    const seenIndex = this.#apart.length > 0 ? Number.NaN : frame.index
    let leader = this.#processes.see(slot, name, seenIndex)
    if (leader === NO_NAME && this.#leaderName !== undefined && this.#processes.shouldAsk(slot)) {
      leader = this.#ask(slot, pid, seenIndex)
    }
    if (this.#startOf !== undefined && this.#apart.length === 0)
      this.#askStart(slot, pid, frame.index)
    frame.add(slot, leader, syscall, count)
    this.#counted += count
  }

  cpu(pid: number, name: NameId, cpuMs: number, timeMs: number): void {
    const shiftedMs = timeMs + this.#shiftMs
    const frame = this.#frameAt(shiftedMs, 0)
    if (frame === undefined) return
    // Without a slot its calls are dropped and counted.
    const slot = this.#processes.slotOf(pid, shiftedMs)
    if (slot < 0) return
    const leader = this.#processes.see(
      slot,
      name,
      this.#apart.length > 0 ? Number.NaN : frame.index,
    )
    frame.addCpu(slot, leader, cpuMs)
  }

  activity(pid: number, name: NameId, activity: Activity, timeMs: number): void {
    const shiftedMs = timeMs + this.#shiftMs
    const frame = this.#frameAt(shiftedMs, 0)
    if (frame === undefined) return
    const slot = this.#processes.slotOf(pid, shiftedMs)
    if (slot < 0) return
    const seenIndex = this.#apart.length > 0 ? Number.NaN : frame.index
    frame.addActivity(slot, this.#processes.see(slot, name, seenIndex), activity)
  }

  unseenProcess(pid: number, name: NameId, unseen: UnseenCalls, timeMs: number): void {
    this.drop('lost(kernel)', unseen.lost)
    const shiftedMs = timeMs + this.#shiftMs
    const frame = this.#frameAt(shiftedMs, 0)
    if (frame === undefined) return
    const slot = this.#processes.slotOf(pid, shiftedMs)
    // There is no room to remember whose they were: the whole second counts as incomplete.
    if (slot < 0) frame.lost += unseen.lost
    else {
      const seenIndex = this.#apart.length > 0 ? Number.NaN : frame.index
      frame.addUnseen(slot, this.#processes.see(slot, name, seenIndex), unseen)
    }
  }

  unseenUser(uid: number, lost: number, timeMs: number): void {
    this.drop('lost(kernel)', lost)
    this.#frameAt(timeMs + this.#shiftMs, 0)?.addUnseenUser(uid, lost)
  }

  describe(pid: number, name: NameId, facts: ProcessFacts, timeMs: number): void {
    const shiftedMs = timeMs + this.#shiftMs
    const changed = this.#processes.describe(pid, name, facts, shiftedMs)
    if (changed === undefined) return
    const index = Math.floor(shiftedMs / FRAME_MS)
    for (const frame of this.#open) if (frame.index < index) frame.pin(changed.slot, changed.before)
  }

  exit(pid: number, timeMs: number): void {
    this.#processes.exit(pid, timeMs + this.#shiftMs)
  }

  drop(reason: DropReason, count: number, sample?: string): void {
    this.#observed += count
    this.#refuse(reason, count)
    if (sample !== undefined && !this.#samples.has(reason)) {
      this.#samples.set(reason, safeName(sample.slice(0, REJECT_SAMPLE_BYTES)))
    }
  }

  lost(reason: DropReason, count: number, timeMs: number): void {
    const frame = this.#frameAt(timeMs + this.#shiftMs, 0)
    if (frame !== undefined) frame.lost += count
    this.drop(reason, count)
  }

  advance(timeMs: number): void {
    if (!Number.isNaN(this.#eventTimeMs)) this.#frameAt(timeMs + this.#shiftMs, 0)
  }

  // --- What the tick calls ----------------------------------------------------------------------

  /** Frames closed by event time, ascending. */
  closeReady(): Frame[] {
    const frames = this.#ready
    this.#ready = []
    this.#reclaimNames()
    return frames
  }

  /**
   * Frames whose end plus lateness is not after `timeMs`, by a clock of the caller's; ascending.
   */
  closeUntil(timeMs: number): Frame[] {
    this.#closeBefore(this.#firstOpenAt(timeMs + this.#shiftMs))
    return this.closeReady()
  }

  /** The stream has ended: every remaining frame. An unconfirmed jump forward is accepted now. */
  end(): Frame[] {
    if (this.#apart.length > 0 || !Number.isNaN(this.#apartFromMs)) {
      if (this.#apartFromMs > this.#eventTimeMs) this.#acceptJump()
      else this.#dropApart()
    }
    this.#closeBefore(Number.POSITIVE_INFINITY)
    return this.closeReady()
  }

  ledger(): InputLedger {
    return {
      observed: this.#observed,
      counted: this.#counted,
      dropped: Object.fromEntries([...this.#dropped].sort()),
      samples: Object.fromEntries(this.#samples),
    }
  }

  // --- Time -------------------------------------------------------------------------------------

  /** The frame for this time; undefined if the `count` calls had to be dropped. */
  #frameAt(timeMs: number, count: number): OpenFrame | undefined {
    const index = Math.floor(timeMs / FRAME_MS)
    // Nearly always the second of the previous call.
    const current = this.#current
    if (current !== undefined && current.index === index && timeMs < this.#closeAtMs) {
      if (timeMs > this.#eventTimeMs) this.#eventTimeMs = timeMs
      return current
    }
    if (Number.isNaN(this.#eventTimeMs)) {
      this.#eventTimeMs = timeMs
      this.#openFrom(this.#firstOpenAt(timeMs))
    }
    const ahead = timeMs - this.#eventTimeMs
    if (ahead > this.#jumpMs) return this.#holdApart(timeMs, index)
    if (index < this.#nextIndex) {
      // A step back that is quarantined comes nearer to event time as it goes on.
      if (-ahead > this.#backMs || this.#apartFromMs < this.#eventTimeMs)
        return this.#holdApart(timeMs, index)
      if (count > 0) this.#refuse('late', count)
      return undefined
    }
    if (!Number.isNaN(this.#apartFromMs)) this.#dropApart()
    if (ahead > 0) {
      this.#eventTimeMs = timeMs
      this.#closeBefore(this.#firstOpenAt(timeMs))
    }
    this.#current = this.#openAt(this.#open, index)
    return this.#current
  }

  /** The first frame that is still open at this event time. */
  #firstOpenAt(timeMs: number): number {
    return Math.floor((timeMs - this.#latenessMs) / FRAME_MS)
  }

  #openFrom(index: number): void {
    this.#nextIndex = index
    this.#closeAtMs = (index + 1) * FRAME_MS + this.#latenessMs
  }

  #openAt(frames: OpenFrame[], index: number): OpenFrame {
    let at = frames.length
    while (at > 0 && frames[at - 1]!.index > index) at--
    if (at > 0 && frames[at - 1]!.index === index) return frames[at - 1]!
    const frame = this.#spare.pop() ?? new OpenFrame()
    frame.index = index
    frames.splice(at, 0, frame)
    return frame
  }

  #closeBefore(index: number): void {
    if (!(index > this.#nextIndex)) return
    while (this.#open.length > 0 && this.#open[0]!.index < index) {
      this.#close(this.#open.shift()!)
    }
    if (Number.isFinite(index)) this.#openFrom(index)
    this.#current = undefined
  }

  #close(open: OpenFrame): void {
    if (!open.isEmpty) {
      const { frame, cut, clamped } = open.close(
        (slot, name, pinned) => this.#processes.processAt(slot, name, pinned, this.#nameOf),
        this.#frameProcessesMax,
      )
      this.#uncount('processes', cut)
      this.#uncount('malformed', clamped)
      this.#ready.push(frame)
    }
    this.#openFrom(Math.max(this.#nextIndex, open.index + 1))
    this.#spare.push(open)
  }

  // --- Jumps ------------------------------------------------------------------------------------

  #holdApart(timeMs: number, index: number): OpenFrame | undefined {
    this.#current = undefined
    const isNear =
      timeMs > this.#apartFromMs - this.#jumpMs && timeMs < this.#apartToMs + this.#jumpMs
    if (!isNear) {
      const goesOn = this.#apartFromMs > this.#eventTimeMs && timeMs > this.#apartToMs
      if (goesOn) return this.#goOn(timeMs, index)
      this.#dropApart()
      this.#apartFromMs = timeMs
      this.#apartToMs = timeMs
    }
    if (timeMs < this.#apartFromMs) this.#apartFromMs = timeMs
    if (timeMs > this.#apartToMs) this.#apartToMs = timeMs
    const frame = this.#openAt(this.#apart, index)
    if (this.#apartToMs - this.#apartFromMs < this.#confirmMs) return frame
    this.#acceptJump()
    return frame
  }

  /** Time rose twice: the quarantined time is accepted, and the newest is quarantined instead. */
  #goOn(timeMs: number, index: number): OpenFrame | undefined {
    const shiftMs = this.#shiftMs
    this.#acceptJump()
    // The shift may have ended with the jump, and this time was computed with the old one.
    const byMs = this.#shiftMs - shiftMs
    return this.#holdApart(timeMs + byMs, index + byMs / FRAME_MS)
  }

  /** Accepts the far-off time: all open frames close. */
  #acceptJump(): void {
    this.#closeBefore(Number.POSITIVE_INFINITY)
    let fromIndex = Math.floor(this.#apartFromMs / FRAME_MS)
    if (this.#apart.length > 0) fromIndex = Math.min(fromIndex, this.#apart[0]!.index)
    if (this.#followsClock) this.#setClock(fromIndex)
    else this.#shiftClock(fromIndex)
    this.#apart = []
    this.#apartFromMs = Number.NaN
    this.#apartToMs = Number.NaN
  }

  /** Indexes go where the clock went. */
  #setClock(fromIndex: number): void {
    const back = fromIndex < this.#nextIndex
    if (back) this.#processes.stepBack(fromIndex)
    for (const frame of this.#apart)
      for (const slot of frame.slots()) this.#processes.see(slot, NO_NAME, frame.index)
    const [first] = this.#apart
    if (first !== undefined)
      first.clockSetSeconds = Math.round((this.#apartFromMs - this.#eventTimeMs) / 1000)
    this.#open = this.#apart
    this.#eventTimeMs = this.#apartToMs
    this.#openFrom(fromIndex)
  }

  /** Indexes only grow: times are shifted where they went back. */
  #shiftClock(fromIndex: number): void {
    // The clock's own time is used again as soon as it is ahead of the counted seconds.
    const unshifted = fromIndex - this.#shiftMs / FRAME_MS
    const by =
      unshifted >= this.#nextIndex
        ? -this.#shiftMs / FRAME_MS
        : Math.max(0, this.#nextIndex - fromIndex)
    this.#shiftMs += by * FRAME_MS
    for (const frame of this.#apart) {
      frame.index += by
      for (const slot of frame.slots()) this.#processes.see(slot, NO_NAME, frame.index)
    }
    this.#open = this.#apart
    this.#eventTimeMs = this.#apartToMs + by * FRAME_MS
    this.#openFrom(Math.max(this.#nextIndex, fromIndex + by))
  }

  #dropApart(): void {
    for (const frame of this.#apart) {
      this.#uncount('clock-jump', frame.drop())
      this.#spare.push(frame)
    }
    this.#apart = []
    this.#apartFromMs = Number.NaN
    this.#apartToMs = Number.NaN
  }

  // --- Bounds -----------------------------------------------------------------------------------

  readonly #nameOf = (id: NameId): string => this.#names.nameOf(id)

  /**
   * Frees the eighth of the processes that has been silent longest, except those in open frames. If
   * open frames hold all of them, the table stays full until one closes: searching at each call
   * would be quadratic.
   */
  #makeRoom(): void {
    const oldest = this.#open[0]?.index ?? Number.POSITIVE_INFINITY
    if (oldest === this.#fullSince) return
    const keep = this.#processes.max - (this.#processes.max >> 3)
    this.#processes.evict(oldest, keep)
    if (this.#processes.size > keep) this.#fullSince = oldest
  }

  #reclaimNames(): void {
    if (!this.#names.isCrowded) return
    const used = this.#processes.namesInUse()
    for (const frame of this.#open) frame.addNamesTo(used)
    for (const frame of this.#apart) frame.addNamesTo(used)
    this.#names.reclaim((id) => used.has(id))
    this.#processes.forgetCachedNames()
    this.#nameEpoch++
  }

  #ask(slot: number, pid: number, frameIndex: number): NameId {
    const name = this.#leaderName!(pid)
    if (name === undefined) return NO_NAME
    const bytes = encoder.encode(name)
    return this.#processes.see(slot, this.#names.intern(bytes, 0, bytes.length), frameIndex)
  }

  #askStart(slot: number, pid: number, frameIndex: number): void {
    if (this.#startsAskedIn !== frameIndex) {
      this.#startsAskedIn = frameIndex
      this.#startsAsked = 0
    }
    if (this.#startsAsked >= PROC_READS_MAX || !this.#processes.shouldAskStart(slot)) return
    this.#startsAsked++
    const start = this.#startOf!(pid)
    if (start !== undefined) this.#processes.setStart(slot, start)
  }

  #refuse(reason: DropReason, count: number): void {
    if (count > 0) this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + count)
  }

  /** Calls that were counted and are in no frame. */
  #uncount(reason: DropReason, count: number): void {
    this.#counted -= count
    this.#refuse(reason, count)
  }
}
