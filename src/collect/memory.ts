/** Bytes in memory as a source: shipped recordings, and tests that use the same pipeline. */
import type { Source, SourceFormat } from '../domain/source.ts'

/** @param chunkBytes how much is given at a time; what closes in between walks in between */
export function memorySource(bytes: Uint8Array, format: SourceFormat, chunkBytes = 65_536): Source {
  return {
    name: 'memory',
    format,
    live: false,
    async *read(signal) {
      for (let from = 0; from < bytes.length && !signal.aborted; from += chunkBytes)
        yield bytes.subarray(from, from + chunkBytes)
    },
  }
}
