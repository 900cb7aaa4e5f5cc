/** `agent compare`: the paper's six models on any frames, as a table, as JSON and as pictures. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineCommand } from 'citty'
import { AgentError, EXIT } from '../domain/error.ts'
import { COMPARE_DEFAULTS, compare, type SplitKind } from '../train/compare.ts'
import { comparisonMarkdown, comparisonSvg, histogramSvg } from '../train/comparison-report.ts'
import { readRecordings } from '../train/recording.ts'
import { recipeNamed } from '../train/train.ts'
import {
  jsonArg,
  listOf,
  note,
  shutdownSignal,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'

export default defineCommand({
  meta: {
    name: 'compare',
    description:
      "The paper's six models on any frames: macro precision and recall, mean and deviation over runs",
    examples: [
      'agent compare --train frames.ndjson.zst --runs 10',
      "agent compare --train frames.ndjson.zst --split random # the paper's protocol",
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
      description: 'frames of other hosts to test on; default: a part of the same',
      valueHint: 'FRAMES…',
    },
    split: {
      type: 'string',
      description: 'time (a gap between) or random, where there is no --test',
      valueHint: 'time|random',
      default: 'time',
    },
    runs: {
      type: 'string',
      description: `independent runs (default ${COMPARE_DEFAULTS.runs})`,
      valueHint: 'N',
    },
    classes: {
      type: 'string',
      description: `so many of the most frequent names (default ${COMPARE_DEFAULTS.classes})`,
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
      description: 'directory for the table as Markdown, JSON and pictures',
      valueHint: 'DIR',
    },
    ...jsonArg,
  },
  async run({ args, rawArgs }) {
    const signal = shutdownSignal()
    const testFiles = listOf(rawArgs, 'test')
    if (args.split !== 'time' && args.split !== 'random')
      throw new AgentError(
        'ERR_USAGE',
        `Cannot use --split "${args.split}": it is neither time nor random`,
      )
    const split: SplitKind = testFiles.length > 0 ? 'file' : args.split
    const comparison = await compare(
      await readRecordings(listOf(rawArgs, 'train')),
      await readRecordings(testFiles),
      {
        ...COMPARE_DEFAULTS,
        split,
        recipe: recipeNamed(args.features),
        runs: wholeNumber(args.runs, 'runs', 1, 1_000) ?? COMPARE_DEFAULTS.runs,
        classes: wholeNumber(args.classes, 'classes', 2, 4_096) ?? COMPARE_DEFAULTS.classes,
        epochs: wholeNumber(args.epochs, 'epochs', 1, 10_000) ?? COMPARE_DEFAULTS.epochs,
      },
      () => {
        const { user, system } = process.cpuUsage()
        return (user + system) / 1e6
      },
      note,
      signal,
    )
    const table = comparisonMarkdown(comparison)
    if (args.out !== undefined) {
      await mkdir(args.out, { recursive: true })
      const base = join(args.out, `compare-${split}`)
      await writeFile(`${base}.md`, table)
      await writeFile(`${base}.json`, `${JSON.stringify(comparison, null, 2)}\n`)
      await writeFile(`${base}.svg`, comparisonSvg(comparison))
      await writeFile(join(args.out, 'histogram.svg'), histogramSvg(comparison))
    }
    if (args.json) await writeJson(comparison)
    else await writeOut(table)
    return signal.aborted ? EXIT.interrupted : EXIT.ok
  },
})
