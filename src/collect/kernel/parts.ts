/**
 * What the programs in the kernel have in common: their variants and maps, how they use the stack,
 * and the pieces that each of them is put together from.
 */
import {
  type Assembler,
  FP,
  R0,
  R1,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  R9,
  type Register,
} from './assembler.ts'
import type { TaskOffsets } from './btf.ts'
import { COMM_BYTES, FLAG, MISSES_PER_SLOT, RECORD, SLOTS } from './layout.ts'

/** What this kernel offers, from the best down (`variants.ts` tries them in turn). */
export interface Variant {
  readonly name: string
  /** Member offsets; without them there is no leader's name, start, parent or rename. */
  readonly task: TaskOffsets | undefined
  /** How a 32-bit call is recognised; `typed` needs offsets. */
  readonly compat: 'typed' | 'probed' | 'registers'
  /** Counts go into the table first; needs compare-and-exchange. */
  readonly table?: true
  /** What is beside the counts is noted, too (activity.ts). */
  readonly activity?: true
  /** False under lockdown=confidentiality: kernel memory is read by typed loads alone. */
  readonly probes: boolean
}

/** Maps by descriptor. */
export interface ActivityMaps {
  /** Arguments by thread group, and one value to put them together in. */
  readonly arguments: number
  readonly scratch: number
  /** Last bytes of paths, and the kind of secret that they stand for. */
  readonly secrets: number
}

/** Where the counts go, and who is left out. Maps by descriptor. */
export interface Wiring {
  readonly counts: readonly number[]
  readonly processes: readonly number[]
  readonly misses: number
  /** For variants with a table. */
  readonly table: number | undefined
  readonly turns: number
  readonly users: number
  /** For variants with activity. */
  readonly activity: ActivityMaps | undefined
  /** Keys and records that a slot has room for, and keys of one process. */
  readonly countKeys: number
  readonly processesMax: number
  readonly processKeysMax: number
  /** Mixed into the hash of a uid. */
  readonly userSeed: bigint
  /** When second 0 began, and how long a second is, both in jiffies. */
  readonly origin: bigint
  readonly ticksPerSecond: number
  /** Thread groups that are not counted: the agent's own. */
  readonly excluded: readonly number[]
}

// The stack, downwards from FP.
export const KEY = -8
export const TGID = -16
export const ONE = -24
export const MISS_INDEX = -32
export const SCRATCH = -40
export const ENTRY = -48
export const BUILT = ENTRY - RECORD.size

/** 2^64 divided by the golden ratio: spreads neighbouring keys over the buckets (Knuth, 6.4). */
export const GOLDEN_RATIO = 0x9e37_79b9_7f4a_7c15n

export const NOEXIST = 1
export const ANY = 0

/** Context of a raw tracepoint: its arguments, eight bytes each. */
export const argument = (i: number): number => 8 * i

/**
 * R7 = tgid of the caller; leaves at once for the agent's own. Immediates: a set in a map would
 * cost 10 ns.
 */
export function currentTgid(a: Assembler, wiring: Wiring): void {
  a.call('getCurrentPidTgid').copy(R7, R0).shiftRight(R7, 32)
  leaveIfExcluded(a, wiring)
}

export function leaveIfExcluded(a: Assembler, wiring: Wiring): void {
  for (const tgid of wiring.excluded) a.jumpIf(R7, '==', tgid, 'leave')
}

/** R1 = the calling thread's own id. */
export function threadId(a: Assembler): void {
  a.call('getCurrentPidTgid').copy(R1, R0).shiftLeft(R1, 32).shiftRight(R1, 32)
}

/**
 * R7 = tgid of the task that the tracepoint's argument points to; leaves where that is not the
 * leader. Uses R8.
 */
