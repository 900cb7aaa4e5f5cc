/**
 * A comparison for people: the tables side by side as Markdown, beside the paper's own figures, and
 * as pictures (SVG, no library): the tables, and the paper's Fig. 5.
 */

import { xml } from '../train/evaluate/evaluation-report.ts'
import type {
  CompareRow,
  Comparison,
  ComparisonTable,
  MeanAndDeviation,
  SplitKind,
} from './compare.ts'
import type { DataFigures } from './compare-data.ts'

interface PaperRow {
  readonly precision: MeanAndDeviation
  readonly recall: MeanAndDeviation
}

const paperRow = (precision: number, p: number, recall: number, r: number): PaperRow => ({
  precision: { mean: precision, sd: p },
  recall: { mean: recall, sd: r },
})

/**
 * The paper's Tables I (laboratory, 28 classes) and II (production, 20 classes): macro precision
 * and recall, 10 runs.
 */
export const PAPER: Readonly<
  Record<string, { readonly laboratory: PaperRow; readonly production: PaperRow }>
> = {
  'Logistic Regression': {
    laboratory: paperRow(0.843, 1e-16, 0.815, 1e-16),
    production: paperRow(0.791, 1e-16, 0.741, 1e-16),
  },
  'Linear SVM': {
    laboratory: paperRow(0.85, 1e-16, 0.827, 1e-16),
    production: paperRow(0.792, 1e-16, 0.741, 1e-16),
  },
  'Random Forest': {
    laboratory: paperRow(0.86, 0.006, 0.838, 9e-5),
    production: paperRow(0.85, 0.02, 0.795, 0.02),
  },
  'Simple net': {
    laboratory: paperRow(0.916, 0.01, 0.922, 0.003),
    production: paperRow(0.957, 0.03, 0.918, 0.03),
  },
  'Bidirectional net': {
    laboratory: paperRow(0.923, 0.01, 0.923, 0.003),
    production: paperRow(0.948, 0.04, 0.911, 0.04),
  },
  'Inception-like net': {
    laboratory: paperRow(0.924, 0.01, 0.925, 0.003),
    production: paperRow(0.965, 0.02, 0.931, 0.01),
  },
}

const SPLITS: Readonly<Record<SplitKind, { readonly short: string; readonly long: string }>> = {
  time: {
    short: 'by time',
    long: 'the last fifth of each recording is the test, with a gap before it: our protocol, and the meaningful one',
  },
  random: {
    short: 'at random',
    long: "a random fifth of the blocks is the test: the paper's protocol; neighbouring blocks of a process are on both sides, so its figures are too high",
  },
  file: {
    short: 'other hosts',
    long: "trained on some hosts' recordings, tested on others': the paper's Table II",
  },
}

/** Names in the tables for people; the JSON has all. */
const HISTOGRAM_TEXT = 60
const HISTOGRAM_PICTURE = 150

const paperOf = ({ split }: ComparisonTable) => (split === 'file' ? 'production' : 'laboratory')

/** The output of `--json` and of the JSON file: each row beside the paper's. */
export function comparisonJson(comparison: Comparison) {
  const withPaper = (table: ComparisonTable) => ({
    ...table,
    rows: table.rows.map((row) => ({ ...row, paper: PAPER[row.model]![paperOf(table)] })),
  })
  return { ...comparison, ...withPaper(comparison), splits: comparison.splits.map(withPaper) }
}

