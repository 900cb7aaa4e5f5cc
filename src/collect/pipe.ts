/**
 * Reading a live stream at our own pace.
 *
 * sysdig makes one write(2) per event, so wake-ups cost more than parsing: the pipe is enlarged,
 * and read every READ_EVERY_MS (docs/decisions/010-one-thread.md). While much is waiting it is read
 * without a pause, with an occasional turn of the event loop, so that signals and timers run.
 *
 * stdin is never made non-blocking, for others may share its description: a pipe is opened again
 * through /proc/self/fd, a file is read as a file, and a socket by Bun's stream.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { READ_BYTES, READ_EVERY_MS, READ_QUIET_MS } from '../domain/limits.ts'
import type { Source, SourceFormat } from '../domain/source.ts'
import { enlargePipe } from '../platform/linux/child.ts'

/** At least so much at once means that more is on its way. */
const BUSY_BYTES = READ_BYTES >> 2
/** Less than this in one read: the stream is quiet, and a longer sleep does not fill the pipe. */
const QUIET_BYTES = READ_BYTES >> 4
/** Longest time without a turn of the event loop. */
const TURN_MS = 20

/**
 * Chunks of a non-blocking descriptor until its end or the signal; each valid until the next.
 * Closes it.
 * @param everyMs how long to sleep when it was empty
 */
export async function* readPipe(
  descriptor: number,
  signal: AbortSignal,
  everyMs = READ_EVERY_MS,
): AsyncGenerator<Uint8Array> {
  const quietMs = everyMs === READ_EVERY_MS ? READ_QUIET_MS : everyMs
  const buffer = new Uint8Array(READ_BYTES)
  let turnedAt = performance.now()
  try {
    while (!signal.aborted) {
      const length = readSome(descriptor, buffer)
      if (length === 0) return
      if (length > 0) yield buffer.subarray(0, length)
      if (length < BUSY_BYTES) {
        await pause(length < QUIET_BYTES ? quietMs : everyMs, signal)
        turnedAt = performance.now()
      } else if (performance.now() - turnedAt > TURN_MS) {
        await new Promise(setImmediate)
        turnedAt = performance.now()
      }
    }
  } finally {
    closeSync(descriptor)
  }
}

/** How much was read; 0 at the end, -1 where nothing is there yet. */
function readSome(descriptor: number, buffer: Uint8Array): number {
  try {
    return readSync(descriptor, buffer, 0, buffer.length, null)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EAGAIN' || code === 'EINTR') return -1
    if (code === 'EOF' || code === 'EIO') return 0
    throw new AgentError('ERR_INPUT', `Cannot read the stream: ${String(code)}`, { cause: error })
  }
}

/** Waits so long, or until the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve()
      return
    }
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

export interface PipeOptions {
  readonly format?: SourceFormat
  readonly everyMs?: number
}

/** What comes in on a descriptor, stdin as a rule: a pipe, a file, a socket or a terminal. */
export function pipeSource(descriptor = 0, options: PipeOptions = {}): Source {
  return {
    name: 'pipe',
    live: !fstatSync(descriptor).isFile(),
    ...defined({ format: options.format }),
    read: (signal) => readDescriptor(descriptor, signal, options.everyMs),
  }
}

async function* readDescriptor(
  descriptor: number,
  signal: AbortSignal,
  everyMs?: number,
): AsyncGenerator<Uint8Array> {
  const stat = fstatSync(descriptor)
  if (stat.isFile()) {
    yield* readWhole(descriptor, signal)
    return
  }
  if (stat.isDirectory()) {
    throw new AgentError('ERR_INPUT', 'Cannot read the stream: it is a directory', {
      hint: 'Give a file, or pipe sysdig into the agent',
    })
  }
  let own: number
  try {
    own = openSync(`/proc/self/fd/${descriptor}`, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    yield* readSocket(descriptor, signal)
    return
  }
  if (stat.isFIFO()) enlargePipe(own)
  yield* readPipe(own, signal, everyMs)
}

/**
 * A socket (what some programs give their children as stdin) cannot be opened again; one that is
 * silent must not outlast the signal.
 */
async function* readSocket(descriptor: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = Bun.file(descriptor).stream().getReader()
  const stop = () => {
    reader.cancel().catch(() => {})
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** A file at full speed: blocking reads in one buffer, from where its descriptor stands. */
export async function* readWhole(
  descriptor: number,
  signal: AbortSignal,
  head: Uint8Array = new Uint8Array(0),
): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head
  const buffer = new Uint8Array(READ_BYTES)
  let turnedAt = performance.now()
  while (!signal.aborted) {
    const length = readSome(descriptor, buffer)
    if (length <= 0) return
    yield buffer.subarray(0, length)
    if (performance.now() - turnedAt > TURN_MS) {
      await new Promise(setImmediate)
      turnedAt = performance.now()
    }
  }
}
