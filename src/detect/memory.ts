/**
 * The baseline of this host: for each name a bounded set of prototypes of the net's states, and
 * when the name was first and last seen.
 *
 * A model from elsewhere is permanently wrong about some programs of a host; the net's *states*
 * transfer between hosts even where its classes do not. So evidence counts only where the behaviour
 * deviates from this baseline, too.
 *
 * Prototypes cover a name's behaviours: a state becomes one only where no other is near, and then
 * stays where it is. It never moves towards what is seen, which limits gradual poisoning. What lies
 * far from all that is usual is not taken in until it has recurred for long enough
 * (`MEMORY.recur`), and a name takes in one such a day (`MEMORY.strangeEvery`). Near is what is near
 * to an anchor (learnt, or taken in as strange), not to the last thing that came near: so a slow
 * walk towards another behaviour is too slow to be of use. The caller never offers what is near a
 * malicious class or under an alert. While learning (`--learn`) all else is taken in at once.
 *
 * Not promised: that what was already wrong while the host was learned is found later by this
 * memory; the model's own judgement stays in force for that.
 */
import {
  MEMORY_KEEP_SECONDS,
  MEMORY_NAMES_MAX,
  MEMORY_PENDING_PER_NAME_MAX,
  MEMORY_PROTOTYPES_MAX,
  MEMORY_PROTOTYPES_PER_NAME_MAX,
} from '../domain/limits.ts'
import { distance, nearest } from './geometry.ts'
import { encodeSnapshot, type NameMemory, readSnapshot } from './memory-snapshot.ts'
import {
  add,
  leastSeen,
  mostRedundant,
  noPoints,
  type Points,
  remove,
  STEP,
  touch,
} from './prototypes.ts'
import { Recurrence } from './recurrence.ts'
import { MEMORY } from './thresholds.ts'

/**
 * What one process added to its name's counts since there is evidence on it. Where those were
 * halved in the meantime (MEMORY.secondsCounted), this is not: too much is left out then, never too
 * little.
 */
export interface Tally {
  seconds: number
  surprises: number
  claims: number
  contradictions: number
}

export const NOTHING: Readonly<Tally> = { seconds: 0, surprises: 0, claims: 0, contradictions: 0 }

export interface MemoryStatus {
  readonly names: number
  readonly prototypes: number
  readonly pending: number
  /** 0…1: the fuller of names and prototypes. */
  readonly full: number
  /** Unix second of the first sight of all; 0 when empty. */
  readonly since: number
  readonly forgotten: number
  readonly damaged: number
  /** Names that are forgotten when due, for a malicious process of theirs had been remembered. */
  readonly poisoned: number
}

/** Names and prototypes of one memory; less than the default where one process keeps many hosts'. */
export interface MemoryBounds {
  readonly names?: number
  readonly prototypes?: number
}

export class HostMemory {
  /** Alerts that recur here. */
  readonly recurrence = new Recurrence()
  readonly size: number
  readonly #namesMax: number
  readonly #prototypesMax: number
  #modelId: string
  #names = new Map<string, NameMemory>()
  #prototypes = 0
  #since = 0
  #forgotten = 0
  #damaged = 0
  readonly #scratch: Float32Array

  /**
   * @param modelId states of one net mean nothing to another: a snapshot of another model is not
   *   restored
   * @param size components of a whitened state
   */
  constructor(modelId: string, size: number, bounds: MemoryBounds = {}) {
    this.#modelId = modelId
    this.size = size
    this.#namesMax = bounds.names ?? MEMORY_NAMES_MAX
    this.#prototypesMax = bounds.prototypes ?? MEMORY_PROTOTYPES_MAX
    this.#scratch = new Float32Array(size)
  }

  /** Unix second of the first sight of all; 0 when empty. */
  get since(): number {
    return this.#since
  }

  /** When the name was first and last seen, and in how many seconds it was judged. */
  known(name: string): { first: number; last: number; seconds: number } | undefined {
    return this.#names.get(name)
  }

  /**
   * How likely the next second of this name is to show something new, as its past goes: near 0 for
   * a daemon, high for a tool that does something else with each set of arguments, 1 for a name
   * never seen.
   */
  surprise(name: string, own: Tally = NOTHING): number {
    const memory = this.#names.get(name)
    if (memory === undefined) return 1
    const surprises = Math.max(0, memory.surprises - own.surprises)
    return (surprises + 1) / (Math.max(0, memory.seconds - own.seconds - MEMORY.settledSeconds) + 2)
  }

  /**
   * Share of the name's windows here in which the model spoke against it; 1 for a name never seen.
   * @param measured windows that were judged apart from these, and how many of them wrongly
   */
  contradicted(
    name: string,
    own: Tally = NOTHING,
    measured: { readonly windows: number; readonly wrong: number } = { windows: 0, wrong: 0 },
  ): number {
    const memory = this.#names.get(name)
    if (memory === undefined) return 1
    const contradictions = Math.max(0, memory.contradictions - own.contradictions)
    const claims = Math.max(0, memory.claims - own.claims)
    return (contradictions + measured.wrong + 1) / (claims + measured.windows + 2)
  }

