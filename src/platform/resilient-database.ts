/**
 * A database file that outlives what its disk does to it: opened when it is needed, every kind of trouble logged once
 * and not at each attempt, its end logged too, a damaged file set aside and counted. What is lost with the file, and
 * what goes on in memory meanwhile, is the owner's to say (outbox, rolling buffer, local store).
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
  /** How log lines begin: `Outbox`. */
  readonly name: string
  /** The log line when a write fails, as `Cannot write the outbox, rows wait in memory`. */
  readonly trouble: string
  /** Statements and what must be read, each time the file is opened. May throw what SQLite throws. */
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

  /** What the disk does to us at present; undefined where all is well. */
  get problem(): SqliteProblem | undefined {
    return this.#problem
  }

  /** Damaged files that were put aside, over the life of this process. */
  get setAsideCount(): number {
    return this.#setAside
  }

  /** The open file, opened now where it is not. @throws AgentError, or what SQLite throws while it is prepared */
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

  /** Reports a failure. @returns what it was, in the words that decide what to do */
  failed(error: unknown): SqliteProblem {
    const problem = sqliteProblem(error, this.path)
    if (problem !== this.#problem)
      this.#log.error(this.#options.trouble, { path: this.path, problem, error: String(error) })
    this.#problem = problem
    return problem
  }

  /** A write has worked. */
  worked(): void {
    if (this.#problem === undefined) return
    this.#log.info(`${this.#options.name} is written to disk again`, { path: this.path })
    this.#problem = undefined
  }

  /** Puts the damaged file aside; the next `open` makes a new one. @returns false where the disk refuses */
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
    this.#log.error(`${this.#options.name} was damaged: set aside, started anew`, { aside })
  }
}
