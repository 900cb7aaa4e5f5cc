/**
 * The programs that count in the kernel, and why they are exact.
 *
 * `sys_enter` adds one to (process, syscall) in one of four maps; which one is decided *in the kernel, by
 * time*: second modulo four. A map is drained only when its second is over and every program that may have
 * seen it as current has left, so no add can race with a removal. (Measured: draining a live map lost
 * 23,178 of 8 million, swapping two maps lost 27, this loses none.) Each path ends in an add or in a miss.
 *
 * Beside the counts each second has a record of every process in it, because most processes of a
 * second's life are gone before /proc is read. `sched_process_fork` makes it (at its first call a child's parent may
 * be gone), `sched_process_exec` renews it, `task_rename` puts the new name in, `sched_process_exit` flags it.
 *
 * The code is emitted once for each map: with one call site for several maps the verifier cannot inline
 * the look-up (+30 ns a call). jiffies cost nothing, ktime +60 ns.
 */
import { assert } from '../../domain/assert.ts'
import {
  Assembler,
  FP,
  type Helper,
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
import {
  COMM_BYTES,
  COMPAT_FLAG,
  FLAG,
  LAST_NUMBER,
  MISS,
  MISSES_PER_SLOT,
  NUMBER_BITS,
  PATH_BYTES,
  RECORD,
  SLOTS,
  TABLE,
  TGID_SHIFT,
} from './layout.ts'

/** What this kernel offers, from the best down (`variants.ts` tries them in turn). */
export interface Variant {
  readonly name: string
  /** Member offsets; without them there is no leader's name, start, parent or rename. */
  readonly task: TaskOffsets | undefined
  /** How a 32-bit call is recognised. */
  readonly compat: 'typed' | 'probed' | 'registers' | 'unseen'
  readonly clock: 'jiffies' | 'ktime'
  /** Counts go into the table first; needs compare-and-exchange. */
  readonly table?: true
  /** How kernel memory is read; undefined under lockdown, which forbids it. */
  readonly probe: (Helper & ('probeReadKernel' | 'probeRead')) | undefined
}

/** Where the counts go, and who is left out. Maps by descriptor. */
export interface Wiring {
  readonly counts: readonly number[]
  readonly processes: readonly number[]
  readonly misses: number
  /** For variants with a table. */
  readonly table: number | undefined
  /** When second 0 began, and how long a second is, both in the variant's clock. */
  readonly origin: bigint
  readonly ticksPerSecond: number
  /** Thread groups that are not counted: the agent's own. */
  readonly excluded: readonly number[]
}

// The stack, downwards from FP.
const KEY = -8
const TGID = -16
const ONE = -24
const MISS_INDEX = -32
const SCRATCH = -40
const ENTRY = -48
const BUILT = ENTRY - RECORD.size

/** 2^64 divided by the golden ratio: spreads neighbouring keys over the buckets (Knuth, 6.4). */
const GOLDEN_RATIO = 0x9e37_79b9_7f4a_7c15n

const NOEXIST = 1
const ANY = 0
const EEXIST = -17

/** Context of a raw tracepoint: its arguments, eight bytes each. */
const argument = (i: number): number => 8 * i

/** Saved registers of the caller, for kernels without types: the code segment of x86, pstate of arm64. */
const REGISTERS =
  process.arch === 'arm64'
    ? { offset: 264, mask: 0x10, value: 0x10 }
    : { offset: 136, mask: 0xff, value: 0x23 }

/** `raw_syscalls/sys_enter (registers, number)` */
export function enterProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  if (isTyped(variant)) {
    // The verifier knows the type of what it got, so its members are plain loads: R9 = task, R7 = tgid.
    a.call('getCurrentTaskBtf').copy(R9, R0).load(4, R7, R9, variant.task.tgid)
    leaveIfExcluded(a, wiring)
  } else {
    currentTgid(a, wiring)
  }

  // R8 = number, clamped; bit 10 for 32-bit calls.
  a.load(8, R8, R6, argument(1))
  a.jumpIf(R8, '>', LAST_NUMBER, 'clamp').jump('clamped')
  a.label('clamp').set(R8, LAST_NUMBER)
  a.label('clamped')
  markCompat(a, variant)

  // R8 = key = tgid << 16 | R8
  a.copy(R1, R7).shiftLeft(R1, TGID_SHIFT).or(R8, R1)
  secondSlot(a, variant, wiring)
  if (wiring.table !== undefined) countInTable(a, variant, wiring, wiring.table)

  a.store(8, FP, KEY, R8)
  a.store(4, FP, TGID, R7)
  dispatch(a, 'slot', (slot) => {
    // Nearly always: the key is there, add one, done.
    lookUp(a, wiring.counts[slot]!, KEY)
    a.jumpIf(R0, '==', 0, `new ${slot}`)
    a.set(R1, 1).atomicAdd(R0, 0, R1)
    a.jump('leave')

    // First call of this kind in this second: is its process known? Else record it.
    a.label(`new ${slot}`)
    ensureRecord(a, variant, wiring, slot, `count ${slot}`)

    // Then the count. Refused: another thread was quicker (add to its), or the map is full (a miss).
    a.label(`count ${slot}`)
    a.storeValue(8, FP, ONE, 1)
    a.setMap(R1, wiring.counts[slot]!).copy(R2, FP).add(R2, KEY).copy(R3, FP).add(R3, ONE)
    a.set(R4, NOEXIST).call('mapUpdate')
    a.jumpIf(R0, '==', 0, 'leave')
    lookUp(a, wiring.counts[slot]!, KEY)
    a.jumpIf(R0, '==', 0, `full ${slot}`)
    a.set(R1, 1).atomicAdd(R0, 0, R1)
    a.jump('leave')
    a.label(`full ${slot}`)
    miss(a, wiring, slot, MISS.callsMapFull, 'leave')
    a.jump('leave')
  })
  return leave(a)
}

