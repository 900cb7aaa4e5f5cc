/** A source to its end, as frames: what `count` and `record` are made of. No model, no buffer. */
import { type IngestOptions, ingest, latenessOf, mayBeSilent } from '../agent/ingest.ts'
import { Counter, type CounterOptions } from '../count/counter.ts'
import { defined } from '../domain/defined.ts'
import type { Frame } from '../domain/frame.ts'
import type { InputLedger } from '../domain/ledger.ts'
import { CLOSE_AFTER_MS, CLOSE_EVERY_MS } from '../domain/limits.ts'
import type { Source } from '../domain/source.ts'

export interface Counted {
  readonly ledger: InputLedger
  readonly bytes: number
  /** What ended it before its end; the frames so far were given all the same. */
  readonly error: unknown
}

/** @param give takes frames, ascending; awaited, so that a slow writer holds up the reader and not memory */
export async function countSource(
  source: Source,
  options: Pick<IngestOptions, 'format' | 'host' | 'afterChunk'> & CounterOptions,
  signal: AbortSignal,
  give: (frames: readonly Frame[]) => void | Promise<void>,
): Promise<Counted> {
  const counter = new Counter({ latenessMs: latenessOf(source), ...options })
  let bytes = 0
  let error: unknown
  // Live sources that fall silent: their last second ends by the clock.
  let timer: Timer | undefined
  let giving: Promise<void> | undefined
  if (source.live) {
    timer = setInterval(() => {
      const now = Date.now()
      if (!mayBeSilent(source, counter.eventTimeMs, now)) return
      giving = Promise.resolve(give(counter.closeUntil(now - CLOSE_AFTER_MS)))
    }, CLOSE_EVERY_MS)
  }
  try {
    await ingest(
      source,
      counter,
      {
        ...defined({ format: options.format, host: options.host }),
        async afterChunk(seen) {
          bytes = seen
          const frames = counter.closeReady()
          await giving
          if (frames.length > 0) await give(frames)
          await options.afterChunk?.(seen)
        },
      },
      signal,
    )
  } catch (cause) {
    error = cause
  } finally {
    clearInterval(timer)
  }
  await giving
  await give(counter.end())
  return { ledger: counter.ledger(), bytes, error }
}
