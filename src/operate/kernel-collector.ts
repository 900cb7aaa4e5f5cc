/** The kernel source for commands: its collector process, and the probe for whether it works. */
export { runCollector } from '../collect/kernel/collector-process.ts'
export { type KernelProbe, probeKernel } from '../collect/kernel/probe.ts'
export { selfCommand, shedPrivileges } from '../collect/kernel/source.ts'
