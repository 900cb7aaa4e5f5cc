/**
 * Detects whether lines without a direction contain each call twice, at entry and exit: sysdig 0.29
 * with its own driver prints both unless the filter `evt.dir=<` is given.
 *
 * In such a stream a run of lines of one type in one thread has an even length. If only exits are
 * printed, most runs are odd: in 64 KiB of our recordings at most 14 % of the runs against at least
 * 58 %. Few runs are inconclusive.
 */
import { AgentError } from '../domain/error.ts'
import { PAIRS_HEAD_BYTES } from '../domain/limits.ts'
import type { SourceFormat } from '../domain/source.ts'
import { type NameId, NO_NAME, type TallySink } from '../domain/tally.ts'
import { FormatLineParser, OLD_OWN_FORMAT, OWN_FORMAT, parseFormatString } from './format-line.ts'
import { byLine, type LineParser, Lines } from './lines.ts'
import { SysdigJsonParser } from './sysdig-json.ts'
import type { ParserOptions } from './time.ts'

const ENOUGH_RUNS = 32
const ENOUGH_TYPES = 4
const ODD_SHARE = 0.3
/** What tells sooner, by more runs and shares further apart. */
const CLEAR_RUNS = 128
const CLEAR_THREADS = 3
const RUNS_OF_A_THREAD = 8
const CLEARLY_PAIRS = 0.2
const CLEARLY_SINGLE = 0.5

/** The filter that sysdig needs. */
export const SYSDIG_COMMAND = `sysdig -p '${OWN_FORMAT}' 'evt.dir=< or evt.type=procexit'`

/**
 * Looks at the beginning of lines until it is known what they are. Whatever is read meanwhile must
 * wait: nothing may come of calls that were counted twice.
 */
export class EntryAndExit {
  readonly #pairs = new PairCounter()
  readonly #path: string
  readonly #lines: Lines | undefined
  #bytes = 0

  constructor(format: SourceFormat, path: string, options: ParserOptions) {
    const parser = parserWithoutDirection(format, this.#pairs, options)
    this.#path = path
    this.#lines = parser && new Lines(byLine(parser, this.#pairs), this.#pairs)
  }

  /**
   * @returns whether it is known that each call is there once, or enough was looked at
   * @throws AgentError ERR_INPUT if each call is there twice, and no direction
   */
  push(chunk: Uint8Array): boolean {
    if (this.#lines === undefined) return true
    const left = PAIRS_HEAD_BYTES - this.#bytes
    this.#lines.push(chunk.subarray(0, left))
    this.#bytes += Math.min(left, chunk.length)
    if (this.#bytes >= PAIRS_HEAD_BYTES) return this.end()
    if (this.#pairs.areClearlyAll) this.#refuse()
    return this.#pairs.areClearlyNone
  }

  /** No more comes, or no more can wait. @returns true @throws as `push` */
  end(): true {
    if (this.#lines !== undefined && this.#pairs.areAll) this.#refuse()
    return true
  }

  #refuse(): never {
    throw new AgentError(
      'ERR_INPUT',
      `Cannot count ${this.#path}: each call is in it twice, at entry and exit, without a field that tells which`,
      { hint: `Let sysdig print exits only: ${SYSDIG_COMMAND}` },
    )
  }
}

/** @throws AgentError ERR_INPUT if the head contains each call twice and no direction */
export function refuseEntryAndExit(
  head: Uint8Array,
  format: SourceFormat,
  path: string,
  options: ParserOptions,
): void {
  const look = new EntryAndExit(format, path, options)
  if (!look.push(head)) look.end()
}

/** Undefined if the lines have a direction, or cannot contain a call twice. */
function parserWithoutDirection(
  format: SourceFormat,
  sink: TallySink,
  options: ParserOptions,
): LineParser | undefined {
  // With `evt.dir` entries are skipped, so there are no pairs.
  if (format === 'sysdig-json') return new SysdigJsonParser(sink, options, true)
  if (format !== 'sysdig-text') return undefined
  const lineFormat = parseFormatString(options.format ?? OLD_OWN_FORMAT)
  const { before, steps } = lineFormat
  if (steps.some(({ kind }) => kind === 'direction')) return undefined
  // Where threads are distinguished, a thread stands for a process: what several do is in no order.
  const hasThreads = steps.some(({ kind }) => kind === 'tid')
  const ofThreads = steps.map(({ kind, after }) =>
    kind === 'pid' && hasThreads ? { kind: 'plain' as const, after } : { kind, after },
  )
  return new FormatLineParser(sink, { before, steps: ofThreads }, options)
}

/** Counts runs of one call by one thread. */
class PairCounter implements TallySink {
  readonly nameEpoch = 0
  readonly #names = new Map<string, NameId>()
  /** `pid name` → its last call, and how often in a row. */
  readonly #last = new Map<string, { syscall: number; length: number; runs: number }>()
  readonly #types = new Set<number>()
  #runs = 0
  #odd = 0
  /** With so many runs each. */
  #threads = 0

  /**
   * Before all that is looked at was seen: from several threads, for one may loop over pairs of
   * calls.
   */
  get areClearlyAll(): boolean {
    return this.#isMuch && this.#odd < CLEARLY_PAIRS * this.#runs && this.#threads >= CLEAR_THREADS
  }

  get areClearlyNone(): boolean {
    return this.#isMuch && this.#odd > CLEARLY_SINGLE * this.#runs
  }

  get #isMuch(): boolean {
    return this.#runs >= CLEAR_RUNS && this.#types.size >= ENOUGH_TYPES
  }

  get areAll(): boolean {
    return (
      this.#runs >= ENOUGH_RUNS &&
      this.#types.size >= ENOUGH_TYPES &&
      this.#odd < ODD_SHARE * this.#runs
    )
  }

  intern(bytes: Uint8Array, from: number, to: number): NameId {
    const name = Buffer.from(bytes.subarray(from, to)).toString('latin1')
    const id = this.#names.get(name) ?? NO_NAME + 1 + this.#names.size
    this.#names.set(name, id)
    return id
  }

  add(pid: number, name: NameId, syscall: number): void {
    this.#types.add(syscall)
    const thread = `${pid} ${name}`
    const last = this.#last.get(thread)
    if (last === undefined) this.#last.set(thread, { syscall, length: 1, runs: 0 })
    else if (last.syscall === syscall) last.length++
    else {
      this.#runs++
      this.#odd += last.length & 1
      if (++last.runs === RUNS_OF_A_THREAD) this.#threads++
      last.syscall = syscall
      last.length = 1
    }
  }

  describe(): void {}
  exit(): void {}
  drop(): void {}
  lost(): void {}
  advance(): void {}
  cpu(): void {}
  activity(): void {}
  unseenProcess(): void {}
  unseenUser(): void {}
}
