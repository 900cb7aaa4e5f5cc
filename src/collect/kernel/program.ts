/**
 * The programs that count in the kernel, and why they are exact.
 *
 * `sys_enter` adds one to (process, syscall) in one of four maps; which one is decided *in the
 * kernel, by time*: second modulo four. A map is drained only when its second is over and every
 * program that may have seen it as current has left, so no add can race with a removal. (Measured:
 * draining a live map lost 23,178 of 8 million, swapping two maps lost 27, this loses none.) A call
 * of a second whose map still holds an older one is late: it is counted as lost and mixed with
 * nothing. Each path ends in an add or in a miss.
 *
 * Beside the counts each second has a record of every process in it, because most processes of a
 * second's life are gone before /proc is read. `sched_process_fork` makes it (at its first call a
 * child's parent may be gone), `sched_process_exec` renews it, `task_rename` puts the new name in,
 * `sched_process_exit` flags it.
 *
 * The code is emitted once for each map: with one call site for several maps the verifier cannot
 * inline the look-up (+30 ns a call). Time is jiffies: they cost nothing, nanoseconds cost 60 ns a
 * call.
 */
import { COMPAT_FLAG, NUMBER_BITS, URING_FLAG } from '../../domain/kernel-stream.ts'
import { numberTables, unknownRanges } from '../../domain/syscall-numbers.ts'
import { noteActivity } from './activity.ts'
import { Assembler, FP, R0, R1, R2, R3, R4, R6, R7, R8, R9, type Register } from './assembler.ts'
import type { FileOffsets, TaskOffsets, UringPlace } from './btf.ts'
import {
  ARGUMENTS,
  COMM_BYTES,
  FLAG,
  LAST_NUMBER,
  MISS,
  OVERFLOW_NUMBER,
  PATH_BYTES,
  PATH_NAME_BYTES,
  QUOTA_FACTOR_BITS,
  RECORD,
  SLOTS,
  TABLE,
  TGID_SHIFT,
  totalOf,
  USER,
} from './layout.ts'
import {
  type ActivityMaps,
  ANY,
  argument,
  BUILT,
  buildRecord,
  currentTask,
  currentTgid,
  dispatch,
  ENTRY,
  follow,
  GOLDEN_RATIO,
  isTyped,
  KEY,
  leave,
  leaveIfExcluded,
  lifetimeCpu,
  lookUp,
  MISS_INDEX,
  miss,
  NOEXIST,
  ONE,
  probe,
  probeString,
  read,
  SCRATCH,
  secondSlot,
  TGID,
  taskIds,
  threadId,
  updateRecord,
  type Variant,
  type Wiring,
} from './parts.ts'

/**
 * Saved registers of the caller, for kernels without types: the code segment of x86, pstate of
 * arm64.
 */
const REGISTERS =
  process.arch === 'arm64'
    ? { offset: 264, mask: 0x10, value: 0x10 }
    : { offset: 136, mask: 0xff, value: 0x23 }

/** `raw_syscalls/sys_enter (registers, number)` */
export function enterProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  if (isTyped(variant)) {
    // The verifier knows the type of what it got, so its members are plain loads: R9 = task, R7 =
    // tgid.
    a.call('getCurrentTaskBtf').copy(R9, R0).load(4, R7, R9, variant.task.tgid)
    leaveIfExcluded(a, wiring)
  } else {
    currentTgid(a, wiring)
  }

  // R8 = number, those that no call has made one; bit 10 for 32-bit calls.
  a.load(8, R8, R6, argument(1))
  a.jumpIf(R8, '>', LAST_NUMBER, 'clamp').jump('clamped')
  a.label('clamp').set(R8, LAST_NUMBER)
  a.label('clamped')
  markCompat(a, variant)
  if (wiring.activity !== undefined) noteActivity(a, wiring, wiring.activity.secrets)
  // Nearly all calls are below the first gap of the native table.
  const [firstGap] = UNKNOWN.native
  a.jumpIf(R8, '>=', firstGap!.from, 'high').label('numbered')

  count(a, variant, wiring)
  a.label('high')
  mergeUnknown(a)
  return leave(a)
}

/**
 * A submission to io_uring, by the thread that made it or by the ring's own (SQPOLL), which is one
 * of its process. The opcode is the call's number, with a mark.
 */
