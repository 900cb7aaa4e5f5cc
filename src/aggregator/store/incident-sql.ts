/**
 * Incidents and actions in SQL that SQLite and PostgreSQL both understand: the tables have the same
 * columns in both stores, so a question is written once. `?` stands for a value; whoever runs a
 * text numbers them where the engine wants that.
 *
 * Lists are answered from an index in their order. A search (`q`) reads along that index until a
 * page is full: rare words cost a look at every incident within the other filters.
 */
import {
  likePattern,
  readIncidentCursor,
  readRowCursor,
  showIncidentCursor,
  showRowCursor,
} from './cursor.ts'
import {
  ACTION_COLUMNS,
  type Action,
  type ActionQuery,
  type ActionRecord,
  changeOf,
  type HostAlert,
  INCIDENT_COLUMNS,
  type IncidentDetail,
  type IncidentFilter,
  type IncidentGroup,
  type IncidentGroupBy,
  type IncidentKey,
  type IncidentQuery,
  type IncidentReads,
  type IncidentRecord,
  type IncidentTimes,
  severityOfRank,
  severityRank,
  TRIAGE_COLUMNS,
  type TriageState,
} from './incident.ts'
import { toSeconds } from './records.ts'

export type SqlParameter = string | number
export type RunQuery = <Row>(text: string, values: readonly SqlParameter[]) => Promise<Row[]>

/** Where the tables are: PostgreSQL has them in a schema. */
export interface TableNames {
  readonly incidents: string
  readonly actions: string
  readonly alerts: string
  /** The column of `alerts` that names the host's row. */
  readonly alertHost: string
}

/** Bigints and integers as numbers, in both engines. */
const number = (column: string, as = column.replace(/^.*\./, '')): string =>
  `CAST(${column} AS double precision) AS ${as}`

/** A filter's conditions and their values, in order. */
class Conditions {
  readonly values: SqlParameter[] = []
  readonly #parts: string[] = []

  add(text: string, ...values: readonly SqlParameter[]): this {
    this.#parts.push(text)
    this.values.push(...values)
    return this
  }

  equal(column: string, value: SqlParameter | undefined): this {
    return value === undefined ? this : this.add(`${column} = ?`, value)
  }

  anyOf(column: string, values: readonly SqlParameter[] | undefined): this {
    if (values === undefined) return this
    return this.add(`${column} IN (${values.map(() => '?').join(',')})`, ...values)
  }

  get text(): string {
    return this.#parts.length === 0 ? '1 = 1' : this.#parts.join(' AND ')
  }
}

/** Values: now, twice, in Unix seconds. Texts stay the same from one question to the next. */
const TRIAGE = `CASE WHEN allowed_until > ? THEN 'allowed' WHEN muted_until > ? THEN 'muted'
  WHEN acknowledged_at > 0 THEN 'acknowledged' ELSE 'new' END`

function conditionsOf(filter: IncidentFilter): Conditions {
  const { site, host, severities, state, triage, q, name, assignee, since, until, now } = filter
  const where = new Conditions()
    .equal('incidents.site', site)
    .equal('incidents.host', host)
    .equal('incidents.name', name)
    .equal('assignee', assignee)
    .anyOf('incidents.severity', severities?.map(severityRank))
  if (state !== undefined) where.add('incidents.active = ?', state === 'open' ? 1 : 0)
  if (triage !== undefined)
    where.add(`(${TRIAGE}) IN (${triage.map(() => '?').join(',')})`, now, now, ...triage)
  if (since !== undefined) where.add('incidents.last >= ?', since)
  if (until !== undefined) where.add('incidents.first <= ?', until)
  for (const word of (q ?? '').toLowerCase().split(/\s+/).filter(Boolean))
    where.add("words LIKE ? ESCAPE '\\'", likePattern(word))
  return where
}

const GROUP_KEYS: Readonly<Record<IncidentGroupBy, string>> = {
  severity: 'incidents.severity',
  host: "incidents.site || '/' || incidents.host",
  name: 'incidents.name',
  behaviour: 'behaves',
  assignee: 'assignee',
}

interface StoredIncident {
  readonly row: number
  readonly incident: string
  readonly site: string
  readonly host: string
  readonly active: number
  readonly urgency: number
  readonly severity: number
  readonly confirmed: number
  readonly alerts: number
  readonly active_alerts: number
  readonly first: number
  readonly last: number
  readonly changed: number
  readonly acknowledged_by: string
  readonly acknowledged_at: number
  readonly assignee: string
  readonly muted_until: number
  readonly allowed_until: number
  readonly label: string
  readonly notes: number
  readonly triage: TriageState
  readonly body: string
}

