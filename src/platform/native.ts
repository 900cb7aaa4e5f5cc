/**
 * Where native libraries come from, decided before the first of them is loaded.
 *
 * The hole that this closes: Bun extracts embedded libraries to $BUN_TMPDIR, $TMPDIR or /tmp, and
 * onnxruntime's addon looks for `libonnxruntime.so.1` beside itself (RUNPATH $ORIGIN). A file of that name
 * planted in /tmp by any user was loaded by root. So the libraries are extracted to a directory that only
 * we can write, and our own copy of libonnxruntime is loaded first: the same SONAME then wins. That
 * directory lies in the agent's state (`<state>/lib`), for the agent writes nowhere else; it also makes a
 * noexec /tmp irrelevant.
 *
 * BUN_TMPDIR must be in the C environment: setting `process.env` from JavaScript does not reach it
 * (measured on 1.4.5), hence setenv(3). Nothing happens here until a library is asked for, so `--version`
 * and commands without libraries write nothing. Of an extracted file Bun checks owner and size, not content: a
 * file that does not load is taken away and extracted once more.
 */
import { dlopen, FFIType } from 'bun:ffi'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { compiled, onnxLibrary } from './embedded.ts'

let stateDirectory: string | undefined
let prepared: string | undefined
let onnxLoaded = false

/** Called by cli.ts once the state directory is known, before any library is loaded. */
export function setNativeHome(state: string): void {
  stateDirectory = state
}

/**
 * Must be called before a native library is loaded (`sqlite.ts`, `onnx.ts`). Idempotent.
 * @returns the directory that libraries are extracted to; '' when run from source, where nothing is extracted.
 */
export function prepareNative(): string {
  if (prepared !== undefined) return prepared
  if (!compiled) {
    prepared = ''
    return prepared
  }
  // A worker shares the C environment of the process whose main thread has been here already.
  const chosen = getenv(CHOSEN)
  if (chosen !== '' && isOurs(chosen)) {
    prepared = chosen
    return prepared
  }
  const refused: string[] = []
  for (const candidate of candidates()) {
    const why = secureDirectory(candidate)
    if (why === undefined) return use(candidate)
    refused.push(`${candidate}: ${why}`)
  }
  const temporary = temporaryDirectory()
  if (temporary !== undefined) return use(temporary)
  throw new AgentError(
    'ERR_STATE',
    `Cannot keep native libraries anywhere: ${refused.join('; ')}`,
    { hint: 'Give a directory of your own on a file system without noexec: --state DIR' },
  )
}

/** Loads our own libonnxruntime, so that the addon that is imported next finds it by its SONAME and nothing else. */
export function loadOnnxLibrary(): void {
  if (onnxLoaded) return
  const directory = prepareNative()
  setenv('ORT_DISABLE_TELEMETRY', '1')
  const load = () => dlopen(onnxLibrary, { OrtGetApiBase: { args: [], returns: FFIType.ptr } })
  try {
    load()
  } catch (error) {
    if (directory === '') throw error
    clearDirectory(directory)
    load()
  }
  onnxLoaded = true
}

// --- The directory --------------------------------------------------------------------------------

const CHOSEN = 'CALLSIGN_NATIVE_DIRECTORY'

function use(directory: string): string {
  setenv('BUN_TMPDIR', directory)
  setenv(CHOSEN, directory)
  prepared = directory
  return directory
}

function candidates(): string[] {
  const { XDG_CACHE_HOME } = process.env
  return [
    ...(stateDirectory === undefined ? [] : [join(stateDirectory, 'lib')]),
    join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'callsign', 'lib'),
  ]
}

/** A read-only home and no state: a directory with a random name, gone when the process ends. */
function temporaryDirectory(): string | undefined {
  for (const parent of [tmpdir(), '/var/tmp', '/dev/shm']) {
    try {
      if (isNoexec(parent)) continue
      const directory = mkdtempSync(join(parent, 'callsign-'))
      process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
      return directory
    } catch {
      // Not writable: the next one.
    }
  }
  return undefined
}

/**
 * Makes the directory ours alone.
 * @returns why it cannot be, undefined if it is.
 */
export function secureDirectory(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const at = lstatSync(directory)
    if (!at.isDirectory()) return 'is no directory'
    if (at.uid !== ourUid()) return 'belongs to another user'
    // Others could write here until now, so what lies here may be theirs.
    if ((at.mode & 0o022) !== 0) clearDirectory(directory)
    if ((at.mode & 0o077) !== 0) chmodSync(directory, 0o700)
    const parent = untrustedParent(dirname(realpathSync(directory)))
    if (parent !== undefined) return `"${parent}" can be changed by others`
    if (isNoexec(directory)) return 'is mounted noexec'
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const file = lstatSync(path)
      if (!file.isFile() || file.uid !== ourUid() || (file.mode & 0o022) !== 0)
        rmSync(path, { recursive: true, force: true })
    }
    return isWritable(directory) ? undefined : 'is not writable'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function isOurs(directory: string): boolean {
  try {
    const at = lstatSync(directory)
    return at.isDirectory() && at.uid === ourUid() && (at.mode & 0o077) === 0
  } catch {
    return false
  }
}

/** Whoever can write a folder above ours can put another in its place; /tmp's sticky bit prevents that. */
function untrustedParent(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    const { uid, gid, mode } = lstatSync(at)
    const sticky = (mode & 0o1000) !== 0
    const othersWrite =
      (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== process.getegid?.())
    if ((uid !== 0 && uid !== ourUid()) || (othersWrite && !sticky)) return at
    if (at === '/') return undefined
  }
}

/** access(2) tells root that everything is writable, also on a read-only mount: so try. */
function isWritable(directory: string): boolean {
  const probe = join(directory, `.probe-${process.pid}`)
  try {
    mkdirSync(probe)
    rmSync(probe, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}

function clearDirectory(directory: string): void {
  for (const name of readdirSync(directory))
    rmSync(join(directory, name), { recursive: true, force: true })
}

/** True where the mount that holds a path forbids execution, which dlopen needs. */
export function isNoexec(path: string, mountinfo = readMountinfo()): boolean {
  let longest = ''
  let noexec = false
  for (const line of mountinfo.split('\n')) {
    const [, , , , escaped, options] = line.split(' ')
    if (escaped === undefined || options === undefined) continue
    const mount = escaped.replace(/\\(\d{3})/g, (_, octal) =>
      String.fromCharCode(parseInt(octal, 8)),
    )
    const within = mount === '/' || path === mount || path.startsWith(`${mount}/`)
    // Of several mounts on one point the last covers the others.
    if (!within || mount.length < longest.length) continue
    longest = mount
    noexec = options.split(',').includes('noexec')
  }
  return noexec
}

function readMountinfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return ''
  }
}

function ourUid(): number {
  return process.geteuid?.() ?? -1
}

// --- The C environment ------------------------------------------------------------------------------

let libc: ReturnType<typeof openLibc> | undefined

function openLibc() {
  return dlopen('libc.so.6', {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    getenv: { args: [FFIType.cstring], returns: FFIType.cstring },
  }).symbols
}

function setenv(name: string, value: string): void {
  libc ??= openLibc()
  libc.setenv(zeroEnded(name), zeroEnded(value), 1)
}

function getenv(name: string): string {
  libc ??= openLibc()
  return String(libc.getenv(zeroEnded(name)) ?? '')
}

function zeroEnded(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}