export function uringProgram(variant: Variant, wiring: Wiring, place: UringPlace): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  currentTgid(a, wiring)
  a.load(8, R8, R6, argument(place.argument))
  if (place.offset !== undefined) {
    a.storeValue(8, FP, SCRATCH, 0)
    a.copy(R3, R8).add(R3, place.offset)
    probe(a, SCRATCH, 1)
    a.load(8, R8, FP, SCRATCH)
  }
  a.and(R8, 0xff).orValue(R8, URING_FLAG)
  count(a, variant, wiring)
  return leave(a)
}

/** Adds one to what R8 says (number and marks) of the process in R7, in the second's slot. */
function count(a: Assembler, variant: Variant, wiring: Wiring): void {
  // R8 = key = tgid << 16 | R8
  a.copy(R1, R7).shiftLeft(R1, TGID_SHIFT).or(R8, R1)
  secondSlot(a, wiring, 'late')
  if (wiring.table !== undefined) lookIntoTable(a, wiring.table)

  a.store(8, FP, KEY, R8)
  a.store(4, FP, TGID, R7)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.counts[slot]!, KEY)
    a.jumpIf(R0, '==', 0, `new ${slot}`)
    a.set(R1, 1).atomicAdd(R0, 0, R1)
    a.jump('leave')
  })
  if (wiring.table !== undefined) {
    a.label('new').store(8, FP, KEY, R8).store(4, FP, TGID, R7)
    for (let slot = 1; slot < SLOTS; slot++) a.jumpIf(R6, '==', slot, `new ${slot}`)
    a.jump('new 0')
  }
  for (let slot = 0; slot < SLOTS; slot++) countFirst(a, variant, wiring, slot)
  a.label('late')
  dispatch(a, 'late', (slot) => {
    miss(a, wiring, slot, MISS.late, 'leave')
    a.jump('leave')
  })
}

/** Ranges of numbers that no call of this machine has. */
const MACHINE = numberTables(process.arch === 'arm64' ? 'arm64' : 'x86_64')
const UNKNOWN = {
  native: unknownRanges(MACHINE.native),
  compat: unknownRanges(MACHINE.compat),
}

/**
 * R8 = LAST_NUMBER (of the same kind of call) where it lies in an unknown range; goes on to
 * "numbered".
 */
function mergeUnknown(a: Assembler): void {
  for (const [kind, flag] of [
    ['native', 0],
    ['compat', COMPAT_FLAG],
  ] as const) {
    a.label(`${kind} gaps`)
    if (kind === 'native') a.jumpIf(R8, '>=', COMPAT_FLAG, 'compat gaps')
    for (const { from, to } of UNKNOWN[kind]) {
      a.jumpIf(R8, '>=', flag + to, `${kind} beyond ${to}`)
      a.jumpIf(R8, '>=', flag + from, `${kind} unknown`).jump('numbered')
      a.label(`${kind} beyond ${to}`)
    }
    a.jump('numbered')
    a.label(`${kind} unknown`)
      .set(R8, flag + LAST_NUMBER)
      .jump('numbered')
  }
}

/**
 * The short way, for all but a few: the key's bucket is one cache line, its four entries are looked
 * at in turn. Adds and leaves; goes to "new" where the bucket has room, and so the key was never
 * counted; falls through where it is full of others. R6 = slot, R7 = tgid, R8 = key, and from here
 * on ENTRY = the bucket.
 */
function lookIntoTable(a: Assembler, table: number): void {
  // R9 = bucket: the slot's part of the table, and in it what a multiplication makes of the key.
  a.copy(R1, R6).shiftLeft(R1, TABLE.slotShift)
  a.set64(R2, GOLDEN_RATIO).multiply(R2, R8)
  a.shiftRight(R2, 64 - TABLE.bucketBits).shiftLeft(R2, TABLE.bucketShift)
  a.setMapValue(R9, table).addRegister(R9, R1).addRegister(R9, R2)
  for (const at of TABLE_ENTRIES) {
    a.load(8, R1, R9, at).jumpIfRegister(R1, '!=', R8, `not ${at}`)
    a.set(R1, 1)
      .atomicAdd(R9, at + TABLE.count, R1)
      .jump('leave')
    a.label(`not ${at}`)
  }
  a.store(8, FP, ENTRY, R9)
  // Entries are taken in order: where the last is, all are.
  a.load(8, R1, R9, TABLE_ENTRIES.at(-1)!).jumpIf(R1, '==', 0, 'new')
}

