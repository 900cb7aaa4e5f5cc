/**
 * The ways of counting that kernels allow, from the best down. The first that the verifier takes is
 * used.
 *
 *   active     5.12  direct, and notes remote ends, secrets that are opened, and arguments
 *   direct     5.12  typed, and counts in a table that is addressed without a call (60 ns less a call)
 *   typed      5.11  offsets from BTF, 32-bit calls by a typed load (no cost)
 *   probed     5.8   offsets from BTF, 32-bit calls by probe_read (+25 ns a call)
 *   lockdown   5.12  lockdown=confidentiality: reads by typed loads alone; no renames, no path of what is executed
 *   untyped    5.8   no BTF: the thread's name, no start, no renames; int 0x80 of 64-bit programs not seen
 *
 * A kernel that is locked down and has no types has none: 32-bit calls could not be distinguished
 * from others.
 */
import type { TaskOffsets } from './btf.ts'
import type { Variant } from './parts.ts'

export function variantsFor(task: TaskOffsets | undefined): readonly Variant[] {
  const untyped: Variant = { name: 'untyped', task: undefined, compat: 'registers', probes: true }
  if (task === undefined) return [untyped]
  return [
    { name: 'active', task, compat: 'typed', probes: true, table: true, activity: true },
    { name: 'direct', task, compat: 'typed', probes: true, table: true },
    { name: 'typed', task, compat: 'typed', probes: true },
    { name: 'probed', task, compat: 'probed', probes: true },
    { name: 'lockdown', task, compat: 'typed', probes: false, table: true },
    untyped,
  ]
}
