/**
 * What the host keeps for itself beside frames and outbox: the memory of its programs' behaviour, the ledger
 * that `agent status` reads, its own alerts, and what was allowed. One file, small stores; each lives in a file of its own
 * beside this one.
 *
 * All of it can be lost without the agent stopping: a write that the disk refuses returns false and is
 * counted, a damaged file is set aside and started anew. Readers (`status`, `alerts`, `explain`) open it with
 * `readOnly` while the agent runs or after it ended, however it ended.
 */
import { defined } from '../domain/defined.ts'
import { type Log, log as processLog } from '../platform/log.ts'
import {
  type Database,
  openDatabase,
  type SqliteEngine,
  type SqliteProblem,
  setAside,
  sqliteProblem,
} from '../platform/sqlite.ts'
import { AlertStore } from './alert-store.ts'
import { AllowStore } from './allow-store.ts'
import { HostMemoryStore } from './host-memory-store.ts'
import { LedgerStore } from './ledger-store.ts'
import type { LocalFile } from './local-file.ts'

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
   CREATE TABLE alerts(id TEXT PRIMARY KEY, last INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE INDEX alerts_by_last ON alerts(last);`,
  'CREATE TABLE causes(id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;',
]

export class LocalStore implements LocalFile {
  readonly path: string
  readonly memory: HostMemoryStore
  readonly ledger: LedgerStore
  readonly alerts: AlertStore
  readonly allowed: AllowStore
  readonly #options: LocalStoreOptions
  readonly #log: Log
  #database: Database | undefined
  #problem: SqliteProblem | undefined
  #failedWrites = 0
  #setAside = 0

  /** @throws AgentError where the file cannot be opened at all */
  static open(path: string, options: LocalStoreOptions = {}): LocalStore {
    return new LocalStore(path, options)
  }

  private constructor(path: string, options: LocalStoreOptions) {
    this.path = path
    this.#options = options
    this.#log = options.log ?? processLog
    this.#connect()
    this.memory = new HostMemoryStore(this)
    this.ledger = new LedgerStore(this)
    this.alerts = new AlertStore(this, options.alertsMax)
    this.allowed = new AllowStore(this)
  }

  read<T>(body: (database: Database) => T, otherwise: T): T {
    try {
      if (this.#database === undefined) this.#connect()
      return body(this.#database!)
    } catch (error) {
      this.#failed(error)
      return otherwise
    }
  }

  write(body: (database: Database) => void): boolean {
    try {
      if (this.#database === undefined) this.#connect()
      const database = this.#database!
      database.transaction(() => body(database))
    } catch (error) {
      this.#failedWrites += 1
      this.#failed(error)
      return false
    }
    if (this.#problem !== undefined) this.#log.info('Local store works again', { path: this.path })
    this.#problem = undefined
    return true
  }

  health() {
    return {
      problem: this.#problem,
      failedWrites: this.#failedWrites,
      setAside: this.#setAside,
    }
  }

  close(): void {
    this.#database?.close()
    this.#database = undefined
  }

  #connect(): void {
    const { engine, pagesMax, now, readOnly } = this.#options
    this.#database = openDatabase(this.path, {
      schema: SCHEMA,
      ...(readOnly ? { readOnly } : { check: true }),
      ...defined({ engine, pagesMax, now }),
    })
    if (this.#database.setAside !== undefined) this.#foundDamage(this.#database.setAside)
  }

  #failed(error: unknown): void {
    const problem = sqliteProblem(error, this.path)
    if (problem === 'other' && this.#database !== undefined) throw error
    if (problem !== this.#problem) {
      this.#log.error('Cannot use the local store, going on without', {
        path: this.path,
        problem,
        error: String(error),
      })
    }
    this.#problem = problem
    if (problem !== 'damaged' || this.#options.readOnly) return
    this.close()
    try {
      this.#foundDamage(setAside(this.path, (this.#options.now ?? Date.now)()))
    } catch {
      // It is tried again with the next write.
    }
  }

  #foundDamage(aside: string): void {
    this.#setAside += 1
    this.#log.error('Local store was damaged: set aside, started anew', { aside })
  }
}
