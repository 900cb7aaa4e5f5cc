/**
 * .gz, .zst and .xz as streams: decompressed data is passed on and never collected, so that an
 * archive of nothing but zeros costs time, not memory. A broken archive gives what came before the
 * break, then an error.
 *
 * xz has no decoder in the platform; the `xz` program does it.
 */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { AgentError } from '../domain/error.ts'
import { findProgram, startChild } from '../platform/linux/child.ts'
import { readPipe } from './pipe.ts'
import { isWholeZstd } from './zstd-frames.ts'

export type Compression = 'gzip' | 'zstd' | 'xz'

const MAGIC: Readonly<Record<Compression, readonly number[]>> = {
  gzip: [0x1f, 0x8b],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
}

/** By the first bytes; names lie. */
export function compressionOf(head: Uint8Array): Compression | undefined {
  return (Object.keys(MAGIC) as Compression[]).find((kind) =>
    MAGIC[kind].every((byte, i) => head[i] === byte),
  )
}

export async function* decompress(
  path: string,
  kind: Compression,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (kind === 'xz') return yield* decompressXz(path, signal)
  const file = createReadStream(path, { highWaterMark: 262_144 })
  const unpack = kind === 'gzip' ? createGunzip({ chunkSize: 262_144 }) : createZstdDecompress()
  file.on('error', (error) => unpack.destroy(error))
  file.pipe(unpack)
  try {
    for await (const chunk of unpack as Readable as AsyncIterable<Uint8Array>) {
      if (signal.aborted) return
      yield chunk
    }
  } catch (cause) {
    throw damaged(path, cause instanceof Error ? cause.message : String(cause), cause)
  } finally {
    file.destroy()
    unpack.destroy()
  }
  // Bun's decoder ends in silence where the file does.
  if (kind === 'zstd' && !isWholeZstd(path)) throw damaged(path, 'unexpected end of file')
}

async function* decompressXz(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const xz = findProgram('xz')
  if (xz === undefined) {
    throw new AgentError('ERR_INPUT', `Cannot read "${path}": the program "xz" is not installed`, {
      hint: 'Install xz-utils, or unpack the file first',
    })
  }
  const child = startChild([xz, '--decompress', '--stdout', '--memlimit=256MiB', '--', path])
  let ended = false
  try {
    yield* readPipe(child.stdout, signal, 2)
    ended = !signal.aborted
  } finally {
    await (ended ? child.finish() : child.stop())
  }
  const { code } = await child.exited
  if (code !== 0 && !signal.aborted) {
    throw damaged(path, child.stderr().trim().replace(/^.*: /, '') || `xz ended with ${code}`)
  }
}

function damaged(path: string, why: string, cause?: unknown): AgentError {
  return new AgentError('ERR_INPUT', `Cannot unpack "${path}" to its end: ${why}`, {
    hint: 'The content before that was used; get the file again if it is truncated',
    cause,
  })
}