/**
 * The short way, for all but a few: the key's bucket is one cache line, its four entries are looked at in turn.
 * Adds and leaves; falls through where the bucket is full of others. R6 = slot, R7 = tgid, R8 = key.
 */
function countInTable(a: Assembler, variant: Variant, wiring: Wiring, table: number): void {
  const entries = Array.from({ length: TABLE.entriesPerBucket }, (_, i) => i * TABLE.entryBytes)
  // R9 = bucket: the slot's part of the table, and in it what a multiplication makes of the key.
  a.copy(R1, R6).shiftLeft(R1, TABLE.slotShift)
  a.set64(R2, GOLDEN_RATIO).multiply(R2, R8)
  a.shiftRight(R2, 64 - TABLE.bucketBits).shiftLeft(R2, TABLE.bucketShift)
  a.setMapValue(R9, table).addRegister(R9, R1).addRegister(R9, R2)
  for (const at of entries) {
    a.load(8, R1, R9, at).jumpIfRegister(R1, '!=', R8, `not ${at}`)
    a.set(R1, 1)
      .atomicAdd(R9, at + TABLE.count, R1)
      .jump('leave')
    a.label(`not ${at}`)
  }

  // Not there yet: take the first free entry. Another thread with the same key may have been quicker.
  for (const at of entries) {
    a.load(8, R0, R9, at).jumpIf(R0, '!=', 0, `taken ${at}`)
    a.compareExchange(R9, at, R8)
    a.jumpIf(R0, '==', 0, `ours ${at}`)
    a.label(`taken ${at}`).jumpIfRegister(R0, '!=', R8, `others ${at}`)
    a.label(`ours ${at}`).add(R9, at).jump('claimed')
    a.label(`others ${at}`)
  }
  a.jump('bucket full')

  // The first call of this kind in this second: see that its process has a record, then count.
  a.label('claimed').store(8, FP, ENTRY, R9).store(4, FP, TGID, R7)
  dispatch(a, 'claimed', (slot) =>
    ensureRecord(a, variant, wiring, slot, `recorded ${slot}`, 'recorded'),
  )
  a.label('recorded').load(8, R9, FP, ENTRY)
  a.set(R1, 1).atomicAdd(R9, TABLE.count, R1).jump('leave')
  a.label('bucket full')
}

/** Goes to `next` once this second has a record of the process at FP + TGID; a miss if there is no room. */
function ensureRecord(
  a: Assembler,
  variant: Variant,
  wiring: Wiring,
  slot: number,
  label: string,
  next = label,
): void {
  lookUp(a, wiring.processes[slot]!, TGID)
  a.jumpIf(R0, '!=', 0, next)
  buildRecord(a, variant, 0, label)
  updateRecord(a, wiring.processes[slot]!, NOEXIST)
  a.jumpIf(R0, '==', 0, next)
  a.jumpIf(R0, '==', EEXIST, next)
  miss(a, wiring, slot, MISS.recordsMapFull, next)
  if (next !== label) a.jump(next)
}

