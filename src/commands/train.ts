/**
 * `agent train FRAMES… --out DIR`: frames to a model directory, with progress, early stop and
 * calibration.
 */
import { basename } from 'node:path'
import { defineCommand } from 'citty'
import { AgentError } from '../domain/error.ts'
import {
  FOREST_TREES_MAX,
  MODEL_SEQUENCE_FRAMES_MAX,
  MODEL_SEQUENCE_SECONDS_MAX,
} from '../domain/limits.ts'
import { readBufferedFrames } from '../operate/buffered-frames.ts'
import { modelFiles } from '../operate/models.ts'
import { systemClock } from '../platform/clock.ts'
import { commit, version } from '../platform/embedded.ts'
import { loadSettings } from '../settings/settings.ts'
import { modelCard } from '../train/card.ts'
import { ownProcesses, type Recording, readRecordings } from '../train/data/recording.ts'
import { readHappenings } from '../train/data/scenarios.ts'
import { readSplit, splitRecordings } from '../train/data/split.ts'
import { extend } from '../train/extend.ts'
import { WINDOW_FOREST_DEFAULTS } from '../train/forest/window-forest.ts'
import type { EpochReport } from '../train/net/fit.ts'
import { READOUT_FIT } from '../train/net/fit-readout.ts'
import { saveModel } from '../train/save-model.ts'
import { type Trained, train } from '../train/train.ts'
import { ARCHS, recipeNamed, TRAIN_DEFAULTS } from '../train/train-options.ts'
import {
  jsonArg,
  listOf,
  note,
  settingArgs,
  shutdownSignal,
  wholeNumber,
  writeJson,
  writeOut,
} from './common.ts'

const GAP_SECONDS = 30

/** What a base fixes. */
const SHAPE_FLAGS = [
  'arch',
  'features',
  'hidden',
  'sequence',
  'frame',
  'vocabulary',
  'forest',
  'forest-weight',
] as const

/** Flags that change what comes out and have no words of their own in the card's command. */
const RESULT_FLAGS = ['hidden', 'sequence', 'frame', 'stride', 'windows-min', 'vocabulary'] as const

