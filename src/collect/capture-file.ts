/**
 * sysdig's capture files (.scap), read by the installed sysdig with our chisel.
 *
 * A truncated capture is read as far as possible, with a warning. One that sysdig cannot read, or
 * crashes on (old versions do on new captures, by SIGSEGV), is an error; everything before is used.
 */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { CAPTURE_BYTES_MAX } from '../domain/limits.ts'
import { startChild } from '../platform/linux/child.ts'
import { log } from '../platform/log.ts'
import { placeChisel } from './chisel.ts'
import { readPipe } from './pipe.ts'
import { lastLine, requireSysdig } from './sysdig.ts'

/** How often its output is looked for: a file's reader waits for us, not for the clock. */
const READ_EVERY_MS = 2

/**
 * pcapng's section header, which sysdig's captures begin with as well; byte order magic of either
 * kind.
 */
export function isCapture(head: Uint8Array): boolean {
  if (head.length < 12) return false
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const magic = view.getUint32(8, true)
  return view.getUint32(0, true) === 0x0a0d0d0a && (magic === 0x1a2b3c4d || magic === 0x4d3c2b1a)
}

export interface CaptureOptions {
  /** The agent's own directory, for the chisel. */
  readonly stateDirectory?: string
  /** What runs sysdig; default: the one on the PATH. */
  readonly sysdig?: readonly string[]
}

/**
 * The chisel's lines of a capture that only we can unpack: it goes to a file that no other user can
 * read and that is gone afterwards. One that is cut gives what came before.
 * @param head the first bytes of `rest`, taken already
 */
export async function* readUnpacked(
  path: string,
  head: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
  options: CaptureOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { stateDirectory } = options
  const home =
    stateDirectory !== undefined && existsSync(stateDirectory) ? stateDirectory : tmpdir()
  const directory = mkdtempSync(join(home, 'capture-'))
  const file = join(directory, basename(path).replace(/\.(xz|zst)$/, ''))
  try {
    const broken = await writeBounded(path, file, head, rest)
    if (signal.aborted) return
    yield* readCapture(file, options, signal)
    if (broken !== undefined) throw broken
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @returns what ended it before its end @throws AgentError where it grows beyond the bound, or the
 *   disk is full
 */
async function writeBounded(
  path: string,
  file: string,
  head: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): Promise<unknown> {
  const descriptor = openSync(file, 'wx', 0o600)
  let bytes = 0
  const write = (chunk: Uint8Array) => {
    bytes += chunk.length
    if (bytes > CAPTURE_BYTES_MAX) {
      throw new AgentError(
        'ERR_INPUT',
        `Cannot unpack "${path}": it is over ${CAPTURE_BYTES_MAX / 1_073_741_824} GiB`,
        { hint: 'Unpack it where there is enough space, and give the unpacked file' },
      )
    }
    writeFileSync(descriptor, chunk)
  }
  try {
    write(head)
    const source = rest[Symbol.asyncIterator]()
    for (;;) {
      let next: IteratorResult<Uint8Array>
      try {
        next = await source.next()
      } catch (error) {
        return error
      }
      if (next.done === true) return undefined
      write(next.value)
    }
  } catch (error) {
    if (error instanceof AgentError) throw error
    throw new AgentError(
      'ERR_DISK',
      `Cannot unpack "${path}" to "${file}": ${(error as NodeJS.ErrnoException).code}`,
      {
        hint: 'Free space there, or set TMPDIR to another directory',
        cause: error,
      },
    )
  } finally {
    closeSync(descriptor)
  }
}

/** The chisel's lines of a capture. */
export async function* readCapture(
  path: string,
  options: CaptureOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const program = options.sysdig ?? [requireSysdig()]
  const chisel = placeChisel(options.stateDirectory)
  const child = startChild([...program, '-r', path, '-c', chisel])
  let bytes = 0
  let ended = false
  try {
    for await (const chunk of readPipe(child.stdout, signal, READ_EVERY_MS)) {
      bytes += chunk.length
      yield chunk
    }
    ended = !signal.aborted
  } finally {
    // Left early, by a signal or an error further on: it has nothing more to say.
    await (ended ? child.finish() : child.stop())
  }
  const { code, signal: killedBy } = await child.exited
  if (code === 0 || signal.aborted) return
  const said = lastLine(child.stderr())
  if (bytes > 0 && /truncated|expecting \d+ bytes, read \d+/i.test(said)) {
    log.warn('The capture is truncated; its content was used', { path, sysdig: said })
    return
  }
  const why = killedBy === undefined ? `ended with ${code}: ${said}` : `was killed by ${killedBy}`
  throw new AgentError('ERR_COLLECTOR', `Cannot read "${path}" to its end: sysdig ${why}`, {
    hint: 'An older sysdig cannot read captures of a newer one: run "agent count" where it was recorded, and use the frames',
  })
}
