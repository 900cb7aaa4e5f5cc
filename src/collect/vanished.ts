/**
 * Programs that run and of which a collector shows nothing. When sysdig loses events it may lose a
 * whole program, and at its end it reports a number, not whose calls they were.
 *
 * A process whose main thread has slept and woken several times has made system calls. If the
 * stream has none of it in that time, it has vanished. What only computes makes none, and is not
 * named. /proc is read once in a while: two small files for each process.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { VANISHED_NAMED_MAX, VANISHED_SLEEPS_MIN } from '../domain/limits.ts'
import { safeName } from '../domain/process.ts'

const KTHREADD = 2

interface Sleeper {
  readonly start: string
  readonly sleeps: number
}

export class VanishedPrograms {
  readonly #proc: string
  readonly #ours: ReadonlySet<number>
  #before = new Map<number, Sleeper>()
  #seen = new Set<number>()

  /** @param ours processes that the collector leaves out on purpose */
  constructor(ours: Iterable<number>, proc = '/proc') {
    this.#ours = new Set(ours)
    this.#proc = proc
  }

  /**
   * Takes note of the processes in the chisel's lines `@1700000000 812 L …`. A line that was cut
   * may be missed.
   */
  push(chunk: Uint8Array): void {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    for (const [, pid] of text.matchAll(/^@\d+ (\d+) [LT] /gm)) this.#seen.add(Number(pid))
  }

  /**
   * @returns names and pids of those that slept since the last call and were not seen, the most
   *   active first
   */
  look(): string[] {
    const now = this.#sleepers()
    const vanished = [...now].flatMap(([pid, { start, sleeps, name }]) => {
      const before = this.#before.get(pid)
      const slept = before?.start === start ? sleeps - before.sleeps : 0
      return slept >= VANISHED_SLEEPS_MIN && !this.#seen.has(pid) ? [{ pid, name, slept }] : []
    })
    this.#before = now
    this.#seen = new Set()
    vanished.sort((a, b) => b.slept - a.slept || a.pid - b.pid)
    return vanished.slice(0, VANISHED_NAMED_MAX).map(({ name, pid }) => `${name} (${pid})`)
  }

  #sleepers(): Map<number, Sleeper & { readonly name: string }> {
    const found = new Map<number, Sleeper & { readonly name: string }>()
    for (const entry of readdirSync(this.#proc)) {
      const pid = Number(entry)
      if (!(pid > 0) || this.#ours.has(pid)) continue
      try {
        const status = readFileSync(`${this.#proc}/${pid}/status`, 'latin1')
        const stat = readFileSync(`${this.#proc}/${pid}/stat`, 'latin1')
        const field = (name: string) => new RegExp(`^${name}:\\s*(.*)`, 'm').exec(status)?.[1] ?? ''
        // Kernel threads make no system calls.
        if (pid === KTHREADD || Number(field('PPid')) === KTHREADD) continue
        // Start time: the 20th field behind the name, which may hold anything.
        const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
        const sleeps = Number(field('voluntary_ctxt_switches'))
        found.set(pid, { start, sleeps, name: safeName(field('Name')) })
      } catch {
        // It has ended.
      }
    }
    return found
  }
}
