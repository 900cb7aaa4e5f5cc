/**
 * `bpftrace -f json` of our script (collect/bpftrace.ts): the maps of one second between two
 * printed lines.
 *
 *   {"type": "printf", "data": "M x86_64\n"}             machine of the syscall numbers; default x86_64
 *   {"type": "printf", "data": "T 1795420780\n"}         the following calls happened in this second
 *   {"type": "map", "data": {"@n0": {"812": "nginx"}}}     leaders' names by tgid, before the counts; any map @n…
 *   {"type": "map", "data": {"@c0": {"812,232": 12}}}      counts by tgid and number; any map @c…
 *   {"type": "printf", "data": "X 812\n"}                 the process ended
 *   {"type": "printf", "data": "E\n"}                     the second is complete
 *   {"type": "lost_events", "data": {"events": 10}}
 *
 * Maps outside T and E are those that bpftrace prints when it exits: already counted, or truncated;
 * they are ignored. Names are JSON strings, so no process can forge a line.
 */
import { TALLY_MAX } from '../domain/limits.ts'
import { numberTables } from '../domain/syscall-numbers.ts'
import { OTHER } from '../domain/syscalls.ts'
import { type NameId, NO_NAME, type TallySink } from '../domain/tally.ts'
import { isCount, isRecord } from '../domain/untrusted.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export class BpftraceMapParser implements LineParser {
  readonly #sink: TallySink
  #numbers = numberTables('x86_64').native
  /** NaN outside a second. */
  #timeMs = Number.NaN
  #lastMs = Number.NaN
  /** Of the current second. */
  readonly #names = new Map<number, NameId>()

  constructor(sink: TallySink) {
    this.#sink = sink
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    let value: unknown
    try {
      value = JSON.parse(decoder.decode(bytes.subarray(from, to)))
    } catch {
      this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
      return
    }
    const { type, data } = isRecord(value) ? value : {}
    if (type === 'printf' && typeof data === 'string') this.#command(data.trim())
    else if (type === 'map' && isRecord(data)) {
      for (const [name, map] of Object.entries(data)) {
        if (isRecord(map) && !Number.isNaN(this.#timeMs)) this.#map(name, map)
      }
    } else if (type === 'lost_events' && isRecord(data)) {
      const { events } = data
      const timeMs = Number.isNaN(this.#timeMs) ? this.#lastMs : this.#timeMs
      if (isCount(events, TALLY_MAX)) this.#sink.lost('lost(bpftrace)', events, timeMs)
    } else if (typeof type !== 'string') {
      this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
    }
  }

  #command(line: string): void {
    const [word, value] = line.split(' ')
    if (word === 'M') {
      this.#numbers = numberTables(value === 'arm64' ? 'arm64' : 'x86_64').native
    } else if (word === 'T') {
      const second = Number(value)
      if (!Number.isSafeInteger(second) || second < 0 || second > 1e11) return
      // Within the second, and after every other time that was printed for it.
      this.#timeMs = second * 1000 + 999
      this.#lastMs = this.#timeMs
      this.#names.clear()
    } else if (word === 'X') {
      const pid = Number(value)
      if (isPid(pid) && !Number.isNaN(this.#lastMs)) this.#sink.exit(pid, this.#lastMs)
    } else if (word === 'E') {
      if (!Number.isNaN(this.#timeMs)) this.#sink.advance(this.#timeMs)
      this.#timeMs = Number.NaN
    }
  }

  #map(map: string, entries: Record<string, unknown>): void {
    if (map.startsWith('@n')) {
      for (const [pid, name] of Object.entries(entries)) {
        if (typeof name !== 'string') continue
        const bytes = encoder.encode(name)
        this.#names.set(Number(pid), this.#sink.intern(bytes, 0, bytes.length))
      }
    } else if (map.startsWith('@c')) {
      for (const [key, count] of Object.entries(entries)) {
        const comma = key.indexOf(',')
        const pid = Number(key.slice(0, comma))
        const number = Number(key.slice(comma + 1))
        if (!isPid(pid) || !Number.isSafeInteger(number) || !isCount(count, TALLY_MAX)) {
          this.#sink.drop('malformed', 1, `${map}[${key}]`)
        } else if (count > 0) {
          const syscall = this.#numbers[number] ?? OTHER
          this.#sink.add(pid, this.#names.get(pid) ?? NO_NAME, syscall, count, this.#timeMs)
        }
      }
    }
  }
}

function isPid(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0 && value <= 0x7fff_ffff
}
