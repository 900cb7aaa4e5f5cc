/** The audit list: who did what about which incident, and when. */
import { type ActionRecord, get, type Page } from './api.ts'
import { element, name } from './element.ts'
import { at, severityMark } from './incident-row.ts'
import { type Filters, incidentLink } from './route.ts'
import { toolbar } from './toolbar.ts'
import { actionParts } from './triage-panel.ts'
import type { Shown, ViewContext } from './view.ts'

const ROWS = '200'

export async function audit(filters: Filters, { now, filter }: ViewContext): Promise<Shown> {
  const passed = ['actor', 'action'].flatMap((key) =>
    filters[key] === undefined ? [] : [[key, filters[key]]],
  )
  const { items } = await get<Page<ActionRecord>>('actions', {
    limit: ROWS,
    ...Object.fromEntries(passed),
  })
  return {
    title: 'Audit',
    parts: [
      element('h1', {}, 'Audit'),
      toolbar(
        filters,
        { name: 'actor', label: 'Name of an operator' },
        [
          {
            name: 'action',
            label: 'Action',
            options: [
              ['', 'Any'],
              ['acknowledge', 'Acknowledge'],
              ['assign', 'Assign'],
              ['note', 'Note'],
              ['mute', 'Mute'],
              ['allow', 'Allow'],
              ['label', 'Label'],
            ],
          },
        ],
        filter,
      ),
      items.length === 0
        ? element('div', { class: 'empty' }, element('p', {}, 'No operator has acted yet.'))
        : element(
            'ol',
            { class: 'rows', 'aria-label': 'Actions, the newest first' },
            ...items.map((action) =>
              element(
                'li',
                { class: 'audit' },
                element('div', {}, ...actionParts(action, now)),
                element(
                  'div',
                  { class: 'note' },
                  severityMark(action.severity),
                  ' ',
                  element(
                    'a',
                    {
                      href: incidentLink({ ...action, id: action.incident }),
                      'data-row': String(action.row),
                    },
                    'Incident on ',
                    name(action.host),
                  ),
                  ' · ',
                  at(action.time, now),
                ),
              ),
            ),
          ),
    ],
  }
}