const NUMBERS = [
  ...['row', 'active', 'urgency', 'severity', 'confirmed', 'alerts', 'active_alerts'],
  ...['first', 'last', 'changed', 'acknowledged_at', 'muted_until', 'allowed_until', 'notes'],
]
const WHOLE_NUMBERS: ReadonlySet<string> = new Set([
  ...NUMBERS,
  ...['quiet_severity', 'time', 'until'],
])
const TEXTS = ['incident', 'site', 'host', 'acknowledged_by', 'assignee', 'label']

export class IncidentSql implements IncidentReads {
  readonly #query: RunQuery
  readonly #tables: TableNames

  constructor(query: RunQuery, tables: TableNames) {
    this.#query = query
    this.#tables = tables
  }

  async list(query: IncidentQuery): ReturnType<IncidentReads['list']> {
    const where = conditionsOf(query)
    const rank = query.order === 'urgency' ? 'incidents.urgency' : '0'
    if (query.after !== undefined) {
      const after = readIncidentCursor(query.after)
      if (after === undefined) return { items: [], next: null }
      where.add(
        `(${rank}, incidents.changed, incidents.row) < (?, ?, ?)`,
        ...[after.rank, after.changed, after.row],
      )
    }
    const order =
      query.order === 'urgency'
        ? 'incidents.urgency DESC, incidents.changed DESC, incidents.row DESC'
        : 'incidents.changed DESC, incidents.row DESC'
    const rows = await this.#select(where, query.now, `ORDER BY ${order} LIMIT ${query.limit + 1}`)
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    return {
      items: page.map((row) => recordOf(row, query.now)),
      next:
        rows.length > query.limit && last !== undefined
          ? showIncidentCursor({ ...last, rank: query.order === 'urgency' ? last.urgency : 0 })
          : null,
    }
  }

  async find(
    id: string,
    { site, host, now }: Parameters<IncidentReads['find']>[1],
    alertsMax: number,
  ): Promise<IncidentDetail | undefined> {
    const where = new Conditions()
      .equal('incidents.incident', id)
      .equal('incidents.site', site)
      .equal('incidents.host', host)
    const [found] = await this.#select(where, now, 'ORDER BY incidents.row LIMIT 1')
    if (found === undefined) return undefined
    const { incidents, alerts, alertHost } = this.#tables
    const bodies = await this.#query<{ body: string }>(
      `SELECT body FROM ${alerts} AS alerts WHERE ${alertHost} =
         (SELECT host_id FROM ${incidents} AS incidents WHERE incidents.row = ?)
         AND alerts.incident = ?
       ORDER BY alerts.severity, alerts.row LIMIT ${alertsMax}`,
      [found.row, id],
    )
    const { items } = await this.actions({
      limit: alertsMax,
      site: found.site,
      host: found.host,
      incident: id,
    })
    return {
      incident: recordOf(found, now),
      alerts: bodies.map(({ body }) => body),
      actions: items,
    }
  }

  async groups(
    by: IncidentGroupBy,
    filter: IncidentFilter,
    limit: number,
  ): Promise<IncidentGroup[]> {
    const where = conditionsOf(filter)
    const key = GROUP_KEYS[by]
    const rows = await this.#query<Omit<IncidentGroup, 'severity'> & { severity: number }>(
      `SELECT ${key} AS key, ${number('count(*)', 'incidents')},
         ${number('sum(incidents.active)', 'open')}, ${number('min(incidents.severity)', 'severity')},
         ${number('max(incidents.changed)', 'changed')}
       FROM ${this.#tables.incidents} AS incidents WHERE ${where.text}
       GROUP BY ${key} ORDER BY min(incidents.severity), count(*) DESC, ${key} LIMIT ${limit}`,
      where.values,
    )
    return rows.map((row) => {
      const severity = severityOfRank(row.severity)
      const shown = by === 'severity' ? severity : String(row.key)
      return { ...row, key: shown, severity, changed: toSeconds(row.changed) }
    })
  }

  async times(filter: IncidentFilter, stepSeconds: number): Promise<IncidentTimes[]> {
    const where = conditionsOf(filter)
    // Where it began, not where it was: each incident counts once.
    if (filter.since !== undefined) where.add('incidents.first >= ?', filter.since)
    const rows = await this.#query<{ at: number; severity: number; incidents: number }>(
      `SELECT ${number('at')}, ${number('severity')}, ${number('count(*)', 'incidents')}
       FROM (SELECT incidents.first - incidents.first % ? AS at, incidents.severity
         FROM ${this.#tables.incidents} AS incidents WHERE ${where.text}) AS began
       GROUP BY at, severity ORDER BY at, severity`,
      [stepSeconds, ...where.values],
    )
    return rows.map((row) => ({ ...row, severity: severityOfRank(row.severity) }))
  }

  async actions(query: ActionQuery): ReturnType<IncidentReads['actions']> {
    const { limit, after, actor, actions, site, host, incident } = query
    const where = new Conditions()
      .equal('actor', actor)
      .anyOf('action', actions)
      .equal('site', site)
      .equal('host', host)
      .equal('incident', incident)
    if (after !== undefined) {
      const row = readRowCursor(after)
      if (row === undefined) return { items: [], next: null }
      where.add('actions.row < ?', row)
    }
    const rows = await this.#query<Omit<ActionRecord, 'severity'> & { severity: number }>(
      `SELECT ${['row', 'time', 'severity', 'until'].map((one) => number(`actions.${one}`)).join(', ')},
         actor, site, host, incident, action, value
       FROM ${this.#tables.actions} AS actions WHERE ${where.text}
       ORDER BY actions.row DESC LIMIT ${limit + 1}`,
      where.values,
    )
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      items: page.map((row) => ({ ...row, severity: severityOfRank(row.severity) })),
      next: rows.length > limit && last !== undefined ? showRowCursor(last.row) : null,
    }
  }

  #select(where: Conditions, now: number, tail: string): Promise<StoredIncident[]> {
    const columns = [
      ...NUMBERS.map((name) => number(`incidents.${name}`)),
      ...TEXTS.map((name) => `incidents.${name}`),
      `${TRIAGE} AS triage`,
    ].join(', ')
    return this.#query<StoredIncident>(
      `SELECT ${columns}, alerts.body FROM ${this.#tables.incidents} AS incidents
       JOIN ${this.#tables.alerts} AS alerts ON alerts.row = incidents.lead_row
       WHERE ${where.text} ${tail}`,
      [now, now, ...where.values],
    )
  }
}