/** `sched_process_fork (parent, child)`: a new process's record, before it has called anything. Needs types. */
export function forkProgram(variant: Variant & { task: TaskOffsets }, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  taskIds(a, variant, 1)
  a.store(4, FP, TGID, R7)
  // The caller is the parent: user and cgroup are the same.
  buildRecord(a, variant, 0, 'fork', (to) => a.load(8, to, R6, argument(1)))
  secondSlot(a, variant, wiring)
  dispatch(a, 'slot', (slot) => {
    updateRecord(a, wiring.processes[slot]!, NOEXIST)
    a.jumpIf(R0, '==', 0, 'leave').jumpIf(R0, '==', EEXIST, 'leave')
    miss(a, wiring, slot, MISS.recordsMapFull, 'leave')
    a.jump('leave')
  })
  return leave(a)
}

/**
 * `sched_process_exec (task, old pid, binprm)`: comm is already the new one; the record starts anew, with the path.
 * The parent stays the one that this second's record knows: who made the process, not who inherited it.
 */
export function execProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  currentTgid(a, wiring)
  a.store(4, FP, TGID, R7)
  buildRecord(a, variant, FLAG.exec, 'exec')
  if (variant.task !== undefined) {
    a.load(8, R3, R6, argument(2)).add(R3, variant.task.binprmInterp)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH)
    probeString(a, variant, BUILT + RECORD.path, PATH_BYTES)
  }
  secondSlot(a, variant, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, `renew ${slot}`)
    a.load(4, R1, R0, RECORD.parent).store(4, FP, BUILT + RECORD.parent, R1)
    a.label(`renew ${slot}`)
    updateRecord(a, wiring.processes[slot]!, ANY)
    a.jumpIf(R0, '==', 0, 'leave')
    miss(a, wiring, slot, MISS.recordsMapFull, 'leave')
    a.jump('leave')
  })
  return leave(a)
}

/** `sched_process_exit (task)`: flags the record once the last thread goes. */
export function exitProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  currentTgid(a, wiring)
  a.store(4, FP, TGID, R7)
  if (variant.task !== undefined) {
    // signal->live has been counted down before the tracepoint.
    a.call('getCurrentTask').copy(R3, R0).add(R3, variant.task.signal)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH).add(R3, variant.task.signalLive)
    probe(a, variant, SCRATCH, 4)
    a.load(4, R1, FP, SCRATCH).jumpIf(R1, '!=', 0, 'leave')
  } else {
    // Without types: the leader goes. Other threads may live on; they would be seen again.
    threadId(a)
    a.jumpIfRegister(R1, '!=', R7, 'leave')
  }
  buildRecord(a, variant, FLAG.exit, 'exit')
  lifetimeCpu(a, variant)
  secondSlot(a, variant, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, `silent ${slot}`)
    a.load(4, R1, R0, RECORD.flags).orValue(R1, FLAG.exit).store(4, R0, RECORD.flags, R1)
    a.load(8, R1, FP, BUILT + RECORD.cpu).store(8, R0, RECORD.cpu, R1)
    a.jump('leave')
    // Killed without a call in this second.
    a.label(`silent ${slot}`)
    updateRecord(a, wiring.processes[slot]!, NOEXIST)
    a.jumpIf(R0, '==', 0, 'leave')
    miss(a, wiring, slot, MISS.recordsMapFull, 'leave')
    a.jump('leave')
  })
  return leave(a)
}

/** `task_rename (task, new name)`: a leader's new name replaces the one in this second's record. Needs types. */
export function renameProgram(
  variant: Variant & { task: TaskOffsets },
  wiring: Wiring,
): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  // The renamed task may be another than the current one.
  taskIds(a, variant, 0)
  a.store(4, FP, TGID, R7)
  // R8 = the new name; R6 is free for the slot.
  a.load(8, R8, R6, argument(1))
  secondSlot(a, variant, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, 'leave')
    a.copy(R1, R0).add(R1, RECORD.comm).set(R2, COMM_BYTES).copy(R3, R8)
    a.call(stringProbe(variant))
    a.jump('leave')
  })
  return leave(a)
}

/**
 * Runs for a few moments at start: writes what the agent cannot know otherwise for the call
 * `lseek(-1, MAGIC, …)` of its own. In a pid namespace the agent's pid is not its pid in the kernel, and
 * jiffies are not to be read from outside. lseek and not a number of our own, because seccomp filters let it
 * pass; only where arguments cannot be read the number itself is the magic.
 */
export const SELF = { tgid: 0, parentTgid: 4, jiffies: 8, size: 16 } as const
export const SELF_MAGIC = 0x41474e54
const SEEK = {
  number: process.arch === 'arm64' ? 62 : 8,
  offset: process.arch === 'arm64' ? 8 : 104,
}

