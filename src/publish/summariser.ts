/**
 * A minute of frames as one Summary, sent whether or not there are alerts: it shows the aggregator
 * what a host's processes do, and that the host is alive. Its size is bounded whatever happens on
 * the host (`fit-summary.ts`).
 *
 * Minutes are cut by event time, at a phase derived from site and host: 20,000 hosts are spread
 * over the minute, and the same frames give the same summaries. Counts (calls, dropped, CPU) are of
 * the span; the gauges give totals, which are subtracted here.
 */
import { defined } from '../domain/defined.ts'
import { type Frame, vectorTotal } from '../domain/frame.ts'
import {
  PROCESSES_MAX,
  SUMMARY_EVERY_MS,
  SUMMARY_PROCESSES_MAX,
  SUMMARY_TOP_CALLS_MAX,
  SUMMARY_TOP_SHARE_MIN,
} from '../domain/limits.ts'
import { NOT_KNOWN, type Predictions } from '../domain/prediction.ts'
import { type Process, type ProcessKey, processKey } from '../domain/process.ts'
import type { Guarantee, ProcessSummary, Reduced, Summary } from '../domain/summary.ts'
import { SYSCALLS } from '../domain/syscalls.ts'
import { byCalls } from './fit-summary.ts'

/** What a summary reports beside the frames. Totals since the agent's start. */
export interface Gauges {
  readonly dropped: Readonly<Record<string, number>>
  readonly alertsOpen: number
  readonly cpuSeconds: number
  readonly rssBytes: number
  readonly lagMs: number
  readonly outboxRows: number
  /** What was not classified to stay below --cpu-max. */
  readonly reduced?: Reduced
  /** Seconds that were counted and not judged, by reason. */
  readonly unjudged?: Readonly<Record<string, number>>
  /** Alerts that were held, and windows that could not be judged. */
  readonly missed?: Readonly<Record<string, number>>
  readonly guarantee?: Guarantee
}

export interface SummariserOptions {
  readonly site: string
  readonly host: string
  /** Read when a summary is made. */
  readonly gauges: () => Gauges
  /** Names of the model's classes, in the order of the predictions. */
  readonly classNames?: readonly string[]
  readonly everyMs?: number
  readonly processesMax?: number
}

interface Seen {
  readonly pid: number
  readonly start: number
  readonly name: string
  readonly container: string | undefined
  active: number
  calls: number
  /**
   * Where its first vector stands. Most processes of a busy host live for one second: they need no
   * map.
   */
  readonly first: Frame
  readonly row: number
  /** From its second vector on: what all of them add up to. */
  counts: Map<number, number> | undefined
  classes: Map<number, { votes: number; confidence: number }> | undefined
}

const NOTHING_REDUCED: Reduced = { seconds: [0, 0, 0], windows: 0 }
const NO_GAUGES = { dropped: {}, cpuSeconds: 0, reduced: NOTHING_REDUCED, unjudged: {}, missed: {} }

/** Instead of a class's index: windows of a behaviour that the model does not know. */
const LIKE_NO_CLASS = -1

export class Summariser {
  readonly #options: SummariserOptions
  readonly #seconds: number
  readonly #phase: number
  readonly #processesMax: number
  /** Each process under each name that it presented. */
  readonly #seen: Seen[] = []
  /** The newest of a process. */
  readonly #byKey = new Map<ProcessKey, Seen>()
  /** All of those that presented several names, by key and name. */
  readonly #renamed = new Map<string, Seen>()
  #classNames: readonly string[]
  #span: number | undefined
  #from = 0
  #to = 0
  #calls = 0
  #omitted = 0
  #before: Required<Pick<Gauges, 'dropped' | 'cpuSeconds' | 'reduced' | 'unjudged' | 'missed'>> =
    NO_GAUGES

  constructor(options: SummariserOptions) {
    this.#options = options
    this.#seconds = Math.max(1, Math.round((options.everyMs ?? SUMMARY_EVERY_MS) / 1000))
    this.#phase = phaseOf(options.site, options.host, this.#seconds)
    this.#processesMax = options.processesMax ?? PROCESSES_MAX
    this.#classNames = options.classNames ?? []
  }

