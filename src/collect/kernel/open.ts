/**
 * Puts the counter into the kernel: maps, programs, tracepoints, and the calibration that ties the
 * ring's seconds to the wall clock's. Needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8),
 * only here: what comes out is descriptors and numbers (`OpenCounter`, plain JSON), which another
 * program image can drain.
 *
 * The length of a jiffy is found without knowing HZ: it is the resolution of
 * CLOCK_MONOTONIC_COARSE, which the kernel moves on in the same breath as jiffies.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { AgentError } from '../../domain/error.ts'
import {
  KERNEL_COUNT_KEYS,
  KERNEL_PROCESS_KEYS_MAX,
  KERNEL_PROCESSES_MAX,
} from '../../domain/limits.ts'
import { SECRET_KINDS } from '../../domain/secrets.ts'
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_REALTIME,
  clockResolution,
  EACCES,
  ENOSYS,
  EPERM,
  loadLibc,
  lockedMemoryLimit,
  nativeBytes,
  readClock,
  unknownSyscall,
  unlimitLockedMemory,
} from '../../platform/linux/libc.ts'
import {
  attachIterator,
  attachRawTracepoint,
  BpfError,
  closeAll,
  createMap,
  loadProgram,
  lookUp,
  MapRefused,
  update,
} from './bpf.ts'
import { type KernelTypes, kernelTypes, type TaskOffsets, type UringPlace } from './btf.ts'
import {
  argumentsShape,
  countShape,
  missShape,
  processShape,
  SLOTS,
  scratchShape,
  secretShape,
  tableShape,
  turnShape,
  userShape,
} from './layout.ts'
import type { ActivityMaps, Variant, Wiring } from './parts.ts'
import {
  enterProgram,
  execProgram,
  exitProgram,
  forkProgram,
  renameProgram,
  SELF,
  SELF_MAGIC,
  selfProgram,
  uringProgram,
} from './program.ts'
import { kernelAtLeast } from './release.ts'
import { taskProgram } from './task-program.ts'
import { Turns } from './turns.ts'
import { variantsFor } from './variants.ts'

export const BTF_PATH = '/sys/kernel/btf/vmlinux'

/**
 * Whether submissions to io_uring are counted: `missed` where the kernel has it and they are not,
 * `unknown` where its types do not say.
 */
export type UringSight = 'counted' | 'missed' | 'unknown'

/** A counter that runs in the kernel, as plain data: descriptors survive an exec. */
export interface OpenCounter {
  readonly variant: string
  readonly counts: readonly number[]
  readonly processes: readonly number[]
  readonly misses: number
  /** The table, in variants that have one. */
  readonly table: number | undefined
  /** Arguments by thread group, in variants that keep them. */
  readonly arguments: number | undefined
  /** What each user took, and which second each slot takes (layout.ts). */
  readonly users: number
  readonly turns: number
  /**
   * What walks over the kernel's tasks are made from: CPU times; undefined where the kernel has
   * none.
   */
  readonly tasks: number | undefined
  /** Thread groups that are not counted: the agent's own. */
  readonly excluded: readonly number[]
  /** Closing these takes the programs off. */
  readonly links: readonly number[]
  readonly uring: UringSight
  readonly countKeys: number
  readonly processesMax: number
  readonly processKeysMax: number
  /** CLOCK_MONOTONIC ms at which second 0 of the ring began, and the length of its seconds. */
  readonly originMs: number
  readonly secondMs: number
  readonly tickMs: number
  /** Unix ms of the boot, taken once: a start time must not change when the wall clock steps. */
  readonly bootMs: number
}

/** Every descriptor of an open counter. */
export function descriptorsOf(counter: OpenCounter): number[] {
  const { links, counts, processes, misses, users, turns, table, tasks } = counter
  const optional = [table, tasks, counter.arguments].filter(
    (descriptor) => descriptor !== undefined,
  )
  return [...links, ...counts, ...processes, misses, users, turns, ...optional]
}

