/**
 * The tables of the aggregator's store, and nothing that needs more than SQLite's plain SQL.
 *
 * `alerts` holds each alert once, with its newest state, as it came on the wire; `changes` is how it got
 * there, one row per message, and what duplicates are recognised by. That is per alert and not per host on
 * purpose: a stranger who guesses sequence numbers can then not make the store take a true alert for a
 * repeat of his. `row` grows and is never used again, so that it serves as the API's cursor.
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
]
