/**
 * The few C library calls that Bun has no API for. Used by the in-kernel counter (bpf(2), clocks,
 * barriers) and for dropping privileges (capabilities, execve).
 *
 * Failures are returned as negative errno, never thrown: callers fall back. `bun:ffi` needs the
 * JIT; under MemoryDenyWriteExecute the first call throws, which `loadLibc` turns into an
 * AgentError.
 *
 * Not thread-aware: capset, prctl and setresuid by number change the calling thread alone (that is
 * what `capabilities.ts` builds on).
 */

import { dlopen, FFIType, type Pointer, ptr, read, toArrayBuffer } from 'bun:ffi'
import { constants, getPriority } from 'node:os'
import { AgentError } from '../../domain/error.ts'

export const EPERM = 1
export const ENOENT = 2
export const EAGAIN = 11
export const EACCES = 13
export const EEXIST = 17
export const EINVAL = 22
export const ENOSPC = 28
export const ENOSYS = 38

/** Numbers differ by architecture; names do not. */
const NUMBERS =
  process.arch === 'arm64'
    ? { bpf: 280, membarrier: 283, seccomp: 277 }
    : { bpf: 321, membarrier: 324, seccomp: 317 }
/** The same everywhere. */
const LANDLOCK = { create: 444, add: 445, restrict: 446 } as const

/** Memory for native code: a separate ArrayBuffer never moves, a small typed array may. */
export function nativeBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length))
}

/** Address of a buffer; valid while the buffer is referenced. */
export function addressOf(bytes: NodeJS.TypedArray | ArrayBuffer | DataView): Pointer {
  return ptr(bytes)
}

export function zeroEnded(text: string): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(text)
  const bytes = nativeBytes(encoded.length + 1)
  bytes.set(encoded)
  return bytes
}

function open() {
  const { i32, u64_fast: word, i64_fast: signed, ptr: address } = FFIType
  const { symbols } = dlopen('libc.so.6', {
    syscall: { args: [signed, word, word, word, word, word], returns: signed },
    __errno_location: { args: [], returns: address },
    prctl: { args: [i32, word, word, word, word], returns: i32 },
    capget: { args: [address, address], returns: i32 },
    capset: { args: [address, address], returns: i32 },
    execve: { args: [address, address, address], returns: i32 },
    getrlimit: { args: [i32, address], returns: i32 },
    setpriority: { args: [i32, i32, i32], returns: i32 },
    signal: { args: ['i32', 'ptr'], returns: 'ptr' },
    sched_setscheduler: { args: [i32, i32, address], returns: i32 },
    setrlimit: { args: [i32, address], returns: i32 },
    clock_gettime: { args: [i32, address], returns: i32 },
    clock_getres: { args: [i32, address], returns: i32 },
    pipe2: { args: [address, i32], returns: i32 },
    fcntl: { args: [i32, i32, word], returns: i32 },
    setgroups: { args: [word, address], returns: i32 },
    setresgid: { args: [i32, i32, i32], returns: i32 },
    setresuid: { args: [i32, i32, i32], returns: i32 },
    mmap: { args: [address, word, i32, i32, i32, signed], returns: address },
    socket: { args: [i32, i32, i32], returns: i32 },
    sendto: { args: [i32, address, word, i32, address, i32], returns: signed },
    lseek: { args: [i32, signed, i32], returns: signed },
  })
  return symbols
}

let symbols: ReturnType<typeof open> | undefined
let errnoAddress: Pointer | null = null

export function loadLibc(): ReturnType<typeof open> {
  if (symbols !== undefined) return symbols
  try {
    symbols = open()
  } catch (cause) {
    throw new AgentError(
      'ERR_COLLECTOR',
      `Cannot call the C library: ${cause instanceof Error ? cause.message : String(cause)}`,
      { hint: 'Remove MemoryDenyWriteExecute from the unit: native calls need the JIT', cause },
    )
  }
  errnoAddress = symbols.__errno_location() as Pointer | null
  return symbols
}

/** What a libc call returned, or the negative errno. */
export function checked(returned: number | bigint): number {
  const value = Number(returned)
  return value === -1 ? -read.i32(errnoAddress!, 0) : value
}

export function bpfSyscall(command: number, attributes: number, size: number): number {
  return checked(loadLibc().syscall(NUMBERS.bpf, command, attributes, size, 0, 0))
}

/** A syscall that no kernel has; tracepoints see it. */
export function unknownSyscall(number: number): void {
  loadLibc().syscall(number, 0, 0, 0, 0, 0)
}

/** membarrier(2); commands in linux/membarrier.h. */
export function membarrier(command: number): number {
  return checked(loadLibc().syscall(NUMBERS.membarrier, command, 0, 0, 0, 0))
}

/** landlock(7); arguments as each of its calls takes them. */
export function landlockSyscall(
  call: keyof typeof LANDLOCK,
  first: number,
  second: number,
  third: number,
): number {
  return checked(loadLibc().syscall(LANDLOCK[call], first, second, third, 0, 0))
}