const TABLE_ENTRIES = Array.from({ length: TABLE.entriesPerBucket }, (_, i) => i * TABLE.entryBytes)

/**
 * The first call of its kind by its process in this second: is there room for it? Key and tgid are
 * on the stack.
 */
function countFirst(a: Assembler, variant: Variant, wiring: Wiring, slot: number): void {
  const counts = wiring.counts[slot]!
  // R9 = the process's record.
  a.label(`new ${slot}`)
  lookUp(a, wiring.processes[slot]!, TGID)
  a.copy(R9, R0).jumpIf(R9, '!=', 0, `recorded ${slot}`)
  admit(a, wiring, slot, USER.records, wiring.processesMax, `no record ${slot}`)
  buildRecord(a, variant, 0, `new ${slot}`)
  updateRecord(a, wiring.processes[slot]!, NOEXIST)
  lookUp(a, wiring.processes[slot]!, TGID)
  a.copy(R9, R0).jumpIf(R9, '==', 0, `no record ${slot}`)

  a.label(`recorded ${slot}`)
  a.set(R1, 1).atomicAdd(R9, RECORD.keys, R1).load(8, R1, R9, RECORD.keys)
  a.jumpIf(R1, '>', wiring.processKeysMax, `overflow ${slot}`)
  admit(a, wiring, slot, USER.keys, wiring.countKeys, `missed ${slot}`)
  if (wiring.table !== undefined) claimEntry(a, slot)
  a.jump(`insert ${slot}`)

  // Beyond its quota a process has one key more, for all the rest.
  a.label(`overflow ${slot}`)
  a.load(4, R1, FP, TGID).shiftLeft(R1, TGID_SHIFT).orValue(R1, OVERFLOW_NUMBER)
  a.store(8, FP, KEY, R1)
  lookUp(a, counts, KEY)
  a.jumpIf(R0, '!=', 0, `add ${slot}`)

  // Refused: another thread was quicker (add to its), or the map is full.
  a.label(`insert ${slot}`)
  a.storeValue(8, FP, ONE, 1)
  a.setMap(R1, counts).copy(R2, FP).add(R2, KEY).copy(R3, FP).add(R3, ONE)
  a.set(R4, NOEXIST).call('mapUpdate')
  a.jumpIf(R0, '==', 0, 'leave')
  lookUp(a, counts, KEY)
  a.jumpIf(R0, '==', 0, `missed ${slot}`)
  a.label(`add ${slot}`).set(R1, 1).atomicAdd(R0, 0, R1).jump('leave')

  a.label(`missed ${slot}`).set(R1, 1).atomicAdd(R9, RECORD.missed, R1).jump('leave')
  a.label(`no record ${slot}`)
  userPlace(a, wiring, slot)
  a.jumpIf(R0, '==', 0, `no process ${slot}`)
  a.set(R1, 1).atomicAdd(R0, USER.missed, R1).jump('leave')
  a.label(`no process ${slot}`)
  miss(a, wiring, slot, MISS.noRoom, 'leave')
  a.jump('leave')
}

/** Takes a free entry of the bucket and counts in it; falls through where others were quicker. */
function claimEntry(a: Assembler, slot: number): void {
  a.load(8, R6, FP, ENTRY).load(8, R8, FP, KEY)
  for (const at of TABLE_ENTRIES) {
    const label = `${slot} ${at}`
    a.load(8, R0, R6, at).jumpIf(R0, '!=', 0, `taken ${label}`)
    a.compareExchange(R6, at, R8)
    a.jumpIf(R0, '==', 0, `ours ${label}`)
    a.label(`taken ${label}`).jumpIfRegister(R0, '!=', R8, `others ${label}`)
    a.label(`ours ${label}`).set(R1, 1)
    a.atomicAdd(R6, at + TABLE.count, R1).jump('leave')
    a.label(`others ${label}`)
  }
}

/**
 * Takes one key or record of the slot for the caller's user, or goes to `refused`. A user may have
 * QUOTA_FACTOR times as many as are left, so one alone gets two thirds, and each further one less,
 * and some are always left. Uses R6, R8.
 */
