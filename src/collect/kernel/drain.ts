/**
 * Takes a second out of the kernel and writes it as records. One call, no waiting but the
 * barrier's.
 *
 * Before a map is emptied no program may still be at work in it. Waiting a while would do nearly
 * always; membarrier(2) *knows*: it returns when every CPU has left what it was doing in the
 * kernel, programs included. So: one tick after the second's end by the clock that jiffies are part
 * of (then no CPU can read the old second any more), a barrier, then the drain. Without membarrier
 * (nohz_full): 25 ms.
 */
import { randomInt } from 'node:crypto'
import { maskedCommand, parseArguments } from '../../domain/command-line.ts'
import { ACTIVITY_BYTES, LOSS, NAME_KIND, UNSEEN } from '../../domain/kernel-stream.ts'
import {
  COMMAND_READS_MAX,
  KERNEL_GRACE_MS,
  PROCESSES_MAX,
  SILENT_CPU_MS_MIN,
  SILENT_PROCESSES_MAX,
} from '../../domain/limits.ts'
import {
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_REALTIME,
  mapShared,
  membarrier,
  nativeBytes,
  readClock,
} from '../../platform/linux/libc.ts'
import { closeAll, type DrainBuffer, drainBatch, drainBuffer, lookUp, update } from './bpf.ts'
import { CpuTimes, type TaskTime } from './cpu-times.ts'
import { Facts } from './facts.ts'
import {
  ACTIVITY,
  ARGUMENTS,
  CALL_MASK,
  COMM_BYTES,
  countShape,
  FLAG,
  MISS,
  MISSES_PER_SLOT,
  PATH_BYTES,
  processShape,
  RECORD,
  SLOTS,
  TABLE,
  totalOf,
  USER,
  userShape,
} from './layout.ts'
import { descriptorsOf, type OpenCounter } from './open.ts'
import { RecordWriter } from './records.ts'
import { Labels, Ring } from './ring.ts'
import { Turns } from './turns.ts'

const BARRIER_QUERY = 0
const BARRIER_GLOBAL = 1
/** A standstill longer than this many seconds is skipped over instead of walked through. */
const CATCH_UP_SECONDS = 16
/** Counts above this are split into several entries; no second holds so many. */
const LARGEST_COUNT = 0xffff_ffff

interface Known {
  readonly start: number
  /** Who made it: an orphan's later parent is not. */
  readonly ppid: number
  name: Uint8Array
  nameKind: number
}

export class Drain {
  readonly #counter: OpenCounter
  readonly #ring: Ring
  readonly #labels: Labels
  readonly #writer = new RecordWriter()
  readonly #facts = new Facts()
  readonly #cpuTimes: CpuTimes | undefined
  readonly #counts: DrainBuffer
  readonly #records: DrainBuffer
  readonly #hasBarrier: boolean
  /** The table in the kernel, as our memory; words of 32 bits. */
  readonly #table: Uint32Array | undefined
  /** What each user took of each slot, as our memory; words of 32 bits. */
  readonly #users: Uint32Array
  readonly #turns: Turns
  /** Processes that were described, the longest silent first. */
  readonly #known = new Map<number, Known>()
  /**
   * Key and position of each count in one number, so that one native sort groups them by process.
   */
  readonly #order: Float64Array
  readonly #missKey = nativeBytes(4)
  readonly #missValue = nativeBytes(8)
  readonly #arguments = nativeBytes(ARGUMENTS.size)
  readonly #digestSeed = randomInt(0xffff_ffff)
  /** Arguments that may be fetched in this second. */
  #commandsLeft = 0

  constructor(counter: OpenCounter) {
    this.#counter = counter
    const query = membarrier(BARRIER_QUERY)
    this.#hasBarrier = query > 0 && (query & BARRIER_GLOBAL) !== 0
    const { originMs, secondMs, tickMs } = counter
    this.#ring = new Ring(
      { originMs, secondMs, graceMs: this.#hasBarrier ? Math.max(1, tickMs) : KERNEL_GRACE_MS },
      originMs,
    )
    this.#labels = new Labels(this.#ring)
    // Behind what the hash map holds there is room for what the table holds.
    const capacity = counter.countKeys + (counter.table === undefined ? 0 : TABLE.slotEntries)
    this.#counts = drainBuffer(countShape(capacity))
    if (counter.tasks !== undefined) this.#cpuTimes = new CpuTimes(counter.tasks, counter.excluded)
    if (counter.table !== undefined)
      this.#table = new Uint32Array(mapShared(counter.table, TABLE.bytes))
    this.#records = drainBuffer(processShape(counter.processesMax))
    this.#order = new Float64Array(capacity)
    this.#users = new Uint32Array(mapShared(counter.users, userShape.entries * USER.size))
    this.#turns = new Turns(counter.turns)
  }

