/** The result of `agent evaluate` as one object: windows, minutes, calibration, alarms. */
import { claimsNothing, memoryName } from '../../detect/names.ts'
import { loadModel, type Model } from '../../model/model.ts'
import type { Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import { ALL_TRAIN, type Part, type Split } from '../data/split.ts'
import { type AlarmEvaluation, alarmFigures } from './alarm-figures.ts'
import { evaluateWindows } from './evaluate.ts'
import type { ClassFigures } from './metrics.ts'
import { plantMasquerades } from './planted.ts'

export interface EvaluationInput {
  readonly model: string
  readonly recordings: readonly Recording[]
  readonly baseline: readonly Recording[]
  readonly happenings: readonly Happening[]
  /** Which parts were trained on; undefined if unknown. */
  readonly split: Split | undefined
  /** Only this part of the recordings. */
  readonly part: Part | undefined
  readonly falseAlertsPerDay: number
  /** Further budgets to count alerts at. */
  readonly budgets?: readonly number[]
  readonly detection: boolean
  /** Adapt the model to each host first: seconds that teach. */
  readonly adaptSeconds?: number
  /** Masquerades to make on each host of its own recording (planted.ts). */
  readonly planted?: number
}

export interface Evaluation extends Partial<AlarmEvaluation> {
  readonly model: string
  readonly arch: string
  readonly windows: number
  readonly accuracy: number
  readonly macroPrecision: number
  readonly macroRecall: number
  /** Evidence of a process summed over one minute. */
  readonly minute: {
    readonly macroPrecision: number
    readonly macroRecall: number
    readonly accuracy: number
  }
  /** Share of the windows whose name has a class. */
  readonly known: number
  readonly ece: number
  readonly classes: readonly ClassFigures[]
  readonly confusion: {
    readonly names: readonly string[]
    readonly counts: readonly (readonly number[])[]
  }
}

export async function evaluationOf(input: EvaluationInput): Promise<Evaluation> {
  const model = await loadModel(input.model)
  try {
    const { recordings, happenings, split, part } = input
    // Without a part every window is used.
    const chosen = part === undefined ? ALL_TRAIN : (split ?? ALL_TRAIN)
    const windows = await evaluateWindows(model, recordings, happenings, chosen, part)
    const { figures, minute } = windows
    const planted = recordings.map((recording, i) => plantedIn(model, recording, input, i))
    const alarms =
      input.detection && model.manifest.detection !== undefined
        ? await alarmFigures(
            {
              ...input,
              recordings: planted.map(({ recording }) => cut(recording, chosen, part)),
              happenings: [...happenings, ...planted.flatMap((of) => of.happenings)],
            },
            model,
          )
        : undefined
    return {
      model: model.manifest.id,
      arch: model.manifest.arch,
      windows: windows.windows,
      accuracy: figures.accuracy,
      macroPrecision: figures.macroPrecision,
      macroRecall: figures.macroRecall,
      minute: {
        accuracy: minute.accuracy,
        macroPrecision: minute.macroPrecision,
        macroRecall: minute.macroRecall,
      },
      known: windows.known,
      ece: windows.ece,
      classes: figures.classes,
      ...alarms,
      confusion: { names: windows.names, counts: figures.confusion },
    }
  } finally {
    await model.close()
  }
}

/** The seconds of a recording that belong to a part; all of them if no part is given. */
function cut(recording: Recording, split: Split, part: Part | undefined): Recording {
  if (part === undefined) return recording
  return {
    ...recording,
    frames: recording.frames.filter(({ index }) => split.partOf(recording, index, index) === part),
  }
}

/** @param i of the host: each has its own masquerades */
function plantedIn(
  { classes }: Model,
  recording: Recording,
  { planted: count = 0, adaptSeconds = 0, baseline }: EvaluationInput,
  i: number,
) {
  const promiseOf = (name: string): string | undefined => {
    if (claimsNothing(name)) return undefined
    const claimed = classes.claimedBy(name)
    return claimed === undefined ? memoryName(name) : classes.names[claimed]
  }
  // Not where the host is learnt.
  const isLearnt = !baseline.some(({ host }) => host === recording.host)
  const from = recording.frames[0]!.index + (isLearnt ? adaptSeconds : 0)
  return plantMasquerades(recording, { count, seed: i + 1, from, promiseOf })
}
