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
  // Incidents: the alerts of one id added up, what operators did about them, and the audit list.
  `
ALTER TABLE callsign.alerts ADD COLUMN incident text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE callsign.alerts ADD COLUMN severity bigint NOT NULL DEFAULT 1;
ALTER TABLE callsign.alerts ADD COLUMN confirmed bigint NOT NULL DEFAULT 1;
ALTER TABLE callsign.alerts ADD COLUMN first bigint NOT NULL DEFAULT 0;
ALTER TABLE callsign.alerts ADD COLUMN last bigint NOT NULL DEFAULT 0;
UPDATE callsign.alerts SET
  incident = coalesce(body::json->>'incident', id),
  severity = CASE body::json->>'severity'
    WHEN 'critical' THEN 0 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 1 END,
  confirmed = (coalesce(body::json->>'certainty', 'confirmed') = 'confirmed')::int,
  first = (body::json->>'first')::bigint,
  last = (body::json->>'last')::bigint;
CREATE INDEX alerts_by_incident ON callsign.alerts (host_id, incident);
CREATE TABLE callsign.incidents (
  row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host_id bigint NOT NULL,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  incident text COLLATE "C" NOT NULL,
  lead_row bigint NOT NULL,
  active bigint NOT NULL,
  urgency bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  behaves text COLLATE "C" NOT NULL,
  words text COLLATE "C" NOT NULL,
  severity bigint NOT NULL,
  confirmed bigint NOT NULL,
  alerts bigint NOT NULL,
  active_alerts bigint NOT NULL,
  first bigint NOT NULL,
  last bigint NOT NULL,
  changed bigint NOT NULL,
  acknowledged_by text COLLATE "C" NOT NULL DEFAULT '',
  acknowledged_at bigint NOT NULL DEFAULT 0,
  assignee text COLLATE "C" NOT NULL DEFAULT '',
  muted_until bigint NOT NULL DEFAULT 0,
  allowed_until bigint NOT NULL DEFAULT 0,
  quiet_severity bigint NOT NULL,
  label text COLLATE "C" NOT NULL DEFAULT '',
  notes bigint NOT NULL DEFAULT 0,
  UNIQUE (host_id, incident)
);
CREATE INDEX incidents_by_urgency ON callsign.incidents (urgency, changed, row);
CREATE INDEX incidents_by_change ON callsign.incidents (changed, row);
CREATE INDEX incidents_by_id ON callsign.incidents (incident);
CREATE INDEX incidents_by_name ON callsign.incidents (host_id, name);
CREATE INDEX incidents_by_begin ON callsign.incidents (first);
INSERT INTO callsign.incidents (host_id, site, host, incident, lead_row, active, urgency, kind, name, behaves,
  words, severity, confirmed, alerts, active_alerts, first, last, changed, quiet_severity)
SELECT host_id, site, body::json->>'host', incident, row, (open > 0)::int,
  (open > 0)::int * 4 + 3 - severity, kind, body::json->'process'->>'name',
  coalesce(body::json->>'behaviour', body::json->'predicted'->>'class'),
  lower(body), severity, ever_confirmed, total, open, began, ended, newest, severity
FROM (
  SELECT alerts.*,
    row_number() OVER (PARTITION BY host_id, incident ORDER BY severity, confirmed DESC, row) AS place,
    count(*) OVER one AS total, sum(active) OVER one AS open, max(confirmed) OVER one AS ever_confirmed,
    min(first) OVER one AS began, max(last) OVER one AS ended, max(changed) OVER one AS newest
  FROM callsign.alerts WINDOW one AS (PARTITION BY host_id, incident)
) AS listed WHERE place = 1;
CREATE TABLE callsign.actions (
  row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time bigint NOT NULL,
  actor text COLLATE "C" NOT NULL,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  incident text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  until bigint NOT NULL,
  severity bigint NOT NULL
);
CREATE INDEX actions_by_incident ON callsign.actions (incident, site, host);
`,
  // What is known of hosts that are classified here.
  `
CREATE TABLE callsign.known (
  host_id bigint PRIMARY KEY,
  body bytea NOT NULL
);
ALTER TABLE callsign.known ALTER COLUMN body SET STORAGE EXTERNAL;
`,
  // Keys of hosts, and the aggregators' own.
  `
ALTER TABLE callsign.hosts
  ADD COLUMN key text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN key_since bigint NOT NULL DEFAULT 0,
  ADD COLUMN other_key text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN other_key_since bigint NOT NULL DEFAULT 0,
  ADD COLUMN accepted_key text COLLATE "C" NOT NULL DEFAULT '';
CREATE TABLE callsign.identity (one smallint PRIMARY KEY CHECK (one = 1), secret text NOT NULL);
`,
  // Connections of hosts in order, since when a host is blind or noisy, and which aggregator
  // does what only one may do.
  `
ALTER TABLE callsign.hosts
  ADD COLUMN session bigint NOT NULL DEFAULT 0,
  ADD COLUMN blind_since bigint NOT NULL DEFAULT 0,
  ADD COLUMN noisy_since bigint NOT NULL DEFAULT 0;
CREATE TABLE callsign.leases (
  duty text PRIMARY KEY,
  holder text NOT NULL,
  until float8 NOT NULL
);
`,
  // What hosts have made of their fleet's documents, and these.
  `
ALTER TABLE callsign.hosts ADD COLUMN fleet text COLLATE "C" NOT NULL DEFAULT '';
CREATE TABLE callsign.documents (
  site text COLLATE "C" NOT NULL,
  what text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (site, what)
);
`,
  // The fleet's authority, tokens that let hosts enrol, and their certificates.
  `
CREATE TABLE callsign.authority (
  one smallint PRIMARY KEY CHECK (one = 1),
  key text COLLATE "C" NOT NULL,
  certificate text COLLATE "C" NOT NULL
);
CREATE TABLE callsign.tokens (
  hash text COLLATE "C" PRIMARY KEY,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  uses bigint NOT NULL,
  expires bigint NOT NULL
);
CREATE TABLE callsign.certificates (
  serial text COLLATE "C" PRIMARY KEY,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  expires bigint NOT NULL,
  revoked bigint NOT NULL
);
CREATE INDEX certificates_by_host ON callsign.certificates (site, host);
`,
  // Documents that are too long for one message.
  `
CREATE TABLE callsign.document_parts (
  site text COLLATE "C" NOT NULL,
  what text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  version bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (site, what, part)
);
ALTER TABLE callsign.document_parts ALTER COLUMN body SET STORAGE EXTERNAL;
`,
  // What hosts were asked, and what they answered.
  `
CREATE TABLE callsign.requests (
  nonce text PRIMARY KEY,
  site text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  made bigint NOT NULL,
  body text NOT NULL,
  answer text NOT NULL
);
`,
  // Programs by the first host that showed one of that name.
  `
CREATE TABLE callsign.programs (
  site text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  first bigint NOT NULL,
  PRIMARY KEY (site, name)
);
CREATE INDEX programs_by_first ON callsign.programs (first);
`,
]
