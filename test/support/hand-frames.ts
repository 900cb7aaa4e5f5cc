/** Frames written by hand: what tests of the sequencer, the data set and detection put in. */
import { maskedCommand } from '../../src/domain/command-line.ts'
import { defined } from '../../src/domain/defined.ts'
import type { Activity, Frame } from '../../src/domain/frame.ts'
import type { Process } from '../../src/domain/process.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'

const NO_ACTIVITY: Activity = {
  ...{ contacts: 0, peers: [0, 0, 0, 0], peer: '', dnsQueries: 0, dnsBytes: 0, dnsNames: [0, 0] },
  ...{ secrets: 0, secretOpens: 0 },
}

/** Masked as the source does it; the digest is that of what was masked. */
function commandOf(words: string | undefined): Process['command'] {
  if (words === undefined) return undefined
  return { text: maskedCommand(words.split(' ')), digest: Bun.hash.xxHash32(words) }
}

export interface Calls {
  readonly pid: number
  readonly name?: string
  readonly startMs?: number
  readonly ppid?: number
  readonly uid?: number
  readonly exe?: string
  readonly command?: string
  readonly container?: string
  readonly activity?: Partial<Activity>
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
    ({ pid, name = `p${pid}`, startMs = 0, ppid, uid, exe, container, command }): Process => ({
      pid,
      startMs,
      name,
      ...defined({ ppid, uid, exe, container, command: commandOf(command) }),
    }),
  )
  const activity = vectors.flatMap((vector, i) =>
    vector.activity === undefined
      ? []
      : [{ ...NO_ACTIVITY, ...vector.activity, process: processes[i]! }],
  )
  return {
    ...{ index, processes },
    ...(activity.length === 0 ? {} : { activity }),
    offsets: Uint32Array.from(offsets),
    syscalls: Uint16Array.from(cells, ([syscall]) => syscall),
    counts: Uint32Array.from(cells, ([, count]) => count),
    lost,
  }
}
