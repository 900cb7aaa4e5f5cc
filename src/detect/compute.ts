/**
 * Detects pure computation: CPU time with almost no calls, for a quarter of a minute. What a runtime
 * calls for its own threads and memory is none: Go's scheduler and Python's lock make some hundreds a
 * second beside any computation.
 *
 * Miners do, and so do compilers, renderers and simulations: a reason to look at what the program
 * is and where it is connected to, no more.
 */
import type { Frame } from '../domain/frame.ts'
import { COMPUTERS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'
import { COMPUTE } from './thresholds.ts'

/** Threads, signals, memory, the clock: nothing that reaches beyond the process. */
const OWN = new Set(
  (
    'futex nanosleep clock_nanosleep sched_yield tgkill rt_sigreturn rt_sigaction rt_sigprocmask ' +
    'restart_syscall madvise mmap munmap mprotect mremap brk clock_gettime gettimeofday getpid ' +
    'gettid getcpu getrusage set_robust_list rseq'
  )
    .split(' ')
    .map((name) => syscallIndexOf(name)!),
)

export interface Computing {
  readonly process: Process
  /** Of late, as a share of a core. */
  readonly cores: number
}

interface Work {
  cpuMs: number
  calls: number
  /** What a steady second would add up to, by now: the decayed sum of seconds. */
  weight: number
  readonly first: number
  last: number
  next: number
}

export class Compute {
  readonly #work = new Map<ProcessKey, Work>()

  /** Frames in ascending order; nothing is found where the source tells no CPU time. */
  push(frame: Frame): Computing[] {
    const found: Computing[] = []
    if (frame.cpuMs === undefined) return found
    for (const [i, process] of frame.processes.entries())
      if (process.pid > 0)
        this.#note(process, frame.index, frame.cpuMs[i] ?? 0, callsToOthers(frame, i), found)
    for (const { process, cpuMs } of frame.silent ?? [])
      this.#note(process, frame.index, cpuMs, 0, found)
    while (this.#work.size > COMPUTERS_MAX) this.#work.delete(this.#work.keys().next().value!)
    return found
  }

  #note(process: Process, index: number, cpuMs: number, calls: number, found: Computing[]): void {
    const key = processKey(process)
    const before = this.#work.get(key)
    if (before === undefined && cpuMs < COMPUTE.notedMs) return
    const work = before ?? { cpuMs: 0, calls: 0, weight: 0, first: index, last: index, next: 0 }
    const faded = COMPUTE.decay ** Math.max(0, index - work.last)
    work.cpuMs = work.cpuMs * faded + cpuMs
    work.calls = work.calls * faded + calls
    work.weight = work.weight * faded + 1
    work.last = index
    // To the end: the longest quiet one is forgotten first.
    this.#work.delete(key)
    this.#work.set(key, work)
    const isMuch = work.cpuMs >= COMPUTE.computedMs && index - work.first >= COMPUTE.secondsLeast
    if (!isMuch || index < work.next || work.calls > (COMPUTE.fewCalls * work.cpuMs) / 1000) return
    work.next = index + COMPUTE.againAfter
    found.push({ process, cores: work.cpuMs / 1000 / work.weight })
  }
}

function callsToOthers({ offsets, syscalls, counts }: Frame, i: number): number {
  let total = 0
  for (let k = offsets[i]!; k < offsets[i + 1]!; k++)
    if (!OWN.has(syscalls[k]!)) total += counts[k]!
  return total
}