export function comparisonMarkdown(comparison: Comparison): string {
  const { splits, runs, epochs, recipe, data } = comparison
  const table = paperOf(comparison) === 'laboratory' ? 'I' : 'II'
  const figure = ({ mean, sd }: MeanAndDeviation) => `${mean.toFixed(3)} (${deviation(sd)})`
  const cells = (row: PaperRow | CompareRow | undefined) =>
    row === undefined ? '| |' : `${figure(row.precision)} | ${figure(row.recall)} |`
  const models = [...new Set(splits.flatMap(({ rows }) => rows.map(({ model }) => model)))]
  const rowOf = (split: ComparisonTable, model: string) =>
    split.rows.find((row) => row.model === model)
  const heads = splits.map(
    ({ split }) => `Precision, ${SPLITS[split].short} | Recall, ${SPLITS[split].short}`,
  )
  return [
    `# ${models.length === 6 ? 'Six' : models.length} models, ${[...new Set(splits.map(({ classes }) => classes))].join(' and ')} classes (the paper's Table ${table})`,
    '',
    ...splits.map(
      ({ split, classes, trainBlocks, testBlocks }) =>
        `- **${SPLITS[split].short}**: ${SPLITS[split].long}. ${classes} classes, ${trainBlocks} blocks of ten seconds to train, ${testBlocks} to test.`,
    ),
    '',
    `Macro precision and recall: mean over ${runs === 1 ? 'one run' : `${runs} runs that differ by the seed`}, deviation in parentheses. Rows \`${recipe}\`, nets trained for ${epochs} epochs. ` +
      'Logistic regression and SVM have one optimum, so one training stands for all runs. Baselines see single seconds and vote.',
    '',
    `| Model | ${heads.join(' | ')} | CPU s a training | Paper's precision | Paper's recall |`,
    `|---|${'---|'.repeat(2 * splits.length + 3)}`,
    ...models.map((model) => {
      const seconds = splits.flatMap((split) => rowOf(split, model)?.seconds ?? [])
      const mean = seconds.reduce((a, b) => a + b, 0) / seconds.length
      return `| ${model} | ${splits.map((split) => cells(rowOf(split, model))).join(' ')} ${mean.toFixed(1)} | ${cells(PAPER[model]![paperOf(comparison)])}`
    }),
    '',
    ...dataMarkdown(data),
  ].join('\n')
}

function deviation(sd: number): string {
  if (sd === 0) return '0'
  return sd < 0.0005 ? sd.toExponential(0) : sd.toFixed(3)
}

function dataMarkdown({ hosts, frames, vectors, syscalls, nonZero, histogram }: DataFigures) {
  const shown = histogram.slice(0, HISTOGRAM_TEXT)
  const rest = histogram.slice(HISTOGRAM_TEXT)
  return [
    "## The data (the paper's Fig. 5)",
    '',
    `Hosts ${hosts.map(cell).join(', ')}: ${frames} seconds, ${vectors} count vectors of ${histogram.length} programs, ${syscalls} different system calls. ` +
      `A vector has ${nonZero.mean} different calls in the mean, ${nonZero.median} in the median, ${nonZero.max} at most.`,
    '',
    '| Program | Vectors |',
    '|---|---|',
    ...shown.map(({ name, vectors: count }) => `| ${cell(name)} | ${count} |`),
    ...(rest.length === 0
      ? []
      : [`| ${rest.length} more | ${rest.reduce((sum, { vectors: count }) => sum + count, 0)} |`]),
    '',
  ]
}