function admit(
  a: Assembler,
  wiring: Wiring,
  slot: number,
  what: typeof USER.keys | typeof USER.records,
  room: number,
  refused: string,
): void {
  userPlace(a, wiring, slot)
  a.jumpIf(R0, '==', 0, refused).copy(R6, R0).store(4, R6, USER.uid, R8)
  a.storeValue(4, FP, MISS_INDEX, totalOf(slot))
  lookUp(a, wiring.users, MISS_INDEX)
  a.jumpIf(R0, '==', 0, refused)
  a.load(8, R2, R0, what).jumpIf(R2, '>=', room, refused)
  a.set(R1, room).subtract(R1, R2).shiftLeft(R1, QUOTA_FACTOR_BITS)
  a.load(8, R3, R6, what).jumpIfRegister(R3, '>=', R1, refused)
  a.set(R1, 1).atomicAdd(R6, what, R1).atomicAdd(R0, what, R1)
}

/** R0 = where this slot keeps what the caller's user has taken; R8 = uid. */
function userPlace(a: Assembler, wiring: Wiring, slot: number): void {
  a.call('getCurrentUidGid').copy(R8, R0).shiftLeft(R8, 32).shiftRight(R8, 32)
  a.set64(R1, GOLDEN_RATIO ^ wiring.userSeed)
    .copy(R2, R8)
    .add(R2, 1)
    .multiply(R1, R2)
  a.shiftRight(R1, 64 - USER.bits).add(R1, slot * USER.perSlot)
  a.store(4, FP, MISS_INDEX, R1)
  lookUp(a, wiring.users, MISS_INDEX)
}

/**
 * `sched_process_fork (parent, child)`: a new process's record, before it has called anything.
 * Needs types.
 */
export function forkProgram(variant: Variant & { task: TaskOffsets }, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  taskIds(a, variant, 1)
  a.store(4, FP, TGID, R7)
  // The caller is the parent: user and cgroup are the same.
  buildRecord(a, variant, 0, 'fork', (to) => void a.load(8, to, R6, argument(1)))
  secondSlot(a, wiring)
  dispatch(a, 'slot', (slot) => {
    admit(a, wiring, slot, USER.records, wiring.processesMax, 'leave')
    updateRecord(a, wiring.processes[slot]!, NOEXIST)
    a.jump('leave')
  })
  return leave(a)
}

/**
 * `sched_process_exec (task, old pid, binprm)`: comm is already the new one; the record starts
 * again, with the path. The parent stays the one that this second's record knows: who made the
 * process, not who inherited it.
 */
export function execProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  currentTgid(a, wiring)
  a.store(4, FP, TGID, R7)
  buildRecord(a, variant, FLAG.exec, 'exec')
  if (variant.task !== undefined && variant.probes) {
    if (variant.task.file !== undefined) walkPath(a, variant.task.file)
    a.load(8, R3, R6, argument(2)).add(R3, variant.task.binprmInterp)
    probe(a, SCRATCH, 8)
    a.load(8, R3, FP, SCRATCH)
    probeString(a, BUILT + RECORD.path, PATH_BYTES)
    a.label('path')
  }
  if (wiring.activity !== undefined) keepArguments(a, variant, wiring.activity)
  secondSlot(a, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, `unknown ${slot}`)
    a.load(4, R1, R0, RECORD.parent).store(4, FP, BUILT + RECORD.parent, R1)
    for (const field of COUNTED_FIELDS) a.load(8, R1, R0, field).store(8, FP, BUILT + field, R1)
    a.jump(`renew ${slot}`)
    a.label(`unknown ${slot}`)
    admit(a, wiring, slot, USER.records, wiring.processesMax, 'leave')
    a.label(`renew ${slot}`)
    updateRecord(a, wiring.processes[slot]!, ANY)
    a.jump('leave')
  })
  return leave(a)
}

/** What a second's record has counted, and goes on counting after an exec. */
const COUNTED_FIELDS = Array.from(
  { length: (RECORD.size - RECORD.keys) / 8 },
  (_, i) => RECORD.keys + 8 * i,
)

/** Names and mounts on the way from a file to the root, as far as they are followed. */
const PATH_STEPS = 20

/**
 * Puts the path of the executed file into the built record, from its last name to the first, over
 * mounts, and goes to "path"; falls through where it is too long. Nothing in user space can tell
 * it: programs called by a relative path, or gone before /proc is read, and other users' programs
 * once the capabilities are given up. R6 stays.
 */
