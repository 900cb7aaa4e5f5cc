/**
 * The alarm part of `agent evaluate`: alerts of the model as it came, of the model adapted to each
 * host (adapted-evaluate.ts), and at further budgets. A host's predictions are computed once and
 * judged as often as is asked for.
 */
import { AgentError } from '../../domain/error.ts'
import type { Predictions } from '../../domain/prediction.ts'
import { type Model, readModelFiles, referencesOf } from '../../model/model.ts'
import type { Recording } from '../data/recording.ts'
import type { Happening } from '../data/scenarios.ts'
import type { Split } from '../data/split.ts'
import { type AdaptedFigures, judgeBoth, learnHosts, Tally } from './adapted-evaluate.ts'
import {
  type DetectionFigures,
  type DetectionInput,
  detectionFigures,
  detectionOf,
  detectOn,
  type Heard,
  type HostJudged,
  judgedBy,
} from './detection-evaluate.ts'

export type AlarmFigures = Omit<DetectionFigures, 'status'>

/** What a budget asked for, and what came of it. */
export interface BudgetFigures
  extends Pick<
    AlarmFigures,
    | 'falseAlerts'
    | 'falseAlertsConfirmed'
    | 'falseAlertsPerHostDay'
    | 'falseAlertsPerHostDayLow'
    | 'falseAlertsPerHostDayHigh'
    | 'detection'
  > {
  readonly perDay: number
}

export interface AlarmEvaluation extends AlarmFigures {
  readonly budgets?: readonly BudgetFigures[]
  /** After adapting; the alarm figures are then those of the adapted model. */
  readonly adapted?: AdaptedFigures
  /** Alarm figures of the shared model over the same seconds. */
  readonly shared?: AlarmFigures
}

export interface AlarmInput {
  /** Directory of the model. */
  readonly model: string
  readonly recordings: readonly Recording[]
  readonly baseline: readonly Recording[]
  readonly happenings: readonly Happening[]
  readonly split: Split | undefined
  readonly falseAlertsPerDay: number
  readonly budgets?: readonly number[]
  readonly adaptSeconds?: number
}

export function alarmFigures(input: AlarmInput, model: Model): Promise<AlarmEvaluation> {
  const { happenings, split, falseAlertsPerDay } = input
  const about: DetectionInput = {
    ...{ classes: model.classes, calibration: detectionOf(model), happenings, falseAlertsPerDay },
    trainedOn: (happening) => split?.partOfHappening(happening) === 'train',
  }
  return input.adaptSeconds === undefined
    ? plainFigures(input, model, about)
    : adaptedFigures(input, input.adaptSeconds, model, about)
}

async function plainFigures(
  { recordings, baseline, budgets = [] }: AlarmInput,
  model: Model,
  about: DetectionInput,
): Promise<AlarmEvaluation> {
  const heard = new AtBudgets(about, budgets)
  for (const host of judgedBy(model, recordings, baseline))
    await heard.judge(budgets.length === 0 ? host : await kept(host))
  return heard.figures()
}

async function adaptedFigures(
  { model: directory, recordings, baseline, happenings, budgets = [] }: AlarmInput,
  seconds: number,
  model: Model,
  base: DetectionInput,
): Promise<AlarmEvaluation> {
  const references = referencesOf(await readModelFiles(directory), model)
  if (references === undefined)
    throw new AgentError('ERR_MODEL', `Cannot adapt model "${directory}": it has no references`, {
      hint: 'Train it anew with "agent train", which makes references.bin',
    })
  const { calibration } = base
  const learnt = await learnHosts({
    ...{ model, references, calibration, recordings, baseline, happenings, seconds },
  })
  // Happenings in the seconds that taught are not asked for.
  const later = happenings.filter(({ host, from }) => {
    const first = learnt.find(({ recording }) => recording.host === host)?.recording.frames[0]
    return first !== undefined && from >= first.index
  })
  const about = { ...base, happenings: later }
  const tally = new Tally(model, later)
  const shared: Heard[] = []
  const heard = new AtBudgets(about, budgets)
  for (const host of learnt) {
    const judged = await judgeBoth(model, host, baseline.length === 0, tally)
    shared.push(await detectOn(judged.shared, about))
    await heard.judge(judged.adapted)
  }
  return {
    ...heard.figures(),
    adapted: tally.figures(learnt.map(({ outcome }) => outcome)),
    shared: withoutStatus(detectionFigures(about, shared)),
  }
}

/** The same hosts at several budgets, the first being the one that is reported in full. */
class AtBudgets {
  readonly #runs: readonly { readonly about: DetectionInput; readonly heard: Heard[] }[]

  constructor(about: DetectionInput, more: readonly number[]) {
    const at = (falseAlertsPerDay: number) => ({
      about: { ...about, falseAlertsPerDay },
      heard: [],
    })
    this.#runs = [about.falseAlertsPerDay, ...more].map(at)
  }

  async judge(host: HostJudged): Promise<void> {
    for (const { about, heard } of this.#runs) heard.push(await detectOn(host, about))
  }

  figures(): AlarmEvaluation {
    const [main, ...others] = this.#runs.map(({ about, heard }) => ({
      perDay: about.falseAlertsPerDay,
      figures: withoutStatus(detectionFigures(about, heard)),
    }))
    if (others.length === 0) return main!.figures
    const budgets = others.map(({ perDay, figures }) => ({
      perDay,
      falseAlerts: figures.falseAlerts,
      falseAlertsConfirmed: figures.falseAlertsConfirmed,
      falseAlertsPerHostDay: figures.falseAlertsPerHostDay,
      falseAlertsPerHostDayLow: figures.falseAlertsPerHostDayLow,
      falseAlertsPerHostDayHigh: figures.falseAlertsPerHostDayHigh,
      detection: figures.detection,
    }))
    return { ...main!.figures, budgets }
  }
}

/** The predictions of a host in memory, to be judged several times. */
async function kept(host: HostJudged): Promise<HostJudged> {
  const all = async (lazy: HostJudged['predictions']) => {
    const list: Predictions[] = []
    for await (const predictions of lazy) list.push(predictions)
    return list
  }
  return {
    ...host,
    predictions: await all(host.predictions),
    ...(host.before !== undefined && { before: await all(host.before) }),
  }
}

function withoutStatus({ status: _, ...figures }: DetectionFigures): AlarmFigures {
  return figures
}