export function taskIds(
  a: Assembler,
  variant: Variant & { task: TaskOffsets },
  task: number,
): void {
  a.load(8, R3, R6, argument(task)).add(R3, variant.task.tgid)
  probe(a, SCRATCH, 4)
  a.load(4, R7, FP, SCRATCH)
  a.load(8, R3, R6, argument(task)).add(R3, variant.task.pid)
  probe(a, SCRATCH, 4)
  a.load(4, R8, FP, SCRATCH)
  a.jumpIfRegister(R7, '!=', R8, 'leave')
}

export function isTyped(variant: Variant): variant is Variant & { readonly task: TaskOffsets } {
  return variant.compat === 'typed' && variant.task !== undefined
}

/**
 * R6 = the current second's slot: ((now - origin) / second) mod 4; goes to `late` where that holds
 * another second.
 */
export function secondSlot(a: Assembler, wiring: Wiring, late = 'leave'): void {
  a.call('jiffies64')
  a.set64(R1, wiring.origin).subtract(R0, R1).divide(R0, wiring.ticksPerSecond)
  a.copy(R6, R0).and(R6, SLOTS - 1)
  a.copy(R2, R6).shiftLeft(R2, 3)
  if (wiring.table !== undefined) a.setMapValue(R1, wiring.turns)
  else {
    // Without addresses of values: by look-up, which the verifier makes short for arrays.
    a.store(8, FP, SCRATCH, R0).storeValue(4, FP, MISS_INDEX, 0)
    lookUp(a, wiring.turns, MISS_INDEX)
    a.jumpIf(R0, '==', 0, 'leave').copy(R1, R0).load(8, R0, FP, SCRATCH)
    a.copy(R2, R6).shiftLeft(R2, 3)
  }
  a.addRegister(R1, R2).load(8, R1, R1, 0).jumpIfRegister(R1, '!=', R0, late)
}

/** Goes to the block of the slot in R6. */
export function dispatch(a: Assembler, label: string, block: (slot: number) => void): void {
  for (let slot = 1; slot < SLOTS; slot++) a.jumpIf(R6, '==', slot, `${label} ${slot}`)
  for (let slot = 0; slot < SLOTS; slot++) {
    a.label(`${label} ${slot}`)
    block(slot)
  }
}

/** R0 = pointer to the value of the key at FP + key, or 0. */
export function lookUp(a: Assembler, map: number, key: number): void {
  a.setMap(R1, map).copy(R2, FP).add(R2, key).call('mapLookup')
}

export function updateRecord(a: Assembler, map: number, mode: number): void {
  a.setMap(R1, map).copy(R2, FP).add(R2, TGID).copy(R3, FP).add(R3, BUILT).set(R4, mode)
  a.call('mapUpdate')
}

/**
 * Adds one to the misses of this slot and reason. An array map always has its entries; the verifier
 * wants the test.
 */
export function miss(
  a: Assembler,
  wiring: Wiring,
  slot: number,
  reason: number,
  next: string,
): void {
  a.storeValue(4, FP, MISS_INDEX, slot * MISSES_PER_SLOT + reason)
  lookUp(a, wiring.misses, MISS_INDEX)
  a.jumpIf(R0, '==', 0, next).set(R1, 1).atomicAdd(R0, 0, R1)
}

/**
 * Builds a process's record on the stack at BUILT. Needs R7 = tgid; uses R9.
 * @param loadTask puts the task into a register: the caller's, but for a fork
 */
