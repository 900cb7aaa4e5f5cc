/** Frames written by hand: what tests of the sequencer, the data set and detection put in. */
import { defined } from '../../src/domain/defined.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Process } from '../../src/domain/process.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'

export interface Calls {
  readonly pid: number
  readonly name?: string
  readonly startMs?: number
  readonly ppid?: number
  readonly counts: Readonly<Record<string, number>>
}

export function frameOf(index: number, vectors: readonly Calls[], lost = 0): Frame {
  const offsets = [0]
  const cells: [number, number][] = []
  for (const { counts } of vectors) {
    const sorted = Object.entries(counts)
      .map(([name, count]): [number, number] => [syscallIndexOf(name)!, count])
      .sort((a, b) => a[0] - b[0])
    cells.push(...sorted)
    offsets.push(cells.length)
  }
  const processes = vectors.map(
    ({ pid, name = `p${pid}`, startMs = 0, ppid }): Process => ({
      pid,
      startMs,
      name,
      ...defined({ ppid }),
    }),
  )
  return {
    index,
    processes,
    offsets: Uint32Array.from(offsets),
    syscalls: Uint16Array.from(cells, ([syscall]) => syscall),
    counts: Uint32Array.from(cells, ([, count]) => count),
    lost,
  }
}
