/** `agent compare`: the paper's six models on any frames, as a table, as JSON and as pictures. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineCommand } from 'citty'
import {
  COMPARE_DEFAULTS,
  type CompareProgress,
  compare,
  MODELS,
  type ModelKey,
  type SplitKind,
} from '../compare/compare.ts'
import {
  comparisonJson,
  comparisonMarkdown,
  comparisonSvg,
  histogramSvg,
} from '../compare/comparison-report.ts'
import { AgentError } from '../domain/error.ts'
import { readRecordings } from '../train/data/recording.ts'
import { recipeNamed } from '../train/train-options.ts'
import { jsonArg, listOf, note, wholeNumber, writeJson, writeOut } from './common.ts'

export default defineCommand({
  meta: {
    name: 'compare',
    description:
      "Trains and compares the paper's six models: macro precision and recall, mean and deviation over runs",
    examples: [
      'agent compare --train frames.ndjson.zst --runs 10 --out ./tables # both splits side by side',
      "agent compare --train frames.ndjson.zst --split random --models rf,simple # the paper's protocol",
      'agent compare --train host-a.ndjson.zst --test host-b.ndjson.zst --classes 45 --out ./tables',
    ],
  },
  args: {
    train: {
      type: 'string',
      description: 'frames to train on',
      valueHint: 'FRAMES…',
      required: true,
    },
    test: {
      type: 'string',
      description: 'frames of other hosts for testing; default: a part of the training frames',
      valueHint: 'FRAMES…',
    },
    split: {
      type: 'string',
      description:
        "time (the last fifth is the test, with a gap) or random (the paper's); default: both, unless --test is given",
      valueHint: 'time|random',
    },
    models: {
      type: 'string',
      description: `some of ${MODELS.map(({ key }) => key).join(',')} (default all)`,
      valueHint: 'M,…',
    },
    runs: {
      type: 'string',
      description: `independent runs (default ${COMPARE_DEFAULTS.runs})`,
      valueHint: 'N',
    },
    classes: {
      type: 'string',
      description: `number of classes, the most frequent names (default ${COMPARE_DEFAULTS.classes})`,
      valueHint: 'N',
    },
    epochs: {
      type: 'string',
      description: `epochs of the nets (default ${COMPARE_DEFAULTS.epochs})`,
      valueHint: 'N',
    },
    features: { type: 'string', description: 'recipe', valueHint: 'RECIPE', default: 'frequency' },
    out: {
      type: 'string',
      description: 'directory for the tables as Markdown, JSON and SVG',
      valueHint: 'DIR',
    },
    ...jsonArg,
  },
  async run({ args, rawArgs }) {
    const testFiles = listOf(rawArgs, 'test')
    const splits = splitsOf(args.split, testFiles.length > 0)
    const comparison = await compare(
      await readRecordings(listOf(rawArgs, 'train')),
      await readRecordings(testFiles),
      {
        ...COMPARE_DEFAULTS,
        splits,
        models: modelsOf(args.models),
        recipe: recipeNamed(args.features),
        runs: wholeNumber(args.runs, 'runs', 1, 1_000) ?? COMPARE_DEFAULTS.runs,
        classes: wholeNumber(args.classes, 'classes', 2, 4_096) ?? COMPARE_DEFAULTS.classes,
        epochs: wholeNumber(args.epochs, 'epochs', 1, 10_000) ?? COMPARE_DEFAULTS.epochs,
      },
      () => {
        const { user, system } = process.cpuUsage()
        return (user + system) / 1e6
      },
      (progress) => note(progressLine(progress)),
    )
    const table = comparisonMarkdown(comparison)
    const json = comparisonJson(comparison)
    if (args.out !== undefined) {
      await mkdir(args.out, { recursive: true })
      const base = join(args.out, splits.length > 1 ? 'compare' : `compare-${splits[0]}`)
      await writeFile(`${base}.md`, table)
      await writeFile(`${base}.json`, `${JSON.stringify(json, null, 2)}\n`)
      await writeFile(`${base}.svg`, comparisonSvg(comparison))
      await writeFile(join(args.out, 'histogram.svg'), histogramSvg(comparison))
    }
    if (args.json) await writeJson(json)
    else await writeOut(table)
  },
})

/** Both where none is asked for, by time first: it is the headline. */
function splitsOf(split: string | undefined, hasTest: boolean): readonly SplitKind[] {
  if (split !== undefined && split !== 'time' && split !== 'random')
    throw new AgentError('ERR_USAGE', `Cannot use --split "${split}": it must be time or random`)
  if (!hasTest) return split === undefined ? ['time', 'random'] : [split]
  if (split !== undefined)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --split "${split}" with --test: the files define the split`,
    )
  return ['file']
}

function modelsOf(list: string | undefined): readonly ModelKey[] {
  const known = MODELS.map(({ key }) => key)
  if (list === undefined) return known
  return list.split(',').map((word) => {
    const key = known.find((candidate) => candidate === word.trim())
    if (key !== undefined) return key
    throw new AgentError('ERR_USAGE', `Cannot compare model "${word}": there is no such model`, {
      hint: `Use some of: ${known.join(',')}`,
    })
  })
}

function progressLine(progress: CompareProgress): string {
  const { split, model, run, done, of, precision, recall, seconds } = progress
  return `${done} of ${of}: ${model}, ${split}, run ${run}: precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}, ${seconds.toFixed(1)} s CPU`
}
