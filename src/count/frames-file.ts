/**
 * Frames as NDJSON (DESIGN.md section 4): one line per process and second.
 *
 * Writing must not cost more than counting did: what does not change from second to second (pid, start,
 * name, exe …) is made once per process, the names of calls come ready quoted, and the caller writes
 * whole frames at a time.
 */
import type { Frame } from '../domain/frame.ts'
import type { Process } from '../domain/process.ts'
import { SYSCALLS } from '../domain/syscalls.ts'

export interface FrameLabels {
  readonly host?: string
  /** What the processes really are, where this is known to differ from their name. */
  readonly label?: string
}

const keys = SYSCALLS.map((name) => `${JSON.stringify(name)}:`)

/** Middle of a process's lines: all but the time and the counts. */
const middles = new WeakMap<Process, string>()

function middleOf(process: Process): string {
  let middle = middles.get(process)
  if (middle === undefined) {
    const { pid, startMs, name, exe, container } = process
    middle = `"pid":${pid},"start":${Math.floor(startMs / 1000)},"name":${JSON.stringify(name)},`
    if (exe !== undefined) middle += `"exe":${JSON.stringify(exe)},`
    if (container !== undefined) middle += `"container":${JSON.stringify(container)},`
    middle += '"counts":{'
    middles.set(process, middle)
  }
  return middle
}

/** The lines of one frame, each with its newline; empty for a frame without calls and losses. */
export function frameLines(frame: Frame, labels: FrameLabels = {}): string {
  const host = labels.host === undefined ? '' : `"host":${JSON.stringify(labels.host)},`
  const tail = labels.label === undefined ? '}}\n' : `},"label":${JSON.stringify(labels.label)}}\n`
  const head = `{"t":${frame.index},${host}`
  const { processes, offsets, syscalls, counts } = frame
  let lines = frame.lost > 0 ? `${head}"loss":{"calls":${frame.lost}}}\n` : ''
  for (let i = 0; i < processes.length; i++) {
    lines += head + middleOf(processes[i]!)
    const end = offsets[i + 1]!
    for (let k = offsets[i]!; k < end; k++) {
      lines += k + 1 < end ? `${keys[syscalls[k]!]}${counts[k]},` : keys[syscalls[k]!]! + counts[k]
    }
    lines += tail
  }
  return lines
}
