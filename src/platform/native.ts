/**
 * Loads native libraries: the binary's own copies, extracted to a private directory
 * (`private-directory.ts`) below the agent's state directory.
 *
 * Vulnerability that this closes: by default Bun extracts embedded libraries to $TMPDIR or /tmp,
 * and onnxruntime's addon looks for `libonnxruntime.so.1` beside itself (RUNPATH $ORIGIN). A file
 * of that name planted in /tmp by any user was loaded by root; a noexec /tmp prevented the start.
 * So every library is loaded by an absolute path of ours, and our libonnxruntime first: the linker
 * then uses it for its SONAME.
 *
 * Files are named by their content's hash, written under a temporary name, synced and renamed: an
 * existing one is complete. Costs 0.1–0.2 s at the first start and a stat later; the 38 MB of page
 * cache are dropped at once. Nothing happens until a library is requested, so `--version` and
 * commands without libraries write nothing. From source there is nothing to extract.
 */
import { dlopen, FFIType } from 'bun:ffi'
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { compiled, libraries } from './embedded.ts'
import {
  cacheHome,
  isNoexec,
  isOurFile,
  privateDirectory,
  temporaryDirectory,
} from './linux/private-directory.ts'
import { giveBackPages } from './pages.ts'

const POSIX_FADV_DONTNEED = 4

export type LibraryName = 'onnxLibrary' | 'onnxAddon' | 'sqliteAddon'

let stateDirectory: string | undefined
let directory: string | undefined
let onnxLoaded = false

/** Called by cli.ts once the state directory is known, before any library is loaded. */
export function setNativeHome(state: string): void {
  stateDirectory = state
}

/** A path that dlopen takes; extracted now if it is not there yet. */
export function libraryPath(name: LibraryName): string {
  const { path, fileName } = libraries[name]
  if (!compiled) return path
  directory ??= chooseDirectory()
  const target = join(directory, fileName)
  const whole = isOurFile(target) && statSync(target).size === statSync(path).size
  if (!whole) extract(path, target, directory)
  return target
}

/** Loads our own libonnxruntime, so that the addon imported next uses it by its SONAME. */
export function loadOnnxLibrary(): void {
  if (onnxLoaded) return
  // Later versions send telemetry; ours has none, and if that changed it would still be off.
  // Setting process.env does not reach the C environment (Bun 1.4.5).
  setenv('ORT_DISABLE_TELEMETRY', '1')
  const path = libraryPath('onnxLibrary')
  dlopen(path, { OrtGetApiBase: { args: [], returns: FFIType.ptr } })
  onnxLoaded = true
}

/** The build replaces onnxruntime-node's search for its addon by this. */
export function loadOnnxAddon(): unknown {
  const module = { exports: {} }
  process.dlopen(module, libraryPath('onnxAddon'))
  return module.exports
}

/** The directory of extracted libraries; undefined before the first, and when run from source. */
export function libraryDirectory(): string | undefined {
  return directory
}

// --- Extraction ----------------------------------------------------------------------------------

function extract(from: string, target: string, directory: string): void {
  const aside = `${target}.new-${process.pid}`
  try {
    const fd = openSync(aside, 'wx', 0o600)
    try {
      const bytes = readFileSync(from)
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      fsyncSync(fd)
      // Written in one piece it lies in large pages of the cache, and since Linux 6.18 a fault maps all
      // of such a page: 27 MB resident where 7 are used. What is read back comes in small ones.
      dropCache(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(aside, target)
  } catch (cause) {
    rmSync(aside, { force: true })
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AgentError('ERR_DISK', `Cannot unpack a library to "${directory}": ${why}`, {
      hint: 'Free 50 MB there, or give another directory with --state DIR',
      cause,
    })
  }
  removeOld(directory)
  Bun.gc(true)
  // The copied bytes are clean pages of our own executable, which stay resident while memory is free
  // (measured: 38 MB less after the first start).
  giveBackPages()
}

/** Removes libraries of earlier versions; a running agent keeps what it has mapped. */
function removeOld(directory: string): void {
  const current = Object.values(libraries).map(({ fileName }) => fileName)
  for (const name of readdirSync(directory))
    if (/^[0-9a-f]{32}\.(so|node)$/.test(name) && !current.includes(name))
      rmSync(join(directory, name), { force: true })
}

/**
 * Below the state directory, else in the user's (root's: the system's) cache, else a temporary one
 * for this process.
 */
function chooseDirectory(): string {
  const refused: string[] = []
  for (const candidate of [
    ...(stateDirectory === undefined ? [] : [join(stateDirectory, 'lib')]),
    join(cacheHome(), 'callsign', 'lib'),
  ]) {
    const why =
      privateDirectory(candidate) ?? (isNoexec(candidate) ? 'is mounted noexec' : undefined)
    if (why === undefined) return chosen(candidate)
    refused.push(`"${candidate}" ${why}`)
  }
  const temporary = temporaryDirectory()
  if (temporary !== undefined) return chosen(temporary)
  throw new AgentError('ERR_STATE', `Cannot unpack libraries anywhere: ${refused.join('; ')}`, {
    hint: 'Give a directory on a file system without noexec with --state DIR',
  })
}

// --- The C environment ---------------------------------------------------------------------------

function chosen(directory: string): string {
  // Bun should not extract anything itself any more; if it does, then not to /tmp.
  setenv('BUN_TMPDIR', directory)
  return directory
}

let libc: ReturnType<typeof openLibc> | undefined

function openLibc() {
  return dlopen('libc.so.6', {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    posix_fadvise: {
      args: [FFIType.i32, FFIType.i64, FFIType.i64, FFIType.i32],
      returns: FFIType.i32,
    },
  }).symbols
}

/** Of the whole file; a file system that cannot ignores it. */
function dropCache(fd: number): void {
  libc ??= openLibc()
  libc.posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)
}

function setenv(name: string, value: string): void {
  libc ??= openLibc()
  libc.setenv(zeroEnded(name), zeroEnded(value), 1)
}

function zeroEnded(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}
