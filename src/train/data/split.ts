/**
 * Divides data into training, calibration and test. By time with a gap, because neighbouring
 * seconds of a process give nearly the same window: a random split, the paper's protocol, has them
 * on both sides and exists only to reproduce the paper's table.
 *
 * A split file (`models/recordings/lab-a/split.json`) fixes the parts of a recording and of its
 * happenings.
 */
import { defined } from '../../domain/defined.ts'
import { AgentError } from '../../domain/error.ts'
import { TOPIC_PART_CHARS_MAX } from '../../domain/limits.ts'
import { type Field, type Fields, parseJson, problemText, reading } from '../../domain/untrusted.ts'
import { Random } from '../random.ts'
import type { Recording } from './recording.ts'
import type { Happening } from './scenarios.ts'

export type Part = 'train' | 'calibration' | 'test'
const PARTS: readonly Part[] = ['train', 'calibration', 'test']

export interface Split {
  /** Part of an ordinary window from its first to its last second; undefined in a gap. */
  partOf(recording: Recording, first: number, last: number): Part | undefined
  partOfHappening(happening: Happening): Part | undefined
}

interface Span {
  readonly from: number
  readonly to: number
}

/** A span of time on some hosts, or on all. */
interface FileSpan extends Span {
  readonly hosts?: readonly string[]
}

interface SplitFile {
  readonly normal: Readonly<Record<Part, readonly FileSpan[]>>
  /** Which happenings train and which are held out, as `host second`. */
  readonly train: ReadonlySet<string>
  readonly heldOut: ReadonlySet<string>
}

/** Everything is training data. */
export const ALL_TRAIN: Split = { partOf: () => 'train', partOfHappening: () => 'train' }

/**
 * Each recording by time: the first share trains, the next calibrates, the rest tests, with a gap
 * between them (or a twentieth of the recording, if that is less).
 */
export function splitByTime(
  shares: { readonly train: number; readonly calibration: number },
  gapSeconds: number,
): Split {
  const spansOf = new Map<Recording, Readonly<Partial<Record<Part, Span>>>>()
  const spans = (recording: Recording) => {
    const known = spansOf.get(recording)
    if (known !== undefined) return known
    const from = recording.frames[0]!.index
    const to = recording.frames.at(-1)!.index
    const length = to - from + 1
    const gap = Math.min(gapSeconds, Math.floor(length / 20))
    const trainTo = from + Math.round(length * shares.train)
    const calibrationTo = from + Math.round(length * (shares.train + shares.calibration))
    const made = {
      train: { from, to: trainTo - 1 },
      ...(shares.calibration > 0 && {
        calibration: { from: trainTo + gap, to: calibrationTo - 1 },
      }),
      test: { from: calibrationTo + gap, to },
    }
    spansOf.set(recording, made)
    return made
  }
  return {
    partOf: (recording, first, last) => partWithin(spans(recording), first, last),
    partOfHappening: () => 'train',
  }
}

/**
 * Many recordings by time where they are long enough for it. Short ones (a trace of one program, a
 * capture of a minute) would have nothing but gaps between their parts: they go whole, and of those
 * with the same most frequent name every so many one calibrates, the last of several at least.
 */
export function splitRecordings(
  recordings: readonly Recording[],
  shares: { readonly train: number; readonly calibration: number },
  gapSeconds: number,
): Split {
  const byTime = splitByTime(shares, gapSeconds)
  const groups = new Map<string, Recording[]>()
  for (const recording of recordings) {
    const seconds = recording.frames.at(-1)!.index - recording.frames[0]!.index + 1
    if (seconds * shares.calibration - gapSeconds >= CALIBRATION_SECONDS_MIN) continue
    const name = mostFrequentName(recording)
    groups.set(name, [...(groups.get(name) ?? []), recording])
  }
  const every = Math.max(2, Math.round(1 / shares.calibration))
  const whole = new Map<Recording, Part>()
  for (const group of groups.values()) {
    if (group.length < 2) continue
    for (const [i, recording] of group.entries()) {
      const isHeldOut = (i + 1) % every === 0 || (group.length < every && i === group.length - 1)
      whole.set(recording, isHeldOut ? 'calibration' : 'train')
    }
  }
  return {
    partOf: (recording, first, last) =>
      whole.get(recording) ?? byTime.partOf(recording, first, last),
    partOfHappening: byTime.partOfHappening,
  }
}

/** A calibration part shorter than two windows says nothing. */
const CALIBRATION_SECONDS_MIN = 20

function mostFrequentName({ frames }: Recording): string {
  const counts = new Map<string, number>()
  for (const { processes } of frames)
    for (const { name } of processes) counts.set(name, (counts.get(name) ?? 0) + 1)
  const byCount = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  return byCount[0]?.[0] ?? ''
}

/** At random, window by window [Paper V-A: 80 % and 20 %]; the same seed gives the same parts. */
export function splitAtRandom(trainShare: number, seed: number): Split {
  const random = new Random(seed)
  return {
    partOf: () => (random.next() < trainShare ? 'train' : 'test'),
    partOfHappening: () => 'train',
  }
}

/** @param path a split file as models/recordings/lab-a/split.json */
export async function readSplit(path: string): Promise<Split> {
  const text = await Bun.file(path)
    .text()
    .catch((cause: unknown) => {
      throw new AgentError('ERR_INPUT', `Cannot read split "${path}"`, { cause })
    })
  const read = reading(() => readSplitFile(parseJson(text)))
  if (!read.ok)
    throw new AgentError('ERR_INPUT', `Cannot use split "${path}": ${problemText(read)}`)
  const { normal, train, heldOut } = read.value
  return {
    partOf({ host }, first, last) {
      for (const part of PARTS)
        for (const span of normal[part])
          if ((span.hosts?.includes(host) ?? true) && first >= span.from && last <= span.to)
            return part
      return undefined
    },
    partOfHappening({ host, from }) {
      if (train.has(`${host} ${from}`)) return 'train'
      return heldOut.has(`${host} ${from}`) ? 'test' : undefined
    },
  }
}

function readSplitFile(root: Fields): SplitFile {
  const normal = root.object('normal')
  const spans = (part: Part) => normal.or(part, [], readSpans)
  const nonGrata = root.object('nonGrata')
  const listed = (name: string) =>
    new Set(
      nonGrata
        .objects(name, Infinity)
        .map((item) => `${item.text('host', TOPIC_PART_CHARS_MAX)} ${item.integer('from')}`),
    )
  return {
    normal: { train: spans('train'), calibration: spans('calibration'), test: spans('test') },
    train: listed('train'),
    heldOut: listed('heldOut'),
  }
}

/** One span, or a list of them. */
function readSpans(field: Field): FileSpan[] {
  if (!Array.isArray(field.value)) return [readSpan(field.object())]
  return field.items(Infinity).map((item) => readSpan(item.object()))
}

function readSpan(span: Fields): FileSpan {
  return {
    from: span.integer('from'),
    to: span.integer('to'),
    ...defined({
      hosts: span.or('hosts', undefined, (hosts) =>
        hosts.items(Infinity).map((host) => host.text(TOPIC_PART_CHARS_MAX)),
      ),
    }),
  }
}

function partWithin(
  spans: Readonly<Partial<Record<Part, Span>>>,
  first: number,
  last: number,
): Part | undefined {
  for (const part of PARTS) {
    const span = spans[part]
    if (span !== undefined && first >= span.from && last <= span.to) return part
  }
  return undefined
}