export interface OpenOptions {
  readonly countKeys?: number
  readonly processesMax?: number
  readonly processKeysMax?: number
  /** Thread groups left out beside the caller and its parent. */
  readonly excluded?: readonly number[]
  /** False: the caller's parent is counted (tests are their own parent's children). */
  readonly excludeParent?: boolean
  /** Only this variant, for tests. */
  readonly variant?: string
  /** Offsets to use instead of the kernel's own, for tests of refusals. */
  readonly task?: TaskOffsets
}

/**
 * @throws AgentError ERR_PERMISSION or ERR_COLLECTOR, with the end of the verifier's log if it
 *   refused
 */
export function openCounter(options: OpenOptions = {}): OpenCounter {
  unlimitLockedMemory()
  const types = readTypes()
  const variants = variantsFor(options.task ?? types.task).filter(
    ({ name }) => options.variant === undefined || name === options.variant,
  )
  const refusals: BpfError[] = []
  for (const variant of variants) {
    try {
      return openVariant(variant, types, options)
    } catch (error) {
      if (!(error instanceof BpfError)) throw error
      // Without the right, and without bpf(2), lesser variants fare no better.
      if (error.errno === ENOSYS || (isRefusal(error) && error.log === '')) throw refused([error])
      refusals.push(error)
    }
  }
  throw refused(refusals)
}

function isRefusal({ errno }: BpfError): boolean {
  return errno === EPERM || errno === EACCES
}

function refused(errors: readonly BpfError[]): AgentError {
  const [first] = errors
  const lockable = lockedMemoryLimit()
  const isCharged = first instanceof MapRefused && !kernelAtLeast(5, 11)
  if (isCharged && isRefusal(first) && lockable < Number.POSITIVE_INFINITY)
    return new AgentError(
      'ERR_PERMISSION',
      `${first.message}: not permitted, for at most ${lockable >> 10} KiB may be locked in memory`,
      {
        hint: 'Set LimitMEMLOCK=infinity in the unit, or run "ulimit -l unlimited" before: Linux before 5.11 charges maps to this limit',
        cause: first,
      },
    )
  if (first !== undefined && isRefusal(first) && first.log === '')
    return new AgentError('ERR_PERMISSION', `${first.message}: not permitted`, {
      hint: 'Run as root, or give CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8); "agent doctor" tells which are missing',
      cause: first,
    })
  const words = errors.map(({ message, log }) => `${message}${log === '' ? '' : `\n${tail(log)}`}`)
  return new AgentError(
    'ERR_COLLECTOR',
    `Cannot count in this kernel (${release()}): ${words.join('\n') || 'no variant of that name'}`,
    { hint: 'Use --source bpftrace or --source sysdig, and report the lines above' },
  )
}

/** The verifier's result is at the end of its log. */
function tail(log: string): string {
  return log.trimEnd().split('\n').slice(-12).join('\n')
}

function readTypes(): KernelTypes {
  try {
    return kernelTypes(readFileSync(BTF_PATH))
  } catch {
    return { taskWalk: 0 }
  }
}

