/** What commands need of the kernel source beside reading it: its own process, and whether it would work here. */
export { runCollector } from '../collect/kernel/collector-process.ts'
export { type KernelProbe, probeKernel } from '../collect/kernel/probe.ts'
export { selfCommand, shedPrivileges } from '../collect/kernel/source.ts'
