/**
 * The tables of the SQLite store, and nothing that needs more than SQLite's plain SQL.
 *
 * `alerts` holds each alert once, with its newest state, as it came on the wire; `changes` is how
 * it got there, one row per message, and what duplicates are recognised by. That is per alert and
 * not per host on purpose: a stranger who guesses sequence numbers can then not make the store take
 * a true alert for a repeat of his. `latest` is the newest summary of each host, `hours` what its
 * summaries add up to.
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
]
