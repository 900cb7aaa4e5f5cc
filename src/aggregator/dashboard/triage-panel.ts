/** What an operator can do about an incident, and what operators did. */
import type { Action } from '../store/incident.ts'
import { type ActionRecord, act, type IncidentRecord, wordsOfError } from './api.ts'
import { block, type Child, element, facts, name, note } from './element.ts'
import { ago, at } from './incident-row.ts'
import type { ViewContext } from './view.ts'
import { actionWords } from './words.ts'

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S
const MUTES: readonly (readonly [seconds: number, words: string])[] = [
  [HOUR_S, 'for an hour'],
  [8 * HOUR_S, 'for 8 hours'],
  [DAY_S, 'for a day'],
  [7 * DAY_S, 'for a week'],
]
const ALLOWANCES: readonly (readonly [seconds: number, words: string])[] = [
  [7 * DAY_S, 'for a week'],
  [30 * DAY_S, 'for 30 days'],
  [90 * DAY_S, 'for 90 days'],
  [365 * DAY_S, 'for a year'],
]

type Do = (action: Partial<Action> & Pick<Action, 'action'>) => Promise<void>

export function triagePanel(
  incident: IncidentRecord,
  { me, now, reload }: ViewContext,
): HTMLElement {
  const trouble = element('p', { class: 'trouble', role: 'alert', hidden: true })
  const { site, host, id } = incident
  const run: Do = async (action) => {
    trouble.hidden = true
    try {
      await act({ site, host, incident: id }, action)
      // What was typed is sent: it no longer keeps the view from being drawn again.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
      reload()
    } catch (error) {
      trouble.textContent = wordsOfError(error)
      trouble.hidden = false
    }
  }
  return block(
    'Triage',
    stateOf(incident, now),
    ...(me.mayAct ? forms(incident, me.name ?? '', run) : [whyNot(me.name)]),
    trouble,
  )
}

function stateOf({ triage }: IncidentRecord, now: number): HTMLElement {
  const { acknowledged, assignee, mutedUntil, allowedUntil, label } = triage
  return facts([
    [
      'Acknowledged',
      acknowledged === undefined
        ? 'no'
        : ['by ', name(acknowledged.by), ', ', ago(acknowledged.at, now)],
    ],
    ['Assigned to', assignee === undefined ? 'nobody' : [name(assignee)]],
    ['Muted until', mutedUntil === undefined ? undefined : [at(mutedUntil, now)]],
    ['Allowed until', allowedUntil === undefined ? undefined : [at(allowedUntil, now)]],
    ['Label', label === undefined ? undefined : [name(label)]],
  ])
}

function whyNot(login: string | null): HTMLElement {
  return note(
    login === null
      ? 'To acknowledge, assign or mute, start the aggregator with --http-password-file and sign in.'
      : `${login} may read and change nothing: names that begin with @ are readers.`,
  )
}

function forms({ triage }: IncidentRecord, login: string, run: Do): HTMLElement[] {
  const acknowledged = triage.acknowledged !== undefined
  return [
    element(
      'div',
      { class: 'buttons' },
      button(acknowledged ? 'Take acknowledgement back' : 'Acknowledge', 'acknowledge', () =>
        run({ action: acknowledged ? 'unacknowledge' : 'acknowledge' }),
      ),
      triage.assignee === login
        ? button('Unassign me', 'assign', () => run({ action: 'assign', value: '' }))
        : button('Assign to me', 'assign', () => run({ action: 'assign', value: login })),
      triage.mutedUntil === undefined
        ? ''
        : button('End the mute', 'unmute', () => run({ action: 'unmute' })),
      triage.allowedUntil === undefined
        ? ''
        : button('End the allowance', 'disallow', () => run({ action: 'disallow' })),
    ),
    form(
      'Assign to someone else',
      'assign-other',
      [textField('value', 'Name', 128)],
      'Assign',
      (given) => run({ action: 'assign', value: text(given, 'value') }),
    ),
    form('Note', 'note', [noteField()], 'Add note', (given) =>
      run({ action: 'note', value: text(given, 'value') }),
    ),
    form('Mute', 'mute', [duration('Mute', MUTES)], 'Mute', (given) =>
      run({ action: 'mute', until: endOf(given) }),
    ),
    form(
      'Allow on this host',
      'allow',
      [textField('value', 'Why this is expected', 2_000), duration('Allow', ALLOWANCES)],
      'Allow',
      (given) => run({ action: 'allow', value: text(given, 'value'), until: endOf(given) }),
      'Also later incidents of the same name and behaviour on this host, unless they are worse. The agent goes on raising them until "agent allow" is run there.',
    ),
    form(
      'What it was',
      'label',
      [textField('value', 'fine, bad, or a class', 128)],
      'Label',
      (given) => run({ action: 'label', value: text(given, 'value') }),
    ),
  ]
}

function form(
  title: string,
  key: string,
  fields: readonly Child[],
  submit: string,
  onSubmit: (given: FormData) => void,
  help = '',
): HTMLElement {
  const made = element(
    'form',
    { class: 'act-form' },
    ...fields,
    element('button', { type: 'submit', 'data-key': `submit-${key}` }, submit),
  )
  made.addEventListener('submit', (event) => {
    event.preventDefault()
    onSubmit(new FormData(made))
  })
  return element(
    'details',
    { class: 'act', 'data-key': key },
    element('summary', {}, title),
    help === '' ? '' : note(help),
    made,
  )
}

function button(words: string, key: string, onClick: () => void): HTMLElement {
  const made = element('button', { type: 'button', 'data-key': `button-${key}` }, words)
  made.addEventListener('click', onClick)
  return made
}

function textField(field: string, label: string, most: number): HTMLElement {
  return element(
    'label',
    {},
    element('span', {}, label),
    element('input', { name: field, required: true, maxlength: String(most), autocomplete: 'off' }),
  )
}

function noteField(): HTMLElement {
  return element(
    'label',
    {},
    element('span', {}, 'Text'),
    element('textarea', { name: 'value', required: true, maxlength: '2000', rows: '3' }),
  )
}

function duration(label: string, choices: readonly (readonly [number, string])[]): HTMLElement {
  return element(
    'label',
    {},
    element('span', {}, label),
    element(
      'select',
      { name: 'seconds' },
      ...choices.map(([seconds, words]) => element('option', { value: String(seconds) }, words)),
    ),
  )
}

/** One line: the audit list has one row for each. */
function text(given: FormData, field: string): string {
  return String(given.get(field) ?? '')
    .replace(/\s+/g, ' ')
    .trim()
}

function endOf(given: FormData): number {
  return Math.floor(Date.now() / 1_000) + Number(given.get('seconds'))
}

/** The newest first; absent where nobody did anything. */
export function actionLog(actions: readonly ActionRecord[], now: number): HTMLElement {
  if (actions.length === 0) return element('div', { hidden: true })
  return block(
    'Notes and actions',
    element(
      'ol',
      { class: 'log' },
      ...actions.map((action) => element('li', {}, ...actionParts(action, now))),
    ),
  )
}

export function actionParts(action: ActionRecord, now: number): Child[] {
  const hasText = action.action === 'note' || action.action === 'allow'
  return [
    element(
      'span',
      {},
      name(action.actor),
      ` ${actionWords(action, now)} `,
      element('span', { class: 'note' }, ago(action.time, now)),
    ),
    hasText ? element('blockquote', {}, action.value) : '',
  ]
}
