/**
 * What the host keeps for itself beside frames and outbox: the memory of its programs' behaviour,
 * the ledger that `agent status` reads, its own alerts, and what the operator decided. One file,
 * small stores; each lives in a file of its own beside this one.
 *
 * Losing it does not stop the agent: a failed write returns false and is counted, a damaged file is
 * renamed and a new one begun. `status`, `alerts` and `explain` open it read-only, whether the
 * agent runs or not.
 */

import { type AlertLabel, parseAlertLabel } from '../domain/alert-label.ts'
import { type AllowRule, isSameCause, parseAllowRule } from '../domain/allow.ts'
import { BEHAVIOUR_IDS } from '../domain/behaviour.ts'
import { defined } from '../domain/defined.ts'
import { ALERT_LABELS_MAX, ALLOW_RULES_MAX } from '../domain/limits.ts'
import { type PolicyRule, parsePolicyRule } from '../domain/policy.ts'
import type { Log } from '../platform/log.ts'
import { ResilientDatabase } from '../platform/resilient-database.ts'
import { type Database, type SqliteEngine, sqliteProblem } from '../platform/sqlite.ts'
import { AlertStore } from './alert-store.ts'
import { HostMemoryStore } from './host-memory-store.ts'
import { JsonDocument } from './json-document.ts'
import { LedgerStore } from './ledger-store.ts'
import type { LocalFile } from './local-file.ts'
import { RuleStore } from './rule-store.ts'

export interface LocalStoreOptions {
  readonly readOnly?: boolean
  readonly engine?: SqliteEngine
  readonly pagesMax?: number
  readonly alertsMax?: number
  readonly now?: () => number
  readonly log?: Log
}

const SCHEMA = [
  `CREATE TABLE documents(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
   CREATE TABLE alerts(id TEXT PRIMARY KEY, last INTEGER NOT NULL, body TEXT NOT NULL);
   CREATE INDEX alerts_by_last ON alerts(last);`,
  'CREATE TABLE causes(id TEXT PRIMARY KEY, body TEXT NOT NULL);',
]

export class LocalStore implements LocalFile {
  readonly path: string
  readonly memory: HostMemoryStore
  /** Of the model that was in use before this one. */
  readonly memoryBefore: HostMemoryStore
  readonly ledger: LedgerStore
  readonly alerts: AlertStore
  readonly allowed: RuleStore<AllowRule>
  readonly policy: RuleStore<PolicyRule>
  readonly labels: RuleStore<AlertLabel>
  /** The policy of the fleet, and what became of it (agent/fleet-policy.ts). */
  readonly fleetPolicy: JsonDocument
  /** Hourly maxima of the host's evidence (detect/host-level.ts). */
  readonly hostLevel: JsonDocument
  /** Notices that the webhook has not taken yet. */
  readonly webhookQueue: JsonDocument
  readonly mailQueue: JsonDocument
  readonly #file: ResilientDatabase
  readonly #readOnly: boolean
  #failedWrites = 0

  /** @throws AgentError where the file cannot be opened at all */
  static open(path: string, options: LocalStoreOptions = {}): LocalStore {
    return new LocalStore(path, options)
  }

  private constructor(path: string, options: LocalStoreOptions) {
    this.path = path
    const { readOnly = false, engine, pagesMax, now, log } = options
    this.#readOnly = readOnly
    this.#file = new ResilientDatabase(path, {
      name: 'Local store',
      trouble: 'Cannot use the local store; continuing without it',
      schema: SCHEMA,
      readOnly,
      check: !readOnly,
      ...defined({ engine, pagesMax, now, log }),
    })
    this.#file.open()
    this.memory = new HostMemoryStore(this, 'host-memory')
    this.memoryBefore = new HostMemoryStore(this, 'host-memory-before')
    this.ledger = new LedgerStore(this)
    this.alerts = new AlertStore(this, options.alertsMax)
    this.allowed = new RuleStore(this, {
      name: 'allow',
      max: ALLOW_RULES_MAX,
      parse: parseAllowRule,
      isSame: isSameCause,
    })
    this.policy = new RuleStore(this, {
      name: 'policy',
      max: BEHAVIOUR_IDS.length,
      parse: parsePolicyRule,
      isSame: (a, b) => a.behaviour === b.behaviour,
    })
    this.labels = new RuleStore(this, {
      name: 'labels',
      max: ALERT_LABELS_MAX,
      parse: parseAlertLabel,
      isSame: (a, b) => a.id === b.id,
    })
    this.fleetPolicy = new JsonDocument(this, 'fleet-policy')
    this.hostLevel = new JsonDocument(this, 'host-level')
    this.webhookQueue = new JsonDocument(this, 'webhook-queue')
    this.mailQueue = new JsonDocument(this, 'mail-queue')
  }

  read<T>(body: (database: Database) => T, otherwise: T): T {
    try {
      return body(this.#file.open())
    } catch (error) {
      this.#failed(error)
      return otherwise
    }
  }

  write(body: (database: Database) => void): boolean {
    try {
      const database = this.#file.open()
      database.transaction(() => body(database))
    } catch (error) {
      this.#failedWrites += 1
      this.#failed(error)
      return false
    }
    this.#file.worked()
    return true
  }

  health() {
    return {
      problem: this.#file.problem,
      failedWrites: this.#failedWrites,
      setAside: this.#file.setAsideCount,
    }
  }

  close(): void {
    this.#file.close()
  }

  #failed(error: unknown): void {
    // Not a disk error: one of our SQL statements is wrong.
    if (this.#file.isOpen && sqliteProblem(error, this.path) === 'other') throw error
    // If it cannot be renamed, the next write tries again.
    if (this.#file.failed(error) === 'damaged' && !this.#readOnly) this.#file.putAside()
  }
}
