/**
 * What our chisel prints (collect/chisel.lua), one line per process and second, and what
 * collect/sysdig.ts adds to it:
 *
 *   @1795420780 812 L epoll_wait=12,read=3 nginx      calls; L: the leader's name, T: another
 *     thread's
 *   @1795420780 812 X                                 the process ended in this second
 *   @1795420780 . 12                                  the second is complete; 12 calls had no
 *     process
 *   @1795420780 ! 85090                               sysdig lost so many calls by then
 *
 * A name is the rest of its line and has no control characters (the chisel replaces them), so no
 * process can forge a line. An unknown type is counted as `unknown-syscall` with all its calls.
 */
import { TALLY_MAX } from '../domain/limits.ts'
import { NO_NAME, type TallySink, threadName } from '../domain/tally.ts'
import { callTypeOf, NO_CALL, PROCESS_EXIT, UNKNOWN_CALL } from './call-type.ts'
import { readNumber, readPid } from './fields.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'

const BLANK = 32
const BANG = 33
const COMMA = 44
const DOT = 46
const EQUALS = 61
const AT = 64
const LEADER = 76
const THREAD = 84
const EXIT = 88

export class ChiselLineParser implements LineParser {
  readonly #sink: TallySink

  constructor(sink: TallySink) {
    this.#sink = sink
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    if (!this.#parse(bytes, from, to)) this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
  }

  #parse(bytes: Uint8Array, from: number, to: number): boolean {
    const secondEnd = fieldEnd(bytes, from, to)
    const second = readNumber(bytes, from + 1, secondEnd)
    if (bytes[from] !== AT || Number.isNaN(second) || second > 1e11) return false
    // Within the second, and after lines of it that have finer times.
    const timeMs = second * 1000 + 999
    const pidEnd = fieldEnd(bytes, secondEnd + 1, to)
    const sign = pidEnd - secondEnd === 2 ? bytes[secondEnd + 1] : 0
    if (sign === DOT || sign === BANG) {
      const count = readNumber(bytes, pidEnd + 1, to)
      if (!(count <= TALLY_MAX)) return false
      if (sign === BANG) this.#sink.lost('lost(sysdig)', count, timeMs)
      else {
        if (count > 0) this.#sink.drop('no-process', count)
        this.#sink.advance(timeMs)
      }
      return true
    }
    const pid = readPid(bytes, secondEnd + 1, pidEnd)
    const kind = bytes[pidEnd + 1]
    if (pid <= 0) return false
    if (kind === EXIT && to === pidEnd + 2) {
      this.#sink.exit(pid, timeMs)
      return true
    }
    const countsFrom = pidEnd + 3
    const countsEnd = fieldEnd(bytes, countsFrom, to)
    if (
      (kind !== LEADER && kind !== THREAD) ||
      bytes[pidEnd + 2] !== BLANK ||
      countsEnd >= to + 1
    ) {
      return false
    }
    let name = NO_NAME
    if (countsEnd < to) {
      const id = this.#sink.intern(bytes, countsEnd + 1, to)
      name = kind === LEADER ? id : threadName(id)
    }
    return this.#parseCounts(bytes, countsFrom, countsEnd, pid, name, timeMs)
  }

  #parseCounts(
    bytes: Uint8Array,
    from: number,
    to: number,
    pid: number,
    name: number,
    timeMs: number,
  ): boolean {
    // A truncated line must not be counted in part.
    for (let pass = 0; pass < 2; pass++) {
      let start = from
      while (start < to) {
        const comma = bytes.indexOf(COMMA, start)
        const end = comma < 0 || comma > to ? to : comma
        const equals = bytes.indexOf(EQUALS, start)
        if (equals < 0 || equals >= end) return false
        const count = readNumber(bytes, equals + 1, end)
        if (!(count > 0 && count <= TALLY_MAX)) return false
        if (pass === 1) {
          const type = callTypeOf(bytes, start, equals)
          if (type >= 0) this.#sink.add(pid, name, type, count, timeMs)
          else if (type === UNKNOWN_CALL) {
            this.#sink.drop('unknown-syscall', count, sampleOf(bytes, start, equals))
          } else if (type !== NO_CALL && type !== PROCESS_EXIT) return false
        }
        start = end + 1
      }
    }
    return to > from
  }
}

function fieldEnd(bytes: Uint8Array, from: number, to: number): number {
  const end = bytes.indexOf(BLANK, from)
  return end < 0 || end > to ? to : end
}
