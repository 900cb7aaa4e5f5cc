/** What another process of ours has cost so far, from /proc: CPU of all its threads, and resident memory. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessCost {
  readonly cpuSeconds: number
  readonly rssBytes: number
}

/** USER_HZ: what /proc counts in, whatever the kernel's own tick is. */
const TICKS = 100

/**
 * Undefined where it is gone, or hidden from us.
 * @param isOurs it runs our program; else that is looked up, which takes rights over it
 */
export function processCost(pid: number, isOurs?: boolean): ProcessCost | undefined {
  try {
    // By thread, in ns: the ticks of /proc/PID/stat are 10 ms, ten seconds' cost of a collector.
    let cpuNs = 0
    for (const thread of readdirSync(`/proc/${pid}/task`))
      cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    // Ticks hold what threads did that have ended since.
    const cpuSeconds = Math.max(cpuNs / 1e9, ticksOf(pid).own / TICKS)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
    const resident = kilobytes('VmRSS') - ((isOurs ?? isOurProgram(pid)) ? kilobytes('RssFile') : 0)
    return { cpuSeconds, rssBytes: resident * 1024 }
  } catch {
    return undefined
  }
}

/** Pages of the program file are in memory once, and counted with us already. */
function isOurProgram(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === readlinkSync('/proc/self/exe')
  } catch {
    return false
  }
}

/** CPU of children of ours that have ended, in seconds: collectors that were started again, tools that were asked once. */
export function endedChildrenSeconds(): number {
  try {
    return ticksOf(process.pid).children / TICKS
  } catch {
    return 0
  }
}

function ticksOf(pid: number): { own: number; children: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // A name may hold anything, also parentheses: fields are counted from the last one on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system, childUser, childSystem] = fields.slice(11, 15).map(Number)
  return { own: user! + system!, children: childUser! + childSystem! }
}
