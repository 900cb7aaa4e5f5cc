/**
 * Masquerades made of a host's own recording: the vectors of one of its processes are there a
 * second time, for a minute, under the name of another program that runs there. So what a model and
 * its adaptation are worth can be measured on any host, also where nobody attacked it.
 *
 * What it does not show: a copy has the original's load and pace, and no facts (executable, parent,
 * files) speak for or against it.
 */
import { ALERT_JOIN_SECONDS, SEQUENCE_FRAMES } from '../../domain/limits.ts'
import type { Process, ProcessKey } from '../../domain/process.ts'
import { processKey } from '../../domain/process.ts'
import type { LabelledFrame, Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import { Random } from '../random.ts'

/** Length of a planted masquerade, and its seconds with calls. */
const PLANTED_SECONDS = 60
const ACTIVE_SECONDS_MIN = 20
/** Between the beginnings of two masquerades under one name. */
const APART_SECONDS = PLANTED_SECONDS + ALERT_JOIN_SECONDS + SEQUENCE_FRAMES
/** A process that is at rest in so many minutes drawn is left out. */
const DRAWS_MAX = 20
/** Above any pid that Linux gives. */
const FIRST_PID = 1 << 23

export interface PlantOptions {
  readonly count: number
  readonly seed: number
  /** Nothing is planted before this second. */
  readonly from?: number
  /** What a name promises, the same for names of one program; undefined where it promises nothing. */
  promiseOf(name: string): string | undefined
}

interface Source {
  readonly process: Process
  /** Where its vectors are: frame and row, by time. */
  readonly rows: readonly (readonly [frame: number, row: number])[]
}

/** The recording with the masquerades in it, and their labels; fewer than asked for where few can be made. */
export function plantMasquerades(
  recording: Recording,
  { count, seed, from: earliest = 0, promiseOf }: PlantOptions,
): { readonly recording: Recording; readonly happenings: Happening[] } {
  const { frames, host } = recording
  const random = new Random(seed)
  const sources = sourcesIn(frames, earliest).filter((of) =>
    minuteOf(of, frames, random, { draws: 1 }),
  )
  const names = [...new Set(sources.map(({ process }) => process.name))].sort()
  const pairs = names.flatMap((program) =>
    names
      .filter((claimed) => {
        const promise = promiseOf(claimed)
        return promise !== undefined && promise !== (promiseOf(program) ?? program)
      })
      .map((claimed) => ({ program, claimed })),
  )
  const order = Int32Array.from(pairs.keys())
  random.shuffle(order)
  const added = new Map<number, { row: number; process: Process }[]>()
  const happenings: Happening[] = []
  for (const pair of order) {
    if (happenings.length === count) break
    const { program, claimed } = pairs[pair]!
    const of = sources.filter(({ process }) => process.name === program)
    const minute = minuteOf(of[random.below(of.length)]!, frames, random, {
      // Processes of one name that show the same in quick succession are one alert.
      isFree: (from) =>
        happenings.every(
          (other) => other.claimed !== claimed || Math.abs(other.from - from) >= APART_SECONDS,
        ),
    })
    if (minute === undefined) continue
    const { from, rows } = minute
    const pid = FIRST_PID + happenings.length
    const process = { pid, startMs: from * 1000, name: claimed }
    for (const [at, row] of rows) {
      const list = added.get(at)
      if (list === undefined) added.set(at, [{ row, process }])
      else list.push({ row, process })
    }
    happenings.push({
      ...{ from, to: from + PLANTED_SECONDS - 1, host, kind: 'masquerade' },
      ...{ scenario: `${program}-as-${claimed}`, claimed, program },
      names: new Set([claimed]),
      pids: new Set([pid]),
    })
  }
  return {
    recording: {
      ...recording,
      frames: frames.map((frame, at) => withCopies(frame, added.get(at) ?? [])),
    },
    happenings,
  }
}

/** Processes that last a minute, and have calls in a third of its seconds. */
function sourcesIn(frames: readonly LabelledFrame[], earliest: number): Source[] {
  const lives = new Map<ProcessKey, { process: Process; rows: [frame: number, row: number][] }>()
  for (const [at, { index, processes }] of frames.entries()) {
    if (index < earliest) continue
    for (const [row, process] of processes.entries()) {
      const key: ProcessKey = processKey(process)
      const life = lives.get(key)
      // One that renames itself is no source.
      if (life === undefined) lives.set(key, { process, rows: [[at, row]] })
      else if (life.process.name === process.name) life.rows.push([at, row])
    }
  }
  return [...lives.values()].filter(
    ({ process, rows }) =>
      process.pid > 0 &&
      rows.length >= ACTIVE_SECONDS_MIN &&
      lastStart(rows, frames) >= frames[rows[0]![0]]!.index,
  )
}

/** The last second at which a minute of these rows can begin. */
function lastStart(rows: Source['rows'], frames: readonly LabelledFrame[]): number {
  return frames[rows.at(-1)![0]]!.index - PLANTED_SECONDS + 1
}

/** A minute drawn anywhere in a process's life, a new one for each use; undefined where it rests. */
function minuteOf(
  { rows }: Source,
  frames: readonly LabelledFrame[],
  random: Random,
  {
    draws = DRAWS_MAX,
    isFree = () => true,
  }: { readonly draws?: number; readonly isFree?: (from: number) => boolean },
): { readonly from: number; readonly rows: Source['rows'] } | undefined {
  const first = frames[rows[0]![0]]!.index
  const starts = lastStart(rows, frames) - first + 1
  for (let draw = 0; draw < draws; draw++) {
    const from = first + random.below(starts)
    if (!isFree(from)) continue
    const minute = rows.filter(([at]) => {
      const { index } = frames[at]!
      return index >= from && index < from + PLANTED_SECONDS
    })
    if (minute.length >= ACTIVE_SECONDS_MIN) return { from, rows: minute }
  }
  return undefined
}

function withCopies(
  frame: LabelledFrame,
  copies: readonly { readonly row: number; readonly process: Process }[],
): LabelledFrame {
  if (copies.length === 0) return frame
  const { offsets, syscalls, counts, cpuMs, labels } = frame
  const vectors = copies.map(({ row }) => [offsets[row]!, offsets[row + 1]!] as const)
  const joined = <T extends Uint16Array | Uint32Array>(of: T, more: T): T => {
    const all = new (of.constructor as new (length: number) => T)(of.length + more.length)
    all.set(of)
    all.set(more, of.length)
    return all
  }
  const copied = <T extends Uint16Array | Uint32Array>(of: T): T =>
    vectors.reduce((all, [from, to]) => joined(all, of.subarray(from, to) as T), of)
  let end = offsets.at(-1)!
  const ends = vectors.map(([from, to]) => {
    end += to - from
    return end
  })
  return {
    ...frame,
    processes: [...frame.processes, ...copies.map(({ process }) => process)],
    offsets: joined(offsets, Uint32Array.from(ends)),
    syscalls: copied(syscalls),
    counts: copied(counts),
    ...(cpuMs && {
      cpuMs: joined(
        cpuMs,
        Uint32Array.from(copies, ({ row }) => cpuMs[row]!),
      ),
    }),
    ...(labels && { labels: [...labels, ...copies.map(() => undefined)] }),
  }
}
