/** One alert: as a row of the list, and in detail with its why. Values in, elements out. */
import type { Reason } from '../../domain/alert.ts'
import type { AlertDetail, HostAlert } from './api.ts'
import { bar, type Child, element, hash, name, words } from './element.ts'
import {
  clockTime,
  comparison,
  headline,
  KIND_HELP,
  KIND_LABEL,
  percent,
  relativeTime,
  sentence,
  span,
} from './words.ts'

const STATE_LABEL = { open: 'Open', update: 'Ongoing', closed: 'Closed' } as const

/** Fills the row anew; the link itself stays, and with it the focus. */
export function fillRow(link: HTMLAnchorElement, alert: HostAlert, now: number): void {
  link.dataset.kind = alert.kind
  link.dataset.state = alert.state
  link.replaceChildren(
    kindMark(alert.kind),
    element(
      'span',
      { class: 'what' },
      element('span', { class: 'headline' }, ...words(headline(alert))),
      element(
        'span',
        { class: 'where' },
        element('bdi', {}, alert.host),
        ` · pid ${alert.process.pid} · ${KIND_LABEL[alert.kind]}`,
        alert.count > 1 ? ` · ${alert.count} windows` : '',
      ),
    ),
    element('span', { class: 'sure' }, ...sureOf(alert)),
    element(
      'span',
      { class: 'when' },
      time(alert.time, now),
      element('span', { class: 'state' }, STATE_LABEL[alert.state]),
    ),
  )
}

/**
 * A novelty is one because even its best fit is a poor one; a program that is new here has none.
 */
function sureOf({ kind, predicted }: HostAlert): Child[] {
  if (predicted.class === '') return []
  return [
    element('span', { class: 'unseen' }, kind === 'novelty' ? 'Best fit ' : 'Confidence '),
    percent(predicted.confidence),
    bar(predicted.confidence, kind === 'novelty' ? 'plain' : 'kind'),
  ]
}

export function detailOf(alert: AlertDetail, now: number): HTMLElement[] {
  const { process, evidence } = alert
  return [
    element(
      'p',
      { class: 'tags' },
      kindMark(alert.kind),
      element('strong', { class: 'kind-name' }, KIND_LABEL[alert.kind]),
      element('span', { class: 'help' }, KIND_HELP[alert.kind]),
    ),
    element('h2', { class: 'sentence', id: 'detail-title' }, ...words(sentence(alert, now))),
    claims(alert),
    why(alert),
    block(
      'Timeline',
      course(alert, now),
      facts([
        ['State', STATE_LABEL[alert.state]],
        [
          'Evidence',
          `${clockTime(evidence.from, now)} to ${clockTime(evidence.to, now)} (${span(evidence.to - evidence.from + 1)})`,
        ],
        ['Agreeing windows', String(alert.count)],
        ['Last message', [time(alert.time, now)]],
      ]),
    ),
    block(
      'Process',
      facts([
        [
          'Host',
          [
            element(
              'a',
              { href: `#${new URLSearchParams({ show: `${alert.site}/${alert.host}` })}` },
              element('bdi', {}, alert.host),
            ),
            ` (site ${alert.site})`,
          ],
        ],
        ['Name', [name(process.name)]],
        ['Process', `${process.pid}, started ${clockTime(process.start, now)}`],
        ['Program file', process.exe === undefined ? undefined : [name(process.exe)]],
        ['Container', process.container === undefined ? undefined : [name(process.container)]],
        ['Technique', technique(alert.technique)],
        ['Model', alert.model === '' ? undefined : [hash(alert.model)]],
        ['Alert', [name(alert.id)]],
      ]),
    ),
    element(
      'details',
      { class: 'raw' },
      element('summary', {}, 'Raw message'),
      element('pre', { tabindex: '0' }, JSON.stringify(onTheWire(alert), null, 2)),
    ),
  ]
}

export function time(seconds: number, now: number): HTMLElement {
  const date = new Date(seconds * 1_000)
  const iso = Number.isFinite(date.getTime()) ? date.toISOString() : ''
  return element(
    'time',
    { datetime: iso, title: date.toLocaleString('en-GB'), 'data-at': String(seconds) },
    relativeTime(seconds, now),
  )
}

/** A shape for each kind: colour alone does not tell. */
function kindMark(kind: HostAlert['kind']): HTMLElement {
  return element('span', { class: 'mark', 'data-kind': kind, 'aria-hidden': 'true' })
}

function claims(alert: HostAlert): HTMLElement {
  const { claimed, predicted } = alert
  const line = (label: string, who: Child, confidence: number | undefined, className: string) =>
    element(
      'div',
      { class: 'claim' },
      element('dt', {}, label),
      element('dd', { class: 'who' }, who),
      element(
        'dd',
        { class: 'sure' },
        confidence === undefined ? '' : percent(confidence),
        confidence === undefined ? '' : bar(confidence, className),
      ),
    )
  const known = claimed.class !== ''
  return element(
    'dl',
    { class: 'claims', 'aria-label': 'Claimed and predicted' },
    line(
      'Claims to be',
      name(known ? claimed.class : alert.process.name),
      known ? claimed.confidence : undefined,
      'plain',
    ),
    line(
      alert.kind === 'novelty' ? 'Most like' : 'Behaves like',
      predicted.class === '' ? 'nothing known' : name(predicted.class),
      predicted.confidence,
      alert.kind === 'novelty' ? 'plain' : 'kind',
    ),
  )
}

