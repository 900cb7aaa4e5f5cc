/**
 * When a process of this host started: pid and start together say whether it is still the same one.
 */
import { readFileSync } from 'node:fs'

/**
 * As first computed: a clock that is set later moves it, and processes must not become others by
 * that.
 */
let bootSeconds: number | undefined

/**
 * Unix seconds; undefined where there is no such process. Differs by a second at most from what the
 * kernel's own events say.
 */
export function processStart(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name may hold spaces and brackets; the last bracket ends it. Field 22, in hundredths
    // since boot.
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    bootSeconds ??= Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1])
    const start = Math.floor(bootSeconds + ticks / 100)
    return Number.isFinite(start) ? start : undefined
  } catch {
    return undefined
  }
}
