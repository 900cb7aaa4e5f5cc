/** `agent evaluate --model DIR FRAMES…`: how good a model is, window by window and as an alarm. */
import { defineCommand } from 'citty'
import { defined } from '../domain/defined.ts'
import { AgentError } from '../domain/error.ts'
import { SIGHT_NAMES, type SightName } from '../domain/sight.ts'
import { recordingBy } from '../train/data/as-source.ts'
import { readRecordings } from '../train/data/recording.ts'
import { readHappenings } from '../train/data/scenarios.ts'
import { type Part, readSplit } from '../train/data/split.ts'
import { evaluationOf } from '../train/evaluate/evaluate-all.ts'
import { confusionSvg, evaluationText } from '../train/evaluate/evaluation-report.ts'
import { jsonArg, listOf, safeText, wholeNumber, writeJson, writeOut } from './common.ts'

const PARTS: readonly Part[] = ['train', 'calibration', 'test']

export default defineCommand({
  meta: {
    name: 'evaluate',
    description: 'Evaluates a model on frames: precision and recall, calibration, alerts found',
    examples: [
      'agent evaluate --model ./model frames.ndjson.zst',
      'agent evaluate --model ./model mine.ndjson.zst --adapt 10 --planted 20 # what ten minutes of adapting are worth here',
      'agent evaluate --model ./model frames.ndjson.zst --as-source sysdig-0.29',
      'agent evaluate --model ./model attacks.ndjson.zst --scenarios attacks.scenarios.ndjson --baseline before.ndjson.zst --json',
    ],
  },
  args: {
    files: {
      type: 'positional',
      description: 'frames files',
      valueHint: 'FRAMES…',
      required: true,
    },
    model: { type: 'string', description: 'model directory', valueHint: 'DIR', required: true },
    scenarios: {
      type: 'string',
      description: 'scenarios file with the labels of these recordings',
      valueHint: 'FILE',
    },
    baseline: {
      type: 'string',
      description: 'earlier frames of the same hosts, for their baseline',
      valueHint: 'FRAMES…',
    },
    split: {
      type: 'string',
      description: 'split file: what the model was trained on',
      valueHint: 'FILE',
    },
    part: {
      type: 'string',
      description: 'only this part of the split: train, calibration or test',
      valueHint: 'PART',
    },
    'false-alarms-per-day': {
      type: 'string',
      description: 'false-alarm budget',
      valueHint: 'N',
      default: '1',
    },
    adapt: {
      type: 'string',
      description:
        'adapt the model by the first minutes of each host (of its baseline, if given); evaluate what follows',
      valueHint: 'MINUTES',
    },
    planted: {
      type: 'string',
      description: 'on each host also run so many of its programs under the name of another',
      valueHint: 'N',
    },
    budgets: {
      type: 'string',
      description: 'count alerts at these budgets as well, such as 0.1,10,100',
      valueHint: 'N,N…',
    },
    'as-source': {
      type: 'string',
      description: `only the calls that this source sees: ${SIGHT_NAMES.join(', ')}`,
      valueHint: 'NAME',
    },
    picture: {
      type: 'string',
      description: 'write the confusion matrix as SVG',
      valueHint: 'FILE.svg',
    },
    detection: { type: 'boolean', description: 'evaluate alerts as well', default: true },
    ...jsonArg,
  },
  async run({ args, rawArgs }) {
    const part = args.part === undefined ? undefined : PARTS.find((name) => name === args.part)
    if (args.part !== undefined && part === undefined)
      throw new AgentError(
        'ERR_USAGE',
        `Cannot use --part "${args.part}": it must be one of ${PARTS.join(', ')}`,
      )
    const budget = budgetOf(args['false-alarms-per-day'], 'false-alarms-per-day')
    const minutes = wholeNumber(args.adapt, 'adapt', 1, 1_440)
    const by = sightOf(args['as-source'])
    const recordings = async (paths: readonly string[]) =>
      (await readRecordings(paths)).map((recording) =>
        by === undefined ? recording : recordingBy(recording, by),
      )
    const baseline = listOf(rawArgs, 'baseline')
    const files = args._.filter((path) => !baseline.includes(path))
    const evaluation = await evaluationOf({
      model: args.model,
      recordings: await recordings(files),
      baseline: await recordings(baseline),
      happenings: args.scenarios === undefined ? [] : await readHappenings(args.scenarios),
      split: args.split === undefined ? undefined : await readSplit(args.split),
      part,
      falseAlertsPerDay: budget,
      detection: args.detection,
      ...defined({
        budgets: args.budgets?.split(',').map((text) => budgetOf(text, 'budgets')),
        adaptSeconds: minutes && 60 * minutes,
        planted: wholeNumber(args.planted, 'planted', 0, 1_000),
      }),
    })
    if (args.picture !== undefined) await Bun.write(args.picture, confusionSvg(evaluation))
    if (args.json) await writeJson(evaluation)
    else await writeOut(evaluationText(evaluation))
  },
})

function budgetOf(text: string, flag: string): number {
  const budget = Number(text)
  if (budget > 0) return budget
  throw new AgentError('ERR_USAGE', `Cannot use --${flag} "${text}": it must be a number above 0`)
}

function sightOf(word: string | undefined): SightName | undefined {
  if (word === undefined) return undefined
  const name = SIGHT_NAMES.find((name) => name === word)
  if (name !== undefined) return name
  throw new AgentError(
    'ERR_USAGE',
    `Cannot use --as-source "${safeText(word)}": it must be one of ${SIGHT_NAMES.join(', ')}`,
  )
}