function recordOf(row: StoredIncident, now: number): IncidentRecord {
  const { acknowledged_by: by, acknowledged_at: at, assignee, label } = row
  return {
    id: row.incident,
    site: row.site,
    host: row.host,
    state: row.active === 1 ? 'open' : 'closed',
    severity: severityOfRank(row.severity),
    certainty: row.confirmed === 1 ? 'confirmed' : 'provisional',
    alerts: { active: row.active_alerts, total: row.alerts },
    first: row.first,
    last: row.last,
    changed: toSeconds(row.changed),
    triage: {
      state: row.triage,
      ...(at > 0 ? { acknowledged: { by, at } } : {}),
      ...(assignee === '' ? {} : { assignee }),
      ...(row.muted_until > now ? { mutedUntil: row.muted_until } : {}),
      ...(row.allowed_until > now ? { allowedUntil: row.allowed_until } : {}),
      ...(label === '' ? {} : { label }),
      notes: row.notes,
    },
    lead: JSON.parse(row.body) as HostAlert,
  }
}

// --- Statements that write ---------------------------------------------------------------------------

const SUMS = [
  number('min(alerts.severity)', 'severity'),
  number('max(alerts.confirmed)', 'confirmed'),
  number('count(*)', 'alerts'),
  number('sum(alerts.active)', 'active_alerts'),
  number('min(alerts.first)', 'first'),
  number('max(alerts.last)', 'last'),
  number('max(alerts.changed)', 'changed'),
].join(', ')

/**
 * What the alerts of incidents add up to, and their leading alert: the worst, confirmed before
 * provisional, of these the one received first.
 *
 * @param wanted a table `x` with host_id and incident
 */
export function sumStatement({ alerts, alertHost }: TableNames, wanted: string): string {
  return `WITH wanted AS (SELECT x.host_id, x.incident FROM ${wanted}), sums AS (
      SELECT x.host_id, x.incident, ${SUMS} FROM wanted AS x
      JOIN ${alerts} AS alerts ON alerts.${alertHost} = x.host_id AND alerts.incident = x.incident
      GROUP BY x.host_id, x.incident
    ), leads AS (
      SELECT x.host_id, x.incident, alerts.row AS lead_row, alerts.body,
        row_number() OVER (PARTITION BY x.host_id, x.incident
          ORDER BY alerts.severity, alerts.confirmed DESC, alerts.row) AS place
      FROM wanted AS x
      JOIN ${alerts} AS alerts ON alerts.${alertHost} = x.host_id AND alerts.incident = x.incident
    )
    SELECT ${number('sums.host_id')}, sums.incident, severity, confirmed, sums.alerts, active_alerts,
      first, last, changed, ${number('lead_row')}, leads.body
    FROM sums JOIN leads ON leads.host_id = sums.host_id AND leads.incident = sums.incident
    WHERE place = 1`
}

