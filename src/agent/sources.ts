/** Files named on the command line as sources; `-` is stdin. All are looked at before the first is read. */
import { type FileOptions, fileSource } from '../collect/file.ts'
import { memorySource } from '../collect/memory.ts'
import { pipeSource } from '../collect/pipe.ts'
import type { Source } from '../domain/source.ts'

/** @throws AgentError ERR_INPUT for the first that cannot be read */
export function openFiles(paths: readonly string[], options: FileOptions): Source[] {
  return paths.map((path) => (path === '-' ? pipeSource() : fileSource(path, options)))
}

/** A recording that came with the agent, as a source. @param packed frames as NDJSON, packed by zstd */
export function recordingSource(packed: Uint8Array): Source {
  return memorySource(Bun.zstdDecompressSync(packed), 'frames')
}

export { type Chosen, chooseSource } from '../collect/choose.ts'
export { leaderNameOf } from '../collect/leader-name.ts'