  /** How long until the next second may be drained; 0 if it is due. */
  get waitMs(): number {
    // Not the precise clock: where a virtual CPU was held up, jiffies stand still, and so does this
    // one.
    return Math.max(0, this.#ring.dueMs - readClock(CLOCK_MONOTONIC_COARSE))
  }

  /** Drains every second that is due. Valid until the next call. */
  drainDue(): Uint8Array {
    this.#skipStandstill()
    while (this.waitMs === 0) this.#drainSecond()
    return this.#writer.take()
  }

  /** Takes the programs off and drains what is left, the unfinished second included. */
  close(): Uint8Array {
    closeAll(this.#counter.links)
    this.#barrier()
    if (!this.#hasBarrier) Bun.sleepSync(KERNEL_GRACE_MS)
    this.#skipStandstill()
    const last = this.#ring.secondAt(readClock(CLOCK_MONOTONIC_COARSE))
    while (this.#ring.next <= last) this.#drainSecond()
    this.#writer.bye()
    closeAll(descriptorsOf({ ...this.#counter, links: [] }))
    return this.#writer.take()
  }

  #barrier(): void {
    if (this.#hasBarrier) membarrier(BARRIER_GLOBAL)
  }

  #drainSecond(): void {
    this.#barrier()
    const began = readClock(CLOCK_MONOTONIC)
    const second = this.#ring.next
    const map = this.#ring.mapOf(second)
    const counts = this.#drainCounts(map)
    const records = this.#drainMap(this.#counter.processes[map]!, this.#records)
    const users = this.#drainUsers(map)
    const noRoom = this.#takeMiss(map, MISS.noRoom)
    this.#turns.give(map, second + SLOTS)
    const late = this.#ring.drained(
      this.#takeMiss(map, MISS.late),
      readClock(CLOCK_MONOTONIC_COARSE),
    )
    // What was used until now belongs to the last second that is over.
    const isLast = this.#ring.dueMs > readClock(CLOCK_MONOTONIC_COARSE)
    const times = isLast ? this.#cpuTimes?.read() : undefined

    const label = this.#labels.label(second, wallOffsetMs())
    this.#facts.refill()
    this.#commandsLeft = COMMAND_READS_MAX
    this.#writer.second(label)
    const exited = this.#writeProcesses(records)
    if (times !== undefined) this.#writeCpuTimes(times, records)
    this.#writeActivity(records)
    this.#writeCalls(counts)
    this.#writeUnseen(records, users)
    for (const pid of exited) {
      this.#writer.exit(pid)
      this.#known.delete(pid)
    }
    if (late > 0) this.#writer.lost(label, LOSS.late, late)
    if (noRoom > 0) this.#writer.lost(label, LOSS.noRoom, noRoom)
    const micros = Math.round((readClock(CLOCK_MONOTONIC) - began) * 1000)
    const unrecorded = users.reduce((sum, { missed }) => sum + missed, 0)
    this.#writer.endOfSecond(micros, counts, records, unrecorded)
  }

  /**
   * After a long standstill: what the maps hold is drained, the seconds without a map are not
   * walked through.
   */
  #skipStandstill(): void {
    const behind = () => this.#ring.secondAt(readClock(CLOCK_MONOTONIC_COARSE)) - this.#ring.next
    if (behind() <= CATCH_UP_SECONDS) return
    for (let slot = 0; slot < SLOTS; slot++) this.#drainSecond()
    if (behind() <= CATCH_UP_SECONDS) return
    const next = this.#ring.skip(readClock(CLOCK_MONOTONIC_COARSE))
    for (let second = next; second < next + SLOTS; second++)
      this.#turns.give(this.#ring.mapOf(second), second)
  }

  /** Both places of a slot's counts, into one buffer. @returns how many keys */
  #drainCounts(slot: number): number {
    let taken = this.#drainMap(this.#counter.counts[slot]!, this.#counts)
    if (this.#table === undefined) return taken
    const words = TABLE.slotBytes / 4
    const part = this.#table.subarray(slot * words, (slot + 1) * words)
    const keys = new Uint32Array(this.#counts.keys.buffer)
    const values = new Uint32Array(this.#counts.values.buffer)
    for (let at = 0; at < words; at += TABLE.entryBytes / 4) {
      if (part[at] === 0 && part[at + 1] === 0) continue
      keys[taken * 2] = part[at]!
      keys[taken * 2 + 1] = part[at + 1]!
      values[taken * 2] = part[at + 2]!
      values[taken * 2 + 1] = part[at + 3]!
      taken++
    }
    part.fill(0)
    return taken
  }

  #drainMap(map: number, into: DrainBuffer): number {
    const taken = drainBatch(map, into)
    if (taken < 0) throw new Error(`Cannot drain the kernel's counts: errno ${-taken}`)
    return taken
  }

  /** Users with calls that nothing else accounts for; what all took of the slot is given back. */
  #drainUsers(slot: number): { readonly uid: number; readonly missed: number }[] {
    const words = USER.size / 4
    const part = this.#users.subarray(
      slot * USER.perSlot * words,
      (slot + 1) * USER.perSlot * words,
    )
    const unseen: { uid: number; missed: number }[] = []
    for (let at = 0; at < part.length; at += words) {
      const missed = part[at + USER.missed / 4]!
      if (missed > 0) unseen.push({ uid: part[at + USER.uid / 4]!, missed })
    }
    part.fill(0)
    this.#users.fill(0, totalOf(slot) * words, (totalOf(slot) + 1) * words)
    return unseen
  }

  #takeMiss(map: number, reason: number): number {
    const view = new DataView(this.#missValue.buffer)
    new DataView(this.#missKey.buffer).setUint32(0, map * MISSES_PER_SLOT + reason, true)
    if (lookUp(this.#counter.misses, this.#missKey, this.#missValue) < 0) return 0
    const count = Number(view.getBigUint64(0, true))
    if (count === 0) return 0
    view.setBigUint64(0, 0n, true)
    update(this.#counter.misses, this.#missKey, this.#missValue)
    return count
  }

  // --- Processes ---------------------------------------------------------------------------------

  /**
   * Names of this second; facts of those that are new, have another start, or executed. @returns
   * who exited
   */
  #writeProcesses(records: number): number[] {
    const exited: number[] = []
    const keys = new DataView(this.#records.keys.buffer)
    const values = new DataView(this.#records.values.buffer)
    for (let i = 0; i < records; i++) {
      const pid = keys.getUint32(i * 4, true)
      const at = i * RECORD.size
      const flags = values.getUint32(at + RECORD.flags, true)
      this.#writeProcess(pid, values, at, flags)
      if ((flags & FLAG.exit) !== 0) exited.push(pid)
    }
    return exited
  }

  #writeProcess(pid: number, values: DataView, at: number, flags: number): void {
    const { bootMs } = this.#counter
    const sinceBootNs = Number(values.getBigUint64(at + RECORD.start, true))
    const before = this.#known.get(pid)
    let start = this.#startSecond(sinceBootNs)
    if (start === 0) start = before?.start ?? this.#facts.start(pid, bootMs)

    let name: Uint8Array = text(this.#records.values, at + RECORD.comm, COMM_BYTES)
    let nameKind: number = NAME_KIND.leader
    if ((flags & FLAG.threadComm) !== 0) {
      // Another thread was first: its name is used unless the leader's can still be read.
      const own = this.#facts.comm(pid)
      if (own === '') nameKind = NAME_KIND.thread
      else name = new TextEncoder().encode(own)
    }
    const isNew = before === undefined || before.start !== start || (flags & FLAG.exec) !== 0
    if (!isNew) {
      before.nameKind = nameKind
      if (!sameBytes(before.name, name)) before.name = name.slice()
      return
    }
    const ppid = before?.start === start ? before.ppid : values.getUint32(at + RECORD.parent, true)
    this.#remember(pid, { start, ppid, name: name.slice(), nameKind })
    const isWalked = (flags & FLAG.walked) !== 0
    const path = isWalked ? this.#walkedPath(at) : this.#calledPath(at)
    const exe = path || this.#facts.exe(pid)
    const uid = values.getUint32(at + RECORD.uid, true)
    this.#writer.process(
      {
        pid,
        start,
        ppid,
        uid,
        pidNamespace: values.getUint32(at + RECORD.pidNamespace, true),
        exe,
        executed: (flags & FLAG.exec) !== 0,
        container: this.#facts.container(
          pid,
          Number(values.getBigUint64(at + RECORD.cgroup, true)),
        ),
      },
      name,
      nameKind,
    )
    if ((flags & FLAG.exec) !== 0) this.#writeCommand(pid)
  }

  /** What the latest program of a process was told to do; the kernel keeps it for a while. */
  #writeCommand(pid: number): void {
    const map = this.#counter.arguments
    if (map === undefined || this.#commandsLeft <= 0) return
    this.#commandsLeft--
    new DataView(this.#missKey.buffer).setUint32(0, pid, true)
    if (lookUp(map, this.#missKey, this.#arguments) < 0) return
    const length = new DataView(this.#arguments.buffer).getUint32(ARGUMENTS.length, true)
    const bytes = this.#arguments.subarray(ARGUMENTS.text, ARGUMENTS.text + length)
    const command = maskedCommand(parseArguments(decoder.decode(bytes)))
    // The seed is this run's own, so a digest tells nothing of what was masked.
    const digest = Bun.hash.xxHash32(bytes, this.#digestSeed)
    if (command !== '') this.#writer.command(pid, digest, new TextEncoder().encode(command))
  }

  // --- What is beside the counts ------------------------------------------------------------------

  #writeActivity(records: number): void {
    if (this.#counter.arguments === undefined) return
    const keys = new DataView(this.#records.keys.buffer)
    const values = new DataView(this.#records.values.buffer)
    for (let i = 0; i < records; i++) {
      const at = i * RECORD.size + RECORD.activity
      const counts = [ACTIVITY.contacts, ACTIVITY.dnsQueries, ACTIVITY.secrets]
      if (counts.every((field) => values.getUint32(at + field, true) === 0)) continue
      const pid = keys.getUint32(i * 4, true)
      const { name, nameKind } = this.#known.get(pid) ?? this.#unrecorded(pid)
      const bytes = this.#records.values.subarray(at, at + ACTIVITY_BYTES)
      this.#writer.activity(pid, name, nameKind, bytes)
    }
  }

  /** The names of a path, the last one first. */
  #walkedPath(at: number): string {
    const names: string[] = []
    for (let from = at + RECORD.path; from < at + RECORD.path + PATH_BYTES; ) {
      const name = text(this.#records.values, from, PATH_BYTES)
      if (name.length === 0) break
      names.unshift(decoder.decode(name))
      from += name.length + 1
    }
    return names.length === 0 ? '' : `/${names.join('/')}`
  }

  /**
   * One that filled its field was cut, and one that is not absolute says nothing: neither is a
   * fact.
   */
  #calledPath(at: number): string {
    const path = text(this.#records.values, at + RECORD.path, PATH_BYTES)
    return path.length >= PATH_BYTES - 1 || path[0] !== 0x2f ? '' : decoder.decode(path)
  }

  // --- What was not seen -------------------------------------------------------------------------

  /**
   * Processes whose calls are not all distinguished or not all counted, and users that had no room
   * for a record.
   */
  #writeUnseen(records: number, users: readonly { uid: number; missed: number }[]): void {
    const keys = new DataView(this.#records.keys.buffer)
    const values = new DataView(this.#records.values.buffer)
    const { processKeysMax } = this.#counter
    for (let i = 0; i < records; i++) {
      const at = i * RECORD.size
      const missed = Number(values.getBigUint64(at + RECORD.missed, true))
      const tries = Number(values.getBigUint64(at + RECORD.keys, true))
      if (missed === 0 && tries <= processKeysMax) continue
      // A key that was refused is tried again with each of its calls.
      const kinds = Math.min(tries - missed, processKeysMax + 1)
      const pid = keys.getUint32(i * 4, true)
      const { name, nameKind } = this.#known.get(pid) ?? this.#unrecorded(pid)
      const uid = values.getUint32(at + RECORD.uid, true)
      const reason = missed > 0 ? UNSEEN.noRoom : UNSEEN.manyKinds
      this.#writer.unseen(pid, name, nameKind, { uid, reason, keys: kinds, lost: missed })
    }
    const noName = new Uint8Array(0)
    for (const { uid, missed } of users)
      this.#writer.unseen(0, noName, NAME_KIND.unknown, {
        ...{ uid, reason: UNSEEN.noRecord, keys: 0, lost: missed },
      })
  }

  // --- CPU times ---------------------------------------------------------------------------------

  /** Of processes that called or ended, whatever they used; of the silent ones the busiest. */
  #writeCpuTimes(times: readonly TaskTime[], records: number): void {
    const recorded = new Set<number>()
    const keys = new DataView(this.#records.keys.buffer)
    const values = new DataView(this.#records.values.buffer)
    for (let i = 0; i < records; i++) recorded.add(keys.getUint32(i * 4, true))
    const silent: TaskTime[] = []
    for (const time of times)
      if (recorded.has(time.pid)) this.#writeCpu(time.pid, time.micros)
      else if (time.micros >= SILENT_CPU_MS_MIN * 1000) silent.push(time)
    if (silent.length > SILENT_PROCESSES_MAX) {
      silent.sort((a, b) => b.micros - a.micros)
      silent.length = SILENT_PROCESSES_MAX
    }
    for (const time of silent) {
      this.#describeSilent(time)
      this.#writeCpu(time.pid, time.micros)
    }
    for (let i = 0; i < records; i++) {
      const at = i * RECORD.size
      if ((values.getUint32(at + RECORD.flags, true) & FLAG.exit) === 0) continue
      const startNs = Number(values.getBigUint64(at + RECORD.start, true))
      const cpuNs = Number(values.getBigUint64(at + RECORD.cpu, true))
      const pid = keys.getUint32(i * 4, true)
      this.#writeCpu(pid, this.#cpuTimes!.ended(pid, startNs, cpuNs))
    }
  }

  #writeCpu(pid: number, micros: number): void {
    const { name, nameKind } = this.#known.get(pid) ?? this.#unrecorded(pid)
    if (micros >= 1) this.#writer.cpu(pid, name, nameKind, Math.round(micros))
  }

  /** A process that made no call has no record: what the walk saw is used instead. */
  #describeSilent({ pid, startNs, ppid, uid, comm }: TaskTime): void {
    const start = this.#startSecond(startNs)
    const known = this.#known.get(pid)
    if (known?.start === start) {
      if (!sameBytes(known.name, comm)) known.name = comm
      known.nameKind = NAME_KIND.leader
      return
    }
    this.#remember(pid, { start, ppid, name: comm, nameKind: NAME_KIND.leader })
    const exe = this.#facts.exe(pid)
    const container = this.#facts.container(pid, 0)
    const facts = { pid, start, ppid, uid, pidNamespace: 0, exe, container }
    this.#writer.process(facts, comm, NAME_KIND.leader)
  }

  /** Unix seconds of a time since boot; 0 where it is not known. */
  #startSecond(sinceBootNs: number): number {
    return sinceBootNs > 0 ? Math.floor((this.#counter.bootMs + sinceBootNs / 1e6) / 1000) : 0
  }

  #remember(pid: number, known: Known): void {
    // To the end of the order: what was seen last is forgotten last.
    this.#known.delete(pid)
    this.#known.set(pid, known)
    if (this.#known.size > PROCESSES_MAX) this.#known.delete(this.#known.keys().next().value!)
  }

  // --- Calls -------------------------------------------------------------------------------------

  #writeCalls(counts: number): void {
    const keys = new DataView(this.#counts.keys.buffer)
    const values = new DataView(this.#counts.values.buffer)
    // A pid (22 bits), a call (12) and a position (16) fit a float's 53.
    const stride = 0x1_0000
    for (let i = 0; i < counts; i++) {
      const low = keys.getUint32(i * 8, true)
      const pid = keys.getUint32(i * 8 + 4, true) * 0x1_0000 + (low >>> 16)
      this.#order[i] = (pid * (CALL_MASK + 1) + (low & CALL_MASK)) * stride + i
    }
    const sorted = this.#order.subarray(0, counts).sort()
    let open = -1
    for (let i = 0; i < counts; i++) {
      const position = sorted[i]! % stride
      const low = keys.getUint32(position * 8, true)
      const pid = keys.getUint32(position * 8 + 4, true) * 0x1_0000 + (low >>> 16)
      if (pid !== open) {
        if (open !== -1) this.#writer.endCalls()
        const known = this.#known.get(pid) ?? this.#unrecorded(pid)
        this.#writer.beginCalls(pid, known.name, known.nameKind)
        open = pid
      }
      const low32 = values.getUint32(position * 8, true)
      const high32 = values.getUint32(position * 8 + 4, true)
      this.#writer.call(low & 0xffff, low32)
      for (let k = 0; k < high32; k++) {
        this.#writer.call(low & 0xffff, LARGEST_COUNT)
        this.#writer.call(low & 0xffff, 1)
      }
    }
    if (open !== -1) this.#writer.endCalls()
  }

  /**
   * The records map was full: /proc may know. Not remembered, so a record in the next second
   * describes it.
   */
  #unrecorded(pid: number): Known {
    const comm = this.#facts.comm(pid)
    return {
      start: 0,
      ppid: 0,
      name: new TextEncoder().encode(comm),
      nameKind: comm === '' ? NAME_KIND.unknown : NAME_KIND.leader,
    }
  }
}

const decoder = new TextDecoder()

function wallOffsetMs(): number {
  return readClock(CLOCK_REALTIME) - readClock(CLOCK_MONOTONIC)
}

/** Bytes up to the first NUL. */
function text(bytes: Uint8Array, from: number, max: number): Uint8Array {
  const end = bytes.indexOf(0, from)
  return bytes.subarray(from, end < 0 || end > from + max ? from + max : end)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
