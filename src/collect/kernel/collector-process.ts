/**
 * The process that holds the kernel's counts (`agent collect-kernel`, started by source.ts, never
 * by hand).
 *
 * Two lives, one pid. The *first* has CAP_BPF and CAP_PERFMON (and CAP_SYS_PTRACE, to learn what
 * running processes execute): it puts the counter in, then re-executes itself with no capability
 * at all, handing over descriptors. The *second* only drains: since 5.19 a map that is already open
 * needs no right. So in the long run no process holds any; on older kernels the second keeps what
 * bpf(2) wants.
 *
 *   stdin   nothing; its end means: finish (the parent closed it, or is gone)
 *   stdout  records, parse/kernel-records.ts
 *   stderr  JSON lines: {"ready":{…}} once, or {"error":{code,message,hint}} and the end
 *
 * kill -9 of either process leaves nothing behind: the programs hang on this process's descriptors,
 * and the kernel kills it with its parent. One that is stopped (SIGSTOP) is late afterwards, and
 * says so.
 */
import { readdirSync, writeFileSync, writeSync } from 'node:fs'
import { AgentError } from '../../domain/error.ts'
import { MACHINES, NO_UID } from '../../domain/kernel-stream.ts'
import { GIVE_BACK_EVERY_MS, KERNEL_PROCESSES_MAX } from '../../domain/limits.ts'
import { giveBack } from '../../platform/heap.ts'
import {
  type Capability,
  dieWithParent,
  execWithoutCapabilities,
  heldCapabilities,
  hideMemory,
} from '../../platform/linux/capabilities.ts'
import { keepOverExec, type Priority, raisePriority } from '../../platform/linux/libc.ts'
import { Drain } from './drain.ts'
import { exeOf } from './facts.ts'
import {
  descriptorsOf,
  type OpenCounter,
  type OpenOptions,
  openCounter,
  type UringSight,
} from './open.ts'
import { RecordWriter } from './records.ts'
import { kernelAtLeast } from './release.ts'

/** The open counter and our parent, from the first life to the second. */
export const HANDED = 'CALLSIGN_KERNEL_COUNTER'
/** Settings from source.ts. */
export const OPTIONS = 'CALLSIGN_KERNEL_OPTIONS'

const RECORDS = 1
const MESSAGES = 2
/** Of -1000 to 1000; -1000 is never killed. */
const OOM_SCORE = '-900'

export interface Ready {
  readonly variant: string
  /** Capabilities that some thread of the collector still holds, as hexadecimal digits. */
  readonly held: string
  readonly priority: Priority
  readonly uring: UringSight
}

/**
 * @param self the command that runs this function again
 * @param signal asks to finish; so does the end of stdin. (Ctrl-C reaches us as it reaches our
 *   parent: both finish.)
 * @returns exit code
 */
export async function runCollector(self: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    const handed = process.env[HANDED]
    if (handed === undefined) return await firstLife(self, signal)
    return await secondLife(JSON.parse(handed) as Handed, signal)
  } catch (error) {
    const { code, message, hint, exitCode } = asAgentError(error)
    say({ error: { code, message, hint } })
    return exitCode
  }
}

async function firstLife(self: readonly string[], signal: AbortSignal): Promise<number> {
  const parent = process.ppid
  const options = JSON.parse(process.env[OPTIONS] ?? '{}') as OpenOptions
  const priority = comeFirst()
  const counter = openCounter(options)
  const writer = new RecordWriter()
  writer.hello(MACHINES.indexOf(process.arch === 'arm64' ? 'arm64' : 'x86_64'))
  describeRunning(writer)
  writeAll(RECORDS, writer.take())
  for (const descriptor of descriptorsOf(counter)) keepOverExec(descriptor, true)
  try {
    execWithoutCapabilities(
      self,
      { ...process.env, [HANDED]: JSON.stringify({ counter, parent, priority }) },
      { keep: capabilitiesToDrain() },
    )
  } catch {
    // A sandbox without exec: counting with the capabilities is better than not counting. `ready`
    // reports it.
    return secondLife({ counter, parent, priority }, signal)
  }
}

/** Passed from the first image to the second. */
interface Handed {
  readonly counter: OpenCounter
  readonly parent: number
  readonly priority: Priority
}

/**
 * A collector that waits for a CPU drains late, and calls are lost: on a machine with eight busy
 * processes 15 to 86 % of bursts. What it does in a second takes milliseconds. And it is not the
 * one to be killed for want of memory.
 */
function comeFirst(): Priority {
  try {
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE)
  } catch {
    // Without CAP_SYS_RESOURCE the score can only be raised.
  }
  return raisePriority()
}

/**
 * Paths of running processes, read now because other users' processes cannot be inspected without
 * capabilities.
 */
function describeRunning(writer: RecordWriter): void {
  const noName = new Uint8Array(0)
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  for (const name of pids.slice(0, KERNEL_PROCESSES_MAX)) {
    const pid = Number(name)
    const exe = exeOf(pid)
    const facts = { pid, start: 0, ppid: 0, uid: NO_UID, pidNamespace: 0, exe, container: '' }
    if (exe !== '') writer.process(facts, noName, 0)
  }
}

/** Which capabilities each bpf(2) call wants on kernels that look again. */
function capabilitiesToDrain(): Capability[] {
  if (kernelAtLeast(5, 19)) return []
  return kernelAtLeast(5, 8) ? ['bpf'] : ['sysAdmin']
}

/** Which capabilities the first life needs, by kernel version. */
export function capabilitiesToOpen(): Capability[] {
  const toCount: Capability[] = kernelAtLeast(5, 8) ? ['bpf', 'perfmon'] : ['sysAdmin']
  // To see what runs already, to come before it, to lock memory for maps (before 5.11), and to give
  // up for good what the second life does not need.
  return [...toCount, 'sysPtrace', 'sysNice', 'sysResource', 'setpcap']
}

async function secondLife(
  { counter, parent, priority }: Handed,
  signal: AbortSignal,
): Promise<number> {
  dieWithParent()
  hideMemory()
  // It may have ended before it could have been said.
  if (process.ppid !== parent) return 0
  const ended = new AbortController()
  const finish = () => ended.abort()
  const stop = AbortSignal.any([signal, ended.signal])
  process.stdin.on('end', finish).on('error', finish).on('close', finish).resume()
  const drain = new Drain(counter)
  const held = heldCapabilities().toString(16)
  say({ ready: { variant: counter.variant, held, priority, uring: counter.uring } })
  setInterval(giveBack, GIVE_BACK_EVERY_MS).unref()
  try {
    while (!stop.aborted) {
      await sleep(drain.waitMs, stop)
      if (!stop.aborted) writeAll(RECORDS, drain.drainDue())
    }
    writeAll(RECORDS, drain.close())
  } catch (error) {
    // The pipe has no reader: the parent has ended.
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return 0
    throw error
  }
  return 0
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.ceil(ms))
    signal.addEventListener('abort', done)
  })
}

/** Blocks while the pipe is full: a parent that does not read makes us late, never grow. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Bun.sleepSync(5)
    }
  }
}

function say(message: { ready: Ready } | { error: object }): void {
  writeAll(MESSAGES, new TextEncoder().encode(`${JSON.stringify(message)}\n`))
}

function asAgentError(error: unknown): AgentError {
  if (error instanceof AgentError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new AgentError('ERR_COLLECTOR', message, { cause: error })
}
