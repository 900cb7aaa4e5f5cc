/**
 * A host: as an entry of the list, and with its processes as its last summary tells them. Values
 * in, elements out.
 */
import { block, facts, time } from './alert-view.ts'
import type { Host, HostProcesses } from './api.ts'
import { bar, element, hash, name } from './element.ts'
import { amount, bytes, clockTime, percent, relativeTime, span } from './words.ts'

/** Online, and nothing heard for longer than two summaries take: something is wrong on the way. */
const SILENT_SECONDS = 150

export function hostKey({ site, host }: { site: string; host: string }): string {
  return `${site}/${host}`
}

export function conditionOf(host: Host, now: number): 'online' | 'silent' | 'offline' {
  if (host.state === 'offline') return 'offline'
  return now - host.lastSeen > SILENT_SECONDS ? 'silent' : 'online'
}

export function fillHost(link: HTMLAnchorElement, host: Host, now: number): void {
  const condition = conditionOf(host, now)
  const active = host.alerts?.active ?? 0
  link.dataset.condition = condition
  link.replaceChildren(
    element('span', { class: 'dot', 'aria-hidden': 'true' }),
    element(
      'span',
      { class: 'who' },
      element('bdi', {}, host.host),
      element('span', { class: 'where' }, conditionWords(host, now)),
    ),
    ...(active > 0
      ? [
          element(
            'span',
            { class: 'badge' },
            String(active),
            element('span', { class: 'unseen' }, active === 1 ? ' active alert' : ' active alerts'),
          ),
        ]
      : []),
  )
}

export function detailOf({ host, items, summary }: HostProcesses, now: number): HTMLElement[] {
  const parts = [
    element(
      'p',
      { class: 'tags', 'data-condition': conditionOf(host, now) },
      element('span', { class: 'dot', 'aria-hidden': 'true' }),
      element('strong', {}, conditionWords(host, now)),
    ),
    element('h2', { class: 'sentence', id: 'detail-title' }, name(host.host)),
    element(
      'p',
      { class: 'note' },
      element(
        'a',
        { href: `#${new URLSearchParams({ host: hostKey(host) })}` },
        'Show its alerts only',
      ),
    ),
  ]
  if (summary === null)
    return [
      ...parts,
      element('p', { class: 'empty' }, 'No summary yet. Agents send one each minute.'),
      about(host, undefined, now),
    ]
  return [
    ...parts,
    block(
      'Processes',
      element(
        'p',
        { class: 'note' },
        `${clockTime(summary.from, now)} to ${clockTime(summary.to, now)}: ${amount(summary.calls)} system calls, busiest first.`,
      ),
      element('ul', { class: 'processes' }, ...items.map((process) => processOf(process))),
      summary.processesOmitted > 0 &&
        element(
          'p',
          { class: 'note' },
          `${summary.processesOmitted} quieter processes are not listed.`,
        ),
    ),
    about(host, summary, now),
  ]
}

function processOf(process: HostProcesses['items'][number]): HTMLElement {
  const { class: like, confidence = 0 } = process
  const differs = like !== undefined && like !== process.name
  return element(
    'li',
    { 'data-differs': differs },
    element(
      'div',
      { class: 'process-name' },
      name(process.name),
      element('span', { class: 'where' }, `pid ${process.pid}`),
    ),
    element(
      'div',
      { class: 'sure' },
      like === undefined ? element('span', { class: 'note' }, 'not judged') : percent(confidence),
      like === undefined ? '' : bar(confidence, differs ? 'warn' : 'plain'),
    ),
    element(
      'div',
      { class: 'where behaves' },
      differs ? 'behaves like ' : '',
      differs ? name(like) : '',
      differs ? ' · ' : '',
      `${amount(process.calls)} calls, active for ${process.active} s`,
    ),
    element(
      'div',
      { class: 'top-calls' },
      ...process.top
        .slice(0, 4)
        .map(({ syscall, count }) =>
          element(
            'span',
            { title: `${amount(count)} calls` },
            `${syscall} ${percent(count / Math.max(1, process.calls))}`,
          ),
        ),
    ),
  )
}

function about(
  host: Host,
  summary: HostProcesses['summary'] | undefined,
  now: number,
): HTMLElement {
  const seconds = summary == null ? 1 : Math.max(1, summary.to - summary.from + 1)
  const dropped = Object.entries(summary?.dropped ?? {}).filter(([, count]) => count > 0)
  return block(
    'Agent',
    facts([
      ['Last heard', [time(host.lastSeen, now)]],
      ['Site', host.site],
      ['Source', host.source === '' ? undefined : host.source],
      ['Version', host.version === '' ? undefined : host.version],
      ['Model', host.model === '' ? undefined : [hash(host.model)]],
      ...(summary == null
        ? []
        : ([
            [
              'Its own cost',
              `${percent(summary.agent.cpuSeconds / seconds)} of a core, ${bytes(summary.agent.rssBytes)}`,
            ],
            ['Calls seen', `${amount(Math.round(summary.calls / seconds))} a second`],
            ['Behind by', `${summary.agent.lagMs} ms`],
            ['Judged less', reducedWords(summary.agent.reduced)],
            ['Waiting to be sent', String(summary.agent.outboxRows)],
            [
              'Calls dropped',
              dropped.length === 0
                ? 'none'
                : dropped.map(([reason, count]) => `${amount(count)} ${reason}`).join(', '),
            ],
          ] as const)),
    ]),
  )
}

/** What the agent left out to stay below its cap; undefined (no line) where it left out nothing. */
function reducedWords(
  reduced: NonNullable<HostProcesses['summary']>['agent']['reduced'],
): string | undefined {
  if (reduced === undefined) return undefined
  const seconds = reduced.seconds.reduce((sum, count) => sum + count, 0)
  const level = reduced.seconds.findLastIndex((count) => count > 0) + 1
  return `for ${seconds} s, to spare CPU (level ${level}): ${amount(reduced.windows)} windows not judged; counting was not reduced`
}

function conditionWords(host: Host, now: number): string {
  switch (conditionOf(host, now)) {
    case 'online':
      return `online for ${span(Math.max(0, now - host.since))}`
    case 'silent':
      return `silent since ${relativeTime(host.lastSeen, now)}`
    case 'offline':
      if (host.reason === 'ended') return `ended ${relativeTime(host.since, now)}`
      if (host.reason === 'unknown')
        return `not connected, last message ${relativeTime(host.lastSeen, now)}`
      return `lost ${relativeTime(host.since, now)}`
  }
}
