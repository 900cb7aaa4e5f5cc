/** What the SQLite store writes with, prepared once. */
import { ACTIONS_STORED_MAX } from '../../domain/limits.ts'
import type { Database } from '../../platform/sqlite.ts'
import { INCIDENT_COLUMNS } from './incident.ts'
import {
  dropActionsStatement,
  putActionStatement,
  putStatement,
  putTriageStatement,
  sumStatement,
  targetStatement,
} from './incident-sql.ts'
import { SQLITE_TABLES } from './sqlite-reads.ts'

function prepareSmallStatements(db: Database) {
  return {
    makeIdentity: db.prepare('INSERT OR IGNORE INTO identity VALUES (1, ?)'),
    identity: db.prepare('SELECT secret FROM identity'),
    acceptedKey: db.prepare('SELECT acceptedKey FROM hosts WHERE id = ?'),
    acceptKey: db.prepare('UPDATE hosts SET acceptedKey = ? WHERE site = ? AND host = ?'),
    putDocument: db.prepare(
      `INSERT INTO documents VALUES (?, ?, ?, ?) ON CONFLICT (site, what) DO UPDATE SET
         version = excluded.version, body = excluded.body WHERE excluded.version > version`,
    ),
    dropDocumentParts: db.prepare('DELETE FROM documentParts WHERE site = ? AND what = ?'),
    putDocumentPart: db.prepare('INSERT INTO documentParts VALUES (?, ?, ?, ?, ?)'),
    openAbsences: db.prepare("SELECT body FROM alerts WHERE kind = 'absence' AND active = 1"),
  }
}

export function prepareStatements(db: Database) {
  return {
    ...prepareSmallStatements(db),
    allHosts: db.prepare('SELECT * FROM hosts'),
    insertHost: db.prepare(
      `INSERT INTO hosts (site, host, online, reason, boot, since, firstSeen, lastSeen, version, model, source)
       VALUES (?, ?, 0, 'unknown', 0, ?, ?, ?, '', '', '') RETURNING *`,
    ),
    updateHost: db.prepare(
      `UPDATE hosts SET online = ?, reason = ?, boot = ?, since = ?, lastSeen = ?, version = ?, model = ?,
         source = ?, active = ?, alerts = ?, summaryBoot = ?, summarySeq = ?, summarySeen = ?,
         key = ?, keySince = ?, otherKey = ?, otherKeySince = ?, session = ?, blindSince = ?,
         noisySince = ?, fleet = ? WHERE id = ?`,
    ),
    setFirstSeen: db.prepare('UPDATE hosts SET firstSeen = ? WHERE id = ?'),
    dropHost: db.prepare('DELETE FROM hosts WHERE id = ?'),
    alertOf: db.prepare(
      'SELECT row, active, boot, seq, changes, incident FROM alerts WHERE hostId = ? AND id = ?',
    ),
    insertAlert: db.prepare(
      `INSERT INTO alerts (hostId, site, id, kind, state, active, boot, seq, received, changed, changes,
         body, incident, severity, confirmed, first, last)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?) RETURNING row`,
    ),
    updateAlert: db.prepare(
      `UPDATE alerts SET kind = ?, state = ?, active = ?, boot = ?, seq = ?, changed = ?, body = ?,
         incident = ?, severity = ?, confirmed = ?, first = ?, last = ? WHERE row = ?`,
    ),
    countChanges: db.prepare('UPDATE alerts SET changes = ? WHERE row = ?'),
    insertChange: db.prepare('INSERT OR IGNORE INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    // How it began stays; of the rest the oldest goes.
    dropSecondChange: db.prepare(
      `DELETE FROM changes WHERE alertRow = ? AND (boot, seq) IN
        (SELECT boot, seq FROM changes WHERE alertRow = ? ORDER BY boot, seq LIMIT 1 OFFSET 1)`,
    ),
    groups: db.prepare('SELECT kind, state, count(*) AS count FROM alerts GROUP BY kind, state'),
    oldAlerts: db.prepare(
      'SELECT row, hostId, incident FROM alerts WHERE kind = ? AND active = 0 AND changed < ? LIMIT ?',
    ),
    oldestClosedOf: db.prepare(
      `SELECT row, active, incident FROM alerts WHERE hostId = ? AND active = 0
       ORDER BY changed, row LIMIT ?`,
    ),
    oldestOf: db.prepare(
      'SELECT row, active, incident FROM alerts WHERE hostId = ? ORDER BY active, changed, row LIMIT ?',
    ),
    dropAlert: db.prepare('DELETE FROM alerts WHERE row = ?'),
    dropChanges: db.prepare('DELETE FROM changes WHERE alertRow = ?'),
    dropChangesOf: db.prepare(
      'DELETE FROM changes WHERE alertRow IN (SELECT row FROM alerts WHERE hostId = ?)',
    ),
    dropAlertsOf: db.prepare('DELETE FROM alerts WHERE hostId = ?'),
    sumIncident: db.prepare(
      sumStatement(SQLITE_TABLES, '(SELECT ? AS host_id, ? AS incident) AS x'),
    ),
    putIncident: db.prepare(
      putStatement(
        SQLITE_TABLES,
        `(SELECT ${INCIDENT_COLUMNS.map((name) => `? AS ${name}`).join(', ')}) AS x`,
      ),
    ),
    dropIncident: db.prepare('DELETE FROM incidents WHERE host_id = ? AND incident = ?'),
    dropIncidentsOf: db.prepare('DELETE FROM incidents WHERE host_id = ?'),
    target: db.prepare(targetStatement(SQLITE_TABLES)),
    putTriage: db.prepare(putTriageStatement(SQLITE_TABLES)),
    putAction: db.prepare(putActionStatement(SQLITE_TABLES)),
    lastAction: db.prepare('SELECT max(row) AS row FROM actions'),
    dropActions: db.prepare(dropActionsStatement(SQLITE_TABLES, ACTIONS_STORED_MAX)),
    putLatest: db.prepare('INSERT OR REPLACE INTO latest VALUES (?, ?, ?)'),
    dropLatestOf: db.prepare('DELETE FROM latest WHERE hostId = ?'),
    putKnown: db.prepare('INSERT OR REPLACE INTO known VALUES (?, ?)'),
    knownOf: db.prepare('SELECT body FROM known WHERE hostId = ?'),
    dropKnownOf: db.prepare('DELETE FROM known WHERE hostId = ?'),
    addHour: db.prepare(
      `INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hostId, hour) DO UPDATE SET
         seconds = seconds + excluded.seconds, calls = calls + excluded.calls,
         dropped = dropped + excluded.dropped, cpuMs = cpuMs + excluded.cpuMs,
         rssBytes = max(rssBytes, excluded.rssBytes), alertsOpen = max(alertsOpen, excluded.alertsOpen)`,
    ),
    dropOldHours: db.prepare(
      `DELETE FROM hours WHERE (hostId, hour) IN
        (SELECT hostId, hour FROM hours WHERE hour < ? ORDER BY hour LIMIT ?)`,
    ),
    dropHoursOf: db.prepare('DELETE FROM hours WHERE hostId = ?'),
  }
}

export type SqliteStatements = ReturnType<typeof prepareStatements>