function openVariant(variant: Variant, types: KernelTypes, options: OpenOptions): OpenCounter {
  const opened: number[] = []
  const keep = (descriptor: number): number => {
    opened.push(descriptor)
    return descriptor
  }
  const countKeys = options.countKeys ?? KERNEL_COUNT_KEYS
  const processesMax = options.processesMax ?? KERNEL_PROCESSES_MAX
  const processKeysMax = options.processKeysMax ?? KERNEL_PROCESS_KEYS_MAX
  try {
    const self = calibrate(variant)
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot)
    const wiring: Wiring = {
      counts: slots.map((slot) => keep(createMap(`calls_${slot}`, countShape(countKeys)))),
      processes: slots.map((slot) => keep(createMap(`procs_${slot}`, processShape(processesMax)))),
      misses: keep(createMap('misses', missShape)),
      table: variant.table === true ? keep(createMap('table', tableShape)) : undefined,
      turns: keep(createMap('turns', turnShape)),
      users: keep(createMap('users', userShape)),
      activity: openActivity(variant, keep),
      countKeys,
      processesMax,
      processKeysMax,
      userSeed: randomBytes(8).readBigUInt64LE(),
      origin: self.origin,
      ticksPerSecond: self.ticksPerSecond,
      excluded: [
        self.tgid,
        ...(options.excludeParent === false || self.parentTgid === 0 ? [] : [self.parentTgid]),
        // In a pid namespace our numbers are other processes' in the kernel.
        ...(self.tgid === process.pid ? (options.excluded ?? []) : []),
      ],
    }
    new Turns(wiring.turns).begin()
    const programs = load(variant, wiring, keep)
    const links = programs.map(([tracepoint, program]) =>
      keep(attachRawTracepoint(tracepoint, program)),
    )
    const uring = openUring(variant, wiring, types.uring, keep)
    if (uring !== undefined) links.push(uring)
    // A link holds its program.
    closeAll(programs.map(([, program]) => program))
    // And a program its maps.
    if (wiring.activity !== undefined) closeAll([wiring.activity.scratch, wiring.activity.secrets])
    return {
      variant: variant.name,
      counts: wiring.counts,
      processes: wiring.processes,
      misses: wiring.misses,
      table: wiring.table,
      arguments: wiring.activity?.arguments,
      users: wiring.users,
      turns: wiring.turns,
      tasks: openTasks(variant, types.taskWalk, keep),
      excluded: wiring.excluded,
      links,
      uring: uring !== undefined ? 'counted' : types.hasUring === true ? 'missed' : 'unknown',
      countKeys,
      processesMax,
      processKeysMax,
      originMs: self.originMs,
      secondMs: self.secondMs,
      tickMs: self.tickMs,
      bootMs: readClock(CLOCK_REALTIME) - readClock(CLOCK_BOOTTIME),
    }
  } catch (error) {
    closeAll(opened)
    throw error
  }
}

/** The maps of what is noted beside the counts (activity.ts). */
function openActivity(
  { activity }: Variant,
  keep: (descriptor: number) => number,
): ActivityMaps | undefined {
  if (activity !== true) return undefined
  const suffixes = SECRET_KINDS.flatMap((kind, i) =>
    kind.suffixes.map((suffix) => ({ suffix, bit: 1 << i })),
  )
  const secrets = keep(createMap('secrets', secretShape(suffixes.length)))
  const key = nativeBytes(8)
  const value = nativeBytes(4)
  for (const { suffix, bit } of suffixes) {
    key.fill(0)
    key.set(new TextEncoder().encode(suffix))
    new DataView(value.buffer).setUint32(0, bit, true)
    update(secrets, key, value)
  }
  return {
    arguments: keep(createMap('arguments', argumentsShape)),
    scratch: keep(createMap('scratch', scratchShape)),
    secrets,
  }
}

/**
 * CPU times are worth having, and no reason to count nothing: where this is refused they are not
 * told.
 */
function openTasks(
  { task }: Variant,
  taskWalk: number,
  keep: (descriptor: number) => number,
): number | undefined {
  if (task?.cpu === undefined || taskWalk === 0) return undefined
  try {
    const program = loadProgram('callsign_tasks', taskProgram({ ...task, cpu: task.cpu }), taskWalk)
    try {
      return keep(attachIterator(program))
    } finally {
      closeAll([program])
    }
  } catch (error) {
    if (error instanceof BpfError) return undefined
    throw error
  }
}

/**
 * Like CPU times: counted without where this kernel has no such tracepoint, or its memory cannot be
 * read.
 */
function openUring(
  variant: Variant,
  wiring: Wiring,
  place: UringPlace | undefined,
  keep: (descriptor: number) => number,
): number | undefined {
  if (place === undefined || !variant.probes) return undefined
  try {
    const program = loadProgram('callsign_uring', uringProgram(variant, wiring, place))
    try {
      return keep(attachRawTracepoint(place.tracepoint, program))
    } finally {
      closeAll([program])
    }
  } catch (error) {
    if (error instanceof BpfError) return undefined
    throw error
  }
}

