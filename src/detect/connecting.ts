/**
 * Detects many connections without data, from counts alone: connects and reads, summed over about
 * ten seconds, by process and by short-lived children of one parent.
 *
 * A scanner connects by the hundred and hears nothing; a load generator hears an answer to each,
 * and what checks a few ports connects seldom. Not promised: that the connections lead to different
 * places. A client that tries one dead service again and again looks the same, so this supports
 * what else is seen; only what does so dozens of times a second, for as long as the sum lasts, is a
 * scan by that alone.
 */
import type { Frame } from '../domain/frame.ts'
import { CONNECTORS_MAX } from '../domain/limits.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Contacts } from '../domain/process-facts.ts'
import { syscallIndexOf } from '../domain/syscalls.ts'

const CONNECTS = indexes('connect')
const SENDS = indexes('sendto sendmsg sendmmsg')
const READS = indexes('read readv recvfrom recvmsg recvmmsg pread64')
const EXECS = indexes('execve execveat')
/** A program that is started reads its libraries: nothing that it heard from anybody. */
const READS_OF_A_START = 8
/** What is left of a second in the next: the sum stands for ten seconds. */
const DECAY = 0.9
/** Seconds that must have been seen before anything is said. */
const SECONDS_LEAST = 4

interface Seen {
  connects: number
  sends: number
  heard: number
  seconds: number
  last: number
  isProven: boolean
}

const NOTHING = { connects: 0, sends: 0, heard: 0, seconds: 0, isProven: false } as const
const NO_CONTACTS: Contacts = { connects: 0, sends: 0, heard: 0 }
/** Connects in the sum (a steady rate adds up to ten seconds of it), and answers to each. */
const BEYOND_DOUBT = { connects: 300, heard: 0.05, seconds: 8 } as const

function isBeyondDoubt({ connects, heard, seconds }: Seen): boolean {
  return (
    connects >= BEYOND_DOUBT.connects &&
    heard < BEYOND_DOUBT.heard * connects &&
    seconds >= BEYOND_DOUBT.seconds
  )
}

export class Connecting {
  readonly #seen = new Map<ProcessKey, Seen>()

  /**
   * Frames in ascending order.
   * @returns who scans beyond doubt, each once
   */
  push(frame: Frame): Process[] {
    const scanning: Process[] = []
    for (const [i, process] of frame.processes.entries()) {
      const calls = callsOf(frame, i)
      const key = processKey(process)
      const before = this.#seen.get(key)
      // Who never connects is not followed: `of` knows what that means.
      if (before === undefined && calls.connects + calls.sends === 0) continue
      const seen = before ?? { ...NOTHING, last: frame.index }
      const faded = DECAY ** Math.max(0, frame.index - seen.last)
      seen.connects = seen.connects * faded + calls.connects
      seen.sends = seen.sends * faded + calls.sends
      seen.heard = seen.heard * faded + calls.heard
      seen.seconds++
      seen.last = frame.index
      this.#seen.delete(key)
      this.#seen.set(key, seen)
      if (seen.isProven || !isBeyondDoubt(seen)) continue
      seen.isProven = true
      scanning.push(process)
    }
    while (this.#seen.size > CONNECTORS_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    return scanning
  }

  /** Of some ten seconds; undefined before enough of them were seen. */
  of(process: Process): Contacts | undefined {
    const seen = this.#seen.get(processKey(process))
    if (seen === undefined) return NO_CONTACTS
    if (seen.seconds < SECONDS_LEAST) return undefined
    const { connects, sends, heard } = seen
    return { connects, sends, heard }
  }
}

function callsOf(frame: Frame, i: number) {
  let [connects, sends, reads, execs] = [0, 0, 0, 0]
  for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
    const syscall = frame.syscalls[k]!
    const count = frame.counts[k]!
    if (CONNECTS.has(syscall)) connects += count
    else if (SENDS.has(syscall)) sends += count
    else if (READS.has(syscall)) reads += count
    else if (EXECS.has(syscall)) execs += count
  }
  return { connects, sends, heard: Math.max(0, reads - READS_OF_A_START * execs) }
}

function indexes(names: string): ReadonlySet<number> {
  return new Set(names.split(' ').map((name) => syscallIndexOf(name)!))
}
