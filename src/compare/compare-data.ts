/**
 * Statistics of recordings before training: how many count vectors each program has (the paper's
 * Fig. 5), and how sparse a vector is [Paper III-B, V-A].
 */
import { ALIAS_RULES, classNameOf } from '../model/aliases.ts'
import type { Recording } from '../train/data/recording.ts'

export interface DataFigures {
  readonly hosts: readonly string[]
  /** Seconds recorded, summed over the hosts. */
  readonly frames: number
  readonly vectors: number
  /** Different system calls that occur. */
  readonly syscalls: number
  /** Different calls in one vector. */
  readonly nonZero: { readonly mean: number; readonly median: number; readonly max: number }
  /** Vectors of each program (names by the alias rules), most first [Paper Fig. 5]. */
  readonly histogram: readonly { readonly name: string; readonly vectors: number }[]
}

export function dataFiguresOf(recordings: readonly Recording[]): DataFigures {
  const vectorsOf = new Map<string, number>()
  const classOf = new Map<string, string>()
  const seen = new Set<number>()
  const bySize: number[] = []
  let vectors = 0
  let cells = 0
  for (const { frames } of recordings)
    for (const { processes, offsets, syscalls } of frames) {
      for (const [i, { name }] of processes.entries()) {
        let program = classOf.get(name)
        if (program === undefined) {
          program = classNameOf(name, ALIAS_RULES)
          classOf.set(name, program)
        }
        vectorsOf.set(program, (vectorsOf.get(program) ?? 0) + 1)
        const size = offsets[i + 1]! - offsets[i]!
        bySize[size] = (bySize[size] ?? 0) + 1
        cells += size
      }
      vectors += processes.length
      for (const syscall of syscalls) seen.add(syscall)
    }
  return {
    hosts: [...new Set(recordings.map(({ host }) => host))].sort(),
    frames: recordings.reduce((sum, { frames }) => sum + frames.length, 0),
    vectors,
    syscalls: seen.size,
    nonZero: {
      mean: Math.round((100 * cells) / Math.max(1, vectors)) / 100,
      median: medianSize(bySize, vectors),
      max: Math.max(0, bySize.length - 1),
    },
    histogram: [...vectorsOf]
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .map(([name, count]) => ({ name, vectors: count })),
  }
}

/** @param bySize how many vectors have so many calls; the lower of two middles */
function medianSize(bySize: readonly number[], vectors: number): number {
  let below = 0
  for (let size = 0; size < bySize.length; size++) {
    below += bySize[size] ?? 0
    if (2 * below >= vectors && below > 0) return size
  }
  return 0
}
