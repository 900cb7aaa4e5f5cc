/**
 * Frames files as recordings: one per file and host, with the host and the labels. The pipeline
 * reads frames files through the counter, which handles one host and no labels; here vectors are
 * taken unchanged.
 *
 * A pid with several names in one second (fork, then exec) has a line for each in the files of some
 * recorders: they are merged into one vector, under the last name. A pid without `start` is a new
 * process after an `exit_group` or after ten minutes of silence. Malformed lines are counted; a
 * file without a valid line is an error.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { PassThrough, type Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import type { Frame, SilentProcess } from '../../domain/frame.ts'
import { LINE_BYTES_MAX, NAME_BYTES_MAX } from '../../domain/limits.ts'
import { type Process, safeName } from '../../domain/process.ts'
import { OTHER, SYSCALLS, syscallIndexOf } from '../../domain/syscalls.ts'

export interface LabelledFrame extends Frame {
  /** The real program of each process, if the file has labels. */
  readonly labels?: readonly (string | undefined)[]
}

export interface Recording {
  readonly file: string
  readonly sha256: string
  readonly host: string
  /** By time; indexes grow. */
  readonly frames: readonly LabelledFrame[]
  readonly vectors: number
  readonly refusedLines: number
  /** The first malformed line and its problem. */
  readonly refusedFirst?: string
  /** A few of the unknown syscall names; they count as `other`. */
  readonly unknownCalls?: readonly string[]
}

const SILENCE_SECONDS = 600
const UNKNOWN_SHOWN = 8
const EXIT_GROUP = SYSCALLS.indexOf('exit_group')
const EXECVE = SYSCALLS.indexOf('execve')

/** Reads frames files (docs/reference/formats.md), plain, `.gz` or `.zst`. */
export async function readRecordings(paths: readonly string[]): Promise<Recording[]> {
  const recordings: Recording[] = []
  for (const path of paths) {
    recordings.push(...(await readFile(path)))
    // Garbage of parsing a hundred megabytes of JSON would otherwise stay for long.
    Bun.gc(true)
  }
  return recordings
}

/** A recording whose frames share equal Process values, as `readRecordings` makes them. */
export function ownProcesses(recording: Recording): Recording {
  const known = new Map<string, Process>()
  const shared = (process: Process): Process => {
    const key = `${process.pid}@${process.startMs} ${process.name}`
    const seen = known.get(key)
    if (seen === undefined) known.set(key, process)
    return seen ?? process
  }
  return {
    ...recording,
    frames: recording.frames.map((frame) => ({ ...frame, processes: frame.processes.map(shared) })),
  }
}

async function readFile(path: string): Promise<Recording[]> {
  const hosts = new Map<string, HostFrames>()
  const hash = createHash('sha256')
  let lines = 0
  let refused = 0
  let refusedFirst: string | undefined
  let vectors = 0
  const take = (line: string): void => {
    lines++
    if (line.trim() === '') return
    const value = line.length > LINE_BYTES_MAX ? 'it is too long' : parse(line)
    let wrong = typeof value === 'string' ? value : undefined
    if (typeof value !== 'string') {
      let host = hosts.get(value.host)
      if (host === undefined) {
        host = new HostFrames()
        hosts.set(value.host, host)
      }
      wrong = host.take(value)
    }
    if (wrong === undefined) vectors++
    else {
      refused++
      refusedFirst ??= `line ${lines}: ${wrong}`
    }
  }
  try {
    const file = createReadStream(path, { highWaterMark: 1 << 20 })
    file.on('data', (chunk) => hash.update(chunk))
    const text = decompressor(path)
    file.on('error', (error) => text.destroy(error))
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of file.pipe(text)) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = lines.pop()!
      if (rest.length > LINE_BYTES_MAX) rest = rest.slice(0, LINE_BYTES_MAX + 1)
      for (const line of lines) take(line)
    }
    take(rest + decoder.decode())
  } catch (cause) {
    throw new AgentError(
      'ERR_INPUT',
      `Cannot read frames file "${path}": ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        hint: 'Frames files are NDJSON, .zst or .gz, as "agent count" and "agent record" write them',
        cause,
      },
    )
  }
  if (vectors === 0)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot use frames file "${path}": none of its ${refused} lines is a vector${refusedFirst === undefined ? '' : ` (${refusedFirst})`}`,
      {
        hint: 'Make one from a capture with "agent count CAPTURE --out FILE.ndjson.zst"',
      },
    )
  const sha256 = hash.digest('hex')
  return [...hosts].map(([host, frames]) => ({
    file: path,
    sha256,
    host,
    ...frames.end(),
    refusedLines: refused,
    ...defined({ refusedFirst }),
    unknownCalls: [...frames.unknownCalls],
  }))
}

