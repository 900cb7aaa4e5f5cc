/**
 * MODEL_CARD.md: what a person must know before using a model, from the measurements of its
 * training. Written by the trainer, so that its numbers equal those of the manifest.
 */

import type { OwnLevel } from '../detect/calibration.ts'
import { FRAME_MS, SEQUENCE_FRAMES } from '../domain/limits.ts'
import { type Manifest, sequenceSeconds } from '../model/manifest.ts'
import { BACKGROUND } from './data/classes.ts'
import type { Figures } from './evaluate/metrics.ts'
import type { MaliceFigures } from './forest/malice-forest.ts'
import { round } from './manifest-facts.ts'

export interface CardFacts {
  readonly manifest: Manifest
  readonly figures: Readonly<Partial<Record<'calibration' | 'test', Figures>>>
  readonly warnings: readonly string[]
  readonly command: string
  readonly windowsMin: number
}

export function modelCard({ manifest, figures, warnings, command, windowsMin }: CardFacts): string {
  const ordinary = manifest.classes.filter(
    ({ malicious, background, behaviour }) => !malicious && !background && behaviour === undefined,
  )
  const malicious = manifest.classes.filter((entry) => entry.malicious)
  const generic = ordinary.filter((entry) => entry.generic)
  const paragraphs = [
    `# Model \`${manifest.name}\``,
    `What it is: ${article(manifest.arch)} (${manifest.stateSize} state numbers)${besideWords(manifest)} that tells from ${secondsOf(manifest)} of a process's ` +
      `system calls which of ${manifest.classes.length} classes it behaves like. Id \`${manifest.id.slice(0, 16)}\`, made ` +
      `${manifest.created.slice(0, 10)}, not to be used after ${manifest.expires.slice(0, 10)}. Made by:`,
    `    ${command}`,
    ...forestWords(manifest),
    ...baseWords(manifest),
    '## Data',
    table(
      ['File (host)', 'Seconds', 'Vectors', 'SHA-256'],
      manifest.data.map(({ file, from, to, vectors, sha256 }) => [
        `\`${file}\``,
        String(to - from + 1),
        String(vectors),
        `\`${sha256.slice(0, 12)}…\``,
      ]),
    ),
    `Windows are ${secondsOf(manifest)} of one process by the clock, ${framesOf(manifest)}, judged when it was active in at least three of them. Parts are ` +
      'split by time with a gap between them, labelled attacks by happening: no window of the test part, and none of a happening ' +
      'that is kept for tests, was trained on or used to set a threshold.',
    '## Figures',
    figuresTable(figures),
    weakest(figures.test ?? figures.calibration),
    `Probabilities are divided by a temperature of ${manifest.calibration.temperature.toFixed(2)}, set on ` +
      `${manifest.calibration.windows} held-out windows; expected calibration error there ${manifest.calibration.ece.toFixed(4)}.`,
    maliceWords(manifest),
    ownLevelWords(manifest),
    '## Classes',
    `A name (after the alias rules below) with at least ${windowsMin} training windows is a class; rarer ones share the ` +
      `class "${BACKGROUND}", so that an unknown benign program is not assigned to the nearest malicious class. ` +
      'A name that a process has for a single second (a forked child before its exec) is excluded. Processes that live ' +
      'a few seconds are added up by name, as the live agent does, and trained on as such.',
    `Ordinary (${ordinary.length}): ${list(ordinary)}.`,
    `Malicious (${malicious.length}): ${list(malicious)}. Each is a behaviour, learnt from the own processes of its programs in ` +
      'labelled happenings; the shell that started one and what ran beside it are left out. Tools that administrators use as ' +
      'well (nc, socat, dig, load generators) share the class "use of a dual-use tool", which is not malicious by itself.',
    generic.length === 0
      ? ''
      : `Interpreters and shells (${list(generic)}): one name, many programs. They are classes, because what they do in ` +
        'the recordings is worth knowing, and are marked `generic`: a claim to such a name binds a process to little.',
    `Alias rules (\`#\` stands for a version, \`*\` for any end): ${manifest.aliases
      .map((rule) => `\`${rule.pattern}\` = ${rule.class}`)
      .join(', ')}.`,
    '## Recipe',
    `\`${manifest.recipe.name}\`: ${recipeWords(manifest)}`,
    '## What it cannot do',
    'It knows programs as they behaved on the recorded hosts. Another release, configuration or runtime of the same ' +
      "program may deviate; the agent's baseline of its host compensates for that. It sees calls, not their arguments: " +
      'a program that does something else by the same calls at the same pace looks the same.',
    '## Your own programs',
    '`agent record --out mine.frames.ndjson.zst` on your host (`--label NAME` where a program does not bear its own name), then ' +
      '`agent train mine.frames.ndjson.zst --base DIR --out ./model` with the directory of this model (`default` for the one inside the ' +
      'agent): its classes are kept, yours come beside them.',
    ...(warnings.length === 0
      ? []
      : ['## Warnings while training', warnings.map((line) => `- ${line}`).join('\n')]),
  ]
  return `${paragraphs.filter((text) => text !== '').join('\n\n')}\n`
}

/** What the trees of malice reach on what they had not seen. */
function maliceWords({ measured }: Manifest): string {
  const malice = measured.malice as MaliceFigures | undefined
  if (malice === undefined) return ''
  return (
    'Whether a window is malicious is decided by trees of its own. On programs and implementations that were left out of their ' +
    `training (in four parts, ${malice.windows} windows): AUC ${malice.auc.toFixed(3)}; at a probability of one half ` +
    `${(100 * malice.recall).toFixed(1)} % of malicious and ${(100 * malice.falseShare).toFixed(2)} % of ordinary windows.`
  )
}

