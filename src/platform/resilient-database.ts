/**
 * A database file that tolerates disk errors: it is opened on demand, each kind of error is logged
 * once and not at each attempt, recovery is logged, a damaged file is renamed and counted. The
 * owner (outbox, rolling buffer, local store) decides what is lost with the file and what is kept
 * in memory meanwhile.
 */
import { type Log, log as processLog } from './log.ts'
import {
  type Database,
  type OpenOptions,
  openDatabase,
  type SqliteProblem,
  setAside,
  sqliteProblem,
} from './sqlite.ts'

export interface ResilientOptions extends OpenOptions {
  /** First word of log lines: `Outbox`. */
  readonly name: string
  /** Log line when a write fails: `Cannot write the outbox, rows wait in memory`. */
  readonly trouble: string
  /**
   * Called each time the file is opened, to prepare statements and read. May throw what SQLite
   * throws.
   */
  readonly prepare?: (database: Database) => void
  readonly log?: Log
}

export class ResilientDatabase {
  readonly path: string
  readonly #options: ResilientOptions
  readonly #log: Log
  #database: Database | undefined
  #problem: SqliteProblem | undefined
  #setAside = 0

  constructor(path: string, options: ResilientOptions) {
    this.path = path
    this.#options = options
    this.#log = options.log ?? processLog
  }

  get isOpen(): boolean {
    return this.#database !== undefined
  }

  /** The current error; undefined while writes work. */
  get problem(): SqliteProblem | undefined {
    return this.#problem
  }

  /** Damaged files that were renamed since the process started. */
  get setAsideCount(): number {
    return this.#setAside
  }

  /** The open file; opens it if it is closed. @throws AgentError, or what `prepare` throws */
  open(): Database {
    if (this.#database !== undefined) return this.#database
    const database = openDatabase(this.path, this.#options)
    try {
      this.#options.prepare?.(database)
    } catch (error) {
      database.close()
      throw error
    }
    if (database.setAside !== undefined) this.#foundDamage(database.setAside)
    this.#database = database
    return database
  }

  /** Reports a failure. @returns its kind */
  failed(error: unknown): SqliteProblem {
    const problem = sqliteProblem(error, this.path)
    if (problem !== this.#problem)
      this.#log.error(this.#options.trouble, { path: this.path, problem, error: String(error) })
    this.#problem = problem
    return problem
  }

  /** Reports a successful write. */
  worked(): void {
    if (this.#problem === undefined) return
    this.#log.info(`${this.#options.name} is written to disk again`, { path: this.path })
    this.#problem = undefined
  }

  /** Renames the damaged file; the next `open` makes a new one. @returns false if that fails */
  putAside(): boolean {
    this.close()
    try {
      this.#foundDamage(setAside(this.path, (this.#options.now ?? Date.now)()))
      return true
    } catch (error) {
      this.failed(error)
      return false
    }
  }

  close(): void {
    this.#database?.close()
    this.#database = undefined
  }

  #foundDamage(aside: string): void {
    this.#setAside += 1
    this.#log.error(`${this.#options.name} was damaged: renamed, and a new one begun`, { aside })
  }
}