export function buildRecord(
  a: Assembler,
  variant: Variant,
  flags: number,
  where: string,
  loadTask = (to: Register) => currentTask(a, variant, to),
): void {
  for (let at = 0; at < RECORD.size; at += 8) a.storeValue(8, FP, BUILT + at, 0)
  if (flags !== 0) a.storeValue(4, FP, BUILT + RECORD.flags, flags)
  a.call('getCurrentCgroupId').store(8, FP, BUILT + RECORD.cgroup, R0)
  a.call('getCurrentUidGid').store(4, FP, BUILT + RECORD.uid, R0)
  if (variant.task === undefined) {
    a.copy(R1, FP)
      .add(R1, BUILT + RECORD.comm)
      .set(R2, COMM_BYTES)
      .call('getCurrentComm')
    threadId(a)
    a.jumpIfRegister(R1, '==', R7, `leader ${where}`)
    a.storeValue(4, FP, BUILT + RECORD.flags, flags | FLAG.threadComm)
    a.label(`leader ${where}`)
    return
  }
  const { groupLeader, comm, startBoottime, realParent, tgid } = variant.task
  const { nsproxy, pidNamespace, namespaceInode } = variant.task
  if (nsproxy !== undefined && pidNamespace !== undefined && namespaceInode !== undefined) {
    // The task's own, as a leader that has exited before its threads has none.
    loadTask(R1)
    follow(a, variant, R1, R1, nsproxy)
    follow(a, variant, R1, R1, pidNamespace)
    read(a, variant, 4, R1, R1, namespaceInode)
    a.store(4, FP, BUILT + RECORD.pidNamespace, R1)
  }
  // R9 = the group's leader, whose name and start are the process's.
  loadTask(R1)
  follow(a, variant, R9, R1, groupLeader)
  for (let at = 0; at < COMM_BYTES; at += 8) {
    read(a, variant, 8, R1, R9, comm + at)
    a.store(8, FP, BUILT + RECORD.comm + at, R1)
  }
  read(a, variant, 8, R1, R9, startBoottime)
  a.store(8, FP, BUILT + RECORD.start, R1)
  follow(a, variant, R1, R9, realParent)
  read(a, variant, 4, R1, R1, tgid)
  a.store(4, FP, BUILT + RECORD.parent, R1)
}

/**
 * Puts the CPU time of the caller and of its process's threads that ended before it into the built
 * record.
 */
export function lifetimeCpu(a: Assembler, variant: Variant): void {
  const { task } = variant
  if (task?.cpu === undefined) return
  currentTask(a, variant, R9)
  read(a, variant, 8, R1, R9, task.cpu.runtime)
  a.store(8, FP, BUILT + RECORD.cpu, R1)
  follow(a, variant, R1, R9, task.signal)
  read(a, variant, 8, R1, R1, task.cpu.endedRuntime)
  a.load(8, R2, FP, BUILT + RECORD.cpu).addRegister(R1, R2)
  a.store(8, FP, BUILT + RECORD.cpu, R1)
}

/**
 * The caller's task: an address, or, where memory is read by typed loads, what the verifier knows
 * as a task.
 */
export function currentTask(a: Assembler, variant: Variant, to: Register): void {
  a.call(variant.probes ? 'getCurrentTask' : 'getCurrentTaskBtf').copy(to, R0)
}

/** `to` = the pointer in a member of a structure of the kernel's. */
export function follow(
  a: Assembler,
  variant: Variant,
  to: Register,
  from: Register,
  offset: number,
) {
  read(a, variant, 8, to, from, offset)
}

/**
 * `to` = a member of a structure of the kernel's; 0 where it cannot be read. Loses R0 to R5 where
 * it probes.
 */
export function read(
  a: Assembler,
  variant: Variant,
  width: 4 | 8,
  to: Register,
  from: Register,
  offset: number,
): void {
  if (!variant.probes) {
    a.load(width, to, from, offset)
    return
  }
  a.copy(R3, from).add(R3, offset)
  probe(a, SCRATCH, width)
  a.load(width, to, FP, SCRATCH)
}

/** Copies kernel memory at R3 to the stack; zeroes where it cannot be read. */
export function probe(a: Assembler, to: number, bytes: number): void {
  stackArguments(a, to, bytes)
  a.call('probeReadKernel')
}

export function probeString(a: Assembler, to: number, bytes: number): void {
  stackArguments(a, to, bytes)
  a.call('probeReadKernelStr')
}

export function stackArguments(a: Assembler, to: number, bytes: number): void {
  a.copy(R1, FP).add(R1, to).set(R2, bytes)
}

export function leave(a: Assembler): Uint8Array {
  a.label('leave').set(R0, 0).exit()
  return a.bytes()
}