  /** A model with other classes is in use now: votes of the old one are discarded. */
  useClasses(names: readonly string[]): void {
    this.#classNames = names
    for (const seen of this.#seen) seen.classes = undefined
  }

  /** @returns the summary of the previous span if this frame begins a new one */
  push(frame: Frame, predictions?: Predictions): Summary | undefined {
    const span = Math.floor((frame.index - this.#phase) / this.#seconds)
    // Where the clock was set back within a minute, a span begins anew as well: it has no end
    // before its beginning.
    const isOver = span !== this.#span || frame.index < this.#to
    const summary = this.#span !== undefined && isOver ? this.end() : undefined
    if (this.#span === undefined) {
      this.#span = span
      this.#from = frame.index
    }
    this.#to = frame.index
    this.#addFrame(frame)
    if (predictions !== undefined) this.#addPredictions(predictions)
    return summary
  }

  /** The incomplete span at the end of the input. */
  end(): Summary | undefined {
    if (this.#span === undefined) return undefined
    const gauges = this.#options.gauges()
    const { reduced = NOTHING_REDUCED, unjudged = {}, missed = {} } = gauges
    const syscalls: string[] = []
    const indexes = new Map<number, number>()
    // No message holds more: the rest need not be made.
    const busiest = this.#seen.sort(byCalls).slice(0, SUMMARY_PROCESSES_MAX)
    const processes = busiest.map((seen) => this.#summarise(seen, syscalls, indexes))
    const dropped = since(gauges.dropped, this.#before.dropped)
    const notJudged = since(unjudged, this.#before.unjudged)
    const notTold = since(missed, this.#before.missed)
    const summary: Summary = {
      from: this.#from,
      to: this.#to,
      syscalls,
      processes,
      processesOmitted: this.#omitted + this.#seen.length - processes.length,
      calls: this.#calls,
      dropped,
      alertsOpen: gauges.alertsOpen,
      ...(Object.keys(notJudged).length === 0 ? {} : { unjudged: notJudged }),
      ...(Object.keys(notTold).length === 0 ? {} : { missed: notTold }),
      ...defined({ guarantee: gauges.guarantee }),
      agent: {
        cpuSeconds: Math.max(0, gauges.cpuSeconds - this.#before.cpuSeconds),
        rssBytes: gauges.rssBytes,
        lagMs: gauges.lagMs,
        outboxRows: gauges.outboxRows,
        ...reducedSince(reduced, this.#before.reduced),
      },
    }
    this.#before = {
      ...{ dropped: { ...gauges.dropped }, cpuSeconds: gauges.cpuSeconds },
      ...{ reduced, unjudged: { ...unjudged }, missed: { ...missed } },
    }
    this.#span = undefined
    this.#calls = 0
    this.#omitted = 0
    this.#seen.length = 0
    this.#byKey.clear()
    this.#renamed.clear()
    return summary
  }

  #addFrame(frame: Frame): void {
    for (let i = 0; i < frame.processes.length; i++) {
      const process = frame.processes[i]!
      const key = processKey(process)
      let seen = this.#byKey.get(key)
      if (seen !== undefined && seen.name !== process.name)
        seen = this.#underName(process, key, seen)
      const total = vectorTotal(frame, i)
      this.#calls += total
      if (seen !== undefined) addVector(seen, frame, i)
      else if (this.#seen.length < this.#processesMax) seen = this.#first(process, frame, i)
      if (seen === undefined) {
        this.#omitted += 1
        continue
      }
      seen.active += 1
      seen.calls += total
      this.#byKey.set(key, seen)
    }
  }

  /** The same process under the name that it has now, if it had that before. */
  #underName(process: Process, key: ProcessKey, before: Seen): Seen | undefined {
    this.#renamed.set(`${key}/${before.name}`, before)
    return this.#renamed.get(`${key}/${process.name}`)
  }

  #first({ pid, startMs, name, container }: Process, frame: Frame, row: number): Seen {
    const seen: Seen = {
      pid,
      start: Math.max(0, Math.floor(startMs / 1000)),
      ...{ name, container, active: 0, calls: 0, first: frame, row },
      ...{ counts: undefined, classes: undefined },
    }
    this.#seen.push(seen)
    return seen
  }

  #addPredictions({ processes, probabilities, classCount, known }: Predictions): void {
    for (let row = 0; row < processes.length; row++) {
      const seen = this.#byKey.get(processKey(processes[row]!))
      if (seen === undefined) continue
      let top = 0
      const at = row * classCount
      for (let i = 1; i < classCount; i++) {
        if (probabilities[at + i]! > probabilities[at + top]!) top = i
      }
      const confidence = probabilities[at + top]!
      if (known?.[row] === 0) top = LIKE_NO_CLASS
      seen.classes ??= new Map()
      const votes = seen.classes.get(top) ?? { votes: 0, confidence: 0 }
      votes.votes += 1
      votes.confidence += confidence
      seen.classes.set(top, votes)
    }
  }

  #summarise(seen: Seen, syscalls: string[], indexes: Map<number, number>): ProcessSummary {
    const top = [...(seen.counts ?? vectorOf(seen.first, seen.row))]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, SUMMARY_TOP_CALLS_MAX)
      .filter(([, count]) => count >= seen.calls * SUMMARY_TOP_SHARE_MIN)
      .map(([syscall, count]) => {
        let index = indexes.get(syscall)
        if (index === undefined) {
          index = syscalls.push(SYSCALLS[syscall] ?? 'other') - 1
          indexes.set(syscall, index)
        }
        return [index, count] as const
      })
    const [best] = [...(seen.classes ?? [])].sort((a, b) => b[1].votes - a[1].votes || a[0] - b[0])
    const isKnown = best !== undefined && best[0] !== LIKE_NO_CLASS
    const className = isKnown ? this.#classNames[best[0]] : undefined
    return {
      pid: seen.pid,
      start: seen.start,
      name: seen.name,
      ...defined({ container: seen.container }),
      active: seen.active,
      calls: seen.calls,
      ...(best?.[0] === LIKE_NO_CLASS ? { class: NOT_KNOWN } : {}),
      ...(best === undefined || className === undefined
        ? {}
        : { class: className, confidence: best[1].confidence / best[1].votes }),
      top,
    }
  }
}

function addVector(seen: Seen, frame: Frame, row: number): void {
  seen.counts ??= new Map(vectorOf(seen.first, seen.row))
  const { counts } = seen
  for (let k = frame.offsets[row]!; k < frame.offsets[row + 1]!; k++) {
    const syscall = frame.syscalls[k]!
    counts.set(syscall, (counts.get(syscall) ?? 0) + frame.counts[k]!)
  }
}

function vectorOf(frame: Frame, row: number): [syscall: number, count: number][] {
  const pairs: [number, number][] = []
  for (let k = frame.offsets[row]!; k < frame.offsets[row + 1]!; k++)
    pairs.push([frame.syscalls[k]!, frame.counts[k]!])
  return pairs
}

/** By how much each of these totals has grown. */
function since(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [reason, total] of Object.entries(now)) {
    const count = total - (before[reason] ?? 0)
    if (count > 0) counts[reason] = count
  }
  return counts
}

/** What was left out in this span; empty if every window was classified. */
function reducedSince(now: Reduced, before: Reduced): { reduced?: Reduced } {
  const [one, two, three] = now.seconds
  const [oneBefore, twoBefore, threeBefore] = before.seconds
  const seconds = [one - oneBefore, two - twoBefore, three - threeBefore] as const
  if (seconds.every((count) => count <= 0)) return {}
  return { reduced: { seconds, windows: Math.max(0, now.windows - before.windows) } }
}

/** Seconds into the minute, constant for a host (FNV-1a of its name). */
export function phaseOf(site: string, host: string, seconds: number): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(`${site}/${host}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return hash % seconds
}
