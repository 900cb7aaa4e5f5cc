/** A comparison for people: the table as Markdown beside the paper's own figures, and as a picture (SVG, no library). */
import type { Comparison } from './compare.ts'
import { xml } from './evaluation-report.ts'

/** Macro precision and recall of the paper's Tables I (laboratory) and II (production). */
export const PAPER: Readonly<
  Record<
    string,
    {
      readonly laboratory: readonly [number, number]
      readonly production: readonly [number, number]
    }
  >
> = {
  'Logistic Regression': { laboratory: [0.843, 0.815], production: [0.791, 0.741] },
  'Linear SVM': { laboratory: [0.85, 0.827], production: [0.792, 0.741] },
  'Random Forest': { laboratory: [0.86, 0.838], production: [0.85, 0.795] },
  'Simple net': { laboratory: [0.916, 0.922], production: [0.957, 0.918] },
  'Bidirectional net': { laboratory: [0.923, 0.923], production: [0.948, 0.911] },
  'Inception-like net': { laboratory: [0.924, 0.925], production: [0.965, 0.931] },
}

const SPLITS = {
  time: 'by time with a gap',
  random: "at random, as the paper's",
  file: 'trained on some recordings, tested on others',
} as const

export function comparisonMarkdown(comparison: Comparison): string {
  const { rows, classes, split, runs, trainBlocks, testBlocks, recipe } = comparison
  const table = split === 'file' ? 'production' : 'laboratory'
  const number = (value: number) => value.toFixed(3)
  return [
    `# Six models, ${classes} classes, split ${SPLITS[split]}`,
    '',
    `${trainBlocks} blocks of ten seconds to train, ${testBlocks} to test; rows \`${recipe}\`; ${runs} runs (deviation in parentheses).`,
    '',
    `| Model | Precision | Recall | CPU s a training | Paper, Table ${table === 'laboratory' ? 'I' : 'II'} |`,
    '|---|---|---|---|---|',
    ...rows.map(({ model, precision, recall, seconds }) => {
      const paper = PAPER[model]![table]
      return `| ${model} | ${number(precision.mean)} (${number(precision.sd)}) | ${number(recall.mean)} (${number(recall.sd)}) | ${seconds.toFixed(1)} | ${number(paper[0])} / ${number(paper[1])} |`
    }),
    '',
  ].join('\n')
}

/** Precision and recall of each model as bars with their deviation; the paper's as a line across each. */
export function comparisonSvg({ rows, classes, split }: Comparison): string {
  const table = split === 'file' ? 'production' : 'laboratory'
  const left = 150
  const width = 620
  const low = 0.6
  const x = (value: number) =>
    left + (Math.max(low, value) - low) * ((width - left - 30) / (1 - low))
  const height = 60 + rows.length * 44
  const parts = [
    svgHead(width, height),
    `<text x="10" y="20" font-size="13">${classes} classes, split ${SPLITS[split]}: macro precision (dark), recall (light), paper (line)</text>`,
  ]
  for (let tick = low; tick <= 1.001; tick += 0.1)
    parts.push(
      `<line x1="${x(tick)}" x2="${x(tick)}" y1="30" y2="${height - 20}" stroke="#ddd"/><text x="${x(tick)}" y="${height - 6}" text-anchor="middle">${tick.toFixed(1)}</text>`,
    )
  for (const [i, { model, precision, recall }] of rows.entries()) {
    const y = 38 + i * 44
    parts.push(`<text x="${left - 8}" y="${y + 20}" text-anchor="end">${xml(model)}</text>`)
    for (const [k, { mean, sd }] of [precision, recall].entries()) {
      const top = y + k * 16
      const paper = PAPER[model]![table][k]!
      parts.push(
        `<rect x="${left}" y="${top}" width="${x(mean) - left}" height="13" fill="${k === 0 ? '#2c5aa0' : '#9dbbe3'}"/>`,
        `<line x1="${x(mean - sd)}" x2="${x(Math.min(1, mean + sd))}" y1="${top + 6.5}" y2="${top + 6.5}" stroke="black"/>`,
        `<line x1="${x(paper)}" x2="${x(paper)}" y1="${top - 1}" y2="${top + 14}" stroke="#c33" stroke-width="2"/>`,
        `<text x="${x(mean) + 4}" y="${top + 10}">${mean.toFixed(3)}</text>`,
      )
    }
  }
  return `${parts.join('\n')}\n</svg>\n`
}

/** Count vectors per process, as the paper's Fig. 5. */
export function histogramSvg({ histogram }: Comparison): string {
  const width = 640
  const bar = 14
  const height = 40 + histogram.length * bar
  const most = Math.max(1, ...histogram.map(({ vectors }) => vectors))
  const parts = [
    svgHead(width, height),
    '<text x="10" y="20" font-size="13">Count vectors per process</text>',
  ]
  for (const [i, { name, vectors }] of histogram.entries()) {
    const y = 30 + i * bar
    parts.push(
      `<text x="140" y="${y + 10}" text-anchor="end">${xml(name)}</text>`,
      `<rect x="146" y="${y + 1}" width="${(vectors / most) * (width - 220)}" height="${bar - 3}" fill="#2c5aa0"/>`,
      `<text x="${150 + (vectors / most) * (width - 220)}" y="${y + 10}">${vectors}</text>`,
    )
  }
  return `${parts.join('\n')}\n</svg>\n`
}

function svgHead(width: number, height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="10"><rect width="${width}" height="${height}" fill="white"/>`
}
