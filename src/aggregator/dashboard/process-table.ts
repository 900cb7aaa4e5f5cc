/** Processes of a summary. A class is a guess of the model: below a floor it is not said at all. */
import type { ProcessItem, ProgramItem } from './api.ts'
import { bar, element, name } from './element.ts'
import { hostLink, link } from './route.ts'
import { amount, percent } from './words.ts'

/** Below this mean confidence the class says too little to be shown. */
const CONFIDENCE_FLOOR = 0.5
const CALLS_SHOWN = 3

export function processTable(items: readonly ProcessItem[]): HTMLElement {
  return table(
    ['Process', 'Behaves like', 'Calls', 'Active', 'Most frequent calls'],
    items.map((process) => [
      cell(
        element('a', { href: link(['program', process.name]) }, name(process.name)),
        element('span', { class: 'note' }, ` pid ${process.pid}`),
      ),
      ...figures(process),
    ]),
    'Processes',
  )
}

export function programTable(items: readonly ProgramItem[]): HTMLElement {
  return table(
    ['Host', 'Behaves like', 'Calls', 'Active', 'Most frequent calls'],
    items.map(({ site, host, process }) => [
      cell(
        element('a', { href: hostLink({ site, host }) }, name(host)),
        element('span', { class: 'note' }, ` pid ${process.pid}`),
      ),
      ...figures(process),
    ]),
    'Processes of this name',
  )
}

/** Words after a process's name; nothing where it behaves as it is named or is not known. */
export function likeWords(process: ProcessItem): string {
  const { class: like, confidence = 0 } = process
  if (like === undefined || confidence < CONFIDENCE_FLOOR || like === process.name) return ''
  return ` · most like ${like}`
}

function figures(process: ProcessItem): HTMLElement[] {
  const { class: like, confidence = 0, calls, active, top } = process
  const known = like !== undefined && confidence >= CONFIDENCE_FLOOR
  return [
    known
      ? cell(
          name(like),
          element('span', { class: 'sure' }, percent(confidence), bar(confidence, 'plain')),
        )
      : cell(element('span', { class: 'note' }, 'not known')),
    cell(amount(calls)),
    cell(`${active} s`),
    cell(
      ...top
        .slice(0, CALLS_SHOWN)
        .map(({ syscall, count }) =>
          element('span', { class: 'call' }, `${syscall} ${percent(count / Math.max(1, calls))}`),
        ),
    ),
  ]
}

function cell(...children: (Node | string)[]): HTMLElement {
  return element('td', {}, element('div', {}, ...children))
}

function table(
  heads: readonly string[],
  rows: readonly (readonly HTMLElement[])[],
  label: string,
): HTMLElement {
  for (const row of rows) for (const [i, one] of row.entries()) one.dataset.label = heads[i]!
  return element(
    'table',
    { class: 'table', 'aria-label': label },
    element(
      'thead',
      {},
      element('tr', {}, ...heads.map((head) => element('th', { scope: 'col' }, head))),
    ),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row))),
  )
}