function decompressor(path: string): Transform {
  if (path.endsWith('.zst')) return createZstdDecompress()
  if (path.endsWith('.gz')) return createGunzip()
  return new PassThrough()
}

interface Line {
  readonly t: number
  readonly host: string
  readonly pid: number
  readonly start: number | undefined
  readonly name: string
  readonly label: string | undefined
  readonly counts: Readonly<Record<string, unknown>>
  /** CPU ms; undefined if the file has none. */
  readonly cpuMs: number | undefined
  readonly lost: number
}

/** One line as a value, or what is wrong with it. */
function parse(text: string): Line | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is no JSON'
  }
  if (typeof value !== 'object' || value === null) return 'it is no object'
  const line = value as Record<string, unknown>
  const t = line.t
  if (typeof t !== 'number' || !Number.isInteger(t) || Math.abs(t) > 1e12)
    return '"t" is no whole second'
  const host = typeof line.host === 'string' ? line.host : ''
  const rest = { t, host, start: undefined, label: undefined }
  // Whoever was not seen whole: for training the whole second is left out.
  if (typeof line.unseen === 'object' && line.unseen !== null)
    return { ...rest, pid: 0, name: '', counts: {}, cpuMs: undefined, lost: 1 }
  if (typeof line.loss === 'object' && line.loss !== null) {
    const lost = Object.values(line.loss).reduce(
      (sum: number, n) => sum + (typeof n === 'number' ? n : 0),
      0,
    )
    return { ...rest, pid: 0, name: '', counts: {}, cpuMs: undefined, lost: Math.max(1, lost) }
  }
  if (typeof line.pid !== 'number' || !Number.isInteger(line.pid) || line.pid <= 0)
    return '"pid" is no whole number above 0'
  if (typeof line.name !== 'string') return '"name" is no text'
  if (typeof line.counts !== 'object' || line.counts === null) return '"counts" is no object'
  const { cpu } = line
  if (cpu !== undefined && !(typeof cpu === 'number' && Number.isSafeInteger(cpu) && cpu >= 0))
    return '"cpu" is no whole number from 0'
  return {
    ...rest,
    pid: line.pid,
    start: typeof line.start === 'number' && Number.isFinite(line.start) ? line.start : undefined,
    name: line.name,
    label: typeof line.label === 'string' ? line.label : undefined,
    counts: line.counts as Record<string, unknown>,
    cpuMs: cpu,
    lost: 0,
  }
}

interface Life {
  process: Process
  last: number
  ended: boolean
}

/** One process in the second that is being gathered. */
interface Gathered {
  line: Line
  rank: number
  cpuMs: number
  readonly cells: Map<number, number>
}

/** Gathers one host's lines into frames. */
class HostFrames {
  readonly #frames: LabelledFrame[] = []
  readonly #lives = new Map<number, Life>()
  readonly #names = new Map<string, string>()
  readonly #second = new Map<number, Gathered>()
  #index = Number.NEGATIVE_INFINITY
  #lost = 0
  /** Some line of the second has CPU times: the others' are 0. */
  #tellsCpu = false
  #vectors = 0
  readonly unknownCalls = new Set<string>()