/** seccomp(2) */
export function seccompSyscall(operation: number, flags: number, attributes: number): number {
  return checked(loadLibc().syscall(NUMBERS.seccomp, operation, flags, attributes, 0, 0))
}

// --- Memory --------------------------------------------------------------------------------------

/**
 * Memory that is shared with whatever a descriptor stands for; stays mapped until the process ends.
 */
export function mapShared(descriptor: number, length: number): ArrayBuffer {
  const PROT_READ_WRITE = 3
  const MAP_SHARED = 1
  const at = loadLibc().mmap(null, length, PROT_READ_WRITE, MAP_SHARED, descriptor, 0)
  const result = checked(Number(at))
  if (result < 0 || at === null)
    throw new AgentError('ERR_FAILED', `Cannot map shared memory: errno ${-result}`)
  return toArrayBuffer(at as Pointer, 0, length)
}

// --- Clocks --------------------------------------------------------------------------------------

export const CLOCK_REALTIME = 0
export const CLOCK_MONOTONIC = 1
/** CPU time of the calling thread. */
export const CLOCK_THREAD_CPU = 3
export const CLOCK_MONOTONIC_COARSE = 6
export const CLOCK_BOOTTIME = 7

const timespec = nativeBytes(16)
const timespecView = new DataView(timespec.buffer)

function readTimespec(): number {
  return (
    Number(timespecView.getBigInt64(0, true)) * 1000 +
    Number(timespecView.getBigInt64(8, true)) / 1e6
  )
}

/** Milliseconds of a clock, with its fraction. */
export function readClock(clock: number): number {
  loadLibc().clock_gettime(clock, ptr(timespec))
  return readTimespec()
}

/** Milliseconds between two values of a clock: for the coarse ones exactly one jiffy. */
export function clockResolution(clock: number): number {
  loadLibc().clock_getres(clock, ptr(timespec))
  return readTimespec()
}

// --- Descriptors ---------------------------------------------------------------------------------

const F_SETFD = 2
const FD_CLOEXEC = 1
const O_CLOEXEC = 0o2000000

/** A pipe whose two ends are closed by exec. */
export function makePipe(): { readonly readEnd: number; readonly writeEnd: number } {
  const ends = new Int32Array(new ArrayBuffer(8))
  const result = checked(loadLibc().pipe2(ptr(ends), O_CLOEXEC))
  if (result < 0) throw new AgentError('ERR_FAILED', `Cannot make a pipe: errno ${-result}`)
  return { readEnd: ends[0]!, writeEnd: ends[1]! }
}

/** Whether a descriptor survives execve. */
export function keepOverExec(descriptor: number, keep: boolean): void {
  loadLibc().fcntl(descriptor, F_SETFD, keep ? 0 : FD_CLOEXEC)
}

const RLIMIT_MEMLOCK = 8
const UNLIMITED = 0xffff_ffff_ffff_ffffn

/**
 * Lifts the limit for locked memory: before 5.11 maps are charged to it. Needs CAP_SYS_RESOURCE or
 * a high hard limit.
 */
export function unlimitLockedMemory(): void {
  const limit = new BigUint64Array(new ArrayBuffer(16)).fill(UNLIMITED)
  loadLibc().setrlimit(RLIMIT_MEMLOCK, ptr(limit))
}

/** Bytes that this process may lock; Infinity if unlimited. */
export function lockedMemoryLimit(): number {
  const limit = new BigUint64Array(new ArrayBuffer(16))
  loadLibc().getrlimit(RLIMIT_MEMLOCK, ptr(limit))
  return limit[0] === UNLIMITED ? Number.POSITIVE_INFINITY : Number(limit[0])
}

// --- Priority ------------------------------------------------------------------------------------

export type Priority = 'real-time' | 'raised' | 'usual'

/**
 * The calling thread, and threads that it makes, run before ordinary ones: as SCHED_RR, else at
 * nice -15, else as before; who started it may have raised it (`Nice=` of a unit). Kept over exec.
 * Needs CAP_SYS_NICE.
 */
export function raisePriority(): Priority {
  const { sched_setscheduler, setpriority } = loadLibc()
  const SCHED_RR = 2
  const lowest = new Int32Array(new ArrayBuffer(4)).fill(1)
  if (checked(sched_setscheduler(0, SCHED_RR, ptr(lowest))) === 0) return 'real-time'
  const PRIO_PROCESS = 0
  if (checked(setpriority(PRIO_PROCESS, 0, -15)) === 0) return 'raised'
  return getPriority() < 0 ? 'raised' : 'usual'
}

/**
 * Signals that ask for an end do end this process from now on. Between the last turn of the event
 * loop and an exec a handler would note them for an image that is gone.
 */
export function endAtOnceBySignals(): void {
  const { signal } = loadLibc()
  for (const number of [constants.signals.SIGINT, constants.signals.SIGTERM]) signal(number, null)
}
