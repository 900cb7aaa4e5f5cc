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
 * far from all that is usual is not taken in until it has recurred for long enough (`RECUR`), and a
 * name takes in one such a day (`STRANGE_EVERY`). Near is what is near to an anchor (learnt, or
 * taken in as strange), not to the last thing that came near: so a slow walk towards another
 * behaviour is too slow to be of use. The caller never offers what is near a malicious class or
 * under an alert. While learning (`--learn`) all else is taken in at once.
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
import { isCount, isRecord } from '../domain/untrusted.ts'
import { distance, nearest } from './geometry.ts'
import { Recurrence } from './recurrence.ts'

/** Two states nearer than this are one behaviour. */
const COVER = 0.5
/** Beyond this from all anchors a state is strange for its name. */
const STRANGE = 1
/**
 * Seconds it must have been seen, and seconds from the first to the last sight, to become usual.
 */
const RECUR = { near: { seen: 20, span: 120 }, strange: { seen: 600, span: 6 * 3600 } }
/** An operator has so long to say that what was proven is allowed here. */
const RESET_AFTER_SECONDS = 86_400
/** Seconds between two strange behaviours taken in under one name. */
const STRANGE_EVERY = 86_400
/** Seconds of a name that are not counted as surprises. */
const SETTLED_SECONDS = 60
/** Surprise is counted over about so many of a name's last judged seconds. */
const SECONDS_COUNTED = 16_384
/**
 * Prototypes are kept in steps of this, one byte a component: what is restored is what was kept.
 */
const STEP = 1 / 8
const MAGIC = 0x4d454d31 // MEM1

interface Points {
  count: number
  at: Float32Array
  seen: Uint32Array
  first: Uint32Array
  last: Uint32Array
  /** 1 where others may be near to it. */
  anchor: Uint32Array
}

const COLUMNS = ['seen', 'first', 'last', 'anchor'] as const

/**
 * What one process added to its name's counts since something speaks against it. Where those were
 * halved in the meantime (SECONDS_COUNTED), this is not: too much is left out then, never too
 * little.
 */
export interface Tally {
  seconds: number
  surprises: number
  claims: number
  contradictions: number
}

export const NOTHING: Readonly<Tally> = { seconds: 0, surprises: 0, claims: 0, contradictions: 0 }

interface NameMemory {
  first: number
  last: number
  /** Distinct seconds in which it was judged, and distinct hours in which it was seen. */
  seconds: number
  hours: number
  /** Seconds among them that showed what was not near anything known. */
  surprises: number
  /**
   * Judged seconds of processes whose name claims a class, and those in which the model spoke
   * against it.
   */
  claims: number
  contradictions: number
  /** When a strange behaviour was last taken in; 0 for never. */
  strange: number
  /** When a process of the name, remembered before, was proven malicious; 0 for never. */
  poisoned: number
  usual: Points
  pending: Points
}

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
    return (surprises + 1) / (Math.max(0, memory.seconds - own.seconds - SETTLED_SECONDS) + 2)
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
    if (memory.claims > SECONDS_COUNTED) {
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
   * Offers a state that nothing speaks against.
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
      if (near.distance > STRANGE && memory.seconds > SETTLED_SECONDS) {
        memory.surprises++
        own.surprises++
      }
      if (memory.seconds > SECONDS_COUNTED) {
        memory.seconds >>= 1
        memory.surprises >>= 1
      }
    }
    seeAt(memory, frameIndex)
    if (near.distance <= COVER) {
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
    if (near.distance > COVER) {
      if (pending.count >= MEMORY_PENDING_PER_NAME_MAX)
        remove(pending, leastSeen(pending), this.size)
      add(pending, this.#scratch, frameIndex, this.size)
      return
    }
    touch(pending, near.index, frameIndex)
    const { seen, span } = strange ? RECUR.strange : RECUR.near
    const i = near.index
    if (pending.seen[i]! < seen || frameIndex - pending.first[i]! < span) return
    if (strange) {
      if (frameIndex - memory.strange < STRANGE_EVERY) return
      memory.strange = frameIndex
    }
    this.#scratch.set(pending.at.subarray(i * this.size, (i + 1) * this.size))
    remove(pending, i, this.size)
    this.#keep(memory, this.#scratch, frameIndex, strange)
  }

  #isNearAnchor({ at, anchor, count }: Points): boolean {
    for (let p = 0; p < count; p++) {
      if (anchor[p] === 1 && distance(this.#scratch, 0, at, p * this.size, this.size) <= STRANGE) {
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
      usual: points(),
      pending: points(),
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
      const isDue = poisoned > 0 && frameIndex - poisoned > RESET_AFTER_SECONDS
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
    const header = new TextEncoder().encode(
      JSON.stringify({
        model: this.#modelId,
        size: this.size,
        since: this.#since,
        recurring: this.recurrence.snapshot(),
        names: [...this.#names].map(([name, m]) => ({
          name,
          first: m.first,
          last: m.last,
          seconds: m.seconds,
          hours: m.hours,
          surprises: m.surprises,
          claims: m.claims,
          contradictions: m.contradictions,
          strange: m.strange,
          poisoned: m.poisoned,
          usual: listed(m.usual),
          pending: listed(m.pending),
        })),
      }),
    )
    let count = 0
    for (const { usual, pending } of this.#names.values()) count += usual.count + pending.count
    const bytes = new Uint8Array(12 + header.length + count * this.size)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, MAGIC)
    view.setUint32(4, header.length)
    bytes.set(header, 12)
    const states = new Int8Array(bytes.buffer, 12 + header.length)
    let at = 0
    for (const { usual, pending } of this.#names.values()) {
      for (const { at: from, count } of [usual, pending]) {
        for (let i = 0; i < count * this.size; i++) states[at++] = Math.round(from[i]! / STEP)
      }
    }
    view.setUint32(8, checksum(bytes))
    return bytes
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

function points(): Points {
  return {
    count: 0,
    at: new Float32Array(0),
    seen: new Uint32Array(0),
    first: new Uint32Array(0),
    last: new Uint32Array(0),
    anchor: new Uint32Array(0),
  }
}

function touch(to: Points, index: number, frameIndex: number): void {
  if (to.last[index] === frameIndex) return
  to.last[index] = frameIndex
  if (to.seen[index]! < 0xffffffff) to.seen[index]!++
}

function add(
  to: Points,
  state: Float32Array,
  frameIndex: number,
  size: number,
  anchor = false,
): void {
  if ((to.count + 1) * size > to.at.length) {
    const room = Math.max(2, to.count * 2)
    const at = new Float32Array(room * size)
    at.set(to.at)
    to.at = at
    for (const column of COLUMNS) {
      const grown = new Uint32Array(room)
      grown.set(to[column])
      to[column] = grown
    }
  }
  to.at.set(state, to.count * size)
  to.seen[to.count] = 1
  to.first[to.count] = frameIndex
  to.last[to.count] = frameIndex
  to.anchor[to.count] = anchor ? 1 : 0
  to.count++
}

function remove(from: Points, index: number, size: number): void {
  from.at.copyWithin(index * size, (index + 1) * size, from.count * size)
  for (const column of COLUMNS) {
    from[column].copyWithin(index, index + 1, from.count)
  }
  from.count--
}

function leastSeen({ seen, last, count }: Points): number {
  let least = 0
  for (let i = 1; i < count; i++) {
    if (seen[i]! < seen[least]! || (seen[i] === seen[least] && last[i]! < last[least]!)) least = i
  }
  return least
}

function mostRedundant({ at, seen, count }: Points, size: number): number {
  let index = 0
  let least = Number.POSITIVE_INFINITY
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      let sum = 0
      for (let i = 0; i < size && sum < least; i++) {
        sum += (at[a * size + i]! - at[b * size + i]!) ** 2
      }
      if (sum >= least) continue
      least = sum
      index = seen[a]! < seen[b]! ? a : b
    }
  }
  return index
}

