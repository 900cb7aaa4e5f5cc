/**
 * An incident on a line of time: a bar for each alert from its first to its last window, and a mark
 * for each action of an operator. Positions are shares of the whole; the same is said in words
 * beside them.
 */
import type { IncidentDetail } from './api.ts'
import { element, name, note, words } from './element.ts'
import { at } from './incident-row.ts'
import { actionWords, headline, span } from './words.ts'

const LANES = 12

export function timeline({ incident, alerts, actions }: IncidentDetail, now: number): HTMLElement {
  const from = Math.min(
    ...alerts.map(({ first, evidence }) => Math.min(first, evidence.from)),
    incident.first,
  )
  const to = Math.max(...alerts.map(({ last, time }) => Math.max(last, time)), from + 1)
  const share = (time: number): number => Math.min(1, Math.max(0, (time - from) / (to - from)))
  const during = actions.filter(({ time }) => time >= from && time <= to)
  const after = actions.length - during.length
  return element(
    'div',
    { class: 'timeline' },
    element(
      'ol',
      { class: 'lanes', 'aria-label': 'Alerts in order of severity' },
      ...alerts
        .slice(0, LANES)
        .map((alert) =>
          element(
            'li',
            { 'data-severity': alert.severity },
            element(
              'span',
              { class: 'lane-name' },
              ...words(headline(alert)),
              element(
                'span',
                { class: 'note' },
                ` · ${span(Math.max(0, alert.last - alert.first))}${alert.state === 'closed' ? '' : ', open'}`,
              ),
            ),
            lane(share(alert.first), share(alert.last)),
          ),
        ),
      ...(during.length === 0
        ? []
        : [
            element(
              'li',
              {},
              element('span', { class: 'lane-name' }, 'Operators'),
              marks(during.map(({ time }) => share(time))),
            ),
          ]),
    ),
    element('p', { class: 'ends' }, at(from, now), at(to, now)),
    alerts.length > LANES ? note(`${alerts.length - LANES} milder alerts are not drawn.`) : '',
    after > 0 && actions[0] !== undefined
      ? note('Later: ', name(actions[0].actor), ` ${actionWords(actions[0], now)}.`)
      : '',
  )
}

function lane(from: number, to: number): HTMLElement {
  const bar = element('span', { class: 'stretch' })
  bar.style.insetInlineStart = `${from * 100}%`
  bar.style.inlineSize = `${(to - from) * 100}%`
  return element('span', { class: 'lane', 'aria-hidden': 'true' }, bar)
}

function marks(places: readonly number[]): HTMLElement {
  const line = element('span', { class: 'lane', 'aria-hidden': 'true' })
  for (const place of places) {
    const mark = element('span', { class: 'act' })
    mark.style.insetInlineStart = `${place * 100}%`
    line.append(mark)
  }
  return line
}
