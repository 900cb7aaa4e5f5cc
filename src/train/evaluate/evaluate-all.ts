/** The result of `agent evaluate` as one object: windows, minutes, calibration, alarms. */
import { loadModel } from '../../model/model.ts'
import type { Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import { ALL_TRAIN, type Part, type Split } from '../data/split.ts'
import {
  type DetectionFigures,
  detectionOf,
  evaluateDetection,
  judgedBy,
} from './detection-evaluate.ts'
import { evaluateWindows } from './evaluate.ts'
import type { ClassFigures } from './metrics.ts'

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
  readonly detection: boolean
}

export interface Evaluation extends Partial<Omit<DetectionFigures, 'status'>> {
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
    const alarms =
      input.detection && model.manifest.detection !== undefined
        ? await evaluateDetection({
            classes: model.classes,
            calibration: detectionOf(model),
            hosts: judgedBy(
              model,
              recordings.map((recording) => cut(recording, chosen, part)),
              input.baseline,
            ),
            happenings,
            trainedOn: (happening) => split?.partOfHappening(happening) === 'train',
            falseAlertsPerDay: input.falseAlertsPerDay,
          })
        : undefined
    const { status: _, ...alarmFigures } = alarms ?? { status: undefined }
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
      ...alarmFigures,
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
