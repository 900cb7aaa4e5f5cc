/**
 * Calls × seconds of the window that raised an alert: a row for each call that decided, a column
 * for each second, the darker the more calls; beside it the share of all calls, seen and usual.
 *
 * A table, so that a screen reader goes through it by rows and columns; each cell says its number.
 * The agent sends levels (call-levels.ts), so numbers are known to a factor of √2.
 */
import { fewestOf, readCallLevels } from '../../domain/call-levels.ts'
import type { HostAlert } from '../store/incident.ts'
import { block, element, name, note } from './element.ts'
import { amount, percent } from './words.ts'

export function heatMap({ why, claimed }: HostAlert): HTMLElement | '' {
  const rows = why.flatMap(({ seconds, ...reason }) => {
    const levels = seconds === undefined ? undefined : readCallLevels(seconds)
    return levels === undefined ? [] : [{ ...reason, levels }]
  })
  const width = Math.max(0, ...rows.map(({ levels }) => levels.length))
  if (width === 0) return ''
  const most = Math.max(1, ...rows.flatMap(({ levels }) => levels))
  // Calls that are usual and were never made have no seconds, and a row all the same.
  const missing = why
    .filter(({ seconds, seen }) => seconds === undefined && seen === 0)
    .map((reason) => ({ ...reason, levels: Array.from({ length: width }, () => 0) }))
  return block(
    'Calls in each second',
    note(
      'The window that raised the alert, oldest second first; beside it the share of all calls, seen and usual ',
      ...(claimed.class === '' ? ['elsewhere.'] : ['for ', name(claimed.class), '.']),
    ),
    element(
      'div',
      { class: 'heat-frame', tabindex: '0', role: 'region', 'aria-label': 'Calls in each second' },
      element(
        'table',
        { class: 'heat' },
        head(width),
        element(
          'tbody',
          {},
          ...[...rows, ...missing].map((row) =>
            element(
              'tr',
              {},
              element('th', { scope: 'row' }, name(row.syscall)),
              ...row.levels.map((level) => cell(level, most)),
              element('td', { class: 'share' }, percent(row.seen)),
              element('td', { class: 'share usual' }, percent(row.expected)),
            ),
          ),
        ),
      ),
    ),
    legend(most),
  )
}

function head(width: number): HTMLElement {
  return element(
    'thead',
    {},
    element(
      'tr',
      {},
      element('th', { scope: 'col' }, 'call'),
      ...Array.from({ length: width }, (_, i) =>
        element('th', { scope: 'col', class: 'second' }, String(i + 1)),
      ),
      element('th', { scope: 'col', class: 'share' }, 'seen'),
      element('th', { scope: 'col', class: 'share usual' }, 'usual'),
    ),
  )
}

function cell(level: number, most: number): HTMLElement {
  const words = level === 0 ? 'none' : about(level)
  const made = element(
    'td',
    { class: level === 0 ? 'cell none' : 'cell', title: words },
    element('span', { class: 'unseen' }, words),
  )
  made.style.setProperty('--heat', `${level === 0 ? 0 : 15 + (85 * level) / most}%`)
  return made
}

/** "about 45": the middle of what the level stands for. */
function about(level: number): string {
  const least = fewestOf(level)
  const middle = Math.round((least + Math.max(least, fewestOf(level + 1) - 1)) / 2)
  return middle < 4 ? String(middle) : `about ${amount(Number(middle.toPrecision(2)))}`
}

function legend(most: number): HTMLElement {
  const scale = [0, ...[0.25, 0.5, 0.75, 1].map((share) => Math.max(1, Math.round(share * most)))]
  return element(
    'p',
    { class: 'legend heat-legend' },
    ...[...new Set(scale)].map((level) => {
      const swatch = element('span', {
        class: level === 0 ? 'swatch none' : 'swatch',
        'aria-hidden': 'true',
      })
      swatch.style.setProperty('--heat', `${level === 0 ? 0 : 15 + (85 * level) / most}%`)
      return element('span', {}, swatch, level === 0 ? 'none' : about(level))
    }),
  )
}
