/** Questions about a fleet's documents, as both stores ask them. */
import { FLEET_HOST } from './records.ts'

/** @param number makes a count a number, in engines where it is none */
export function runsStatement(hosts: string, number: (text: string) => string): string {
  return `SELECT site, version, model, fleet, ${number('count(*)')} AS hosts,
      ${number('sum(online)')} AS online
    FROM ${hosts} WHERE host <> '${FLEET_HOST}'
    GROUP BY site, version, model, fleet ORDER BY site, count(*) DESC, version, model, fleet
    LIMIT 1000`
}
