/**
 * The kernel as a source: counts made in the kernel, one group of records a second.
 *
 * The counter lives in a process of its own (collector-process.ts), started here with the two or
 * three capabilities it needs and left with none. This process can then shed its own:
 * `shedPrivileges` starts the collector, re-executes the same command line without any capability,
 * and the new image adopts the running collector by its descriptors. That is done by exec because
 * nothing else reaches all of Bun's threads (platform/linux/capabilities.ts).
 *
 * Promises: the stream ends normally only if it was asked to end; a second is reported once; what
 * was counted before an abort is in the stream. Not supported: a restart, which needs the dropped
 * privileges.
 */
import { chownSync, closeSync, existsSync, mkdirSync, read, readFileSync, readSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AgentError, type ErrorCode } from '../../domain/error.ts'
import { GARBAGE_BYTES_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX } from '../../domain/limits.ts'
import type { Source } from '../../domain/source.ts'
import { compiled } from '../../platform/embedded.ts'
import {
  execWithoutCapabilities,
  heldCapabilities,
  withCapabilities,
} from '../../platform/linux/capabilities.ts'
import { enlargePipe, startPart } from '../../platform/linux/child.ts'
import {
  endAtOnceBySignals,
  keepOverExec,
  makePipe,
  unlimitLockedMemory,
} from '../../platform/linux/libc.ts'
import {
  handOver,
  type Needs,
  successorOf,
  type User,
  userFor,
} from '../../platform/linux/owner.ts'
import { type OwnFiles, sandboxFor } from '../../platform/linux/sandbox.ts'
import { log } from '../../platform/log.ts'
import { capabilitiesToOpen, HANDED, OPTIONS, type Ready } from './collector-process.ts'
import type { OpenOptions } from './open.ts'

/** A running collector's descriptors, from one image of this process to the next. */
const ADOPTED = 'CALLSIGN_KERNEL_COLLECTOR'
/** Starting takes 0.1 s; a busy machine may need some more. */
const START_MS = 20_000

export interface KernelSourceOptions extends OpenOptions {
  /** What runs the collector; for tests. */
  readonly command?: readonly string[]
  /** Signals a request to stop before the process re-executes itself. */
  readonly signal?: AbortSignal
  /** All that the new image may use; absent: what its user may. */
  readonly files?: OwnFiles
  /** Given where the place to write to is a state directory, which root may hand over. */
  readonly succession?: Omit<Needs, 'program'>
}

export interface KernelSource extends Source {
  readonly name: 'kernel'
  /** Starts the collector, or adopts the one that a former image of this process started. */
  start(): Promise<Ready>
  /** The collector's pid, once started. */
  readonly pid: number | undefined
}

interface Collector {
  readonly pid: number
  readonly ready: Ready
  readonly records: number
  readonly messages: number
  /** Closing it asks the collector to finish. */
  readonly control: number
}

/** The words that run a command of this program again, compiled or not. */
export function selfCommand(...words: readonly string[]): string[] {
  const program = compiled ? [] : [fileURLToPath(new URL('../../cli.ts', import.meta.url))]
  return [process.execPath, ...program, ...words]
}

export function kernelSource(options: KernelSourceOptions = {}): KernelSource {
  let starting: Promise<Collector> | undefined
  let collector: Collector | undefined
  const begin = async () => {
    collector = adopt() ?? (await startCollector(options))
    return collector
  }
  // One collector, however often it is requested.
  const started = () => {
    starting ??= begin()
    return starting
  }
  return {
    name: 'kernel',
    format: 'kernel-records',
    live: true,
    wholeSeconds: true,
    ...(process.arch === 'arm64' ? { sight: 'kernel-arm64' } : {}),
    start: async () => (await started()).ready,
    get pid() {
      return collector?.pid
    },
    async *read(signal) {
      yield* readRecords(await started(), signal)
    },
  }
}

/**
 * Starts the collector and re-executes this command line without capabilities, in all
 * threads; the pid stays. Returns (with nothing done) where there is nothing to shed: no
 * capabilities, or shed already. To be called before anything is opened that an exec would cut off.
 *
 * Root without capabilities may write root's files only. So the new image belongs to whoever owns
 * the place that it will write to: `callsign` where the package made the state directory his, the
 * caller of sudo for a recording in her home. A state directory of root's own is handed over to a
 * user without rights (platform/linux/owner.ts); elsewhere, and where that cannot be, root stays.
 * @param writesTo a file or directory, there or to be made; the state directory as a rule
 * @param startPartOf starts what else needs capabilities; gets whose process the new image will be,
 *   tells a pid that is not to be counted
 */