/** @param rows a table `x` with INCIDENT_COLUMNS */
export function putStatement({ incidents }: TableNames, rows: string): string {
  const columns = INCIDENT_COLUMNS.join(', ')
  const unlessWorse = (column: string, none: string) =>
    `${column} = CASE WHEN excluded.severity < incidents.quiet_severity
       THEN ${none} ELSE incidents.${column} END`
  return `INSERT INTO ${incidents} AS incidents (${columns}, quiet_severity, allowed_until)
    SELECT ${INCIDENT_COLUMNS.map((name) => `x.${name}`).join(', ')}, x.severity, coalesce((
      SELECT max(alike.allowed_until) FROM ${incidents} AS alike
      WHERE alike.host_id = x.host_id AND alike.name = x.name AND alike.behaves = x.behaves
        AND alike.quiet_severity <= x.severity), 0)
    FROM ${rows} WHERE 1 = 1
    ON CONFLICT (host_id, incident) DO UPDATE SET
      ${INCIDENT_COLUMNS.filter((name) => name !== 'host_id' && name !== 'incident')
        .map((name) => `${name} = excluded.${name}`)
        .join(', ')},
      ${unlessWorse('acknowledged_by', "''")}, ${unlessWorse('acknowledged_at', '0')},
      ${unlessWorse('muted_until', '0')}, ${unlessWorse('allowed_until', '0')}`
}

/** Values: the incident's id, site and host. */
export function targetStatement({ incidents }: TableNames): string {
  return `SELECT ${['row', 'host_id', 'severity'].map((name) => number(name)).join(', ')}, name, behaves
    FROM ${incidents} WHERE incident = ? AND site = ? AND host = ?`
}

export interface ActionTarget {
  readonly row: number
  readonly host_id: number
  readonly severity: number
  readonly name: string
  readonly behaves: string
}

export interface WriteStatement {
  readonly text: string
  readonly values: readonly SqlParameter[]
}

/** @param time Unix seconds */
export function actionStatements(
  { incidents, actions }: TableNames,
  target: ActionTarget,
  { site, host, incident }: IncidentKey,
  action: Action,
  { actor, time }: { readonly actor: string; readonly time: number },
): WriteStatement[] {
  const { set, values, alike } = changeOf(action, actor, time)
  const severity = action.action === 'disallow' ? 0 : target.severity
  return [
    alike
      ? {
          text: `UPDATE ${incidents} SET ${set}
            WHERE host_id = ? AND name = ? AND behaves = ? AND severity >= ?`,
          values: [...values, target.host_id, target.name, target.behaves, severity],
        }
      : {
          text: `UPDATE ${incidents} SET ${set} WHERE row = ?`,
          values: [...values, target.row],
        },
    {
      text: putActionStatement({ actions }),
      values: [
        ...[time, actor, site, host, incident],
        ...[action.action, action.value, action.until, target.severity],
      ],
    },
  ]
}

/** Values: ACTION_COLUMNS in their order. */
export function putActionStatement({ actions }: Pick<TableNames, 'actions'>): string {
  return `INSERT INTO ${actions} (${ACTION_COLUMNS.join(', ')})
    VALUES (${ACTION_COLUMNS.map(() => '?').join(', ')})`
}

/** What operators decided about a host's incidents. Values: the host's row. */
export function triageStatement({ incidents }: TableNames): string {
  const columns = TRIAGE_COLUMNS.map((name) => (WHOLE_NUMBERS.has(name) ? number(name) : name))
  return `SELECT incident, ${columns.join(', ')} FROM ${incidents}
    WHERE host_id = ? AND (notes > 0 OR acknowledged_at > 0 OR muted_until > 0 OR allowed_until > 0
      OR assignee <> '' OR label <> '')`
}

/** Values: TRIAGE_COLUMNS in their order, the host's row and the incident's id. */
export function putTriageStatement({ incidents }: TableNames): string {
  return `UPDATE ${incidents} SET ${TRIAGE_COLUMNS.map((name) => `${name} = ?`).join(', ')}
    WHERE host_id = ? AND incident = ?`
}

/** Values: site and host. */
export function hostActionsStatement({ actions }: TableNames): string {
  const columns = ACTION_COLUMNS.map((name) => (WHOLE_NUMBERS.has(name) ? number(name) : name))
  return `SELECT ${columns.join(', ')} FROM ${actions} WHERE site = ? AND host = ? ORDER BY row`
}

/** Keeps the newest actions. */
export function dropActionsStatement({ actions }: TableNames, most: number): string {
  return `DELETE FROM ${actions} WHERE row <= (SELECT max(row) FROM ${actions}) - ${most}`
}