/** Names with a level of their own (detect/calibration.ts). */
function ownLevelWords({ detection }: Manifest): string {
  const own = (detection as { readonly own?: readonly OwnLevel[] } | undefined)?.own ?? []
  if (own.length === 0) return ''
  const words = own.map(({ name, stage }) => `${name} (${stage})`).join(', ')
  return (
    `The model contradicts these names permanently on ordinary recordings, so a contradiction alone raises no alert about them: ${words}. ` +
    'Malicious behaviour under these names does.'
  )
}

function besideWords({ forest }: Manifest): string {
  return forest === undefined ? '' : ` with a random forest of ${forest.trees} trees beside it,`
}

/** The paragraph about the forest. */
function forestWords({ forest, classes }: Manifest): string[] {
  if (forest === undefined) return []
  const unknown = classes.length - forest.classes
  return [
    '## The forest beside the net',
    `${forest.trees} trees, ${forest.nodes} nodes and leaves, on what the net sees of a window without its order: the mean of each share over the active ` +
      'seconds, and the part of the seconds that were active. Grown on training windows alone, each as it was and once ' +
      `varied. What the model says of a class is ${forest.weight} of the trees' votes and ${round(1 - forest.weight)} of the net's probability; ` +
      "the states that the host's memory and the prototypes are made of are the net's alone. " +
      `What it costs: some ${(forest.nodes / 105_000).toFixed(1)} MB of the file, fifteen to twenty times that in memory, and for each tree one to two hundredths of the net's CPU.` +
      (unknown === 0
        ? ''
        : ` It knows the first ${forest.classes} classes: the ${unknown} that came later have all that the net gives them.`),
  ]
}

/** The paragraph about the base of an extended model. */
function baseWords({ measured, classes, expires }: Manifest): string[] {
  const base = measured.base as
    | {
        readonly id: string
        readonly name: string
        readonly classes: number
        readonly kept: number
      }
    | undefined
  if (base === undefined) return []
  const added = classes.slice(base.classes)
  return [
    '## What it was extended from',
    `Model \`${base.name}\`, id \`${base.id.slice(0, 16)}\`, ${base.classes} classes, whose card says how good those are. Its LSTM is ` +
      'unchanged; the readout was trained on the recordings named last below, and on states of the old classes drawn from the ' +
      `base's prototypes: for ${(100 * base.kept).toFixed(1)} % of those it says what the base said. The figures here are of the new ` +
      `recordings alone. What the base knows is as old as it was: hence ${expires.slice(0, 10)}.`,
    added.length === 0 ? 'No class was added.' : `Added (${added.length}): ${list(added)}.`,
  ]
}

function secondsOf(manifest: Manifest): string {
  const seconds = sequenceSeconds(manifest)
  return seconds === SEQUENCE_FRAMES ? 'ten seconds' : `${seconds} seconds`
}

function framesOf({ frameMs, sequenceFrames }: Manifest): string {
  return frameMs === FRAME_MS
    ? 'a frame a second'
    : `in ${sequenceFrames} frames of ${frameMs / FRAME_MS} s`
}

function article(arch: string): string {
  return arch === 'inception' ? 'an inception-like net' : `a ${arch} net`
}

function recipeWords({ recipe, width, vocabulary }: Manifest): string {
  const families =
    recipe.families.length === 0
      ? "each call's share of the second's calls"
      : "calls that do the same (open, openat …) added up, then each one's share of the second's calls"
  const power =
    recipe.power === 1
      ? ''
      : recipe.power === 0.5
        ? ', its square root'
        : `, to the power of ${recipe.power}`
  const rate = recipe.rate === 'none' ? '' : ', and the logarithm of the rate beside it'
  return `${families}${power}${rate}. ${width} numbers a second, from the ${vocabulary.length} calls that occurred in training; any other counts as \`other\`.`
}

function figuresTable(figures: CardFacts['figures']): string {
  return table(
    ['Part', 'Windows', 'Classes', 'Accuracy', 'Macro precision', 'Macro recall'],
    (['calibration', 'test'] as const).flatMap((part) => {
      const f = figures[part]
      if (f === undefined) return []
      const windows = f.classes.reduce((sum, entry) => sum + entry.windows, 0)
      return [
        [
          part,
          String(windows),
          String(f.classes.length),
          ...[f.accuracy, f.macroPrecision, f.macroRecall].map((x) => x.toFixed(3)),
        ],
      ]
    }),
  )
}

function weakest(figures: Figures | undefined): string {
  if (figures === undefined) return ''
  const weak = figures.classes
    .filter(({ precision, recall }) => Math.min(precision, recall) < 0.95)
    .sort((a, b) => Math.min(a.precision, a.recall) - Math.min(b.precision, b.recall))
    .slice(0, 12)
  if (weak.length === 0) return 'No class has a precision or recall below 0.95.'
  return `Weakest (windows, precision, recall): ${weak
    .map((c) => `${c.name} (${c.windows}, ${c.precision.toFixed(2)}, ${c.recall.toFixed(2)})`)
    .join('; ')}.`
}

function list(classes: readonly { readonly name: string }[]): string {
  return classes.map(({ name }) => name).join(', ')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}