export async function shedPrivileges(
  writesTo?: string,
  options: KernelSourceOptions = {},
  startPartOf: (user: User | undefined) => number | undefined = () => undefined,
): Promise<void> {
  if (collectorRuns() || heldCapabilities() === 0n) return
  const next = writesTo === undefined ? undefined : successor(writesTo, options)
  const user = next?.user
  const part = startPartOf(user)
  const excluded = [...(options.excluded ?? []), ...(part === undefined ? [] : [part])]
  const collector = await startCollector({ ...options, excluded })
  for (const descriptor of [collector.records, collector.messages, collector.control])
    keepOverExec(descriptor, true)
  // A signal received by this image is unknown to the next: one that has just come is seen after a
  // turn of the event loop, one that comes later ends the process.
  endAtOnceBySignals()
  await Bun.sleep(1)
  if (options.signal?.aborted === true) {
    closeSync(collector.control)
    options.signal.throwIfAborted()
  }
  const isHandedOver = next?.takesOver === true && tryHandOver(writesTo!, next.user)
  const becomes = next?.takesOver === true && !isHandedOver ? undefined : user
  if (options.files !== undefined) makeStateDirectory(options.files.write[0], becomes)
  execWithoutCapabilities(
    [process.execPath, ...(compiled ? [] : [Bun.main]), ...process.argv.slice(2)],
    {
      BUN_JSC_gcMaxHeapSize: String(GARBAGE_BYTES_MAX),
      ...process.env,
      [ADOPTED]: JSON.stringify(collector),
      ...(options.files && ownPlaces(options.files.write[0])),
    },
    {
      user: becomes,
      files:
        options.files && sandboxFor(options.files, (becomes?.uid ?? process.geteuid?.()) === 0),
    },
  )
}

/** Whose process the new image will be, and whether its place has yet to become the user's. */
function successor(
  writesTo: string,
  { succession }: KernelSourceOptions,
): { readonly user: User; readonly takesOver: boolean } | undefined {
  const owner = userFor(writesTo, process.execPath)
  if (owner !== undefined) return { user: owner, takesOver: false }
  if (succession === undefined) return undefined
  const next = successorOf(writesTo, { ...succession, program: process.execPath })
  if (next === undefined) return undefined
  if ('user' in next) return { user: next.user, takesOver: true }
  log.info('Stays root, without capabilities', { why: next.why })
  return undefined
}

/** Once the collector counts: where it does not, another source needs root. */
function tryHandOver(state: string, user: User): boolean {
  try {
    handOver(state, user)
    log.info('The state directory belongs to another user now', { state, ...user })
    return true
  } catch (error) {
    log.info('Stays root, without capabilities', { why: String(error) })
    return false
  }
}

/**
 * Another user has another default for its state. SQLite's large sorts need a place, for others'
 * temporary directories are out of reach.
 */
function ownPlaces(state: string): Readonly<Record<string, string>> {
  return { AGENT_STATE: state, SQLITE_TMPDIR: state }
}

/** A rule for files needs something to stand on. Whether it can be used is the next image's matter. */
function makeStateDirectory(directory: string, user: User | undefined): void {
  if (existsSync(directory)) return
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (user !== undefined) chownSync(directory, user.uid, user.gid)
  } catch {
    // Told with its reason when it is opened.
  }
}

/** True in the image that took over a running collector and has not begun to read it. */
export function collectorRuns(): boolean {
  return handedOver() !== undefined
}

/**
 * The variable is accepted only if it can be ours: nothing is left to shed, or the collector that
 * it names is a child of this process (root that may not set securebits gets its capabilities back
 * at an exec). From anywhere else it would keep root's capabilities by saying that they are shed.
 */
function handedOver(): Collector | undefined {
  try {
    const collector = JSON.parse(process.env[ADOPTED] ?? '') as Collector
    const { pid, records, messages, control } = collector
    if (![pid, records, messages, control].every((n) => Number.isSafeInteger(n) && n > 2))
      return undefined
    return heldCapabilities() === 0n || isChild(pid) ? collector : undefined
  } catch {
    return undefined
  }
}

function isChild(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]) === process.pid
}

function adopt(): Collector | undefined {
  const collector = handedOver()
  // Once: children of ours must not think it theirs.
  delete process.env[ADOPTED]
  if (collector === undefined) return undefined
  for (const descriptor of [collector.records, collector.messages, collector.control])
    keepOverExec(descriptor, false)
  return collector
}

/**
 * Starts a collector as `start` would, and ends it: whether this host lets one count, with the same
 * rights and limits.
 */
export async function tryCollector(): Promise<Ready> {
  const { ready, records, messages, control } = await startCollector({})
  for (const descriptor of [control, records, messages]) closeSync(descriptor)
  return ready
}

