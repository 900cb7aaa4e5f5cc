/** What another process of ours has cost so far, from /proc: CPU of all its threads, and resident memory. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessCost {
  readonly cpuSeconds: number
  readonly rssBytes: number
}

const PAGE_BYTES = 4_096

/** Undefined where it is gone, or hidden from us. */
export function processCost(pid: number): ProcessCost | undefined {
  try {
    // By thread, in ns: the ticks of /proc/PID/stat are 10 ms, ten seconds' cost of a collector.
    let cpuNs = 0
    for (const thread of readdirSync(`/proc/${pid}/task`))
      cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
    return { cpuSeconds: cpuNs / 1e9, rssBytes: pages * PAGE_BYTES }
  } catch {
    return undefined
  }
}
