/**
 * The only module that starts other programs: sysdig, bpftrace, xz.
 *
 * Their output comes through our own pipe, enlarged and non-blocking, so that the reader decides
 * when to read (collect/pipe.ts); Bun's stream would wake us for every write(2). The last bytes of
 * stderr are kept, where such tools report errors. A child that ignores SIGTERM is killed after a
 * grace period.
 */
import { closeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import { CHILD_GRACE_MS, PIPE_BYTES, STDERR_BYTES_MAX } from '../../domain/limits.ts'
import { effectiveCapabilities } from './capabilities.ts'
import { loadLibc, makePipe } from './libc.ts'
import { isRootsAlone } from './private-directory.ts'
import { processCost } from './process-cost.ts'

const F_SETFL = 4
const F_SETPIPE_SZ = 1031
const O_NONBLOCK = 0o4000

export interface ChildEnd {
  /** Undefined if a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

export interface Child {
  readonly pid: number
  /** Our end of its stdout: non-blocking, to be closed by the reader. */
  readonly stdout: number
  readonly exited: Promise<ChildEnd>
  /** The end of its stderr, complete once `exited` has settled. */
  stderr(): string
  /** SIGTERM, and SIGKILL after the grace period; settles when it has ended. */
  stop(): Promise<ChildEnd>
  /**
   * For a child that has closed its stdout: stops it if it does not end within the grace period.
   */
  finish(): Promise<ChildEnd>
}

/**
 * Full path of a program on the PATH; never from the current directory, whose owner could otherwise
 * choose what root runs. With privileges, only one that root alone can change: the caller's PATH
 * may lead to anybody's directory.
 */
export function findProgram(name: string): string | undefined {
  const folders = searchPath()
  const found = folders === '' ? null : Bun.which(name, { PATH: folders })
  return found === null || (isPrivileged() && !isRootsAlone(found)) ? undefined : found
}

function isPrivileged(): boolean {
  return process.geteuid?.() === 0 || effectiveCapabilities() !== 0n
}

/**
 * The PATH without relative and empty entries, which mean the current directory; with privileges,
 * without those that others than root can change.
 */
function searchPath(): string {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env
  const absolute = PATH.split(':').filter((folder) => folder.startsWith('/'))
  return (isPrivileged() ? absolute.filter(isRootsAlone) : absolute).join(':')
}

/**
 * A larger pipe lets its writer continue while we sleep. Errors (not a pipe, the user's limit) are
 * ignored.
 */
export function enlargePipe(descriptor: number): void {
  loadLibc().fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
}

/** Non-blocking: a full pipe returns EAGAIN instead of blocking its writer. */
export function withoutWaiting(descriptor: number): void {
  loadLibc().fcntl(descriptor, F_SETFL, O_NONBLOCK)
}

/** @throws AgentError ERR_COLLECTOR where the program cannot be started */
export function startChild(
  command: readonly string[],
  options: { readonly graceMs?: number } = {},
): Child {
  const { readEnd, writeEnd } = makePipe()
  enlargePipe(readEnd)
  withoutWaiting(readEnd)
  let child: Bun.Subprocess<'ignore', number, 'pipe'>
  try {
    child = Bun.spawn([...command], {
      stdin: 'ignore',
      stdout: writeEnd,
      stderr: 'pipe',
      env: toolEnvironment(),
    })
  } catch (cause) {
    closeSync(readEnd)
    throw new AgentError(
      'ERR_COLLECTOR',
      `Cannot start "${command[0]}": ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  } finally {
    closeSync(writeEnd)
  }
  const tail = keepTail(child.stderr)
  const exited = Promise.all([child.exited, tail.done]).then(() => ({
    code: child.signalCode === null ? (child.exitCode ?? undefined) : undefined,
    signal: (child.signalCode ?? undefined) as NodeJS.Signals | undefined,
  }))
  const graceMs = options.graceMs ?? CHILD_GRACE_MS
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    try {
      return await exited
    } finally {
      clearTimeout(timer)
    }
  }
  const finish = async () => {
    const timer = setTimeout(stop, graceMs)
    try {
      return await exited
    } finally {
      clearTimeout(timer)
    }
  }
  return { pid: child.pid, stdout: readEnd, exited, stderr: tail.text, stop, finish }
}

export interface CommandOptions {
  /** 0…19, 19 being the most patient. */
  readonly niceness?: number
  /** Killed when it has used more CPU than this, however long it waited for it. */
  readonly cpuSecondsMax?: number
  /** Kills it. */
  readonly signal?: AbortSignal
}

/** How often a child's CPU time is compared with its bound. */
const CPU_LOOK_MS = 1_000

/** Runs a command to its end; killed on timeout. */
export async function runCommand(
  command: readonly string[],
  timeoutMs: number,
  { niceness = 0, cpuSecondsMax, signal: stop }: CommandOptions = {},
): Promise<
  ChildEnd & { readonly stdout: string; readonly stderr: string; readonly cpuSeconds: number }
> {
  const child = Bun.spawn([...command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: toolEnvironment(),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    ...defined({ signal: stop }),
  })
  if (niceness > 0)
    try {
      setPriority(child.pid, niceness)
    } catch {
      // It has ended already, or a service's filter forbids it.
      slowDown(child)
    }
  const out = keepTail(child.stdout)
  const err = keepTail(child.stderr)
  const look =
    cpuSecondsMax === undefined
      ? undefined
      : setInterval(killAbove, CPU_LOOK_MS, child, cpuSecondsMax)
  await Promise.all([child.exited, out.done, err.done]).finally(() => clearInterval(look))
  const signal = (child.signalCode ?? undefined) as NodeJS.Signals | undefined
  return {
    code: signal === undefined ? (child.exitCode ?? undefined) : undefined,
    signal,
    stdout: out.text(),
    stderr: err.text(),
    cpuSeconds: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6,
  }
}

function killAbove(child: Bun.Subprocess, cpuSecondsMax: number): void {
  const { cpuSeconds = 0 } = processCost(child.pid, false) ?? {}
  if (cpuSeconds > cpuSecondsMax) child.kill('SIGKILL')
}

/**
 * Starts a part of our own program, its standard streams being descriptors that the caller made.
 */
export function startPart(
  command: readonly string[],
  streams: { readonly stdin: number; readonly stdout: number; readonly stderr: number },
  environment: Readonly<Record<string, string | undefined>>,
): { readonly pid: number; kill(): void } {
  const child = Bun.spawn([...command], { ...streams, env: environment })
  return { pid: child.pid, kill: () => child.kill('SIGKILL') }
}

/** In place of a niceness: it runs a fifth of the time. */
export function slowDown(child: Bun.Subprocess): void {
  const RUN_MS = 20
  const STOP_MS = 80
  let runs = true
  const turn = () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    runs = !runs
    child.kill(runs ? 'SIGCONT' : 'SIGSTOP')
    setTimeout(turn, runs ? RUN_MS : STOP_MS).unref()
  }
  setTimeout(turn, RUN_MS).unref()
}

export interface Job {
  readonly pid: number
  stop(): void
}

/** Starts a program without input, whose output is discarded. */
export function startJob(command: readonly string[], directory: string): Job {
  const child = Bun.spawn([...command], {
    ...{ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    ...{ cwd: directory, env: toolEnvironment() },
  })
  return { pid: child.pid, stop: () => child.kill('SIGKILL') }
}

/** Starts a program of the user's desktop, detached. */
export function startDetached(command: readonly string[]): void {
  Bun.spawn([...command], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' }).unref()
}

/** A minimal environment: fixed locale, and nothing that tools do not need. */
function toolEnvironment(): Record<string, string> {
  const { HOME, TZ } = process.env
  return {
    LC_ALL: 'C',
    PATH: searchPath(),
    ...defined({ HOME, TZ }),
  }
}

function keepTail(stream: ReadableStream<Uint8Array>): { done: Promise<void>; text(): string } {
  let tail = new Uint8Array(0)
  const read = async () => {
    for await (const chunk of stream) {
      const joined = new Uint8Array(tail.length + chunk.length)
      joined.set(tail)
      joined.set(chunk, tail.length)
      tail = joined.slice(-STDERR_BYTES_MAX)
    }
  }
  // A stream error ends the output.
  return { done: read().catch(() => {}), text: () => new TextDecoder().decode(tail) }
}