  /**
   * A window of a process whose name claims a class, whatever the verdict. Unknown names are passed
   * over.
   */
  countClaim(name: string, contradicted: boolean, own: Tally = { ...NOTHING }): void {
    const memory = this.#names.get(name)
    if (memory === undefined) return
    memory.claims++
    own.claims++
    if (contradicted) memory.contradictions++
    if (contradicted) own.contradictions++
    if (memory.claims > MEMORY.secondsCounted) {
      memory.claims >>= 1
      memory.contradictions >>= 1
    }
  }

  /** Distance to the nearest usual state under this name; Infinity where there is none. */
  distance(name: string, state: Float32Array): number {
    const memory = this.#names.get(name)
    if (memory === undefined) return Number.POSITIVE_INFINITY
    return nearest(state, memory.usual.at, memory.usual.count, this.size).distance
  }

  /**
   * Distance to the nearest usual state under any name: costs a pass over all prototypes, so only
   * for names that are new.
   */
  anyDistance(state: Float32Array): number {
    let best = Number.POSITIVE_INFINITY
    for (const { usual } of this.#names.values()) {
      best = Math.min(best, nearest(state, usual.at, usual.count, this.size).distance)
    }
    return best
  }

  /** All names, each with whether it has been seen for so long. */
  *names(): Generator<[name: string, first: number, seconds: number]> {
    for (const [name, { first, seconds }] of this.#names) yield [name, first, seconds]
  }

  /**
   * A process of this name that was remembered has been proven malicious: nothing more is learnt
   * under the name, and a day later, unless `cure` came before, the name is forgotten.
   */
  poison(name: string, frameIndex: number): void {
    const memory = this.#names.get(name)
    if (memory?.poisoned === 0) memory.poisoned = frameIndex
  }

  /** It was allowed. */
  cure(name: string): void {
    const memory = this.#names.get(name)
    if (memory !== undefined) memory.poisoned = 0
  }

  /** The name was there, whatever it did: keeps it from being new. */
  meet(name: string, frameIndex: number): void {
    const memory = this.#names.get(name)
    if (memory === undefined) this.#add(name, frameIndex)
    else seeAt(memory, frameIndex)
  }

  /**
   * New names that a day will bring, after Good and Turing: as many as names were seen in one hour
   * only, for each day of this memory. Undefined in its first day.
   */
  newNamesPerDay(frameIndex: number): number | undefined {
    const days = (frameIndex - this.#since) / 86_400
    if (this.#since === 0 || days < 1) return undefined
    let once = 0
    for (const { hours } of this.#names.values()) if (hours === 1) once++
    return once / days
  }

  /**
   * Offers a state of a process without evidence against it.
   * @param learning taken in at once
   */
  observe(
    name: string,
    state: Float32Array,
    frameIndex: number,
    learning: boolean,
    own: Tally = { ...NOTHING },
  ): void {
    const memory = this.#names.get(name) ?? this.#add(name, frameIndex)
    if (memory.poisoned > 0) return
    const near = nearest(state, memory.usual.at, memory.usual.count, this.size)
    if (memory.last !== frameIndex || memory.seconds === 0) {
      memory.seconds++
      own.seconds++
      // Its first seconds are all new; what counts is how often it is new after them.
      if (near.distance > MEMORY.strange && memory.seconds > MEMORY.settledSeconds) {
        memory.surprises++
        own.surprises++
      }
      if (memory.seconds > MEMORY.secondsCounted) {
        memory.seconds >>= 1
        memory.surprises >>= 1
      }
    }
    seeAt(memory, frameIndex)
    if (near.distance <= MEMORY.cover) {
      touch(memory.usual, near.index, frameIndex)
      return
    }
    for (let i = 0; i < this.size; i++) {
      this.#scratch[i] = Math.max(-127, Math.min(127, Math.round(state[i]! / STEP))) * STEP
    }
    if (learning) this.#keep(memory, this.#scratch, frameIndex, true)
    else this.#wait(memory, !this.#isNearAnchor(memory.usual), frameIndex)
  }

  #wait(memory: NameMemory, strange: boolean, frameIndex: number): void {
    const { pending } = memory
    const near = nearest(this.#scratch, pending.at, pending.count, this.size)
    if (near.distance > MEMORY.cover) {
      if (pending.count >= MEMORY_PENDING_PER_NAME_MAX)
        remove(pending, leastSeen(pending), this.size)
      add(pending, this.#scratch, frameIndex, this.size)
      return
    }
    touch(pending, near.index, frameIndex)
    const { seen, span } = strange ? MEMORY.recur.strange : MEMORY.recur.near
    const i = near.index
    if (pending.seen[i]! < seen || frameIndex - pending.first[i]! < span) return
    if (strange) {
      if (frameIndex - memory.strange < MEMORY.strangeEvery) return
      memory.strange = frameIndex
    }
    this.#scratch.set(pending.at.subarray(i * this.size, (i + 1) * this.size))
    remove(pending, i, this.size)
    this.#keep(memory, this.#scratch, frameIndex, strange)
  }

  #isNearAnchor({ at, anchor, count }: Points): boolean {
    for (let p = 0; p < count; p++) {
      if (
        anchor[p] === 1 &&
        distance(this.#scratch, 0, at, p * this.size, this.size) <= MEMORY.strange
      ) {
        return true
      }
    }
    return false
  }

  #keep(memory: NameMemory, state: Float32Array, frameIndex: number, anchor: boolean): void {
    if (memory.usual.count >= MEMORY_PROTOTYPES_PER_NAME_MAX) {
      // The two nearest say the same twice: the less seen of them goes.
      remove(memory.usual, mostRedundant(memory.usual, this.size), this.size)
      this.#prototypes--
    }
    add(memory.usual, state, frameIndex, this.size, anchor)
    this.#prototypes++
    while (this.#prototypes > this.#prototypesMax) this.#forgetOldest(memory)
  }

  #add(name: string, frameIndex: number): NameMemory {
    if (this.#since === 0) this.#since = frameIndex
    if (this.#names.size >= this.#namesMax) this.#forgetOldest()
    const memory: NameMemory = {
      first: frameIndex,
      last: frameIndex,
      seconds: 0,
      hours: 1,
      surprises: 0,
      claims: 0,
      contradictions: 0,
      strange: 0,
      poisoned: 0,
      usual: noPoints(),
      pending: noPoints(),
    }
    this.#names.set(name, memory)
    return memory
  }

  #forgetOldest(except?: NameMemory): void {
    let oldest: string | undefined
    let last = Number.POSITIVE_INFINITY
    for (const [name, memory] of this.#names) {
      if (memory === except || memory.last >= last) continue
      oldest = name
      last = memory.last
    }
    if (oldest !== undefined) this.#forget(oldest)
  }

  #forget(name: string): void {
    this.#prototypes -= this.#names.get(name)?.usual.count ?? 0
    this.#names.delete(name)
    this.#forgotten++
  }

  /** It is this second: where the clock was ahead, nothing was seen in what is the future now. */
  stepBack(frameIndex: number): void {
    this.#since = Math.min(this.#since, frameIndex)
    for (const memory of this.#names.values()) {
      memory.first = Math.min(memory.first, frameIndex)
      memory.last = Math.min(memory.last, frameIndex)
      memory.strange = Math.min(memory.strange, frameIndex)
      memory.poisoned = Math.min(memory.poisoned, frameIndex)
      for (const { first, last, count } of [memory.usual, memory.pending]) {
        for (let i = 0; i < count; i++) {
          first[i] = Math.min(first[i]!, frameIndex)
          last[i] = Math.min(last[i]!, frameIndex)
        }
      }
    }
  }

  /**
   * Lets go of names that have not been seen for MEMORY_KEEP_SECONDS. Once an hour is often enough.
   */
  tidy(frameIndex: number): void {
    for (const [name, { last, poisoned }] of this.#names) {
      const isDue = poisoned > 0 && frameIndex - poisoned > MEMORY.resetAfter
      if (isDue || frameIndex - last > MEMORY_KEEP_SECONDS) this.#forget(name)
    }
  }

  status(): MemoryStatus {
    let pending = 0
    let poisoned = 0
    for (const memory of this.#names.values()) {
      pending += memory.pending.count
      if (memory.poisoned > 0) poisoned++
    }
    return {
      names: this.#names.size,
      prototypes: this.#prototypes,
      pending,
      full: Math.max(this.#names.size / this.#namesMax, this.#prototypes / this.#prototypesMax),
      since: this.#since,
      forgotten: this.#forgotten,
      damaged: this.#damaged,
      poisoned,
    }
  }

  /** All of it as bytes, with a checksum. */
  snapshot(): Uint8Array {
    return encodeSnapshot(this.#modelId, this.size, {
      names: this.#names,
      since: this.#since,
      recurring: this.recurrence.snapshot(),
    })
  }

  /**
   * Takes a snapshot's place. Bytes that are no whole snapshot of this model leave the memory empty
   * and are counted; it never throws, for a host that cannot remember must still watch.
   * @returns whether it was restored
   */
  restore(bytes: Uint8Array): boolean {
    this.#names = new Map()
    this.#prototypes = 0
    this.#since = 0
    const snapshot = readSnapshot(bytes, this.#modelId, this.size)
    if (snapshot === undefined) {
      this.#damaged++
      return false
    }
    this.#names = snapshot.names
    this.#since = snapshot.since
    this.recurrence.restore(snapshot.recurring)
    for (const { usual } of this.#names.values()) this.#prototypes += usual.count
    return true
  }
}

/** It was there in this second. */
function seeAt(memory: NameMemory, frameIndex: number): void {
  if (Math.floor(frameIndex / 3600) > Math.floor(memory.last / 3600)) memory.hours++
  memory.last = Math.max(memory.last, frameIndex)
}
