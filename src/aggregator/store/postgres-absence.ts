/** Which hosts are absent, and who of several aggregators looks, asked of PostgreSQL. */
import type { PostgresQueries } from '../../platform/postgres.ts'
import type { AlertMessage } from '../../wire/alert-message.ts'
import { FLEET_HOST } from './records.ts'
import type { AbsenceBounds, Absences, Suspect } from './store.ts'

const WATCHED = `boot > 0 AND reason <> 'ended' AND host <> '${FLEET_HOST}'`

export async function readAbsences(
  db: PostgresQueries,
  { silentBefore, troubledBefore, expectedSince, limit }: AbsenceBounds,
): Promise<Absences> {
  const [suspects, open, sites] = await Promise.all([
    db.query<Suspect>(
      `SELECT site, host, online, reason, last_seen::float8 AS "lastSeen",
         blind_since::float8 AS "blindSince", noisy_since::float8 AS "noisySince"
       FROM callsign.hosts WHERE ${WATCHED} AND (last_seen <= $1
         OR (blind_since > 0 AND blind_since <= $2) OR (noisy_since > 0 AND noisy_since <= $2))
       ORDER BY last_seen DESC LIMIT $3`,
      [silentBefore, troubledBefore, limit],
    ),
    db.query<{ body: string }>(
      "SELECT body FROM callsign.alerts WHERE kind = 'absence' AND active = 1",
    ),
    db.query<Absences['sites'][number]>(
      `SELECT site, count(*)::float8 AS expected,
         (count(*) FILTER (WHERE last_seen <= $1))::float8 AS silent
       FROM callsign.hosts WHERE ${WATCHED} AND last_seen >= $2 GROUP BY site`,
      [silentBefore, expectedSince],
    ),
  ])
  return {
    ...{ suspects, sites, isWhole: suspects.length < limit },
    open: open.map(({ body }) => JSON.parse(body) as AlertMessage),
  }
}

/** By the clock of the database: those of several aggregators may differ. */
export async function takeLease(
  db: PostgresQueries,
  duty: string,
  holder: string,
  forMs: number,
): Promise<boolean> {
  const now = 'extract(epoch FROM clock_timestamp()) * 1000'
  const mine = await db.query(
    `INSERT INTO callsign.leases AS leases VALUES ($1, $2, ${now} + $3)
     ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE leases.holder = excluded.holder OR leases.until < ${now} RETURNING holder`,
    [duty, holder, forMs],
  )
  return mine.length > 0
}
