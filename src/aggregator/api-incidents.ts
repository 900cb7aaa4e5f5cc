/**
 * The API's questions about incidents and about what operators did: `incidents`, `incidents/ID`,
 * `incidents/groups`, `incidents/times` and `actions`.
 */
import { SEVERITIES } from '../domain/behaviour.ts'
import {
  API_ID_CHARS_MAX,
  DATE_SECONDS_MAX,
  INCIDENT_GROUPS_MAX,
  INCIDENT_ROWS_MAX,
  INCIDENT_SPANS_MAX,
  SEARCH_CHARS_MAX,
  WIRE_TEXT_CHARS_MAX,
} from '../domain/limits.ts'
import { BadParameter, decodePart, Parameters } from './api-parameters.ts'
import { readIncidentCursor, readRowCursor } from './store/cursor.ts'
import {
  ACTION_KINDS,
  INCIDENT_GROUPS,
  type IncidentFilter,
  type IncidentReads,
  TRIAGE_STATES,
} from './store/incident.ts'

const FILTERS = [
  ...['site', 'host', 'severity', 'state', 'triage', 'q', 'name', 'assignee', 'since', 'until'],
] as const
const DAY_S = 86_400

export async function answerIncidents(
  incidents: IncidentReads,
  name: string | undefined,
  part: string | undefined,
  given: URLSearchParams,
  now: number,
): Promise<string | undefined> {
  if (part !== undefined) return undefined
  if (name === undefined) return listIncidents(incidents, given, now)
  if (name === 'groups') return groupIncidents(incidents, given, now)
  if (name === 'times') return countOverTime(incidents, given, now)
  return showIncident(incidents, name, given, now)
}

async function listIncidents(
  incidents: IncidentReads,
  given: URLSearchParams,
  now: number,
): Promise<string> {
  const query = new Parameters(given, ['limit', 'after', 'order', ...FILTERS])
  const page = await incidents.list({
    limit: query.limit(),
    order: 'urgency',
    ...query.optional('after', (text) => query.cursor(text, readIncidentCursor)),
    ...query.optional('order', (text) => query.oneOf('order', text, ['urgency', 'time'])),
    ...filterOf(query, now),
  })
  return JSON.stringify(page)
}

async function showIncident(
  incidents: IncidentReads,
  name: string,
  given: URLSearchParams,
  now: number,
): Promise<string | undefined> {
  const query = new Parameters(given, ['site', 'host'])
  const id = decodePart(name)
  if (id === undefined || id === '' || id.length > API_ID_CHARS_MAX) return undefined
  const found = await incidents.find(id, { ...query.where(), now }, INCIDENT_ROWS_MAX)
  if (found === undefined) return undefined
  const { incident, alerts, actions } = found
  return `{"incident":${JSON.stringify(incident)},"alerts":[${alerts.join(',')}],"actions":${JSON.stringify(actions)}}`
}

async function groupIncidents(
  incidents: IncidentReads,
  given: URLSearchParams,
  now: number,
): Promise<string> {
  const query = new Parameters(given, ['by', ...FILTERS])
  const by = query.optional('by', (text) => query.oneOf('by', text, INCIDENT_GROUPS)).by
  if (by === undefined)
    throw new BadParameter(`"by" is needed, one of ${INCIDENT_GROUPS.join(', ')}`)
  const items = await incidents.groups(by, filterOf(query, now), INCIDENT_GROUPS_MAX)
  return JSON.stringify({ items, next: null })
}

async function countOverTime(
  incidents: IncidentReads,
  given: URLSearchParams,
  now: number,
): Promise<string> {
  const query = new Parameters(given, ['step', ...FILTERS])
  const step =
    query.optional('step', (text) => query.integer('step', text, 60, 366 * DAY_S)).step ?? 3_600
  const filter = filterOf(query, now)
  const until = filter.until ?? now
  const since = filter.since ?? until - DAY_S
  if ((until - since) / step > INCIDENT_SPANS_MAX)
    throw new BadParameter(`"step" must be so wide that there are at most ${INCIDENT_SPANS_MAX}`)
  const items = await incidents.times({ ...filter, since, until }, step)
  return JSON.stringify({ items, next: null, since, until, step })
}

function filterOf(query: Parameters, now: number): IncidentFilter {
  const seconds = (name: string) => (text: string) => query.integer(name, text, 0, DATE_SECONDS_MAX)
  return {
    now,
    ...query.where(),
    ...query.renamed('severity', 'severities', (text) =>
      query.someOf('severity', text, SEVERITIES),
    ),
    ...query.optional('state', (text) => query.oneOf('state', text, ['open', 'closed'])),
    ...query.optional('triage', (text) => query.someOf('triage', text, TRIAGE_STATES)),
    ...query.optional('q', (text) => query.part('q', text, SEARCH_CHARS_MAX)),
    ...query.optional('name', (text) => query.part('name', text, WIRE_TEXT_CHARS_MAX)),
    ...query.optional('assignee', (text) => query.part('assignee', text, WIRE_TEXT_CHARS_MAX)),
    ...query.optional('since', seconds('since')),
    ...query.optional('until', seconds('until')),
  }
}

/** The audit list: who did what about which incident, the newest first. */
export async function answerActions(
  incidents: IncidentReads,
  given: URLSearchParams,
): Promise<string> {
  const query = new Parameters(given, ['limit', 'after', 'site', 'host', 'actor', 'action'])
  const page = await incidents.actions({
    limit: query.limit(),
    ...query.where(),
    ...query.optional('after', (text) => query.cursor(text, readRowCursor)),
    ...query.optional('actor', (text) => query.part('actor', text, WIRE_TEXT_CHARS_MAX)),
    ...query.renamed('action', 'actions', (text) => query.someOf('action', text, ACTION_KINDS)),
  })
  return JSON.stringify(page)
}
