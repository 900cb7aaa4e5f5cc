/** Where commands get their sources: files named on the command line, and what --source says. */
import { type FileOptions, fileSource } from '../collect/file.ts'
import { memorySource } from '../collect/memory.ts'
import { pipeSource } from '../collect/pipe.ts'
import { pidOfTrace, straceFilesSource } from '../collect/strace-files.ts'
import type { Source } from '../domain/source.ts'

export { tryBpftrace } from '../collect/bpftrace.ts'
export { type ChooseOptions, type Chosen, chooseSource } from '../collect/choose.ts'
export { leaderNameOf } from '../collect/leader-name.ts'
export { sysdigVersion, trySysdig } from '../collect/sysdig.ts'
export { processStart } from '../platform/linux/process-start.ts'

/**
 * Files as sources, `-` being stdin; the files of one `strace -ff` are one. All are looked at
 * before the first is read.
 * @throws AgentError ERR_INPUT for the first that is not there
 */
export function openFiles(paths: readonly string[], options: FileOptions): Source[] {
  const traces = paths.filter((path) => pidOfTrace(path) !== undefined)
  const others = paths.filter((path) => !traces.includes(path))
  const sources = others.map((path) => (path === '-' ? pipeSource() : fileSource(path, options)))
  return traces.length === 0 ? sources : [straceFilesSource(traces), ...sources]
}

/** Frames that came with the agent, as NDJSON. */
export function recordingSource(frames: Uint8Array): Source {
  return memorySource(frames, 'frames')
}
