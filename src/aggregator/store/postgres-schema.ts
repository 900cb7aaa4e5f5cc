/**
 * The tables of the PostgreSQL store, in a schema of their own. What they hold is what
 * `sqlite-schema.ts` says.
 *
 * What grows fastest is partitioned by day and leaves by dropping partitions: `changes` by the day
 * on which their alert began, `hours` by their own. A commit locks the rows of its hosts in one
 * order, so that what two aggregators store of one host at the same time is done one after the
 * other.
 */
/** Step n brings the database to version n + 1; a released step is never changed. */
export const POSTGRES_SCHEMA: readonly string[] = [
  `
CREATE TABLE callsign.hosts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  online smallint NOT NULL DEFAULT 0,
  reason text NOT NULL DEFAULT 'unknown',
  boot bigint NOT NULL DEFAULT 0,
  since bigint NOT NULL,
  first_seen bigint NOT NULL,
  last_seen bigint NOT NULL,
  version text NOT NULL DEFAULT '',
  model text NOT NULL DEFAULT '',
  source text NOT NULL DEFAULT '',
  active integer NOT NULL DEFAULT 0,
  alerts integer NOT NULL DEFAULT 0,
  summary_boot bigint NOT NULL DEFAULT -1,
  summary_seq bigint NOT NULL DEFAULT 0,
  summary_seen bigint NOT NULL DEFAULT 0,
  UNIQUE (site, host)
) WITH (fillfactor = 70);
CREATE TABLE callsign.alerts (
  row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  day integer NOT NULL,
  host_id bigint NOT NULL,
  site text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  active smallint NOT NULL,
  boot bigint NOT NULL,
  seq bigint NOT NULL,
  received bigint NOT NULL,
  changed bigint NOT NULL,
  changes integer NOT NULL,
  body text NOT NULL,
  UNIQUE (host_id, id)
);
CREATE INDEX alerts_by_id ON callsign.alerts (id);
CREATE INDEX alerts_by_day ON callsign.alerts (day);
CREATE INDEX alerts_by_change ON callsign.alerts (active, changed, row);
CREATE INDEX alerts_by_host ON callsign.alerts (host_id, active, changed, row);
CREATE INDEX alerts_by_kind ON callsign.alerts (kind, active, changed, row);
CREATE INDEX alerts_by_site ON callsign.alerts (site, active, changed, row);
CREATE INDEX alerts_by_time ON callsign.alerts (changed);
CREATE TABLE callsign.changes (
  day integer NOT NULL,
  alert_row bigint NOT NULL,
  boot bigint NOT NULL,
  seq bigint NOT NULL,
  time bigint NOT NULL,
  state text NOT NULL,
  count bigint NOT NULL,
  class text NOT NULL,
  confidence float8 NOT NULL,
  received bigint NOT NULL,
  PRIMARY KEY (day, alert_row, boot, seq)
) PARTITION BY RANGE (day);
CREATE TABLE callsign.latest (
  host_id bigint PRIMARY KEY,
  received bigint NOT NULL,
  body bytea NOT NULL
);
ALTER TABLE callsign.latest ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE callsign.hours (
  day integer NOT NULL,
  host_id bigint NOT NULL,
  hour integer NOT NULL,
  seconds bigint NOT NULL,
  calls bigint NOT NULL,
  dropped bigint NOT NULL,
  cpu_ms bigint NOT NULL,
  rss_bytes bigint NOT NULL,
  alerts_open bigint NOT NULL,
  PRIMARY KEY (day, host_id, hour)
) PARTITION BY RANGE (day);
CREATE INDEX hours_by_host ON callsign.hours (host_id, hour);
`,
  // A kind that a site has none of is told at once, too.
  `
CREATE INDEX alerts_by_site_kind ON callsign.alerts (site, kind, active, changed, row);
`,
]
