/** Hosts as rows of a list, and their condition in words. */
import type { Host } from './api.ts'
import { element, name } from './element.ts'
import { ago } from './incident-row.ts'
import { hostLink } from './route.ts'
import { relativeTime, span } from './words.ts'

/** Online, and nothing heard for longer than two summaries take: something is wrong on the way. */
const SILENT_SECONDS = 150

export type Condition = 'online' | 'silent' | 'offline'

export function conditionOf(host: Host, now: number): Condition {
  if (host.state === 'offline') return 'offline'
  return now - host.lastSeen > SILENT_SECONDS ? 'silent' : 'online'
}

/** A dot of a shape of its own, and the condition in words. */
export function condition(host: Host, now: number): HTMLElement {
  const is = conditionOf(host, now)
  return element(
    'span',
    { class: 'condition', 'data-condition': is },
    element('span', { class: 'dot', 'aria-hidden': 'true' }),
    conditionWords(host, now),
  )
}

export function hostLine(host: Host, now: number): HTMLElement {
  const active = host.alerts?.active ?? 0
  return element(
    'a',
    { class: 'row host', href: hostLink(host), 'data-row': `${host.site}/${host.host}` },
    element(
      'span',
      { class: 'what' },
      element('span', { class: 'headline' }, name(host.host)),
      element(
        'span',
        { class: 'where' },
        `site ${host.site}`,
        host.version === '' ? '' : ` · ${host.version}`,
      ),
    ),
    condition(host, now),
    element(
      'span',
      { class: 'tags' },
      active > 0
        ? element(
            'span',
            { class: 'tag', 'data-tag': 'alerts' },
            `${active} open ${active === 1 ? 'alert' : 'alerts'}`,
          )
        : '',
    ),
    element('span', { class: 'when' }, ago(host.lastSeen, now)),
  )
}

function conditionWords(host: Host, now: number): string {
  switch (conditionOf(host, now)) {
    case 'online':
      return `Online for ${span(Math.max(0, now - host.since))}`
    case 'silent':
      return `Silent since ${relativeTime(host.lastSeen, now)}`
    case 'offline':
      if (host.reason === 'ended') return `Ended ${relativeTime(host.since, now)}`
      if (host.reason === 'unknown')
        return `Not connected, last message ${relativeTime(host.lastSeen, now)}`
      return `Lost ${relativeTime(host.since, now)}`
  }
}
