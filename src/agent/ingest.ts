/**
 * The data plane: a source's bytes become tallies. Nothing here waits except for more bytes.
 *
 * If the source does not tell its format, it is detected from the first bytes. If reading fails,
 * everything before is still parsed before the error is thrown.
 */
import { AgentError } from '../domain/error.ts'
import {
  CLOCK_JUMP_MS,
  FILE_LATENESS_MS,
  FORMAT_HEAD_BYTES,
  LATENESS_MS,
  PAIRS_HELD_MS,
} from '../domain/limits.ts'
import type { Parser, Source, SourceFormat } from '../domain/source.ts'
import type { TallySink } from '../domain/tally.ts'
import { createParser, type ParserOptions } from '../parse/create-parser.ts'
import { EntryAndExit } from '../parse/entry-and-exit.ts'
import { recogniseFormat } from '../parse/recognise-format.ts'

export interface IngestOptions extends ParserOptions {
  /** Called after each chunk: the place to take closed frames from the counter. */
  readonly afterChunk?: (bytes: number) => void | Promise<void>
  /** Called once the format is known. */
  readonly onParser?: (parser: Parser) => void
}

export interface Ingested {
  /** Undefined without input. */
  readonly format: SourceFormat | undefined
  readonly bytes: number
}

/**
 * @throws AgentError ERR_INPUT where the format is not recognised, and whatever the source throws
 */
export async function ingest(
  source: Source,
  sink: TallySink,
  options: IngestOptions,
  signal: AbortSignal,
): Promise<Ingested> {
  const stream = new Recogniser(source, sink, options)
  let bytes = 0
  try {
    for await (const chunk of source.read(signal, sink)) {
      bytes += chunk.length
      stream.push(chunk)
      const pause = options.afterChunk?.(bytes)
      if (pause !== undefined) await pause
    }
  } finally {
    stream.end()
  }
  const mayBeEmpty = source.name !== 'file' && source.name !== 'pipe'
  if (bytes === 0 && !mayBeEmpty && !signal.aborted) {
    throw new AgentError('ERR_INPUT', `Cannot read ${quoted(source.path)}: it is empty`, {
      hint: 'Check the program that wrote it',
    })
  }
  return { format: stream.format, bytes }
}

/** Allowed lateness of this source. */
export function latenessOf(source: Source): number {
  if (source.wholeSeconds === true) return 0
  return source.live ? LATENESS_MS : FILE_LATENESS_MS
}

/**
 * Whether a source that is silent may be taken to have no more calls of the seconds gone by: it
 * does not say so itself, is live, and what it told last was told about when it happened. (A pipe
 * may carry a recording, and its writer may stop for a while.)
 */
export function mayBeSilent(source: Source, eventTimeMs: number, nowMs: number): boolean {
  return source.wholeSeconds !== true && isAbreast(source, eventTimeMs, nowMs)
}

/** Whether what a source told last is of the present. */
export function isAbreast(source: Source, eventTimeMs: number, nowMs: number): boolean {
  return source.live && Math.abs(nowMs - eventTimeMs) < CLOCK_JUMP_MS
}

class Recogniser implements Parser {
  readonly #source: Source
  readonly #sink: TallySink
  readonly #options: IngestOptions
  #parser: Parser | undefined
  /** What came before the format was known. */
  #head = new Uint8Array(0)
  /** While it is not known whether the lines tell each call twice. */
  #look: EntryAndExit | undefined
  /** What waits for it. */
  #held: Uint8Array[] = []
  #heldSinceMs = 0
  #parserOptions: ParserOptions = {}
  format: SourceFormat | undefined

  constructor(source: Source, sink: TallySink, options: IngestOptions) {
    this.#source = source
    this.#sink = sink
    this.#options = options
    if (source.format !== undefined) this.#decide(source.format)
  }

  push(chunk: Uint8Array): void {
    if (this.#parser !== undefined) {
      this.#take(chunk)
      return
    }
    const head = new Uint8Array(this.#head.length + chunk.length)
    head.set(this.#head)
    head.set(chunk, this.#head.length)
    this.#head = head
    const format = recogniseFormat(head)
    // A first line that is not whole yet may still look like something.
    if (format !== undefined && head.includes(10)) this.#start(format)
    else if (head.length >= FORMAT_HEAD_BYTES) this.#startUnknown()
  }

  end(): void {
    if (this.#parser === undefined && this.#head.length > 0) {
      const format = recogniseFormat(this.#head)
      if (format === undefined) this.#startUnknown()
      else this.#start(format)
    }
    if (this.#look?.end()) this.#release()
    this.#parser?.end()
  }

  #startUnknown(): void {
    if (this.#options.format !== undefined) {
      this.#start('sysdig-text')
      return
    }
    this.#head = new Uint8Array(0)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot recognise ${quoted(this.#source.path)}: no line of it is sysdig's, strace's or a frames file's`,
      { hint: 'Give the -p string of sysdig with --format' },
    )
  }

  #start(format: SourceFormat): void {
    this.#decide(format)
    const head = this.#head
    this.#head = new Uint8Array(0)
    this.#look = new EntryAndExit(format, quoted(this.#source.path), this.#parserOptions)
    this.#heldSinceMs = performance.now()
    this.#take(head)
  }

  #take(chunk: Uint8Array): void {
    if (this.#look === undefined) {
      this.#parser?.push(chunk)
      return
    }
    // The source reuses its buffer.
    this.#held.push(chunk.slice())
    const isKnown = this.#look.push(chunk)
    // A stream of few lines cannot wait for many.
    const isLong = performance.now() - this.#heldSinceMs > PAIRS_HELD_MS
    if (isKnown || (isLong && this.#look.end())) this.#release()
  }

  #release(): void {
    this.#look = undefined
    for (const chunk of this.#held.splice(0)) this.#parser?.push(chunk)
  }

  #decide(format: SourceFormat): void {
    // A chisel's and a frames file's lines cannot be mistaken; of the others the user knows better.
    const told = this.#options.format !== undefined && format !== 'chisel' && format !== 'frames'
    this.format = told ? 'sysdig-text' : format
    const endMs = this.#options.endMs ?? this.#source.endMs ?? Date.now()
    this.#parserOptions = {
      endMs,
      utcOffsetMs: -new Date(endMs).getTimezoneOffset() * 60_000,
      ...this.#options,
    }
    this.#parser = createParser(this.format, this.#sink, this.#parserOptions)
    this.#options.onParser?.(this.#parser)
  }
}

function quoted(path: string | undefined): string {
  return path === undefined ? 'the input' : `"${path}"`
}