  /** The problem of a line that goes back in time or has invalid counts. */
  take(line: Line): string | undefined {
    if (line.t < this.#index) return `its second ${line.t} is before the last one`
    if (line.t > this.#index) this.#close(line.t)
    if (line.lost > 0) {
      this.#lost += line.lost
      return undefined
    }
    const cells: [number, number][] = []
    for (const [name, count] of Object.entries(line.counts)) {
      if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0)
        return `the count of "${shown(name)}" is ${shown(typeof count === 'number' ? String(count) : JSON.stringify(count))}, no whole number from 0`
      const known = syscallIndexOf(name)
      if (known === undefined && this.unknownCalls.size < UNKNOWN_SHOWN)
        this.unknownCalls.add(shown(name))
      if (count > 0) cells.push([known ?? OTHER, Math.min(count, 0xffff_ffff)])
    }
    if (cells.length === 0 && line.cpuMs === undefined) return 'it counts nothing'
    const rank = lateness(cells)
    let gathered = this.#second.get(line.pid)
    if (gathered === undefined) {
      gathered = { line, rank, cpuMs: 0, cells: new Map() }
      this.#second.set(line.pid, gathered)
    } else if (rank >= gathered.rank) {
      gathered.line = line
      gathered.rank = rank
    }
    if (line.cpuMs !== undefined) this.#tellsCpu = true
    gathered.cpuMs += line.cpuMs ?? 0
    for (const [syscall, count] of cells)
      gathered.cells.set(syscall, Math.min((gathered.cells.get(syscall) ?? 0) + count, 0xffff_ffff))
    return undefined
  }

  end(): { frames: LabelledFrame[]; vectors: number } {
    this.#close(Number.POSITIVE_INFINITY)
    return { frames: this.#frames, vectors: this.#vectors }
  }

  #process(line: Line, ended: boolean): Process {
    let name = this.#names.get(line.name)
    if (name === undefined) {
      name = safeName(line.name).slice(0, NAME_BYTES_MAX)
      this.#names.set(line.name, name)
    }
    const life = this.#lives.get(line.pid)
    const startMs = line.start === undefined ? undefined : Math.floor(line.start) * 1000
    const goesOn =
      life !== undefined &&
      (startMs === undefined
        ? !life.ended && line.t - life.last <= SILENCE_SECONDS
        : life.process.startMs === startMs)
    let process: Process
    if (!goesOn) process = { pid: line.pid, startMs: startMs ?? line.t * 1000, name }
    else if (life.process.name === name) process = life.process
    else process = { ...life.process, name }
    this.#lives.set(line.pid, { process, last: line.t, ended })
    return process
  }

  #close(next: number): void {
    if (this.#second.size > 0 || this.#lost > 0) {
      const offsets = new Uint32Array(this.#second.size + 1)
      const syscalls: number[] = []
      const counts: number[] = []
      const processes: Process[] = []
      const labels: (string | undefined)[] = []
      const cpuMs: number[] = []
      const silent: SilentProcess[] = []
      for (const { line, cells, cpuMs: ms } of this.#second.values()) {
        if (cells.size === 0) {
          silent.push({ process: this.#process(line, false), cpuMs: ms })
          continue
        }
        cpuMs.push(ms)
        for (const [syscall, count] of [...cells].sort((a, b) => a[0] - b[0])) {
          syscalls.push(syscall)
          counts.push(count)
        }
        processes.push(this.#process(line, cells.has(EXIT_GROUP)))
        labels.push(line.label)
        offsets[processes.length] = syscalls.length
      }
      this.#frames.push({
        index: this.#index,
        processes,
        // Silent processes have no vector.
        offsets: offsets.slice(0, processes.length + 1),
        syscalls: Uint16Array.from(syscalls),
        counts: Uint32Array.from(counts),
        lost: this.#lost,
        ...(this.#tellsCpu ? { cpuMs: Uint32Array.from(cpuMs), silent } : {}),
        ...(labels.some((label) => label !== undefined) ? { labels } : {}),
      })
      this.#vectors += processes.length
    }
    this.#second.clear()
    this.#lost = 0
    this.#tellsCpu = false
    this.#index = next
  }
}

/** Text from a file, fit for a message. */
function shown(text: string): string {
  return safeName(text).slice(0, NAME_BYTES_MAX)
}

/**
 * Of several names in one second the last is kept: one that ended comes after others, one that
 * exec'd before them.
 */
function lateness(cells: readonly (readonly [number, number])[]): number {
  if (cells.some(([syscall]) => syscall === EXIT_GROUP)) return 2
  return cells.some(([syscall]) => syscall === EXECVE) ? 0 : 1
}
