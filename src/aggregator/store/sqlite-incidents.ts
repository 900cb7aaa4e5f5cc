/** Incidents whose alerts a transaction changed: they are added up once, at its end. */
import { INCIDENT_COLUMNS, type IncidentSum, incidentRow } from './incident.ts'
import type { SqliteStatements } from './sqlite-statements.ts'

export class TouchedIncidents {
  /** By host. */
  readonly #incidents = new Map<number, Set<string>>()

  touch(hostId: number, incident: string): void {
    const known = this.#incidents.get(hostId)
    if (known === undefined) this.#incidents.set(hostId, new Set([incident]))
    else known.add(incident)
  }

  /** A host that is dropped has none. */
  forget(hostId: number): void {
    this.#incidents.delete(hostId)
  }

  clear(): void {
    this.#incidents.clear()
  }

  addUp(sql: SqliteStatements): void {
    for (const [hostId, incidents] of this.#incidents)
      for (const incident of incidents) {
        const sum = sql.sumIncident.get(hostId, incident) as IncidentSum | undefined
        if (sum === undefined) sql.dropIncident.run(hostId, incident)
        else {
          const row = incidentRow(sum)
          sql.putIncident.run(...INCIDENT_COLUMNS.map((name) => row[name]))
        }
      }
    this.#incidents.clear()
  }
}
