/**
 * A frames file (docs/reference/formats.md): one line per process and second, one tally per count.
 *
 * Pids of two hosts mean different processes: a file of several hosts is read for one (`host`, else
 * that of the first line); the others' lines are counted as `other-host`.
 */
import { TALLY_MAX, UID_MAX } from '../domain/limits.ts'
import { OTHER, syscallIndexOf } from '../domain/syscalls.ts'
import type { ProcessFacts, TallySink } from '../domain/tally.ts'
import { isCount, isRecord } from '../domain/untrusted.ts'
import type { LineParser } from './lines.ts'
import { sampleOf } from './sample.ts'
import type { ParserOptions } from './time.ts'

const decoder = new TextDecoder()
const encoder = new TextEncoder()

export class FramesLineParser implements LineParser {
  readonly #sink: TallySink
  #host: string | undefined
  /** Each line repeats the facts of its process; the sink gets them when they change. */
  readonly #described = new Map<number, string>()

  constructor(sink: TallySink, options: ParserOptions = {}) {
    this.#sink = sink
    this.#host = options.host
  }

  line(bytes: Uint8Array, from: number, to: number): void {
    let value: unknown
    try {
      value = JSON.parse(decoder.decode(bytes.subarray(from, to)))
    } catch {
      this.#refuse(bytes, from, to)
      return
    }
    if (!isRecord(value) || !isTime(value.t)) {
      this.#refuse(bytes, from, to)
      return
    }
    const host = value.host
    if (typeof host === 'string') {
      this.#host ??= host
      if (host !== this.#host) {
        this.#sink.drop('other-host', callsIn(value.counts))
        return
      }
    }
    const timeMs = value.t * 1000
    if (isRecord(value.unseen)) {
      if (!this.#parseUnseen(value, value.unseen, timeMs)) this.#refuse(bytes, from, to)
    } else if (isRecord(value.loss)) this.#parseLoss(value.loss, timeMs)
    else if (!this.#parseVector(value, timeMs)) this.#refuse(bytes, from, to)
  }

  #parseVector(value: Record<string, unknown>, timeMs: number): boolean {
    const { pid, name, counts, cpu } = value
    if (!isPid(pid) || typeof name !== 'string' || !isRecord(counts)) return false
    if (cpu !== undefined && !isCount(cpu, TALLY_MAX)) return false
    for (const count of Object.values(counts)) if (!isCount(count, TALLY_MAX)) return false
    const bytes = encoder.encode(name)
    const id = this.#sink.intern(bytes, 0, bytes.length)
    this.#describe(pid, id, value, timeMs)
    for (const syscall in counts) {
      const count = counts[syscall] as number
      if (count > 0) this.#sink.add(pid, id, syscallIndexOf(syscall) ?? OTHER, count, timeMs)
    }
    if (cpu !== undefined) this.#sink.cpu(pid, id, cpu, timeMs)
    return true
  }

  #describe(pid: number, name: number, value: Record<string, unknown>, timeMs: number): void {
    const { start, exe, container } = value
    if (start === undefined && exe === undefined && container === undefined) return
    const key = `${start} ${exe} ${container}`
    if (this.#described.get(pid) === key) return
    if (this.#described.size >= 65_536) this.#described.clear()
    this.#described.set(pid, key)
    const facts: ProcessFacts = {
      ...(isTime(start) ? { startMs: start * 1000 } : {}),
      ...(typeof exe === 'string' ? { exe } : {}),
      ...(typeof container === 'string' ? { container } : {}),
    }
    this.#sink.describe(pid, name, facts, timeMs)
  }

  #parseUnseen(
    { pid, name, uid }: Record<string, unknown>,
    { reason, kinds, lost }: Record<string, unknown>,
    timeMs: number,
  ): boolean {
    if (!isCount(lost, TALLY_MAX)) return false
    if (pid === undefined) {
      if (!isCount(uid, UID_MAX)) return false
      this.#sink.unseenUser(uid, lost, timeMs)
      return true
    }
    const isKnown = reason === 'many-kinds' || reason === 'no-room'
    if (!isPid(pid) || typeof name !== 'string' || !isKnown || !isCount(kinds, TALLY_MAX))
      return false
    const bytes = encoder.encode(name)
    const id = this.#sink.intern(bytes, 0, bytes.length)
    this.#sink.unseenProcess(pid, id, { reason, kinds, lost }, timeMs)
    return true
  }

  #parseLoss(loss: Record<string, unknown>, timeMs: number): void {
    for (const [source, count] of Object.entries(loss)) {
      if (!isCount(count, TALLY_MAX)) continue
      const reason =
        source === 'kernel'
          ? 'lost(kernel)'
          : source === 'bpftrace'
            ? 'lost(bpftrace)'
            : 'lost(sysdig)'
      this.#sink.lost(reason, count, timeMs)
    }
  }

  #refuse(bytes: Uint8Array, from: number, to: number): void {
    this.#sink.drop('malformed', 1, sampleOf(bytes, from, to))
  }
}

function callsIn(counts: unknown): number {
  let total = 0
  if (isRecord(counts))
    for (const count of Object.values(counts)) if (isCount(count, TALLY_MAX)) total += count
  return total
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1e11
}

function isPid(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 0x7fff_ffff
}