/** [seen, first, last, anchor] of each. */
function listed({ seen, first, last, anchor, count }: Points): number[][] {
  return Array.from({ length: count }, (_, i) => [seen[i]!, first[i]!, last[i]!, anchor[i]!])
}

function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) {
    if (i < 8 || i >= 12) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  }
  return hash >>> 0
}

function readSnapshot(
  bytes: Uint8Array,
  modelId: string,
  size: number,
): { names: Map<string, NameMemory>; since: number; recurring: unknown } | undefined {
  if (bytes.length < 12) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(4)
  if (view.getUint32(0) !== MAGIC || length > bytes.length - 12) return undefined
  if (view.getUint32(8) !== checksum(bytes)) return undefined
  let header: unknown
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(12, 12 + length)))
  } catch {
    return undefined
  }
  if (!isRecord(header) || header.model !== modelId || header.size !== size) return undefined
  if (!isUint32(header.since) || !Array.isArray(header.names)) return undefined
  if (header.names.length > MEMORY_NAMES_MAX) return undefined
  const names = new Map<string, NameMemory>()
  let at = 12 + length
  let total = 0
  const take = (rows: unknown, max: number): Points | undefined => {
    if (!Array.isArray(rows) || rows.length > max) return undefined
    if (at + rows.length * size > bytes.length) return undefined
    const taken = points()
    const state = new Float32Array(size)
    for (const row of rows) {
      if (!Array.isArray(row) || row.length !== 4 || !row.every(isUint32)) return undefined
      for (let i = 0; i < size; i++) state[i] = view.getInt8(at++) * STEP
      const [seen, first, last, anchor] = row as [number, number, number, number]
      add(taken, state, first, size, anchor === 1)
      taken.seen[taken.count - 1] = seen
      taken.last[taken.count - 1] = last
    }
    return taken
  }
  for (const entry of header.names) {
    if (!isRecord(entry) || typeof entry.name !== 'string') return undefined
    // Snapshots of the first versions do not count claims, and know of no poison.
    const { first, last, seconds, surprises, strange, claims = 0, contradictions = 0 } = entry
    const { poisoned = 0, hours = 1 } = entry
    const numbers = [first, last, seconds, hours, surprises, strange]
    numbers.push(claims, contradictions, poisoned)
    if (!numbers.every(isUint32)) return undefined
    const usual = take(entry.usual, MEMORY_PROTOTYPES_PER_NAME_MAX)
    const pending = usual && take(entry.pending, MEMORY_PENDING_PER_NAME_MAX)
    if (usual === undefined || pending === undefined) return undefined
    total += usual.count
    names.set(entry.name, {
      first: first as number,
      last: last as number,
      seconds: seconds as number,
      hours: hours as number,
      surprises: surprises as number,
      claims: claims as number,
      contradictions: contradictions as number,
      strange: strange as number,
      poisoned: poisoned as number,
      usual,
      pending,
    })
  }
  if (at !== bytes.length || total > MEMORY_PROTOTYPES_MAX) return undefined
  return { names, since: header.since, recurring: header.recurring }
}

const isUint32 = (value: unknown): value is number => isCount(value, 0xffff_ffff)
