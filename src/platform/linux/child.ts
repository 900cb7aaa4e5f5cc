/**
 * The only place that starts other programs: sysdig, bpftrace, xz.
 *
 * Their output comes through a pipe of our own, enlarged and non-blocking, so that the reader chooses when
 * to look (collect/pipe.ts); Bun's stream would wake us for every write(2). stderr is kept to its last bytes: it is where
 * such tools say why. A child that ignores SIGTERM is killed after a grace; none outlives its owner's interest.
 */
import { closeSync } from 'node:fs'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import { CHILD_GRACE_MS, PIPE_BYTES, STDERR_BYTES_MAX } from '../../domain/limits.ts'
import { loadLibc, makePipe } from './libc.ts'

const F_SETFL = 4
const F_SETPIPE_SZ = 1031
const O_NONBLOCK = 0o4000

export interface ChildEnd {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

export interface Child {
  readonly pid: number
  /** Our end of its stdout: non-blocking, to be closed by whoever reads it. */
  readonly stdout: number
  readonly exited: Promise<ChildEnd>
  /** The last it said on stderr, whole once `exited` has settled. */
  stderr(): string
  /** SIGTERM, and SIGKILL after the grace; settles when it is gone. */
  stop(): Promise<ChildEnd>
  /** It has closed its stdout and is about to end; where it does not within the grace, it is stopped. */
  finish(): Promise<ChildEnd>
}

/**
 * Full path of a program on the PATH; never one from where we happen to stand, for whoever owns that directory
 * would choose what root runs.
 */
export function findProgram(name: string): string | undefined {
  const folders = searchPath()
  return folders === '' ? undefined : (Bun.which(name, { PATH: folders }) ?? undefined)
}

/** The PATH without what is relative or empty, which means the present directory. */
function searchPath(): string {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env
  return PATH.split(':')
    .filter((folder) => folder.startsWith('/'))
    .join(':')
}

/** A larger pipe lets its writer run on while we sleep. Refused for what is no pipe, and beyond the user's limit: no matter. */
export function enlargePipe(descriptor: number): void {
  loadLibc().fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
}

/** A full pipe then refuses instead of holding its writer up. */
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

/** Runs a short command to its end; killed when it takes too long. */
export async function runCommand(
  command: readonly string[],
  timeoutMs: number,
): Promise<ChildEnd & { readonly stdout: string; readonly stderr: string }> {
  const child = Bun.spawn([...command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: toolEnvironment(),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const out = keepTail(child.stdout)
  const err = keepTail(child.stderr)
  await Promise.all([child.exited, out.done, err.done])
  const signal = (child.signalCode ?? undefined) as NodeJS.Signals | undefined
  return {
    code: signal === undefined ? (child.exitCode ?? undefined) : undefined,
    signal,
    stdout: out.text(),
    stderr: err.text(),
  }
}

/** Starts a part of our own program, its standard streams being descriptors that the caller made. */
export function startPart(
  command: readonly string[],
  streams: { readonly stdin: number; readonly stdout: number; readonly stderr: number },
  environment: Readonly<Record<string, string | undefined>>,
): { readonly pid: number; kill(): void } {
  const child = Bun.spawn([...command], { ...streams, env: environment })
  return { pid: child.pid, kill: () => child.kill('SIGKILL') }
}

/** Starts a program of the user's desktop and lets it go. */
export function startDetached(command: readonly string[]): void {
  Bun.spawn([...command], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' }).unref()
}

/** Tools print in one language, and get nothing of ours that they do not need. */
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
  // A stream that breaks has said all it will say.
  return { done: read().catch(() => {}), text: () => new TextDecoder().decode(tail) }
}
