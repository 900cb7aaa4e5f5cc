/** The manifest's entries about training data and measured figures. */

import type { ForestPart } from '../model/forest-graph.ts'
import type { Manifest, ManifestForest, TrainingFile } from '../model/manifest.ts'
import type { Recording } from './data/recording.ts'
import type { Figures } from './evaluate/metrics.ts'

export type PartFigures = Readonly<Partial<Record<'calibration' | 'test', Figures>>>

export function trainingFiles(recordings: readonly Recording[]): TrainingFile[] {
  return recordings.map(({ file, host, sha256, frames, vectors }) => ({
    file: `${file.split('/').at(-1)} (${host})`,
    sha256,
    from: frames[0]!.index,
    to: frames.at(-1)!.index,
    vectors,
  }))
}

export function forestFacts({ trees, known, weight }: ForestPart): ManifestForest {
  return {
    trees: trees.roots.length,
    nodes: trees.columns.length + trees.leafTargets.length,
    classes: known,
    weight,
  }
}

export function measuredFigures(figures: PartFigures): Manifest['measured'] {
  return Object.fromEntries(
    Object.entries(figures).map(([part, { accuracy, macroPrecision, macroRecall, classes }]) => [
      part,
      {
        windows: classes.reduce((sum, entry) => sum + entry.windows, 0),
        classes: classes.length,
        accuracy: round(accuracy),
        macroPrecision: round(macroPrecision),
        macroRecall: round(macroRecall),
      },
    ]),
  )
}

/** Problems of the files themselves, one warning per file. */
export function warningsOf(recordings: readonly Recording[]): string[] {
  const warnings = new Set<string>()
  for (const { file, refusedLines, refusedFirst, unknownCalls } of recordings) {
    if (refusedLines > 0)
      warnings.add(
        `${refusedLines} lines of "${file}" are no vectors and were left out (${refusedFirst})`,
      )
    if (unknownCalls !== undefined && unknownCalls.length > 0)
      warnings.add(`"${file}" has unknown calls, counted as "other": ${unknownCalls.join(', ')}`)
  }
  return [...warnings]
}

export function round(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
