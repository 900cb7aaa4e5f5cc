/**
 * `agent collect-kernel`: the kernel source's own process. Hidden: it writes records to stdout and
 * JSON to stderr for the process that started it, and ends with its stdin
 * (collect/kernel/collector-process.ts).
 */
import { defineCommand } from 'citty'
import { runCollector, selfCommand } from '../operate/kernel-collector.ts'
import { shutdownSignal } from './common.ts'

export default defineCommand({
  meta: {
    name: 'collect-kernel',
    description: 'Collector of the kernel source; started by the agent',
    hidden: true,
    examples: ['agent watch --source kernel # starts it'],
  },
  run: () => runCollector(selfCommand('collect-kernel'), shutdownSignal()),
})
