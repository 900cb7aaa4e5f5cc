/**
 * Models of laboratory A that never saw a few of its programs: quick ones, for what has to be tried
 * on programs left out.
 */

import { ALIAS_RULES } from '../../src/model/aliases.ts'
import { recipeNamed } from '../../src/model/recipe.ts'
import { makeWindows, type Windows } from '../../src/train/data/dataset.ts'
import { type Recording, readRecordings } from '../../src/train/data/recording.ts'
import { ALL_TRAIN, splitByTime } from '../../src/train/data/split.ts'
import { Random } from '../../src/train/random.ts'
import { type Trained, train } from '../../src/train/train.ts'
import { TRAIN_DEFAULTS } from '../../src/train/train-options.ts'
import { programsOf } from '../support/left-out.ts'

const DATA = 'models/recordings/lab-a/lab-a-normal.frames.ndjson.zst'
const WINDOWS_MIN = 300

/** The first 60 % train, the last fifth tests. */
export const split = splitByTime({ train: 0.6, calibration: 0.19 }, 30)
export const clock = { now: () => Date.now(), monotonic: () => performance.now() }

export function laboratoryA(): Promise<Recording[]> {
  return readRecordings([DATA])
}

/** Names with enough windows to be left out, each in one of the draws. */
export function drawsOf(recordings: readonly Recording[], count: number, size: number): string[][] {
  const windows: Windows = makeWindows(recordings, [], ALL_TRAIN, ALIAS_RULES, { stride: 4 })
  const counts = new Map<string, number>()
  for (const { name } of windows.list) counts.set(name, (counts.get(name) ?? 0) + 4)
  const names = [...counts]
    .filter(([, n]) => n >= WINDOWS_MIN)
    .map(([name]) => name)
    .sort()
  const order = Int32Array.from(names.keys())
  new Random(1).shuffle(order)
  return Array.from({ length: count }, (_, i) =>
    Array.from(order.subarray(i * size, (i + 1) * size), (at) => names[at]!),
  )
}

export function baseWithout(
  recordings: readonly Recording[],
  names: ReadonlySet<string>,
): Promise<Trained> {
  const others = recordings.map((recording) => programsOf(recording, (name) => !names.has(name)))
  return train(
    { recordings: others, happenings: [], split },
    {
      ...TRAIN_DEFAULTS,
      recipe: recipeNamed(TRAIN_DEFAULTS.recipe),
      stride: 4,
      name: 'base',
      code: 'bench',
      fit: { ...TRAIN_DEFAULTS.fit, epochs: 4, perClassMax: 500 },
    },
    clock,
  )
}
