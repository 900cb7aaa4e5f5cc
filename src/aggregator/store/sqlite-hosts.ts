/**
 * The hosts of the SQLite store, in memory: each message asks for its host (50,000 hosts are 15
 * MB). What a transaction changed is undone with it.
 */
import { type HostRow, hostKey } from './host-row.ts'
import { FLEET_HOST } from './records.ts'
import type { Named } from './store.ts'

export class SqliteHosts {
  readonly #byName = new Map<string, HostRow>()
  readonly #byId = new Map<number, HostRow>()
  /** How things were when the transaction began; undefined for a host that it made. */
  readonly #before = new Map<HostRow, HostRow | undefined>()
  readonly #dropped: HostRow[] = []
  #alerts = 0

  get size(): number {
    return this.#byName.size
  }

  /** Alerts of all hosts. */
  get alerts(): number {
    return this.#alerts
  }

  all(): MapIterator<HostRow> {
    return this.#byName.values()
  }

  of(host: Named): HostRow | undefined {
    return this.#byName.get(hostKey(host))
  }

  withId(id: number): HostRow | undefined {
    return this.#byId.get(id)
  }

  counts(): { hosts: number; online: number; active: number; keyChanged: number } {
    let [hosts, online, active, keyChanged] = [0, 0, 0, 0]
    for (const host of this.#byName.values()) {
      if (host.host !== FLEET_HOST) hosts++
      online += host.online
      active += host.active
      if (host.otherKey !== '') keyChanged++
    }
    return { hosts, online, active, keyChanged }
  }

  load(rows: readonly HostRow[]): void {
    this.#byName.clear()
    this.#byId.clear()
    this.#alerts = 0
    for (const row of rows) this.#remember({ ...row })
  }

  begin(): void {
    this.#before.clear()
    this.#dropped.length = 0
  }

  /** Call before the first change of a host in a transaction. */
  change(host: HostRow): void {
    if (!this.#before.has(host)) this.#before.set(host, { ...host })
  }

  /** One that this transaction has made. */
  add(host: HostRow): void {
    this.#before.set(host, undefined)
    this.#remember(host)
  }

  countAlerts(host: HostRow, total: number, active: number): void {
    host.alerts += total
    host.active += active
    this.#alerts += total
  }

  drop(host: HostRow): void {
    const before = this.#before.get(host)
    // One that was made in this transaction leaves no trace.
    if (!this.#before.has(host)) this.#dropped.push(host)
    else if (before !== undefined) this.#dropped.push(before)
    this.#before.delete(host)
    this.#forget(host)
  }

  /** Those that this transaction made or changed, and that are still there. */
  *changed(): Generator<HostRow> {
    for (const host of this.#before.keys()) if (this.#byId.has(host.id)) yield host
  }

  /** The transaction has failed. */
  undo(): void {
    for (const host of this.#dropped) this.#remember(host)
    for (const [host, before] of this.#before) {
      this.#forget(host)
      if (before !== undefined) this.#remember(Object.assign(host, before))
    }
  }

  #remember(host: HostRow): void {
    this.#byName.set(hostKey(host), host)
    this.#byId.set(host.id, host)
    this.#alerts += host.alerts
  }

  #forget(host: HostRow): void {
    if (!this.#byId.delete(host.id)) return
    this.#byName.delete(hostKey(host))
    this.#alerts -= host.alerts
  }
}
