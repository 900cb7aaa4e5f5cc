/**
 * The tables of the SQLite store, and nothing that needs more than SQLite's plain SQL.
 *
 * `alerts` holds each alert once, with its newest state, as it came on the wire; `changes` is how
 * it got there, one row per message, and what duplicates are recognised by. That is per alert and
 * not per host on purpose: a stranger who guesses sequence numbers can then not make the store take
 * a true alert for a repeat of his. `latest` is the newest summary of each host, `hours` what its
 * summaries add up to.
 *
 * `incidents` and `actions` have the column names of the PostgreSQL store: `incident-sql.ts` asks
 * both.
 */
/** Step n brings the file to version n + 1; a released step is never changed. */
export const SCHEMA: readonly string[] = [
  `
CREATE TABLE hosts (
  id INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  online INTEGER NOT NULL,
  reason TEXT NOT NULL,
  boot INTEGER NOT NULL,
  since INTEGER NOT NULL,
  firstSeen INTEGER NOT NULL,
  lastSeen INTEGER NOT NULL,
  version TEXT NOT NULL,
  model TEXT NOT NULL,
  source TEXT NOT NULL,
  UNIQUE (site, host)
);
CREATE TABLE alerts (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  hostId INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  received INTEGER NOT NULL,
  changes INTEGER NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (hostId, id)
);
CREATE INDEX alertsById ON alerts (id);
CREATE INDEX alertsByHost ON alerts (hostId, row);
CREATE INDEX alertsByHostState ON alerts (hostId, state);
CREATE INDEX alertsByKind ON alerts (kind, state);
CREATE TABLE changes (
  alertRow INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  state TEXT NOT NULL,
  count INTEGER NOT NULL,
  class TEXT NOT NULL,
  confidence REAL NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (alertRow, boot, seq)
) WITHOUT ROWID;
CREATE TABLE summaries (
  row INTEGER PRIMARY KEY,
  hostId INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  received INTEGER NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (hostId, boot, seq)
);
`,
  // Alerts are listed active ones first, by their last change; one summary a host, and its hours.
  `
ALTER TABLE hosts ADD COLUMN active INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN alerts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN summaryBoot INTEGER NOT NULL DEFAULT -1;
ALTER TABLE hosts ADD COLUMN summarySeq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN summarySeen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN site TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN active INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET
  active = state <> 'closed',
  site = coalesce((SELECT site FROM hosts WHERE hosts.id = hostId), ''),
  changed = max(received, coalesce((SELECT max(received) FROM changes WHERE alertRow = row), 0));
UPDATE hosts SET
  alerts = (SELECT count(*) FROM alerts WHERE hostId = hosts.id),
  active = (SELECT count(*) FROM alerts WHERE hostId = hosts.id AND active = 1);
DROP INDEX alertsByHost;
DROP INDEX alertsByHostState;
DROP INDEX alertsByKind;
CREATE INDEX alertsByChange ON alerts (active, changed, row);
CREATE INDEX alertsByHost ON alerts (hostId, active, changed, row);
CREATE INDEX alertsByKind ON alerts (kind, active, changed, row);
CREATE INDEX alertsBySite ON alerts (site, active, changed, row);
CREATE TABLE latest (
  hostId INTEGER PRIMARY KEY,
  received INTEGER NOT NULL,
  body BLOB NOT NULL
);
INSERT INTO latest SELECT hostId, received, body FROM (
  SELECT hostId, received, body,
    row_number() OVER (PARTITION BY hostId ORDER BY boot DESC, seq DESC) AS place
  FROM summaries
) WHERE place = 1;
UPDATE hosts SET (summaryBoot, summarySeq) = (
  SELECT boot, seq FROM summaries WHERE hostId = hosts.id ORDER BY boot DESC, seq DESC LIMIT 1
) WHERE id IN (SELECT hostId FROM summaries);
UPDATE hosts SET summarySeen = 2147483647 WHERE summaryBoot >= 0;
DROP TABLE summaries;
CREATE TABLE hours (
  hostId INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  seconds INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  cpuMs INTEGER NOT NULL,
  rssBytes INTEGER NOT NULL,
  alertsOpen INTEGER NOT NULL,
  PRIMARY KEY (hostId, hour)
) WITHOUT ROWID;
CREATE INDEX hoursByAge ON hours (hour);
`,
  // A kind that a site has none of is told at once, too.
  `
CREATE INDEX alertsBySiteKind ON alerts (site, kind, active, changed, row);
`,
  // Incidents: the alerts of one id added up, what operators did about them, and the audit list.
  `
ALTER TABLE alerts ADD COLUMN incident TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN severity INTEGER NOT NULL DEFAULT 1;
ALTER TABLE alerts ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE alerts ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET
  incident = coalesce(json_extract(body, '$.incident'), id),
  severity = CASE json_extract(body, '$.severity')
    WHEN 'critical' THEN 0 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 1 END,
  confirmed = coalesce(json_extract(body, '$.certainty'), 'confirmed') = 'confirmed',
  first = json_extract(body, '$.first'),
  last = json_extract(body, '$.last');
CREATE INDEX alertsByIncident ON alerts (hostId, incident);
CREATE TABLE incidents (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  host_id INTEGER NOT NULL,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  incident TEXT NOT NULL,
  lead_row INTEGER NOT NULL,
  active INTEGER NOT NULL,
  urgency INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  behaves TEXT NOT NULL,
  words TEXT NOT NULL,
  severity INTEGER NOT NULL,
  confirmed INTEGER NOT NULL,
  alerts INTEGER NOT NULL,
  active_alerts INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  acknowledged_by TEXT NOT NULL DEFAULT '',
  acknowledged_at INTEGER NOT NULL DEFAULT 0,
  assignee TEXT NOT NULL DEFAULT '',
  muted_until INTEGER NOT NULL DEFAULT 0,
  allowed_until INTEGER NOT NULL DEFAULT 0,
  quiet_severity INTEGER NOT NULL,
  label TEXT NOT NULL DEFAULT '',
  notes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (host_id, incident)
);
CREATE INDEX incidentsByUrgency ON incidents (urgency, changed, row);
CREATE INDEX incidentsByChange ON incidents (changed, row);
CREATE INDEX incidentsById ON incidents (incident);
CREATE INDEX incidentsByName ON incidents (host_id, name);
CREATE INDEX incidentsByBegin ON incidents (first);
INSERT INTO incidents (host_id, site, host, incident, lead_row, active, urgency, kind, name, behaves,
  words, severity, confirmed, alerts, active_alerts, first, last, changed, quiet_severity)
SELECT hostId, site, json_extract(body, '$.host'), incident, row, open > 0,
  (open > 0) * 4 + 3 - severity, kind, json_extract(body, '$.process.name'),
  coalesce(json_extract(body, '$.behaviour'), json_extract(body, '$.predicted.class')),
  lower(body), severity, everConfirmed, total, open, began, ended, newest, severity
FROM (
  SELECT alerts.*,
    row_number() OVER (PARTITION BY hostId, incident ORDER BY severity, confirmed DESC, row) AS place,
    count(*) OVER one AS total, sum(active) OVER one AS open, max(confirmed) OVER one AS everConfirmed,
    min(first) OVER one AS began, max(last) OVER one AS ended, max(changed) OVER one AS newest
  FROM alerts WINDOW one AS (PARTITION BY hostId, incident)
) WHERE place = 1;
CREATE TABLE actions (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  actor TEXT NOT NULL,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  incident TEXT NOT NULL,
  action TEXT NOT NULL,
  value TEXT NOT NULL,
  until INTEGER NOT NULL,
  severity INTEGER NOT NULL
);
CREATE INDEX actionsByIncident ON actions (incident, site, host);
`,
  // What is known of hosts that are classified here.
  `
CREATE TABLE known (
  hostId INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);
`,
  // Keys of hosts, and the aggregator's own.
  `
ALTER TABLE hosts ADD COLUMN key TEXT NOT NULL DEFAULT '';
ALTER TABLE hosts ADD COLUMN keySince INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN otherKey TEXT NOT NULL DEFAULT '';
ALTER TABLE hosts ADD COLUMN otherKeySince INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN acceptedKey TEXT NOT NULL DEFAULT '';
CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), secret TEXT NOT NULL);
`,
  // Connections of hosts in order, and since when a host is blind or noisy.
  `
ALTER TABLE hosts ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN blindSince INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosts ADD COLUMN noisySince INTEGER NOT NULL DEFAULT 0;
`,
  // What hosts have made of their fleet's documents, and these.
  `
ALTER TABLE hosts ADD COLUMN fleet TEXT NOT NULL DEFAULT '';
CREATE TABLE documents (
  site TEXT NOT NULL,
  what TEXT NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (site, what)
);
`,
  // The fleet's authority, tokens that let hosts enrol, and their certificates.
  `
CREATE TABLE authority (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  key TEXT NOT NULL,
  certificate TEXT NOT NULL
);
CREATE TABLE tokens (
  hash TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  uses INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE TABLE certificates (
  serial TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL
);
CREATE INDEX certificatesByHost ON certificates (site, host);
`,
  // Documents that are too long for one message.
  `
CREATE TABLE documentParts (
  site TEXT NOT NULL,
  what TEXT NOT NULL,
  part INTEGER NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (site, what, part)
);
`,
  // What hosts were asked, and what they answered.
  `
CREATE TABLE requests (
  nonce TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  host TEXT NOT NULL,
  made INTEGER NOT NULL,
  body TEXT NOT NULL,
  answer TEXT NOT NULL
);
`,
  // Programs by the first host that showed one of that name.
  `
CREATE TABLE programs (
  site TEXT NOT NULL,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  first INTEGER NOT NULL,
  PRIMARY KEY (site, name)
) WITHOUT ROWID;
CREATE INDEX programsByFirst ON programs (first);
`,
]
