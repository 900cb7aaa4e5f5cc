/**
 * The two ends of the data plane: the interfaces of sources and parsers, so that live capture,
 * pipes, files and tests use the same pipeline.
 */
import type { SightName } from './sight.ts'
import type { DropReason } from './tally.ts'

/** Where a source says what it lost (a TallySink is one). */
export interface LossReport {
  lost(reason: DropReason, count: number, timeMs: number): void
}

/** Names of the sources. */
export type SourceName = 'kernel' | 'sysdig' | 'bpftrace' | 'file' | 'pipe' | 'memory'

export type SourceFormat =
  | 'chisel' // our chisel: one line per process and second
  | 'sysdig-text' // our -p line, sysdig's default line, or any --format
  | 'sysdig-json'
  | 'bpftrace-json'
  | 'strace-text'
  | 'frames' // NDJSON, docs/reference/formats.md
  | 'kernel-records' // our eBPF counter's drains

export interface Source {
  readonly name: SourceName
  /** Undefined where the first bytes must tell (pipes and files). */
  readonly format?: SourceFormat
  /** The file it reads, for messages. */
  readonly path?: string
  /**
   * About when its bytes were written, Unix ms, where that is not now: gives times of day their
   * date.
   */
  readonly endMs?: number
  /** True where event time is now: frames close by the wall clock, too. */
  readonly live: boolean
  /**
   * True where each second is told once and whole, idle ones too: its frame closes with the word
   * that it is over, and neither lateness nor a clock has a say in it.
   */
  readonly wholeSeconds?: boolean
  /** Which calls it can show (sight.ts), once that is known; undefined: all. */
  readonly sight?: SightName | undefined
  /** The process that collects for us, once it runs: what it costs, we cost. */
  readonly pid?: number | undefined
  /**
   * Bytes in the order the tool wrote them; ends when the tool or the file ends. A chunk is valid
   * until the next.
   */
  read(signal: AbortSignal, report?: LossReport): AsyncIterable<Uint8Array>
}

/** What only the user knows of input. */
export interface UserInput {
  /** The string that sysdig's -p was given. */
  readonly format?: string
  /** Which host's lines of a frames file; default that of the first line. */
  readonly host?: string
  /** Whose calls those are that name no process (strace of one process), and what it is called. */
  readonly pid?: number
  readonly name?: string
  /**
   * Midnight UTC of the date that the first time of day has, Unix ms; default: as the stream's end
   * says.
   */
  readonly dateMs?: number
}

/** Sources that show this host as it runs, and not what somebody else made of one. */
const OF_THIS_HOST: readonly string[] = ['kernel', 'sysdig', 'bpftrace'] satisfies SourceName[]

/** @param name of a source, as in a status document */
export function isHost({ name }: { readonly name: string }): boolean {
  return OF_THIS_HOST.includes(name)
}

/**
 * What a collector says of its own cost and losses: of the last second, and summed up since its
 * start.
 */
export interface CollectorStatus {
  /** How long taking the second out of the kernel took. */
  readonly drainMs: number
  /** Different (process, call) pairs, and processes, in the second. */
  readonly keys: number
  readonly processes: number
  /** Calls of the second by processes whose record found no room. */
  readonly unrecorded: number
  /** The most of each in any second. */
  readonly most: { readonly drainMs: number; readonly keys: number; readonly processes: number }
  readonly lost: Readonly<Record<string, number>>
  /** The collector ended cleanly. */
  readonly complete: boolean
}

/**
 * What every parser is: bytes in, tallies out; wherever the bytes are cut, the tallies are the
 * same.
 */
export interface Parser {
  push(chunk: Uint8Array): void
  /** The stream has ended: what is left is the last line. */
  end(): void
  /** Where the collector tells about itself. */
  readonly status?: CollectorStatus
}
