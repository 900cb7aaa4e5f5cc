/**
 * What leaves the SQLite store, because it is old or at a bound. The noisiest host pays first: of
 * the host with the most alerts the closed one that changed longest ago goes, so that no host can
 * push out the alerts of others.
 */
import { ALERT_KINDS } from '../../domain/alert.ts'
import { DAY_MS, type StoreCounts } from './bounds.ts'
import type { HostRow } from './host-row.ts'
import { levelFor } from './levels.ts'
import type { SqliteHosts } from './sqlite-hosts.ts'
import type { TouchedIncidents } from './sqlite-incidents.ts'
import type { SqliteStatements } from './sqlite-statements.ts'
import type { StoreBounds } from './store.ts'

interface OldAlert {
  readonly row: number
  readonly hostId: number
  readonly incident: string
}

export class SqliteEviction {
  readonly #sql: SqliteStatements
  readonly #hosts: SqliteHosts
  readonly #incidents: TouchedIncidents
  readonly #bounds: StoreBounds
  /** Of the transaction that runs. */
  readonly #counts: StoreCounts

  constructor(
    sql: SqliteStatements,
    hosts: SqliteHosts,
    incidents: TouchedIncidents,
    bounds: StoreBounds,
    counts: StoreCounts,
  ) {
    this.#sql = sql
    this.#hosts = hosts
    this.#incidents = incidents
    this.#bounds = bounds
    this.#counts = counts
  }

  /** @returns how many went */
  dropOldAlerts(nowMs: number, most: number): number {
    let left = most
    for (const kind of ALERT_KINDS) {
      const before = nowMs - this.#bounds.retention.days[kind] * DAY_MS
      const old = this.#sql.oldAlerts.all(kind, before, left) as OldAlert[]
      for (const { row, hostId, incident } of old) {
        this.#incidents.touch(hostId, incident)
        this.#dropAlert(this.#hosts.withId(hostId), row, 0)
        left--
      }
    }
    return most - left
  }

  /**
   * The closed alerts of the noisiest hosts, oldest first; only where these have none, active ones.
   */
  dropFromNoisiest(count: number): void {
    const level = levelFor(this.#hosts.all(), count)
    const hosts = [...this.#hosts.all()].filter((host) => host.alerts > level)
    let left = count
    for (const closedOnly of [true, false])
      for (const host of hosts) {
        if (left <= 0) return
        if (closedOnly && host.active === host.alerts) continue
        left -= this.dropAlertsOf(host, Math.min(left, host.alerts - level), closedOnly)
      }
  }

  /** @returns how many went */
  dropAlertsOf(host: HostRow, count: number, closedOnly = false): number {
    if (count <= 0) return 0
    const statement = closedOnly ? this.#sql.oldestClosedOf : this.#sql.oldestOf
    const rows = statement.all(host.id, count) as {
      row: number
      active: number
      incident: string
    }[]
    for (const { row, active, incident } of rows) {
      this.#incidents.touch(host.id, incident)
      this.#dropAlert(host, row, active)
    }
    return rows.length
  }

  #dropAlert(host: HostRow | undefined, row: number, active: number): void {
    this.#sql.dropAlert.run(row)
    this.#sql.dropChanges.run(row)
    this.#counts.alerts++
    if (host === undefined) return
    this.#hosts.change(host)
    this.#hosts.countAlerts(host, -1, -active)
  }

  /** A tenth at a time, so that a flood of new names does not sort all hosts for each of them. */
  dropSilentHosts(): void {
    const byAge = [...this.#hosts.all()].sort(
      (a, b) => a.online - b.online || a.alerts - b.alerts || a.lastSeen - b.lastSeen,
    )
    for (const host of byAge.slice(0, Math.ceil(this.#bounds.hostsMax / 10))) this.dropHost(host)
  }

  dropHost(host: HostRow): void {
    this.#sql.dropChangesOf.run(host.id)
    this.#sql.dropAlertsOf.run(host.id)
    this.#sql.dropIncidentsOf.run(host.id)
    this.#incidents.forget(host.id)
    this.#sql.dropLatestOf.run(host.id)
    this.#sql.dropHoursOf.run(host.id)
    this.#sql.dropKnownOf.run(host.id)
    this.#sql.dropHost.run(host.id)
    this.#counts.alerts += host.alerts
    this.#counts.hosts++
    this.#hosts.drop(host)
  }
}