export function selfProgram(variant: Variant, map: number): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  a.load(8, R1, R6, argument(1))
  if (variant.probe !== undefined) {
    // Second argument of the call, from its saved registers.
    a.jumpIf(R1, '!=', SEEK.number, 'leave')
    a.load(8, R3, R6, argument(0)).add(R3, SEEK.offset)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R1, FP, SCRATCH)
  }
  a.jumpIf(R1, '!=', SELF_MAGIC, 'leave')
  a.storeValue(8, FP, BUILT, 0).storeValue(8, FP, BUILT + 8, 0)
  a.call('getCurrentPidTgid')
    .shiftRight(R0, 32)
    .store(4, FP, BUILT + SELF.tgid, R0)
  if (variant.task !== undefined) {
    a.call('getCurrentTask').copy(R3, R0).add(R3, variant.task.realParent)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH).add(R3, variant.task.tgid)
    probe(a, variant, BUILT + SELF.parentTgid, 4)
  }
  now(a, variant)
  a.store(8, FP, BUILT + SELF.jiffies, R0)
  a.storeValue(4, FP, TGID, 0)
  a.setMap(R1, map).copy(R2, FP).add(R2, TGID).copy(R3, FP).add(R3, BUILT).set(R4, ANY)
  a.call('mapUpdate')
  return leave(a)
}

// --- Parts ------------------------------------------------------------------------------------------

/** R7 = tgid of the caller; leaves at once for the agent's own. Immediates: a set in a map would cost 10 ns. */
function currentTgid(a: Assembler, wiring: Wiring): void {
  a.call('getCurrentPidTgid').copy(R7, R0).shiftRight(R7, 32)
  leaveIfExcluded(a, wiring)
}

function leaveIfExcluded(a: Assembler, wiring: Wiring): void {
  for (const tgid of wiring.excluded) a.jumpIf(R7, '==', tgid, 'leave')
}

/** R1 = the calling thread's own id. */
function threadId(a: Assembler): void {
  a.call('getCurrentPidTgid').copy(R1, R0).shiftLeft(R1, 32).shiftRight(R1, 32)
}

/** R7 = tgid of the task that the tracepoint's argument points to; leaves where that is not the leader. Uses R8. */
function taskIds(a: Assembler, variant: Variant & { task: TaskOffsets }, task: number): void {
  a.load(8, R3, R6, argument(task)).add(R3, variant.task.tgid)
  probe(a, variant, SCRATCH, 4)
  a.load(4, R7, FP, SCRATCH)
  a.load(8, R3, R6, argument(task)).add(R3, variant.task.pid)
  probe(a, variant, SCRATCH, 4)
  a.load(4, R8, FP, SCRATCH)
  a.jumpIfRegister(R7, '!=', R8, 'leave')
}

function isTyped(variant: Variant): variant is Variant & { readonly task: TaskOffsets } {
  return variant.compat === 'typed' && variant.task !== undefined
}

/** R8 |= COMPAT_FLAG where this call has 32-bit numbers. A typed variant's task is in R9. */
function markCompat(a: Assembler, variant: Variant): void {
  if (variant.compat === 'unseen') return
  if (variant.compat === 'registers' || variant.task === undefined) {
    // Sees 32-bit programs; misses int 0x80 from a 64-bit one, which only the thread's status shows.
    a.load(8, R3, R6, argument(0)).add(R3, REGISTERS.offset)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R1, FP, SCRATCH).and(R1, REGISTERS.mask)
    a.jumpIf(R1, '!=', REGISTERS.value, 'native').orValue(R8, COMPAT_FLAG).label('native')
    return
  }
  const { compatWord, compatBit } = variant.task
  if (isTyped(variant)) a.load(4, R1, R9, compatWord)
  else {
    a.call('getCurrentTask').copy(R3, R0).add(R3, compatWord)
    probe(a, variant, SCRATCH, 4)
    a.load(4, R1, FP, SCRATCH)
  }
  a.and(R1, 1 << compatBit)
  if (compatBit < NUMBER_BITS) a.shiftLeft(R1, NUMBER_BITS - compatBit)
  else a.shiftRight(R1, compatBit - NUMBER_BITS)
  a.or(R8, R1)
}

/** R0 = the clock that slots are made of. */
function now(a: Assembler, variant: Variant): void {
  a.call(variant.clock === 'jiffies' ? 'jiffies64' : 'ktimeGetNs')
}

/** R6 = the current second's slot: ((now - origin) / second) mod 4. */
function secondSlot(a: Assembler, variant: Variant, wiring: Wiring): void {
  now(a, variant)
  a.set64(R1, wiring.origin).subtract(R0, R1).divide(R0, wiring.ticksPerSecond)
  a.copy(R6, R0).and(R6, SLOTS - 1)
}

