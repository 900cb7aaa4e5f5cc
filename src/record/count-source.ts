/** Reads a source to its end as frames, for `count` and `record`. No model, no buffer. */
import { type IngestOptions, ingest, latenessOf, mayBeSilent } from '../agent/ingest.ts'
import { Counter, type CounterOptions } from '../count/counter.ts'
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import type { InputLedger } from '../domain/ledger.ts'
import { CLOSE_EVERY_MS } from '../domain/limits.ts'
import type { Source, SourceFormat, UserInput } from '../domain/source.ts'

export interface Counted {
  readonly ledger: InputLedger
  readonly bytes: number
  /** Undefined where it was not recognised, or reading failed. */
  readonly format: SourceFormat | undefined
  /** What ended it before its end; the frames so far were given all the same. */
  readonly error: unknown
}

/**
 * @param give takes frames, ascending; awaited, so that a slow writer holds up the reader and not
 *   memory
 */
export async function countSource(
  source: Source,
  options: UserInput & Pick<IngestOptions, 'afterChunk'> & CounterOptions,
  signal: AbortSignal,
  give: (frames: readonly Frame[]) => void | Promise<void>,
): Promise<Counted> {
  const counter = new Counter({ latenessMs: latenessOf(source), ...options })
  const { format, host, pid, name, dateMs } = options
  let bytes = 0
  let recognised: SourceFormat | undefined
  let error: unknown
  // While bytes come, event time alone closes: a pipe's clock may be behind ours. Where they stop,
  // it is taken to go on.
  let heardAtMs = performance.now()
  let timer: Timer | undefined
  let giving: Promise<void> | undefined
  if (source.live) {
    timer = setInterval(() => {
      if (!mayBeSilent(source, counter.eventTimeMs, Date.now())) return
      const silentMs = performance.now() - heardAtMs
      const frames = counter.closeUntil(counter.eventTimeMs + silentMs)
      if (frames.length > 0) giving = Promise.resolve(give(frames))
    }, CLOSE_EVERY_MS)
  }
  try {
    const ingested = await ingest(
      source,
      counter,
      {
        ...defined({ format, host, pid, name, dateMs }),
        async afterChunk(seen) {
          bytes = seen
          heardAtMs = performance.now()
          const frames = counter.closeReady()
          await giving
          if (frames.length > 0) await give(frames)
          await options.afterChunk?.(seen)
        },
      },
      signal,
    )
    recognised = ingested.format
  } catch (cause) {
    error = cause
  } finally {
    clearInterval(timer)
  }
  await giving
  await give(counter.end())
  return { ledger: counter.ledger(), bytes, format: recognised, error }
}
