/**
 * `strace -ff -o trace` writes a file for each process, `trace.812`, whose lines name no process:
 * the file does. Such files are read as one trace, line by line in the order of their times, with
 * the pid before each line.
 *
 * A file with another kind of lines stays what it is, whatever it is called.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { AgentError } from '../domain/error.ts'
import { STRACE_FILES_MAX, STRACE_READ_BYTES } from '../domain/limits.ts'
import type { Source } from '../domain/source.ts'

const NAME = /^(.*)\.(\d{1,10})$/
/** A time of Unix or of the clock, then what strace writes behind it. */
const LINE =
  /^(?:\d{9,11}(?:\.\d{1,9})?|\d\d:\d\d:\d\d(?:\.\d{1,9})?) (?:[a-z_0-9?]{2,40}\(|--- |\+\+\+ |<\.\.\. )/
const HEAD_BYTES = 512
const NEWLINE = 10

/** The pid in the name of such a file; undefined where it is none. */
export function pidOfTrace(path: string): number | undefined {
  const pid = NAME.exec(path)?.[2]
  if (pid === undefined || !statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined
  const head = new Uint8Array(HEAD_BYTES)
  let length = 0
  try {
    const descriptor = openSync(path, 'r')
    length = readSync(descriptor, head, 0, HEAD_BYTES, 0)
    closeSync(descriptor)
  } catch {
    return undefined
  }
  const text = new TextDecoder('latin1').decode(head.subarray(0, length))
  return LINE.test(text) ? Number(pid) : undefined
}

/** @throws AgentError ERR_INPUT for more files than can be open at a time */
export function straceFilesSource(paths: readonly string[]): Source {
  if (paths.length > STRACE_FILES_MAX) {
    throw new AgentError(
      'ERR_INPUT',
      `Cannot read ${paths.length} traces at once: ${STRACE_FILES_MAX} can be open`,
      { hint: 'Put them together with strace-log-merge, or trace with "strace -f -ttt -o FILE"' },
    )
  }
  const endMs = Math.max(...paths.map((path) => statSync(path).mtimeMs))
  return {
    name: 'file',
    live: false,
    path: paths.join('", "'),
    endMs,
    format: 'strace-text',
    read: (signal) => merged(paths, signal),
  }
}

async function* merged(paths: readonly string[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const traces = paths.map((path) => new Trace(path))
  try {
    let out: string[] = []
    let length = 0
    for (;;) {
      const next = first(traces)
      if (next === undefined) break
      const line = next.take()
      out.push(line)
      length += line.length
      if (length < STRACE_READ_BYTES) continue
      yield Buffer.from(out.join(''), 'latin1')
      out = []
      length = 0
      await new Promise(setImmediate)
      if (signal.aborted) return
    }
    yield Buffer.from(out.join(''), 'latin1')
  } finally {
    for (const trace of traces) trace.close()
  }
}

/** The trace whose next line is the oldest; among equals the first. */
function first(traces: readonly Trace[]): Trace | undefined {
  let found: Trace | undefined
  for (const trace of traces) {
    if (trace.line === undefined) continue
    if (found === undefined || trace.time < found.time) found = trace
  }
  return found
}

/** One file, a line at a time. */
class Trace {
  readonly #descriptor: number
  readonly #pid: string
  readonly #buffer = Buffer.alloc(STRACE_READ_BYTES)
  /** What was read and not given: [from, to) of the buffer. */
  #from = 0
  #to = 0
  /** The next line without its end; undefined after the last. */
  line: string | undefined
  /**
   * Its time as it is written: all of a trace are written alike, so that they compare as text. A
   * line without one has that of the last.
   */
  time = ''

  constructor(path: string) {
    this.#pid = NAME.exec(path)![2]!
    this.#descriptor = openSync(path, 'r')
    this.#next()
  }

  /** The line as `strace -f` would have written it. */
  take(): string {
    const line = `${this.#pid} ${this.line}\n`
    this.#next()
    return line
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #next(): void {
    let end = this.#buffer.subarray(this.#from, this.#to).indexOf(NEWLINE)
    if (end < 0 && this.#fill()) end = this.#buffer.subarray(this.#from, this.#to).indexOf(NEWLINE)
    if (this.#from === this.#to) {
      this.line = undefined
      return
    }
    // A line longer than the buffer is given in pieces: the parser refuses what it cannot read.
    const to = end < 0 ? this.#to : this.#from + end
    const line = this.#buffer.toString('latin1', this.#from, to)
    this.line = line
    this.#from = Math.min(this.#to, to + 1)
    if (LINE.test(line.slice(0, HEAD_BYTES))) this.time = line.slice(0, line.indexOf(' '))
  }

  /** Reads on behind what is left. @returns whether there was more */
  #fill(): boolean {
    this.#buffer.copyWithin(0, this.#from, this.#to)
    this.#to -= this.#from
    this.#from = 0
    const length = readSync(
      this.#descriptor,
      this.#buffer,
      this.#to,
      this.#buffer.length - this.#to,
      null,
    )
    this.#to += length
    return length > 0
  }
}