async function startCollector(options: KernelSourceOptions): Promise<Collector> {
  const {
    command = selfCommand('collect-kernel'),
    signal: _,
    files: __,
    succession: ___,
    ...open
  } = options
  const control = makePipe()
  const records = makePipe()
  const messages = makePipe()
  // Room for half a minute of records while their reader is busy elsewhere.
  enlargePipe(records.readEnd)
  // The collector inherits the limit, and may have no right to lift it.
  unlimitLockedMemory()
  const child = withCapabilities(capabilitiesToOpen(), () =>
    startPart(
      command,
      { stdin: control.readEnd, stdout: records.writeEnd, stderr: messages.writeEnd },
      { ...process.env, [HANDED]: undefined, [OPTIONS]: JSON.stringify(open) },
    ),
  )
  for (const end of [control.readEnd, records.writeEnd, messages.writeEnd]) closeSync(end)
  const timer = setTimeout(() => child.kill(), START_MS)
  try {
    const ready = await readMessage(messages.readEnd)
    return {
      pid: child.pid,
      ready,
      records: records.readEnd,
      messages: messages.readEnd,
      control: control.writeEnd,
    }
  } catch (error) {
    for (const end of [control.writeEnd, records.readEnd, messages.readEnd]) closeSync(end)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

const readAsync = promisify(read)

/** The collector's first line says whether it counts. */
async function readMessage(descriptor: number): Promise<Ready> {
  const buffer = new Uint8Array(LINE_BYTES_MAX)
  let text = ''
  // By read(2) in Bun's pool: a stream that is left early would keep the descriptor busy.
  for (let length = 1; length > 0 && !text.includes('\n') && text.length < MESSAGE_BYTES_MAX; ) {
    length = (await readAsync(descriptor, buffer, 0, buffer.length, null)).bytesRead
    text += new TextDecoder().decode(buffer.subarray(0, length))
  }
  const message = parseMessage(text)
  if (message?.ready !== undefined) return message.ready
  throw (
    errorOf(message) ??
    new AgentError(
      'ERR_COLLECTOR',
      `Cannot start the kernel collector: it ended ${text === '' ? 'without a message' : `with "${text.slice(0, 2000)}"`}`,
      { hint: 'Run "agent doctor"' },
    )
  )
}

interface Message {
  readonly ready?: Ready
  readonly error?: { readonly code?: ErrorCode; readonly message?: string; readonly hint?: string }
}

function errorOf(message: Message | undefined): AgentError | undefined {
  const { code, message: words, hint } = message?.error ?? {}
  if (code === undefined || words === undefined) return undefined
  return new AgentError(code, words, hint === undefined ? {} : { hint })
}

/** Our own program's words, but a loader's complaint may come instead. */
function parseMessage(text: string): Message | undefined {
  try {
    return JSON.parse(text) as Message
  } catch {
    return undefined
  }
}

async function* readRecords(collector: Collector, signal: AbortSignal): AsyncIterable<Uint8Array> {
  let asked = false
  const finish = () => {
    if (asked) return
    asked = true
    closeSync(collector.control)
  }
  if (signal.aborted) finish()
  signal.addEventListener('abort', finish, { once: true })
  let tail: Uint8Array = new Uint8Array(0)
  try {
    for await (const chunk of Bun.file(collector.records).stream()) {
      tail = chunk.length >= BYE.length ? chunk.slice(-BYE.length) : joined(tail, chunk)
      yield chunk
    }
    if (!BYE.every((byte, i) => tail[i] === byte))
      throw (
        errorOf(parseMessage(lastWords(collector.messages))) ??
        new AgentError('ERR_COLLECTOR_DIED', 'The kernel collector ended unexpectedly', {
          hint: `Look for its pid ${collector.pid} in the kernel's log: it may have been killed because memory ran out`,
        })
      )
  } finally {
    signal.removeEventListener('abort', finish)
    finish()
    closeSync(collector.records)
    closeSync(collector.messages)
  }
}

/** What a dead collector left on its stderr. */
function lastWords(descriptor: number): string {
  const words = new Uint8Array(LINE_BYTES_MAX)
  try {
    return new TextDecoder().decode(words.subarray(0, readSync(descriptor, words)))
  } catch {
    return ''
  }
}

/** A `bye` record, the last thing that a collector writes which ends as it was asked to. */
const BYE = [0, 0, 0, 0, 8]

function joined(before: Uint8Array, chunk: Uint8Array): Uint8Array {
  return Uint8Array.from([...before, ...chunk]).slice(-BYE.length)
}