/** Exits are attached before calls: a process whose end was missed would stay in the tables. */
function load(variant: Variant, wiring: Wiring, keep: (descriptor: number) => number) {
  const { task } = variant
  const programs: [tracepoint: string, descriptor: number][] = [
    ['sched_process_exit', keep(loadProgram('callsign_exit', exitProgram(variant, wiring)))],
    ['sched_process_exec', keep(loadProgram('callsign_exec', execProgram(variant, wiring)))],
  ]
  if (task !== undefined && variant.probes)
    programs.push(
      [
        'sched_process_fork',
        keep(loadProgram('callsign_fork', forkProgram({ ...variant, task }, wiring))),
      ],
      [
        'task_rename',
        keep(loadProgram('callsign_rename', renameProgram({ ...variant, task }, wiring))),
      ],
    )
  programs.push(['sys_enter', keep(loadProgram('callsign_enter', enterProgram(variant, wiring)))])
  return programs
}

interface Self {
  readonly tgid: number
  readonly parentTgid: number
  /** Second 0 of the ring, in the variant's clock and in ms of CLOCK_MONOTONIC. */
  readonly origin: bigint
  readonly originMs: number
  readonly ticksPerSecond: number
  readonly secondMs: number
  readonly tickMs: number
}

/**
 * Asks the kernel who we are and what time its counters show, and lays second 0 on a whole second
 * of the wall clock.
 */
function calibrate(variant: Variant): Self {
  const map = createMap('self', { kind: 'array', keyBytes: 4, valueBytes: SELF.size, entries: 1 })
  const opened = [map]
  try {
    const program = loadProgram('callsign_self', selfProgram(variant, map))
    opened.push(program)
    opened.push(attachRawTracepoint('sys_enter', program))
    const answer = askSelf(variant, map)
    const tickMs = clockResolution(CLOCK_MONOTONIC_COARSE)
    const ticksPerSecond = Math.round(1000 / tickMs)
    const wallMs = answer.atMs + readClock(CLOCK_REALTIME) - readClock(CLOCK_MONOTONIC)
    const ticksIntoSecond = Math.round((wallMs % 1000) / tickMs)
    return {
      tgid: answer.tgid,
      parentTgid: answer.parentTgid,
      origin: answer.ticks - BigInt(ticksIntoSecond),
      originMs: answer.atMs - ticksIntoSecond * tickMs,
      ticksPerSecond,
      secondMs: ticksPerSecond * tickMs,
      tickMs,
    }
  } finally {
    closeAll(opened)
  }
}

function askSelf(variant: Variant, map: number) {
  const value = nativeBytes(SELF.size)
  const view = new DataView(value.buffer)
  const key = nativeBytes(4)
  for (let attempt = 0; attempt < 100; attempt++) {
    update(map, key, nativeBytes(SELF.size))
    const before = readClock(CLOCK_MONOTONIC_COARSE)
    if (!variant.probes) unknownSyscall(SELF_MAGIC)
    else loadLibc().lseek(-1, SELF_MAGIC, 0)
    const after = readClock(CLOCK_MONOTONIC_COARSE)
    const found = lookUp(map, key, value)
    const tgid = view.getUint32(SELF.tgid, true)
    // Both readings the same: the answer belongs to that very tick.
    if (found !== 0 || tgid === 0 || before !== after) continue
    const ticks = view.getBigUint64(SELF.jiffies, true)
    const parentTgid = view.getUint32(SELF.parentTgid, true) || ppidHere(tgid)
    return { tgid, parentTgid, ticks, atMs: after }
  }
  throw new AgentError('ERR_COLLECTOR', 'Cannot find the agent itself among the traced calls', {
    hint: 'A sandbox may hide system calls from tracing; run the agent outside of it',
  })
}

/** Without types the parent is known only where pids mean the same inside and outside. */
function ppidHere(tgid: number): number {
  return tgid === process.pid ? process.ppid : 0
}
