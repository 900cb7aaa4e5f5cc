/**
 * The tools that a process works by: its young children and theirs. A shell that starts openssl
 * once a file encrypts by it; a program that has run for a while answers for itself, and what it
 * does is not its parent's work.
 */
import { procStat, procText } from './proc-files.ts'

/** A tool for one file is done by then. */
const YOUNG_MS = 3_000
const CHILDREN_SAMPLED = 8
/** xargs, sh, openssl. */
const GENERATIONS = 3

export function toolsOf(pid: number): number[] {
  const nowMs = uptimeMs()
  const tools: number[] = []
  let above = [pid]
  for (let generation = 0; generation < GENERATIONS && above.length > 0; generation++) {
    above = above
      .flatMap(childrenOf)
      .filter((child) => nowMs - (procStat(child)?.startMs ?? 0) < YOUNG_MS)
      .slice(-CHILDREN_SAMPLED)
    tools.push(...above)
  }
  return tools
}

/** Since the machine was started, as starts of processes are told. */
export function uptimeMs(): number {
  return Number.parseFloat(procText('self', '../uptime', 64) ?? '') * 1000
}

function childrenOf(pid: number): number[] {
  const text = procText(pid, `task/${pid}/children`, 4096) ?? ''
  return text
    .trim()
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
    .slice(-CHILDREN_SAMPLED)
}