export default defineCommand({
  meta: {
    name: 'train',
    description: 'Trains a model from frames',
    examples: [
      'agent train frames.ndjson.zst --out ./model',
      'agent train mine.ndjson.zst --base default --out ./model # the shipped model plus my programs',
      'agent train a.ndjson.zst b.ndjson.zst --scenarios attacks.scenarios.ndjson --out ./model',
      'agent train frames.ndjson.zst --out ./model --forest 30 # with a random forest beside the net: better, larger',
      'agent train --from-buffer --out ./model # what this host did in the last hour',
      'agent train frames.ndjson.zst --out ./model --arch inception --epochs 20 --seed 7 --json',
    ],
  },
  args: {
    files: {
      type: 'positional',
      description: 'frames files, of any number of hosts',
      valueHint: 'FRAMES…',
      required: false,
    },
    'from-buffer': {
      type: 'boolean',
      description: 'also train on the frames that the agent on this host has buffered',
    },
    ...settingArgs('state', 'host'),
    out: {
      type: 'string',
      description: 'model directory to write',
      valueHint: 'DIR',
      required: true,
    },
    base: {
      type: 'string',
      description:
        'extend this model by the recorded programs, keeping its classes; "default" is the shipped model',
      valueHint: 'DIR',
    },
    arch: {
      type: 'string',
      description: `net: ${ARCHS.join(', ')} (default ${TRAIN_DEFAULTS.arch})`,
      valueHint: 'NET',
    },
    forest: {
      type: 'string',
      description: 'number of trees beside the net; 0 (default) is the net alone',
      valueHint: 'TREES',
    },
    'forest-weight': {
      type: 'string',
      description: `weight of the forest, between 0 and 1 (default ${WINDOW_FOREST_DEFAULTS.weight})`,
      valueHint: 'SHARE',
    },
    epochs: {
      type: 'string',
      description: `maximum number of epochs (default ${TRAIN_DEFAULTS.fit.epochs}, with --base ${READOUT_FIT.epochs})`,
      valueHint: 'N',
    },
    seed: {
      type: 'string',
      description:
        'random seed; the same seed, data and type of CPU give the same weights (default 1)',
      valueHint: 'N',
    },
    scenarios: {
      type: 'string',
      description: 'scenarios file: non-grata programs become malicious classes',
      valueHint: 'FILE…',
    },
    split: {
      type: 'string',
      description:
        'split file with the training, calibration and test parts; default: the last 15 % calibrate',
      valueHint: 'FILE',
    },
    features: {
      type: 'string',
      description: `recipe, such as frequency (the paper) or families (default ${TRAIN_DEFAULTS.recipe})`,
      valueHint: 'RECIPE',
    },
    hidden: {
      type: 'string',
      description: `hidden units (default ${TRAIN_DEFAULTS.hidden})`,
      valueHint: 'N',
    },
    sequence: {
      type: 'string',
      description: `frames in a sequence (default ${TRAIN_DEFAULTS.sequenceFrames})`,
      valueHint: 'N',
    },
    frame: {
      type: 'string',
      description: `seconds per frame; counts of seconds are summed (default ${TRAIN_DEFAULTS.frameSeconds})`,
      valueHint: 'SECONDS',
    },
    stride: {
      type: 'string',
      description: 'seconds between two windows of a process (default 1)',
      valueHint: 'N',
    },
    'windows-min': {
      type: 'string',
      description: `minimum windows for a class (default ${TRAIN_DEFAULTS.windowsMin})`,
      valueHint: 'N',
    },
    vocabulary: {
      type: 'string',
      description: 'seen: the calls of the training data (default); full: all known calls',
      valueHint: 'V',
    },
    name: { type: 'string', description: 'name of the model', valueHint: 'NAME' },
    ...jsonArg,
  },
  async run({ args, rawArgs }) {
    if (args.base !== undefined) refuseShape(args, args.base)
    const seed = wholeNumber(args.seed, 'seed', 0, 0xffff_ffff) ?? TRAIN_DEFAULTS.fit.seed
    const defaults = args.base === undefined ? TRAIN_DEFAULTS.fit : READOUT_FIT
    const epochs = wholeNumber(args.epochs, 'epochs', 1, 10_000) ?? defaults.epochs
    const options = {
      stride: wholeNumber(args.stride, 'stride', 1, 60) ?? TRAIN_DEFAULTS.stride,
      windowsMin: wholeNumber(args['windows-min'], 'windows-min', 1) ?? TRAIN_DEFAULTS.windowsMin,
      fit: { ...defaults, epochs, seed },
      code: `${version} (${commit})`,
      name: args.name ?? basename(args.out),
    }
    const scenarios = listOf(rawArgs, 'scenarios')
    const files = args._.filter((path) => !scenarios.includes(path))
    const recordings: Recording[] = await readRecordings(files)
    if (args['from-buffer']) {
      const { state, host } = loadSettings(args).settings
      recordings.push(ownProcesses(readBufferedFrames(state, host)))
    }
    if (recordings.length === 0)
      throw new AgentError('ERR_USAGE', 'Cannot train: no frames file is given', {
        hint: 'Give frames files, or --from-buffer',
      })
    const happenings = (await Promise.all(scenarios.map(readHappenings))).flat()
    const measuredOnly = args.split === undefined
    const split =
      args.split === undefined
        ? splitRecordings(recordings, { train: 0.85, calibration: 0.15 }, GAP_SECONDS)
        : await readSplit(args.split)
    // The best epoch so far becomes a model, too; a second Ctrl-C does not wait for it.
    const stop = shutdownSignal()
    const data = { recordings, happenings, split }
    const progress = args.json ? (epoch: EpochReport) => void writeJson(epoch) : showEpoch
    const trained =
      args.base === undefined
        ? await train(
            data,
            { ...TRAIN_DEFAULTS, ...shapeOf(args), ...options, measuredOnly },
            systemClock,
            progress,
            stop,
          )
        : await extend(
            { files: await modelFiles(args.base), where: args.base },
            data,
            options,
            systemClock,
            progress,
            stop,
          )
    for (const warning of trained.warnings) note(`Warning: ${warning}`)
    const { manifest, figures } = trained
    const flag = (name: string, value: string | undefined) =>
      value === undefined ? '' : ` --${name} ${basename(value)}`
    const command =
      `agent train ${files.map((path) => basename(path)).join(' ')}${flag('base', args.base)}` +
      `${scenarios.map((path) => flag('scenarios', path)).join('')}${flag('split', args.split)}` +
      (args.base === undefined
        ? ` --arch ${manifest.arch} --features ${manifest.recipe.name}${forestFlags(manifest)}`
        : '') +
      RESULT_FLAGS.map((name) => flag(name, args[name])).join('') +
      ` --epochs ${epochs} --seed ${seed}`
    const { windowsMin } = options
    await saveModel(
      args.out,
      trained,
      modelCard({ manifest, figures, warnings: trained.warnings, command, windowsMin }),
    )
    if (args.json)
      await writeJson({
        out: args.out,
        id: manifest.id,
        arch: manifest.arch,
        recipe: manifest.recipe.name,
        seed,
        classes: manifest.classes.length,
        temperature: manifest.calibration.temperature,
        ece: manifest.calibration.ece,
        ...manifest.measured,
      })
    else await writeOut(`${args.out}: ${saidOf(trained)}, id ${manifest.id.slice(0, 16)}\n`)
  },
})

