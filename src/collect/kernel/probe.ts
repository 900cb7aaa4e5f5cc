/**
 * Would the kernel source work here, and if not, what is missing? For `agent doctor` and the choice
 * of a source.
 *
 * The answer is a trial: a collector is started as for `agent watch`, and ended. The reasons are
 * guesses around the trial's error, each read from where the kernel says it; whoever lacks a
 * capability is told which.
 */
import { existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { AgentError } from '../../domain/error.ts'
import {
  effectiveCapabilities,
  hasCapability,
  writeExecuteDenied,
} from '../../platform/linux/capabilities.ts'
import { loadLibc } from '../../platform/linux/libc.ts'
import type { Ready } from './collector-process.ts'
import { BTF_PATH } from './open.ts'
import { kernelAtLeast } from './release.ts'
import { collectorRuns, tryCollector } from './source.ts'

export interface KernelProbe {
  readonly ok: boolean
  /** Why it does not work; empty where it does. */
  readonly reasons: readonly string[]
  /** What to do about it; where it works, what would make it better. */
  readonly hints: readonly string[]
  /** The way of counting that this kernel allows (variants.ts). */
  readonly variant?: string
}

export async function probeKernel(): Promise<KernelProbe> {
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    return refused(`no program for the architecture "${process.arch}"`, 'Use --source sysdig')
  // The rights are gone, the collector has what it needs.
  if (collectorRuns()) return { ok: true, reasons: [], hints: [] }
  try {
    loadLibc()
  } catch (error) {
    return refused(
      'native calls need the JIT, which is off',
      error instanceof AgentError ? (error.hint ?? '') : '',
    )
  }
  try {
    const ready = await tryCollector()
    return { ok: true, reasons: [], hints: improvements(ready), variant: ready.variant }
  } catch (error) {
    const findings = [missingCapabilities(), oldKernel(), lockdown(), seccomp(), container()]
    const found = findings.filter((finding) => finding !== undefined)
    const own = error instanceof AgentError ? [error.message.split('\n')[0]!] : [String(error)]
    const hint = error instanceof AgentError && error.hint !== undefined ? [error.hint] : []
    return {
      ok: false,
      reasons: [...found.map(({ reason }) => reason), ...own],
      hints: found.length === 0 ? hint : found.map(({ hint }) => hint),
    }
  }
}

function refused(reason: string, hint: string): KernelProbe {
  return { ok: false, reasons: [reason], hints: hint === '' ? [] : [hint] }
}

interface Finding {
  readonly reason: string
  readonly hint: string
}

function missingCapabilities(): Finding | undefined {
  const held = effectiveCapabilities()
  if (hasCapability(held, 'sysAdmin')) return undefined
  const needed = kernelAtLeast(5, 8) ? (['bpf', 'perfmon'] as const) : (['sysAdmin'] as const)
  const names = { bpf: 'CAP_BPF', perfmon: 'CAP_PERFMON', sysAdmin: 'CAP_SYS_ADMIN' }
  const missing = needed.filter((name) => !hasCapability(held, name)).map((name) => names[name])
  if (missing.length === 0) return undefined
  return {
    reason: `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`,
    hint: `Run as root, or start with AmbientCapabilities=${missing.join(' ')} in the unit`,
  }
}

function oldKernel(): Finding | undefined {
  if (kernelAtLeast(5, 8)) return undefined
  return {
    reason: `Linux ${release()} is too old for counting in the kernel (5.8 is required)`,
    hint: 'Use --source sysdig',
  }
}

function lockdown(): Finding | undefined {
  const state = read('/sys/kernel/security/lockdown')
  if (!state.includes('[confidentiality]')) return undefined
  return {
    reason: 'the kernel is locked down to "confidentiality"',
    hint: 'Boot with lockdown=integrity, or use a kernel with CONFIG_DEBUG_INFO_BTF from 5.12 on',
  }
}

function seccomp(): Finding | undefined {
  if (!/^Seccomp:\s*2/m.test(read('/proc/self/status'))) return undefined
  return {
    reason: 'a seccomp filter is on, and may forbid bpf(2)',
    hint: 'Allow bpf in SystemCallFilter=, or give the container CAP_BPF (its filter then allows bpf)',
  }
}

function container(): Finding | undefined {
  const marks = ['/.dockerenv', '/run/.containerenv']
  if (!marks.some((path) => existsSync(path))) return undefined
  return {
    reason: 'this looks like a container',
    hint: 'Start it with --pid=host --cap-add=BPF --cap-add=PERFMON',
  }
}

function improvements({ variant, priority, uring }: Ready): string[] {
  const hints: string[] = []
  if (variant === 'lockdown')
    hints.push(
      'The kernel is locked down to "confidentiality": calls are counted exactly, but renames and paths of programs are read from /proc; boot with lockdown=integrity to see them in the kernel',
    )
  if (priority === 'usual')
    hints.push(
      'The collector runs at ordinary priority: on a busy host calls may be lost; run as root, or set Nice=-10 in the unit',
    )
  const canForbid = existsSync('/proc/sys/kernel/io_uring_disabled')
  if (uring === 'missed' || (uring === 'unknown' && (canForbid || hasUring())))
    hints.push(
      `Submissions to io_uring are not seen: what programs do through it is missing in their counts${canForbid ? '; forbid it by sysctl kernel.io_uring_disabled=2 if nothing needs it' : ''}`,
    )
  if (variant === 'untyped')
    hints.push(
      `Without type information (${BTF_PATH}) leaders' names come from /proc, and renames are not seen: use a kernel with CONFIG_DEBUG_INFO_BTF`,
    )
  if (writeExecuteDenied())
    hints.push(
      'Remove MemoryDenyWriteExecute from the unit: without the JIT Bun is 30 times slower',
    )
  return hints
}

/** Of a kernel whose types do not say. Names of its functions are readable by everybody. */
function hasUring(): boolean {
  return read('/proc/kallsyms').includes('_sys_io_uring_setup')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