function walkPath(a: Assembler, file: FileOffsets): void {
  const follow = (to: Register, from: Register, offset: number) => {
    a.copy(R3, from).add(R3, offset)
    probe(a, SCRATCH, 8)
    a.load(8, to, FP, SCRATCH)
  }
  // R8 = dentry, R9 = vfsmount; ENTRY = bytes so far. R7 is scratch: the tgid is on the stack.
  a.load(8, R1, R6, argument(2))
  follow(R7, R1, file.binprmFile)
  follow(R8, R7, file.dentry)
  follow(R9, R7, file.vfsmount)
  a.storeValue(8, FP, ENTRY, 0)
  for (let step = 0; step < PATH_STEPS; step++) {
    follow(R1, R9, file.root)
    a.jumpIfRegister(R1, '!=', R8, `name ${step}`)
    // The root of its file system: on to where that is mounted, or the end.
    a.copy(R7, R9).add(R7, -file.mountVfsmount)
    follow(R9, R7, file.mountParent)
    a.jumpIfRegister(R9, '==', R7, 'walked')
    a.add(R9, file.mountVfsmount)
    follow(R8, R7, file.mountpoint)
    a.jump(`step ${step}`)

    a.label(`name ${step}`)
    follow(R3, R8, file.name)
    a.load(8, R7, FP, ENTRY).jumpIf(R7, '>', PATH_BYTES - PATH_NAME_BYTES, 'too long')
    a.copy(R1, FP)
      .add(R1, BUILT + RECORD.path)
      .addRegister(R1, R7)
      .set(R2, PATH_NAME_BYTES)
    a.call('probeReadKernelStr')
    a.jumpIf(R0, '>=', PATH_NAME_BYTES, 'too long').addRegister(R7, R0).store(8, FP, ENTRY, R7)
    a.copy(R7, R8)
    follow(R8, R7, file.parent)
    // A file that hangs nowhere, of memfd_create(2).
    a.jumpIfRegister(R8, '==', R7, 'walked')
    a.label(`step ${step}`)
  }
  a.jump('too long')
  a.label('walked')
    .storeValue(4, FP, BUILT + RECORD.flags, FLAG.exec | FLAG.walked)
    .jump('path')
  a.label('too long')
  for (let at = 0; at < PATH_BYTES; at += 8) a.storeValue(8, FP, BUILT + RECORD.path + at, 0)
}

/**
 * Keeps the first bytes of the caller's arguments by its thread group, for the drain to fetch: most
 * programs of a second are gone before /proc/PID/cmdline is read. Goes on at "arguments". Uses R7,
 * R8 and R9.
 */
function keepArguments(a: Assembler, variant: Variant, kept: ActivityMaps): void {
  const memory = variant.task?.memory
  if (memory === undefined || !variant.probes) return
  a.storeValue(4, FP, MISS_INDEX, 0)
  lookUp(a, kept.scratch, MISS_INDEX)
  a.jumpIf(R0, '==', 0, 'arguments').copy(R9, R0)
  currentTask(a, variant, R7)
  follow(a, variant, R7, R7, memory.mm)
  follow(a, variant, R8, R7, memory.argStart)
  follow(a, variant, R7, R7, memory.argEnd)
  a.subtract(R7, R8).jumpIf(R7, '>', ARGUMENTS.most, 'long').jump('bounded')
  a.label('long').set(R7, ARGUMENTS.most)
  a.label('bounded').store(8, R9, ARGUMENTS.length, R7)
  a.copy(R1, R9).add(R1, ARGUMENTS.text).copy(R2, R7).copy(R3, R8).call('probeReadUser')
  a.jumpIf(R0, '!=', 0, 'arguments')
  a.setMap(R1, kept.arguments).copy(R2, FP).add(R2, TGID).copy(R3, R9).set(R4, ANY)
  a.call('mapUpdate').label('arguments')
}

