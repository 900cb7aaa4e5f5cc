/**
 * Writes frames to a file or stdout as NDJSON, compressed by file name. Text is collected into
 * large writes: one write(2) per line would cost more than the counting.
 */
import { closeSync, constants as files, openSync, statSync, writeSync } from 'node:fs'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { FrameEncoder, type FrameLabels } from '../count/frames-file.ts'
import { AgentError } from '../domain/error.ts'
import type { Frame } from '../domain/frame.ts'
import { WRITE_BYTES } from '../domain/limits.ts'

export interface FramesWriter {
  readonly frameCount: number
  readonly vectorCount: number
  /** Resolves when there is room for more. */
  write(frames: readonly Frame[]): void | Promise<void>
  /** Everything is written. */
  close(): Promise<void>
}

/** @param path undefined for stdout */
export function openFramesFile(path: string | undefined, labels: FrameLabels): FramesWriter {
  const descriptor = path === undefined ? 1 : openForWriting(path)
  const packer = path?.endsWith('.gz')
    ? createGzip()
    : path?.endsWith('.zst')
      ? createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 6 } })
      : undefined
  const write = (bytes: Uint8Array) => writeAll(path, descriptor, bytes)
  let failure: unknown
  packer?.on('data', (chunk: Uint8Array) => {
    try {
      write(chunk)
    } catch (error) {
      failure ??= error
    }
  })
  const lines = new FrameEncoder(labels)
  let frameCount = 0
  let vectorCount = 0

  const flush = (): void | Promise<void> => {
    if (failure !== undefined) throw failure
    if (lines.length === 0) return
    if (packer === undefined) return write(lines.take())
    // The packer keeps what it is given for a while.
    const bytes = lines.take().slice()
    return new Promise((resolve, reject) => {
      packer.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }
  return {
    get frameCount() {
      return frameCount
    },
    get vectorCount() {
      return vectorCount
    },
    write(frames) {
      for (const frame of frames) {
        vectorCount += lines.push(frame)
        frameCount++
      }
      if (lines.length >= WRITE_BYTES) return flush()
    },
    async close() {
      try {
        await flush()
        if (packer !== undefined) {
          await new Promise<void>((resolve, reject) => {
            packer.on('end', resolve).on('error', reject)
            packer.end()
          })
        }
        if (failure !== undefined) throw failure
      } finally {
        if (path !== undefined) closeSync(descriptor)
      }
    },
  }
}

/** @throws AgentError that says what is in the way */
export function openForWriting(path: string): number {
  try {
    // open(2) of a named pipe without a reader would block, without handling signals.
    if (statSync(path, { throwIfNoEntry: false })?.isFIFO())
      return openSync(path, files.O_WRONLY | files.O_NONBLOCK)
    return openSync(path, 'w')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new AgentError(
      code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'ERR_PERMISSION' : 'ERR_FAILED',
      `Cannot write "${path}": ${code ?? String(cause)}`,
      {
        hint:
          code === 'ENXIO'
            ? 'The pipe has no reader: start it first'
            : 'Choose another file with --out',
        cause,
      },
    )
  }
}

/** @param path undefined for stdout, whose reader may go away */
export function writeAll(path: string | undefined, descriptor: number, bytes: Uint8Array): void {
  let from = 0
  while (from < bytes.length) {
    try {
      from += writeSync(descriptor, bytes, from)
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code
      // A stdout that somebody made non-blocking: its reader is slower than we are.
      if (code === 'EAGAIN') {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
        continue
      }
      if (code === 'EPIPE' && path === undefined) throw cause
      throw new AgentError(
        code === 'ENOSPC' || code === 'EDQUOT' ? 'ERR_DISK' : 'ERR_FAILED',
        `Cannot write ${path === undefined ? 'stdout' : `"${path}"`}: ${code ?? String(cause)}`,
        { hint: 'Free disk space, or choose another file with --out', cause },
      )
    }
  }
}
