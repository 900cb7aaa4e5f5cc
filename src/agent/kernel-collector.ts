/** What commands need of the kernel source beside reading it: its own process, and whether it would work here. */
export { runCollector } from '../collect/kernel/collector-process.ts'
export { selfCommand } from '../collect/kernel/source.ts'
