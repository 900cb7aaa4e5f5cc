/**
 * A file as source: text, JSON, frames, compressed or not, or a capture for sysdig. The format is
 * detected from its first bytes.
 */
import { closeSync, openSync, open as openWhenReady, readSync, statSync } from 'node:fs'
import { promisify } from 'node:util'
import { constants, gunzipSync } from 'node:zlib'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import type { Source, SourceFormat } from '../domain/source.ts'
import { type CaptureOptions, isCapture, readCapture, readUnpacked } from './capture-file.ts'
import { compressionOf, decompress } from './decompress.ts'
import { pipeSource, readWhole } from './pipe.ts'

export interface FileOptions extends CaptureOptions {
  readonly format?: SourceFormat
}

const HEAD_BYTES = 65_536

/** @throws AgentError ERR_INPUT where there is no such file */
export function fileSource(path: string, options: FileOptions = {}): Source {
  const endMs = modifiedMs(path)
  return {
    name: 'file',
    live: false,
    path,
    endMs,
    ...defined({ format: options.format }),
    read: (signal) => readFile(path, options, signal),
  }
}

function modifiedMs(path: string): number {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) {
      throw new AgentError('ERR_INPUT', `Cannot read "${path}": it is a directory`, {
        hint: 'Give the files in it',
      })
    }
    return stat.mtimeMs
  } catch (error) {
    throw unreadable(path, error)
  }
}

async function* readFile(
  path: string,
  options: FileOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO()) {
    yield* readNamedPipe(path, signal)
    return
  }
  const descriptor = open(path)
  try {
    const head = new Uint8Array(HEAD_BYTES)
    const length = readHead(path, descriptor, head)
    const start = head.subarray(0, length)
    // sysdig unpacks gzip itself.
    if (isCapture(start) || isCapture(unpackedHead(start))) {
      yield* readCapture(path, options, signal)
      return
    }
    const compression = compressionOf(start)
    if (compression === undefined) yield* readWhole(descriptor, signal, start)
    else yield* readPacked(path, decompress(path, compression, signal), options, signal)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * What is inside of .zst and .xz shows when it comes out: a capture goes to a file of its own, for
 * sysdig reads nothing else.
 */
async function* readPacked(
  path: string,
  unpacked: AsyncGenerator<Uint8Array>,
  options: FileOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const first = await unpacked.next()
  if (first.done === true) return
  if (isCapture(first.value)) yield* readUnpacked(path, first.value, unpacked, options, signal)
  else {
    yield first.value
    yield* unpacked
  }
}

/** open(2) of a FIFO waits for a writer; the main thread would handle no signal meanwhile. */
async function* readNamedPipe(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const opened = promisify(openWhenReady)(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const descriptor = await Promise.race([opened, aborted])
  if (descriptor === undefined) return
  try {
    yield* pipeSource(descriptor).read(signal)
  } finally {
    closeSync(descriptor)
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function readHead(path: string, descriptor: number, head: Uint8Array): number {
  try {
    return readSync(descriptor, head, 0, head.length, null)
  } catch (error) {
    throw unreadable(path, error)
  }
}

/**
 * sysdig packs its captures with gzip: what is inside a .gz is known only from its own first bytes.
 */
function unpackedHead(start: Uint8Array): Uint8Array {
  if (compressionOf(start) !== 'gzip') return start
  try {
    // Cut in the middle: ask for what can be had of it. So few bytes cannot unpack to more than
    // half a megabyte.
    return gunzipSync(start.subarray(0, 512), { finishFlush: constants.Z_SYNC_FLUSH })
  } catch {
    return new Uint8Array(0)
  }
}

function unreadable(path: string, error: unknown): AgentError {
  if (error instanceof AgentError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new AgentError('ERR_INPUT', `Cannot read "${path}": there is no such file`, {
      hint: 'Check the path',
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new AgentError('ERR_PERMISSION', `Cannot read "${path}": permission denied`, {
      hint: 'Run as its owner or as root, or make it readable',
      cause: error,
    })
  }
  return new AgentError('ERR_INPUT', `Cannot read "${path}": ${code ?? String(error)}`, {
    cause: error,
  })
}
