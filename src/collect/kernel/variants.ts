/**
 * The ways of counting that kernels allow, from the best down. The first that the verifier takes is used.
 *
 *   direct     5.12  typed, and counts in a table that is addressed without a call (60 ns less a call)
 *   typed      5.11  offsets from BTF, 32-bit calls by a typed load (no cost)
 *   probed     5.5   offsets from BTF, 32-bit calls by probe_read (+25 ns a call)
 *   untyped    5.6   no BTF: the thread's name, no start, no renames; int 0x80 of 64-bit programs not seen
 *   lockdown   5.6   nothing of the kernel's memory: 32-bit calls are taken for native ones
 *   ktime      4.17  no jiffies helper (+60 ns a call), no batches
 */
import type { TaskOffsets } from './btf.ts'
import type { Variant } from './program.ts'

export function variantsFor(task: TaskOffsets | undefined): readonly Variant[] {
  const best = { clock: 'jiffies', probe: 'probeReadKernel' } as const
  const typed: Variant[] =
    task === undefined
      ? []
      : [
          { ...best, task, name: 'direct', compat: 'typed', table: true },
          { ...best, task, name: 'typed', compat: 'typed' },
          { ...best, task, name: 'probed', compat: 'probed' },
        ]
  const rest = { task: undefined, clock: 'jiffies' } as const
  return [
    ...typed,
    { ...rest, name: 'untyped', compat: 'registers', probe: 'probeReadKernel' },
    { ...rest, name: 'lockdown', compat: 'unseen', probe: undefined },
    { ...rest, name: 'ktime', compat: 'registers', clock: 'ktime', probe: 'probeRead' },
  ]
}
