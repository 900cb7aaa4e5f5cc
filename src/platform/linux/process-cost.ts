/**
 * Cost of another process of ours so far, from /proc: CPU of all its threads, and resident memory.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessCost {
  readonly cpuSeconds: number
  readonly rssBytes: number
}

/** USER_HZ: the unit of /proc, independent of the kernel's tick. */
const TICKS = 100

/**
 * Undefined if it has ended, or is hidden from us.
 * @param isOurs it runs our program, whose pages are shared with us and already counted
 */
export function processCost(pid: number, isOurs: boolean): ProcessCost | undefined {
  try {
    // Per thread, in ns: a tick of /proc/PID/stat is 10 ms, as much as a collector needs in ten
    // seconds.
    let cpuNs = 0
    for (const thread of readdirSync(`/proc/${pid}/task`))
      cpuNs += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    // The ticks include threads that have ended.
    const cpuSeconds = Math.max(cpuNs / 1e9, ticksOf(pid).own / TICKS)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kilobytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
    const resident = kilobytes('VmRSS') - (isOurs ? kilobytes('RssFile') : 0)
    return { cpuSeconds, rssBytes: resident * 1024 }
  } catch {
    return undefined
  }
}

/** CPU seconds of children that have ended: restarted collectors, short-lived tools. */
export function endedChildrenSeconds(): number {
  try {
    return ticksOf(process.pid).children / TICKS
  } catch {
    return 0
  }
}

function ticksOf(pid: number): { own: number; children: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // A name may contain anything, also parentheses: fields are counted from the last one on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system, childUser, childSystem] = fields.slice(11, 15).map(Number)
  return { own: user! + system!, children: childUser! + childSystem! }
}
