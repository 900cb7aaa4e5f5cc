/**
 * What a signed-in operator may change: one request, one action on one incident.
 *
 * `POST /api/v1/incidents/ID/actions?site=…&host=…` with `{"action":…,"value":…,"until":…}`. The
 * parameters are needed, because two hosts may claim the same id. Who did it is the name of the
 * login and never a part of the request.
 */
import {
  API_ID_CHARS_MAX,
  MUTE_DAYS_MAX,
  NOTE_CHARS_MAX,
  REQUEST_BYTES_MAX,
  WIRE_TEXT_CHARS_MAX,
} from '../domain/limits.ts'
import {
  type Decoded,
  type Fields,
  parseJson,
  problemText,
  reading,
  refuse,
} from '../domain/untrusted.ts'
import type { Clock } from '../platform/clock.ts'
import { BadParameter, decodePart, Parameters } from './api-parameters.ts'
import {
  ACTION_KINDS,
  type Action,
  type ActionKind,
  type ActionRecord,
  type IncidentKey,
} from './store/incident.ts'
import { toSeconds } from './store/records.ts'
import type { Store } from './store/store.ts'

const DAY_S = 86_400
/** Muted or allowed without an end; an allowance is for what one has looked at. */
const UNTIL_DEFAULT_S = { mute: DAY_S, allow: 90 * DAY_S } as const

const ACTIONS_PATH = /^\/api\/v1\/incidents\/([^/]+)\/actions$/

export function isActionPath(url: URL): boolean {
  return ACTIONS_PATH.test(url.pathname)
}

/** @returns undefined where the address is none of an incident's actions */
export function readTarget(url: URL): IncidentKey | undefined {
  const [, id] = ACTIONS_PATH.exec(url.pathname) ?? []
  const incident = id === undefined ? undefined : decodePart(id)
  if (incident === undefined || incident.length > API_ID_CHARS_MAX) return undefined
  const { site, host } = new Parameters(url.searchParams, ['site', 'host']).where()
  if (site === undefined || host === undefined)
    throw new BadParameter('"site" and "host" are needed')
  return { site, host, incident }
}

/** @param now Unix seconds */
export function readAction(body: string, now: number): Action {
  const read: Decoded<Action> = reading(() => {
    const fields = parseJson(body, REQUEST_BYTES_MAX)
    const action = fields.oneOf('action', ACTION_KINDS)
    const read = {
      action,
      value: actionValue(action, fields),
      until: actionEnd(action, fields, now),
    }
    const [unknown] = Object.keys(fields.rest())
    if (unknown !== undefined) refuse(`unknown-field(${unknown})`)
    return read
  })
  if (!read.ok) throw new BadParameter(`Cannot read the action: ${problemText(read)}`)
  const { action, value, until } = read.value
  if (until !== 0 && !(until > now && until <= now + MUTE_DAYS_MAX * DAY_S))
    throw new BadParameter(`"until" must be in the next ${MUTE_DAYS_MAX} days, in Unix seconds`)
  if (['note', 'allow', 'label'].includes(action) && value.trim() === '')
    throw new BadParameter(`"value" is needed: ${VALUES[action]}`)
  return read.value
}

const VALUES: Readonly<Partial<Record<ActionKind, string>>> = {
  note: 'the text of the note',
  allow: 'why this is fine here',
  label: '"fine", "bad", or the class that it was',
}

function actionValue(action: ActionKind, fields: Fields): string {
  if (!fields.has('value')) return ''
  const most = action === 'note' || action === 'allow' ? NOTE_CHARS_MAX : WIRE_TEXT_CHARS_MAX
  return fields.text('value', most, { empty: true })
}

function actionEnd(action: ActionKind, fields: Fields, now: number): number {
  if (action !== 'mute' && action !== 'allow') return 0
  return fields.has('until') ? fields.integer('until') : now + UNTIL_DEFAULT_S[action]
}

/** @returns what answers a POST: JSON of what was done, or nothing where there is no such incident */
export function takeActions(store: Store, clock: Clock, onAction: (record: ActionRecord) => void) {
  return async (url: URL, body: string, actor: string): Promise<string | undefined> => {
    const key = readTarget(url)
    if (key === undefined) return undefined
    const nowMs = clock.now()
    const record = await store.act(key, readAction(body, toSeconds(nowMs)), actor, nowMs)
    if (record === undefined) return undefined
    onAction(record)
    return JSON.stringify(record)
  }
}