/** What it was seen to do against what its name usually does, syscall by syscall. */
function why(alert: HostAlert): HTMLElement {
  if (alert.why.length === 0)
    return block('Why', element('p', { class: 'note' }, 'The agent did not report decisive calls.'))
  const most = Math.max(...alert.why.flatMap(({ seen, expected }) => [seen, expected]), 0.01)
  const usual =
    alert.claimed.class === '' ? ['usual elsewhere'] : ['usual for ', name(alert.claimed.class)]
  return block(
    'Why',
    element(
      'p',
      { class: 'legend' },
      element('span', { class: 'key seen', 'aria-hidden': 'true' }),
      'seen here ',
      element('span', { class: 'key expected', 'aria-hidden': 'true' }),
      ...usual,
      element('span', { class: 'of' }, 'share of all its calls'),
    ),
    element('ul', { class: 'why' }, ...alert.why.map((reason) => reasonOf(reason, most))),
  )
}

function reasonOf({ syscall, seen, expected }: Reason, most: number): HTMLElement {
  return element(
    'li',
    {},
    element('span', { class: 'syscall' }, name(syscall)),
    element('span', { class: 'verdict' }, comparison(seen, expected)),
    element(
      'span',
      { class: 'pair' },
      bar(seen / most, 'seen'),
      element('span', { class: 'unseen' }, 'seen '),
      element('span', { class: 'share' }, percent(seen)),
      bar(expected / most, 'expected'),
      element('span', { class: 'unseen' }, ', usual '),
      element('span', { class: 'share' }, percent(expected)),
    ),
  )
}

/** The alert's life on a line: when it was raised, each message about it, and where it closed. */
function course(alert: AlertDetail, now: number): HTMLElement {
  const from = Math.min(alert.first, alert.evidence.from)
  const to = Math.max(alert.last, alert.evidence.to, alert.time)
  const place = (at: number): string => `${((at - from) / Math.max(1, to - from)) * 100}%`
  const line = element('div', { class: 'line', 'aria-hidden': 'true' })
  const stretch = element('span', { class: 'stretch' })
  stretch.style.insetInlineStart = place(alert.evidence.from)
  stretch.style.inlineSize = `${((alert.evidence.to - alert.evidence.from) / Math.max(1, to - from)) * 100}%`
  line.append(stretch)
  for (const change of alert.history) {
    const dot = element('span', { class: 'change', 'data-state': change.state })
    dot.style.insetInlineStart = place(Math.min(Math.max(change.time, from), to))
    line.append(dot)
  }
  return element(
    'div',
    { class: 'course' },
    line,
    element(
      'p',
      { class: 'ends' },
      element('span', {}, clockTime(from, now)),
      element('span', {}, clockTime(to, now)),
    ),
    element(
      'ol',
      { class: 'history' },
      ...alert.history.map((change) =>
        element(
          'li',
          { 'data-state': change.state },
          element('span', {}, clockTime(change.time, now)),
          element('span', { class: 'state' }, STATE_LABEL[change.state]),
          element(
            'span',
            { class: 'note' },
            change.class === '' ? '' : name(change.class),
            ` ${percent(change.confidence)} · ${change.count} ${change.count === 1 ? 'window' : 'windows'}`,
          ),
        ),
      ),
    ),
  )
}

export function block(title: string, ...children: Child[]): HTMLElement {
  return element('section', { class: 'block' }, element('h3', {}, title), ...children)
}

/** A list of label and value; what is undefined is left out. */
export function facts(
  rows: readonly (readonly [label: string, value: string | readonly Child[] | undefined])[],
): HTMLElement {
  const shown = rows.filter(([, value]) => value !== undefined)
  return element(
    'dl',
    { class: 'facts' },
    ...shown.map(([label, value]) =>
      element(
        'div',
        {},
        element('dt', {}, label),
        element('dd', {}, ...(typeof value === 'string' ? [value] : (value ?? []))),
      ),
    ),
  )
}

function technique(id: string | undefined): readonly Child[] | undefined {
  if (id === undefined) return undefined
  if (!/^T\d{4}(\.\d{3})?$/.test(id)) return [name(id)]
  const href = `https://attack.mitre.org/techniques/${id.replace('.', '/')}/`
  return [element('a', { href, rel: 'noreferrer', target: '_blank' }, id), ' (MITRE ATT&CK)']
}

function onTheWire({ received: _, history: __, ...wire }: AlertDetail): object {
  return wire
}
