/**
 * A seccomp profile of what the rolling buffer saw of one name, with what is known of its
 * completeness.
 *
 * How likely is a call that was not seen yet? Good and Turing: as likely as the calls that were
 * seen in one second only. None such does not mean never, so one is assumed at least. An enforcing
 * profile kills the program at that call; so it is written only where less than one in a thousand
 * days is to be expected.
 */
import type { Frame } from '../domain/frame.ts'
import { OTHER, SYSCALLS } from '../domain/syscalls.ts'

/** Missing calls a day up to which a profile may enforce. */
export const ENFORCE_BELOW = 1 / 1_000

export interface Coverage {
  /** Names of the calls that were seen, in order. */
  readonly calls: readonly string[]
  /** Calls without a name: no profile can allow them one by one. */
  readonly unnamed: number
  readonly processes: number
  /** Processes that began before the buffer does: what they did at their start is not in it. */
  readonly startNotSeen: number
  /** Seconds from the first to the last frame, and those in which the name called anything. */
  readonly seconds: number
  readonly activeSeconds: number
  /** Calls that were seen in one second only. */
  readonly seenOnce: number
  /** Expected calls a day that the profile lacks. */
  readonly missingPerDay: number
}

/** @param frames ascending */
export function coverageOf(name: string, frames: Iterable<Frame>): Coverage {
  const secondsWith = new Map<number, number>()
  const processes = new Map<string, number>()
  let [first, last, active, unnamed] = [Number.NaN, Number.NaN, 0, 0]
  for (const frame of frames) {
    if (Number.isNaN(first)) first = frame.index
    last = frame.index
    const inSecond = new Set<number>()
    frame.processes.forEach((process, i) => {
      if (process.name !== name) return
      processes.set(`${process.pid}@${process.startMs}`, process.startMs)
      for (let at = frame.offsets[i]!; at < frame.offsets[i + 1]!; at++) {
        const syscall = frame.syscalls[at]!
        if (syscall === OTHER) unnamed += frame.counts[at]!
        else inSecond.add(syscall)
      }
    })
    if (inSecond.size > 0) active += 1
    for (const syscall of inSecond) secondsWith.set(syscall, (secondsWith.get(syscall) ?? 0) + 1)
  }
  const seconds = Number.isNaN(first) ? 0 : last - first + 1
  const seenOnce = [...secondsWith.values()].filter((count) => count === 1).length
  return {
    calls: [...secondsWith.keys()].map((syscall) => SYSCALLS[syscall]!).sort(),
    unnamed,
    processes: processes.size,
    startNotSeen: [...processes.values()].filter((startMs) => startMs < first * 1000).length,
    seconds,
    activeSeconds: active,
    seenOnce,
    missingPerDay:
      seconds === 0 ? Number.POSITIVE_INFINITY : (Math.max(1, seenOnce) * 86_400) / seconds,
  }
}

const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
}

/**
 * In the format of OCI runtimes (runc, Docker, Podman, Kubernetes). @param enforce else what is
 * missing is only logged
 */
export function seccompProfile({ calls }: Coverage, enforce: boolean): object {
  return {
    defaultAction: enforce ? 'SCMP_ACT_ERRNO' : 'SCMP_ACT_LOG',
    architectures: ARCHITECTURES[process.arch] ?? [],
    syscalls: [{ names: calls, action: 'SCMP_ACT_ALLOW' }],
  }
}
