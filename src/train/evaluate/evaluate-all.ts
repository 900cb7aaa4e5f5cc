/** The result of `agent evaluate` as one object: windows, minutes, calibration, alarms. */
import { claimsNothing, memoryName } from '../../detect/names.ts'
import { AgentError } from '../../domain/error.ts'
import { loadModel, type Model, readModelFiles, referencesOf } from '../../model/model.ts'
import type { Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import { ALL_TRAIN, type Part, type Split } from '../data/split.ts'
import { type AdaptedFigures, judgeBoth, learnHosts, Tally } from './adapted-evaluate.ts'
import {
  type DetectionFigures,
  detectionFigures,
  detectionOf,
  detectOn,
  evaluateDetection,
  type Heard,
  judgedBy,
} from './detection-evaluate.ts'
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
  readonly detection: boolean
  /** Adapt the model to each host first: seconds that teach. */
  readonly adaptSeconds?: number
  /** Masquerades to make on each host of its own recording (planted.ts). */
  readonly planted?: number
}

export type AlarmFigures = Omit<DetectionFigures, 'status'>

export interface Evaluation extends Partial<AlarmFigures> {
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
  /** After adapting; the alarm figures are then those of the adapted model. */
  readonly adapted?: AdaptedFigures
  /** Alarm figures of the shared model over the same seconds. */
  readonly shared?: AlarmFigures
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
    const planted = recordings.map((recording, i) =>
      plantedIn(model, recording, input.planted ?? 0, i),
    )
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
function plantedIn({ classes }: Model, recording: Recording, count: number, i: number) {
  const promiseOf = (name: string): string | undefined => {
    if (claimsNothing(name)) return undefined
    const claimed = classes.claimedBy(name)
    return claimed === undefined ? memoryName(name) : classes.names[claimed]
  }
  return plantMasquerades(recording, { count, seed: i + 1, promiseOf })
}

async function alarmFigures(
  input: EvaluationInput,
  model: Model,
): Promise<AlarmFigures & Pick<Evaluation, 'adapted' | 'shared'>> {
  const { recordings, baseline, happenings, split, falseAlertsPerDay, adaptSeconds } = input
  const calibration = detectionOf(model)
  const common = {
    ...{ classes: model.classes, calibration, happenings, falseAlertsPerDay },
    trainedOn: (happening: Happening) => split?.partOfHappening(happening) === 'train',
  }
  if (adaptSeconds === undefined)
    return withoutStatus(
      await evaluateDetection({ ...common, hosts: judgedBy(model, recordings, baseline) }),
    )
  const references = referencesOf(await readModelFiles(input.model), model)
  if (references === undefined)
    throw new AgentError('ERR_MODEL', `Cannot adapt model "${input.model}": it has no references`, {
      hint: 'Train it anew with "agent train", which makes references.bin',
    })
  const learnt = await learnHosts({
    ...{ model, references, calibration, recordings, baseline, happenings },
    seconds: adaptSeconds,
  })
  const isYoung = baseline.length === 0
  // Happenings in the seconds that taught are not asked for.
  const later = happenings.filter(({ host, from }) => {
    const first = learnt.find(({ recording }) => recording.host === host)?.recording.frames[0]
    return first !== undefined && from >= first.index
  })
  const about = { ...common, happenings: later }
  const tally = new Tally(model, later)
  const heard: Record<'shared' | 'adapted', Heard[]> = { shared: [], adapted: [] }
  for (const host of learnt) {
    const judged = await judgeBoth(model, host, isYoung, tally)
    heard.shared.push(await detectOn(judged.shared, about))
    heard.adapted.push(await detectOn(judged.adapted, about))
  }
  return {
    ...withoutStatus(detectionFigures(about, heard.adapted)),
    adapted: tally.figures(learnt.map(({ outcome }) => outcome)),
    shared: withoutStatus(detectionFigures(about, heard.shared)),
  }
}

function withoutStatus({ status: _, ...figures }: DetectionFigures): AlarmFigures {
  return figures
}