/** Goes to the block of the slot in R6. */
function dispatch(a: Assembler, label: string, block: (slot: number) => void): void {
  for (let slot = 1; slot < SLOTS; slot++) a.jumpIf(R6, '==', slot, `${label} ${slot}`)
  for (let slot = 0; slot < SLOTS; slot++) {
    a.label(`${label} ${slot}`)
    block(slot)
  }
}

/** R0 = pointer to the value of the key at FP + key, or 0. */
function lookUp(a: Assembler, map: number, key: number): void {
  a.setMap(R1, map).copy(R2, FP).add(R2, key).call('mapLookup')
}

function updateRecord(a: Assembler, map: number, mode: number): void {
  a.setMap(R1, map).copy(R2, FP).add(R2, TGID).copy(R3, FP).add(R3, BUILT).set(R4, mode)
  a.call('mapUpdate')
}

/** Adds one to the misses of this slot and reason. An array map always has its entries; the verifier wants the test. */
function miss(a: Assembler, wiring: Wiring, slot: number, reason: number, next: string): void {
  a.storeValue(4, FP, MISS_INDEX, slot * MISSES_PER_SLOT + reason)
  lookUp(a, wiring.misses, MISS_INDEX)
  a.jumpIf(R0, '==', 0, next).set(R1, 1).atomicAdd(R0, 0, R1)
}

/**
 * Builds a process's record on the stack at BUILT. Needs R7 = tgid; uses R9.
 * @param loadTask puts the task into a register: the caller's, but for a fork
 */
function buildRecord(
  a: Assembler,
  variant: Variant,
  flags: number,
  where: string,
  loadTask = (to: Register) => a.call('getCurrentTask').copy(to, R0),
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
    loadTask(R3).add(R3, nsproxy)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH).add(R3, pidNamespace)
    probe(a, variant, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH).add(R3, namespaceInode)
    probe(a, variant, BUILT + RECORD.pidNamespace, 4)
  }
  // R9 = the group's leader, whose name and start are the process's.
  loadTask(R3).add(R3, groupLeader)
  probe(a, variant, SCRATCH, 8)
  a.load(8, R9, FP, SCRATCH)
  a.copy(R3, R9).add(R3, comm)
  probe(a, variant, BUILT + RECORD.comm, COMM_BYTES)
  a.copy(R3, R9).add(R3, startBoottime)
  probe(a, variant, BUILT + RECORD.start, 8)
  a.copy(R3, R9).add(R3, realParent)
  probe(a, variant, SCRATCH, 8)
  a.load(8, R3, FP, SCRATCH).add(R3, tgid)
  probe(a, variant, BUILT + RECORD.parent, 4)
}

/** Puts the CPU time of the caller and of its process's threads that ended before it into the built record. */
function lifetimeCpu(a: Assembler, variant: Variant): void {
  const { task } = variant
  if (task?.cpu === undefined) return
  a.call('getCurrentTask').copy(R9, R0)
  a.copy(R3, R9).add(R3, task.cpu.runtime)
  probe(a, variant, BUILT + RECORD.cpu, 8)
  a.copy(R3, R9).add(R3, task.signal)
  probe(a, variant, SCRATCH, 8)
  a.load(8, R3, FP, SCRATCH).add(R3, task.cpu.endedRuntime)
  probe(a, variant, SCRATCH, 8)
  a.load(8, R1, FP, SCRATCH)
    .load(8, R2, FP, BUILT + RECORD.cpu)
    .addRegister(R1, R2)
  a.store(8, FP, BUILT + RECORD.cpu, R1)
}

/** Copies kernel memory at R3 to the stack; zeroes where it cannot be read. */
function probe(a: Assembler, variant: Variant, to: number, bytes: number): void {
  assert(variant.probe !== undefined, 'a variant that cannot read memory does not try')
  stackArguments(a, to, bytes)
  a.call(variant.probe)
}

function probeString(a: Assembler, variant: Variant, to: number, bytes: number): void {
  stackArguments(a, to, bytes)
  a.call(stringProbe(variant))
}

function stackArguments(a: Assembler, to: number, bytes: number): void {
  a.copy(R1, FP).add(R1, to).set(R2, bytes)
}

function stringProbe(variant: Variant): Helper {
  return variant.probe === 'probeReadKernel' ? 'probeReadKernelStr' : 'probeReadStr'
}

function leave(a: Assembler): Uint8Array {
  a.label('leave').set(R0, 0).exit()
  return a.bytes()
}