/** `sched_process_exit (task)`: flags the record once the last thread goes. */
export function exitProgram(variant: Variant, wiring: Wiring): Uint8Array {
  const a = new Assembler()
  a.copy(R6, R1)
  currentTgid(a, wiring)
  a.store(4, FP, TGID, R7)
  if (variant.task !== undefined) {
    // signal->live has been counted down before the tracepoint.
    currentTask(a, variant, R9)
    follow(a, variant, R1, R9, variant.task.signal)
    read(a, variant, 4, R1, R1, variant.task.signalLive)
    a.jumpIf(R1, '!=', 0, 'leave')
  } else {
    // Without types: the leader goes. Other threads may live on; they would be seen again.
    threadId(a)
    a.jumpIfRegister(R1, '!=', R7, 'leave')
  }
  buildRecord(a, variant, FLAG.exit, 'exit')
  lifetimeCpu(a, variant)
  secondSlot(a, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, `silent ${slot}`)
    a.load(4, R1, R0, RECORD.flags).orValue(R1, FLAG.exit).store(4, R0, RECORD.flags, R1)
    a.load(8, R1, FP, BUILT + RECORD.cpu).store(8, R0, RECORD.cpu, R1)
    a.jump('leave')
    // Killed without a call in this second.
    a.label(`silent ${slot}`)
    admit(a, wiring, slot, USER.records, wiring.processesMax, 'leave')
    updateRecord(a, wiring.processes[slot]!, NOEXIST)
    a.jump('leave')
  })
  return leave(a)
}

/**
 * `task_rename (task, new name)`: a leader's new name replaces the one in this second's record.
 * Needs types.
 */
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
  secondSlot(a, wiring)
  dispatch(a, 'slot', (slot) => {
    lookUp(a, wiring.processes[slot]!, TGID)
    a.jumpIf(R0, '==', 0, 'leave')
    a.copy(R1, R0).add(R1, RECORD.comm).set(R2, COMM_BYTES).copy(R3, R8)
    a.call('probeReadKernelStr')
    a.jump('leave')
  })
  return leave(a)
}

/**
 * Runs for a few moments at start: writes what the agent cannot know otherwise for the call
 * `lseek(-1, MAGIC, …)` of its own. In a pid namespace the agent's pid is not its pid in the
 * kernel, and jiffies are not to be read from outside. lseek and not a number of our own, because
 * seccomp filters let it pass; only where arguments cannot be read the number itself is the magic.
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
  if (variant.probes) {
    // Second argument of the call, from its saved registers.
    a.jumpIf(R1, '!=', SEEK.number, 'leave')
    a.load(8, R3, R6, argument(0)).add(R3, SEEK.offset)
    probe(a, SCRATCH, 8)
    a.load(8, R1, FP, SCRATCH)
  }
  a.jumpIf(R1, '!=', SELF_MAGIC, 'leave')
  a.storeValue(8, FP, BUILT, 0).storeValue(8, FP, BUILT + 8, 0)
  a.call('getCurrentPidTgid')
    .shiftRight(R0, 32)
    .store(4, FP, BUILT + SELF.tgid, R0)
  if (variant.task !== undefined) {
    currentTask(a, variant, R9)
    follow(a, variant, R1, R9, variant.task.realParent)
    read(a, variant, 4, R1, R1, variant.task.tgid)
    a.store(4, FP, BUILT + SELF.parentTgid, R1)
  }
  a.call('jiffies64')
  a.store(8, FP, BUILT + SELF.jiffies, R0)
  a.storeValue(4, FP, TGID, 0)
  a.setMap(R1, map).copy(R2, FP).add(R2, TGID).copy(R3, FP).add(R3, BUILT).set(R4, ANY)
  a.call('mapUpdate')
  return leave(a)
}

/** R8 |= COMPAT_FLAG where this call has 32-bit numbers. A typed variant's task is in R9. */
function markCompat(a: Assembler, variant: Variant): void {
  if (variant.compat === 'registers' || variant.task === undefined) {
    // Sees 32-bit programs; misses int 0x80 from a 64-bit one, which only the thread's status
    // shows.
    a.load(8, R3, R6, argument(0)).add(R3, REGISTERS.offset)
    probe(a, SCRATCH, 8)
    a.load(8, R1, FP, SCRATCH).and(R1, REGISTERS.mask)
    a.jumpIf(R1, '!=', REGISTERS.value, 'native').orValue(R8, COMPAT_FLAG).label('native')
    return
  }
  const { compatWord, compatBit } = variant.task
  if (isTyped(variant)) a.load(4, R1, R9, compatWord)
  else {
    a.call('getCurrentTask').copy(R3, R0).add(R3, compatWord)
    probe(a, SCRATCH, 4)
    a.load(4, R1, FP, SCRATCH)
  }
  a.and(R1, 1 << compatBit)
  if (compatBit < NUMBER_BITS) a.shiftLeft(R1, NUMBER_BITS - compatBit)
  else a.shiftRight(R1, compatBit - NUMBER_BITS)
  a.or(R8, R1)
}