/** A name from a recording within a Markdown table. */
function cell(name: string): string {
  return name.replace(/[|\\`<>&*_[\]]/g, '\\$&')
}

const COLOURS: Readonly<Record<SplitKind, readonly [string, string]>> = {
  time: ['#2c5aa0', '#9dbbe3'],
  random: ['#777777', '#c8c8c8'],
  file: ['#2c5aa0', '#9dbbe3'],
}
const BAR = 12

/**
 * Precision and recall of each model as bars with their deviation, one pair for each split; the
 * paper's as a line across each.
 */
export function comparisonSvg(comparison: Comparison): string {
  const { splits } = comparison
  const all = splits.flatMap(({ rows }) => rows)
  const papers = all.map(({ model }) => PAPER[model]![paperOf(comparison)])
  const least = Math.min(
    1,
    ...[...all, ...papers].flatMap(({ precision, recall }) => [precision.mean, recall.mean]),
  )
  // Bars from 0 would hide the differences; the axis shows where they begin.
  const low = Math.max(0, Math.floor(least * 10 - 0.5) / 10)
  const left = 130
  const width = 700
  const x = (value: number) =>
    left + (Math.min(1, Math.max(low, value)) - low) * ((width - left - 60) / (1 - low))
  const models = [...new Set(all.map(({ model }) => model))]
  const group = splits.length * 2 * BAR + 12
  const top = 34 + 14 * splits.length
  const height = top + models.length * group + 22
  const parts = [
    svgHead(width, height),
    `<text x="10" y="16" font-size="13">Macro precision and recall, mean and deviation; red line: the paper's Table ${paperOf(comparison) === 'laboratory' ? 'I' : 'II'}</text>`,
  ]
  for (const [s, { split, classes }] of splits.entries()) {
    const y = 22 + 14 * s
    const [dark, light] = COLOURS[split]
    parts.push(
      `<rect x="10" y="${y}" width="10" height="10" fill="${dark}"/><rect x="22" y="${y}" width="10" height="10" fill="${light}"/>`,
      `<text x="38" y="${y + 9}">precision and recall, ${SPLITS[split].short}, ${classes} classes</text>`,
    )
  }
  for (let tenth = Math.round(low * 10); tenth <= 10; tenth++)
    parts.push(
      `<line x1="${at(x(tenth / 10))}" x2="${at(x(tenth / 10))}" y1="${top - 4}" y2="${height - 18}" stroke="#ddd"/>`,
      `<text x="${at(x(tenth / 10))}" y="${height - 5}" text-anchor="middle">${(tenth / 10).toFixed(1)}</text>`,
    )
  for (const [m, model] of models.entries()) {
    const y = top + m * group
    parts.push(
      `<text x="${left - 8}" y="${y + (group - 12) / 2 + 4}" text-anchor="end">${xml(model)}</text>`,
    )
    for (const [s, table] of splits.entries()) {
      const row = table.rows.find((candidate) => candidate.model === model)
      if (row === undefined) continue
      for (const [k, part] of (['precision', 'recall'] as const).entries()) {
        const { mean, sd } = row[part]
        const barTop = y + (2 * s + k) * BAR
        const paper = at(x(PAPER[model]![paperOf(table)][part].mean))
        parts.push(
          `<rect x="${left}" y="${barTop}" width="${at(x(mean) - left)}" height="${BAR - 1}" fill="${COLOURS[table.split][k]}"/>`,
          `<line x1="${at(x(mean - sd))}" x2="${at(x(mean + sd))}" y1="${barTop + 5.5}" y2="${barTop + 5.5}" stroke="black"/>`,
          `<line x1="${paper}" x2="${paper}" y1="${barTop - 1}" y2="${barTop + BAR}" stroke="#c33" stroke-width="2"/>`,
          `<text x="${at(x(Math.min(1, mean + sd)) + 4)}" y="${barTop + 9}">${mean.toFixed(3)}</text>`,
        )
      }
    }
  }
  return `${parts.join('\n')}\n</svg>\n`
}

/** Count vectors per program, most first, on a logarithmic scale, as the paper's Fig. 5. */
export function histogramSvg({ data }: Comparison): string {
  const { vectors, syscalls, nonZero, histogram, frames } = data
  const shown = histogram.slice(0, HISTOGRAM_PICTURE)
  const step = 10
  const left = 60
  const plot = 260
  const top = 40
  const width = left + Math.max(40, shown.length) * step + 20
  const height = top + plot + 110
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(1, histogram[0]?.vectors ?? 1))))
  const y = (count: number) => top + plot * (1 - Math.log10(Math.max(1, count)) / decades)
  const more =
    histogram.length > shown.length ? `; the most frequent ${shown.length} are shown` : ''
  const parts = [
    svgHead(width, height),
    `<text x="10" y="16" font-size="13">Count vectors per program (logarithmic)</text>`,
    `<text x="10" y="31">${vectors} vectors of ${histogram.length} programs in ${frames} seconds, ${syscalls} different calls, ${nonZero.mean} in one vector in the mean${more}</text>`,
  ]
  for (let decade = 0; decade <= decades; decade++)
    parts.push(
      `<line x1="${left}" x2="${width - 10}" y1="${at(y(10 ** decade))}" y2="${at(y(10 ** decade))}" stroke="#ddd"/>`,
      `<text x="${left - 6}" y="${at(y(10 ** decade) + 4)}" text-anchor="end">${10 ** decade}</text>`,
    )
  for (const [i, { name, vectors: count }] of shown.entries()) {
    const barLeft = left + i * step
    // A program with one vector would have height 0 on this scale: it gets one pixel.
    const barTop = Math.min(y(count), top + plot - 1)
    parts.push(
      `<rect x="${barLeft + 1}" y="${at(barTop)}" width="${step - 2}" height="${at(top + plot - barTop)}" fill="#2c5aa0"><title>${xml(name)}: ${count}</title></rect>`,
      `<text transform="translate(${barLeft + 8},${top + plot + 6}) rotate(-90)" text-anchor="end" font-size="8">${xml(name)}</text>`,
    )
  }
  return `${parts.join('\n')}\n</svg>\n`
}

/** A coordinate, to a tenth of a pixel. */
function at(value: number): number {
  return Math.round(value * 10) / 10
}

function svgHead(width: number, height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="10"><rect width="${width}" height="${height}" fill="white"/>`
}
