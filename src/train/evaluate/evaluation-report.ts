/** Text output of `agent evaluate`, and the confusion matrix as SVG. */
import type { AdaptedFigures } from './adapted-evaluate.ts'
import type { AlarmFigures, BudgetFigures } from './alarm-figures.ts'
import type { Evaluation } from './evaluate-all.ts'

export function evaluationText(evaluation: Evaluation): string {
  const share = (value: number) => value.toFixed(3)
  const lines = [
    `windows            ${evaluation.windows} in ${evaluation.classes.length} classes (${share(evaluation.known)} of all windows have a class)`,
    `accuracy           ${share(evaluation.accuracy)}`,
    `macro precision    ${share(evaluation.macroPrecision)}   over a minute ${share(evaluation.minute.macroPrecision)}`,
    `macro recall       ${share(evaluation.macroRecall)}   over a minute ${share(evaluation.minute.macroRecall)}`,
    `calibration error  ${evaluation.ece.toFixed(4)}`,
  ]
  if (evaluation.adapted !== undefined) lines.push(...adaptedLines(evaluation.adapted))
  if (evaluation.shared !== undefined) lines.push(sharedLine(evaluation.shared))
  if (evaluation.detection !== undefined) {
    const {
      falseAlerts,
      hostDays,
      falseAlertsPerHostDay,
      falseAlertsPerHostDayLow,
      falseAlertsPerHostDayHigh,
    } = evaluation
    lines.push(
      `false alerts       ${falseAlerts} in ${(hostDays! * 24).toFixed(2)} host-hours: ${falseAlertsPerHostDay!.toFixed(1)} a host-day ` +
        `(95 %: ${falseAlertsPerHostDayLow!.toFixed(1)} to ${falseAlertsPerHostDayHigh!.toFixed(1)}; extrapolated from the tail ${evaluation.falseAlertsPerHostDayExtrapolated!.toFixed(2)})`,
      `coverage           ${share(evaluation.coverage!)} of all vectors were judged`,
    )
    for (const [kind, figures] of Object.entries(evaluation.detection)) {
      if (figures.of === 0) continue
      const delay =
        figures.medianDelaySeconds === null
          ? ''
          : `, after ${figures.medianDelaySeconds} s (median; 95 %: ${figures.p95DelaySeconds} s)`
      lines.push(
        `${kind.padEnd(19)}${figures.found} of ${figures.of}${delay}, ${figures.sameKind} under that kind`,
      )
    }
    lines.push(...(evaluation.budgets ?? []).map(budgetLine))
    for (const [behaviour, { found, of }] of Object.entries(evaluation.behaviours ?? {}))
      lines.push(`  ${behaviour.padEnd(17)}${found} of ${of}`)
    for (const { host, scenario, kind, foundAs, trainedOn } of evaluation.happenings ?? [])
      if (foundAs === null)
        lines.push(
          `  missed           ${kind} ${scenario} on ${host}${trainedOn ? ' (trained on)' : ''}`,
        )
    for (const { host, time, kind, name, predicted } of evaluation.falseOnes ?? [])
      lines.push(`  false            ${kind} ${name} as ${predicted} on ${host} at ${time}`)
  }
  const weak = evaluation.classes.filter(
    ({ precision, recall }) => Math.min(precision, recall) < 0.95,
  )
  if (weak.length > 0) lines.push('', 'below 0.95         windows  precision  recall')
  for (const { name, windows, precision, recall } of weak)
    lines.push(
      `  ${name.padEnd(16)} ${String(windows).padStart(8)}  ${share(precision).padStart(9)}  ${share(recall)}`,
    )
  return `${lines.join('\n')}\n`
}

/** Each figure as the shared model has it on the same windows, then the adapted one. */
function adaptedLines(adapted: AdaptedFigures): string[] {
  const pair = ([before, now]: readonly [number | null, number | null]) =>
    `${before?.toFixed(3) ?? '-'} to ${now?.toFixed(3) ?? '-'}`
  return [
    ...adapted.hosts.map(
      ({ host, seconds, added, refused }) =>
        `adapted            ${host}: ${Math.round(seconds / 60)} minutes, ${refused ?? `${added.length} names added`}`,
    ),
    `  on ${adapted.windows} ordinary windows after that`,
    `  with a class     ${pair(adapted.known)}`,
    `  accuracy         ${pair(adapted.accuracy)}   macro recall ${pair(adapted.macroRecall)}`,
    `  called malicious ${pair(adapted.malicious)}   of names without a class ${pair(adapted.strangersMalicious)}`,
    `  malice AUC       ${pair(adapted.maliceAuc)}`,
  ]
}

function sharedLine({ falseAlerts, detection }: AlarmFigures): string {
  return `not adapted        ${falseAlerts} false alerts; ${foundOf(detection)}`
}

function budgetLine({ perDay, falseAlerts, detection, ...rate }: BudgetFigures): string {
  const bounds = [rate.falseAlertsPerHostDayLow, rate.falseAlertsPerHostDayHigh]
  return (
    `budget ${String(perDay).padEnd(12)}${falseAlerts} false alerts: ${rate.falseAlertsPerHostDay.toFixed(1)} a host-day ` +
    `(95 %: ${bounds.map((of) => of.toFixed(1)).join(' to ')}); ${foundOf(detection)}`
  )
}

function foundOf(detection: AlarmFigures['detection']): string {
  return Object.entries(detection)
    .flatMap(([kind, { found, of }]) => (of === 0 ? [] : [`${kind} ${found} of ${of}`]))
    .join(', ')
}

const CELL = 9
const MARGIN = 130

/** Rows are true classes, columns predicted ones; darkness is the share of the row. */
export function confusionSvg({ confusion }: Evaluation): string {
  const rows = confusion.names.flatMap((name, index) => {
    const counts = confusion.counts[index]!
    const total = counts.reduce((sum, count) => sum + count, 0)
    return total === 0 ? [] : [{ name, counts, total }]
  })
  const columns = confusion.names
    .map((name, index) => ({ name, index }))
    .filter(({ index }) => confusion.counts.some((counts) => counts[index]! > 0))
  const width = MARGIN + columns.length * CELL + 10
  const height = MARGIN + rows.length * CELL + 10
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="monospace" font-size="7">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
  ]
  for (const [r, { name, counts, total }] of rows.entries()) {
    const y = MARGIN + r * CELL
    parts.push(`<text x="${MARGIN - 4}" y="${y + 7}" text-anchor="end">${xml(name)}</text>`)
    for (const [c, { index, name: predicted }] of columns.entries()) {
      const part = counts[index]! / total
      if (part === 0) continue
      const colour = predicted === name ? '30,80,160' : '190,40,30'
      parts.push(
        `<rect x="${MARGIN + c * CELL}" y="${y}" width="${CELL - 1}" height="${CELL - 1}" fill="rgba(${colour},${Math.max(0.08, part).toFixed(2)})"><title>${xml(name)} as ${xml(predicted)}: ${counts[index]} of ${total}</title></rect>`,
      )
    }
  }
  for (const [c, { name }] of columns.entries()) {
    const x = MARGIN + c * CELL + 7
    parts.push(`<text transform="translate(${x},${MARGIN - 4}) rotate(-90)">${xml(name)}</text>`)
  }
  return `${parts.join('\n')}\n</svg>\n`
}

/** Escapes text within SVG; names come from recordings. */
export function xml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
