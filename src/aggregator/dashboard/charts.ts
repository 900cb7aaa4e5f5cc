/**
 * Charts by uPlot: incidents over time, and a host's figures by hour. Each chart is an image to a
 * screen reader, with its extremes in words; colours come from the style sheet, so that they follow
 * the scheme.
 */
import uPlot from 'uplot'
import { SEVERITIES } from '../../domain/behaviour.ts'
import type { HostHour, Times } from './api.ts'
import { element } from './element.ts'
import { chosenZone, dayAndTime } from './times.ts'
import { amount, SEVERITY_LABEL } from './words.ts'

const HEIGHT = 160

interface Line {
  readonly label: string
  readonly colour: string
  readonly values: readonly (number | null)[]
}

interface Chart {
  readonly title: string
  /** What a screen reader says of it. */
  readonly words: string
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly bars: boolean
  readonly format: (value: number) => string
}

/** Incidents that began in each span, the worst at the bottom. */
export function incidentChart({ items, since, until, step }: Times): HTMLElement {
  const first = since - (since % step)
  const times = Array.from(
    { length: Math.floor((until - first) / step) + 1 },
    (_, i) => first + i * step,
  )
  const counts = SEVERITIES.map((severity) => {
    const byTime = new Map(
      items.filter((one) => one.severity === severity).map(({ at, incidents }) => [at, incidents]),
    )
    return times.map((time) => byTime.get(time) ?? 0)
  })
  // Stacked: each series is drawn over the sums of those below, the tallest first.
  const sums = counts.map((_, level) =>
    times.map((_, i) => counts.slice(0, level + 1).reduce((sum, one) => sum + one[i]!, 0)),
  )
  const total = items.reduce((sum, { incidents }) => sum + incidents, 0)
  const lines = SEVERITIES.map((severity, level) => ({
    label: SEVERITY_LABEL[severity],
    colour: `--${severity}`,
    values: sums[level]!,
  })).reverse()
  return chart({
    title: 'Incidents that began',
    words: `${amount(total)} incidents in the time shown`,
    times,
    lines,
    bars: true,
    format: amount,
  })
}

export function hourChart(
  title: string,
  hours: readonly HostHour[],
  figure: (hour: HostHour) => number,
  format: (value: number) => string,
): HTMLElement {
  const values = hours.map(figure)
  const last = values.at(-1)
  const most = Math.max(0, ...values)
  return chart({
    title,
    words:
      last === undefined
        ? 'no hours yet'
        : `${format(last)} in the last hour, at most ${format(most)} in ${hours.length} hours`,
    times: hours.map(({ hour }) => hour),
    lines: [{ label: title, colour: '--accent', values }],
    bars: false,
    format,
  })
}

function chart({ title, words, times, lines, bars, format }: Chart): HTMLElement {
  const canvas = element('div', { class: 'plot', role: 'img', 'aria-label': `${title}: ${words}` })
  const legend =
    lines.length > 1
      ? element(
          'p',
          { class: 'legend' },
          ...[...lines]
            .reverse()
            .map(({ label, colour }) => element('span', {}, keyOf(colour), label)),
        )
      : ''
  const framed = element(
    'figure',
    { class: 'chart' },
    element(
      'figcaption',
      {},
      element('strong', {}, title),
      ' ',
      element('span', { class: 'note' }, words),
    ),
    canvas,
    legend,
  )
  let plot: uPlot | undefined
  const draw = (): void => {
    const width = Math.floor(canvas.clientWidth)
    if (width === 0) return
    if (plot !== undefined) {
      plot.setSize({ width, height: HEIGHT })
      return
    }
    plot = new uPlot(
      optionsOf(lines, bars, format, width),
      [[...times], ...lines.map(({ values }) => [...values])],
      canvas,
    )
  }
  const observer = new ResizeObserver(() => {
    if (!canvas.isConnected) {
      observer.disconnect()
      plot?.destroy()
    } else draw()
  })
  observer.observe(canvas)
  return framed
}

/** "08:00", or the day at midnight. */
function tickOf(seconds: number, stepSeconds: number): string {
  const { day, time } = dayAndTime(seconds)
  return stepSeconds >= 86_400 || time === '00:00' ? day : time
}

function keyOf(colour: string): HTMLElement {
  const key = element('span', { class: 'key', 'aria-hidden': 'true' })
  key.style.background = `var(${colour})`
  return key
}

/** Labels of an axis; small numbers are rounded to the same one several times. */
function withoutRepeats(labels: readonly string[]): string[] {
  return labels.map((label, i) => (label === labels[i - 1] ? '' : label))
}

/** What a custom property is in the scheme that is shown: a canvas knows no properties. */
function colourOf(property: string): string {
  const probe = element('span')
  probe.style.color = `var(${property})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

function optionsOf(
  lines: readonly Line[],
  bars: boolean,
  format: (value: number) => string,
  width: number,
): uPlot.Options {
  const axis = {
    stroke: colourOf('--soft'),
    grid: { stroke: colourOf('--line'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui, sans-serif',
  }
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 24, 0, 0],
    tzDate: (seconds) =>
      chosenZone() === 'utc'
        ? uPlot.tzDate(new Date(seconds * 1_000), 'Etc/UTC')
        : new Date(seconds * 1_000),
    scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1e-9)] } },
    axes: [
      {
        ...axis,
        size: 30,
        values: (_, splits, __, ___, step) => splits.map((at) => tickOf(at, step)),
      },
      { ...axis, size: 56, values: (_, splits) => withoutRepeats(splits.map(format)) },
    ],
    series: [
      {},
      ...lines.map(({ label, colour }) => ({
        label,
        stroke: colourOf(colour),
        width: bars ? 0 : 1.5,
        fill: bars ? colourOf(colour) : undefined,
        points: { show: lines[0]!.values.length < 3 && !bars },
        ...(bars ? { paths: uPlot.paths.bars!({ size: [0.8, 24] }) } : {}),
      })),
    ] as uPlot.Series[],
  }
}