type ShapeFlag = (typeof SHAPE_FLAGS)[number]
type ShapeArgs = Readonly<Partial<Record<ShapeFlag, string | undefined>>>

/** What the flags say of the net and its input. */
function shapeOf(args: ShapeArgs) {
  const arch = ARCHS.find((name) => name === (args.arch ?? TRAIN_DEFAULTS.arch))
  if (arch === undefined)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --arch "${args.arch}": it must be one of ${ARCHS.join(', ')}`,
    )
  const vocabulary = args.vocabulary ?? 'seen'
  if (vocabulary !== 'seen' && vocabulary !== 'full')
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --vocabulary "${vocabulary}": it must be seen or full`,
    )
  const frameSeconds = wholeNumber(args.frame, 'frame', 1, 60) ?? TRAIN_DEFAULTS.frameSeconds
  const sequenceFrames =
    wholeNumber(args.sequence, 'sequence', 2, MODEL_SEQUENCE_FRAMES_MAX) ??
    TRAIN_DEFAULTS.sequenceFrames
  const seconds = frameSeconds * sequenceFrames
  if (seconds > MODEL_SEQUENCE_SECONDS_MAX)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --frame ${frameSeconds}: ${sequenceFrames} frames are ${seconds} s, at most ${MODEL_SEQUENCE_SECONDS_MAX} s of a process are kept`,
    )
  return {
    arch,
    recipe: recipeNamed(args.features ?? TRAIN_DEFAULTS.recipe),
    hidden: wholeNumber(args.hidden, 'hidden', 1, 1_024) ?? TRAIN_DEFAULTS.hidden,
    sequenceFrames,
    frameSeconds,
    fullVocabulary: vocabulary === 'full',
    ...forestOf(args),
  }
}

function forestOf(args: ShapeArgs) {
  const trees = wholeNumber(args.forest, 'forest', 0, FOREST_TREES_MAX) ?? 0
  const text = args['forest-weight']
  const weight = text === undefined ? WINDOW_FOREST_DEFAULTS.weight : Number(text)
  if (text !== undefined && (trees === 0 || !(weight > 0 && weight < 1)))
    throw new AgentError(
      'ERR_USAGE',
      trees === 0
        ? 'Cannot use --forest-weight without --forest'
        : `Cannot use --forest-weight "${text}": it must be a number between 0 and 1`,
    )
  return trees === 0 ? {} : { forest: { ...WINDOW_FOREST_DEFAULTS, trees, weight } }
}

/** With a base these are fixed, so the flags are errors. */
function refuseShape(args: ShapeArgs, base: string): void {
  const given = SHAPE_FLAGS.find((flag) => args[flag] !== undefined)
  if (given !== undefined)
    throw new AgentError(
      'ERR_USAGE',
      `Cannot use --${given} with --base: net, features and frames are those of "${base}"`,
      { hint: `Omit --${given}, or train without --base` },
    )
}

function forestFlags({ forest }: Trained['manifest']): string {
  return forest === undefined ? '' : ` --forest ${forest.trees} --forest-weight ${forest.weight}`
}

function saidOf({ manifest, figures, stopped }: Trained): string {
  const shown = figures.test ?? figures.calibration
  const held =
    shown === undefined
      ? ''
      : `, held out: precision ${shown.macroPrecision.toFixed(3)}, recall ${shown.macroRecall.toFixed(3)}`
  return `${manifest.classes.length} classes${held}${stopped ? `, stopped: the best epoch so far is epoch ${manifest.measured.epoch}` : ''}`
}

function showEpoch(report: EpochReport): void {
  const held =
    report.heldOutAccuracy === undefined
      ? ''
      : `   held out: loss ${report.heldOutLoss!.toFixed(4)} accuracy ${report.heldOutAccuracy.toFixed(4)}`
  note(
    `epoch ${String(report.epoch).padStart(2)}/${report.epochs}   loss ${report.loss.toFixed(4)} accuracy ${report.accuracy.toFixed(4)}${held}   ${Math.round(report.secondsLeft)} s left`,
  )
}
