/**
 * The comm of a process's leader, for live sources that have shown only another thread's (Counter
 * asks once).
 */
import { readFileSync } from 'node:fs'

export function leaderNameOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').replace(/\n$/, '')
  } catch {
    // Gone already, or not ours to see.
    return undefined
  }
}
