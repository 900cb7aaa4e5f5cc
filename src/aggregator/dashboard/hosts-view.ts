/** The hosts, those that need attention first. */
import { get, type Host, type Page } from './api.ts'
import { element, note } from './element.ts'
import { hostLine } from './host-row.ts'
import { begin } from './overview-view.ts'
import { type Filters, link } from './route.ts'
import { toolbar } from './toolbar.ts'
import type { Shown, ViewContext } from './view.ts'

const ROWS = '200'

export async function hosts(filters: Filters, { now, hello, filter }: ViewContext): Promise<Shown> {
  const passed = ['search', 'state', 'condition'].flatMap((key) =>
    filters[key] === undefined ? [] : [[key, filters[key]]],
  )
  const found = await get<Page<Host>>('hosts', {
    limit: ROWS,
    order: 'attention',
    ...Object.fromEntries(passed),
  })
  return {
    title: 'Hosts',
    parts: [
      element('h1', {}, 'Hosts'),
      toolbar(
        filters,
        { name: 'search', label: 'Search hosts and sites' },
        [
          {
            name: 'state',
            label: 'State',
            options: [
              ['', 'Any'],
              ['online', 'Online'],
              ['offline', 'Offline'],
            ],
          },
          {
            name: 'condition',
            label: 'Condition',
            options: [
              ['', 'Any'],
              ['silent', 'Silent'],
              ['losing', 'Losing calls'],
            ],
          },
        ],
        filter,
      ),
      found.items.length > 0
        ? element(
            'ul',
            { class: 'rows', 'aria-label': 'Hosts' },
            ...found.items.map((host) => element('li', {}, hostLine(host, now))),
          )
        : passed.length === 0
          ? begin(hello.broker)
          : element(
              'div',
              { class: 'empty' },
              element('p', {}, 'No host matches.'),
              element('p', {}, element('a', { href: link(['hosts']) }, 'Remove the filters')),
            ),
      found.next === null
        ? element('div', { hidden: true })
        : note(`${found.items.length} are listed. Search to find the others.`),
    ],
  }
}
