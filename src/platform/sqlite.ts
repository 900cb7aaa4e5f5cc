/**
 * The only module that uses SQLite: better-sqlite3 if its addon loads, else Bun's own SQLite (the
 * addon's prebuilt binary needs glibc 2.34; Debian 11, Ubuntu 20.04 and RHEL 8 have older ones).
 * `sqliteEngine()` returns which one is used and why. The rest of the agent uses the narrow
 * interface below.
 *
 * Every file has WAL and synchronous NORMAL (a kill loses nothing committed; a power cut may lose
 * the last commits, not the file), mode 0600, numbered schema steps. A damaged file is renamed to
 * `….damaged-<time>` and a new one begun; the caller is notified and counts it. A full or read-only
 * disk, a file of a newer agent and missing permissions are AgentErrors with a hint.
 *
 * Does not promise: anything about a file that another program writes to.
 */
import { Database as BunDatabase } from 'bun:sqlite'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import Better from 'better-sqlite3'
import { AgentError } from '../domain/error.ts'
import { libraryPath } from './native.ts'

export type SqlValue = string | number | bigint | null | Uint8Array

export interface Statement<Row = unknown> {
  run(...values: SqlValue[]): { readonly changes: number }
  get(...values: SqlValue[]): Row | undefined
  all(...values: SqlValue[]): Row[]
}

export type SqliteEngine = 'better-sqlite3' | 'bun:sqlite'

export interface Database {
  readonly path: string
  readonly engine: SqliteEngine
  /** New name of a damaged file that was replaced when this one was opened. */
  readonly setAside: string | undefined
  /** Cached by text. */
  prepare<Row = unknown>(sql: string): Statement<Row>
  /** All or nothing, and one writer at a time (BEGIN IMMEDIATE). Not to be nested. */
  transaction<T>(body: () => T): T
  exec(sql: string): void
  close(): void
}

export interface OpenOptions {
  /**
   * Step n brings the file from user_version n to n + 1; never changed once released, only added
   * to.
   */
  readonly schema: readonly string[]
  /** `full` also waits for the disk at each commit: for what a power cut must not take. */
  readonly synchronous?: 'normal' | 'full'
  /** The file must exist; nothing is created, renamed or migrated. */
  readonly readOnly?: boolean
  /** Checks the whole file at open, so that damage is found now and not at a later read. */
  readonly check?: boolean
  /** Forces one engine, for tests. */
  readonly engine?: SqliteEngine
  /** Memory for pages; by default little, as an agent has three files open. */
  readonly cacheKib?: number
  /** Upper bound of the file in pages of 4 KiB. */
  readonly pagesMax?: number
  /** For the name of a damaged file. */
  readonly now?: () => number
}

/**
 * Kind of a failure, which decides the reaction: wait (full, busy, io), replace the file (damaged),
 * report (others).
 */
export type SqliteProblem = 'full' | 'readonly' | 'busy' | 'io' | 'damaged' | 'permission' | 'other'

/**
 * How long a statement waits for another process (`agent status` beside a running agent) before it
 * is `busy`.
 */
const BUSY_MS = 2_000
/** better-sqlite3's own default is 16 MB for each file. */
const CACHE_KIB = 2_048

export function openDatabase(path: string, options: OpenOptions): Database {
  if (options.readOnly) checkReadable(path)
  try {
    if (!options.readOnly) createPrivate(path)
    return openOnce(path, options, undefined)
  } catch (error) {
    if (options.readOnly || sqliteProblem(error, path) !== 'damaged') throw openError(path, error)
  }
  let aside: string
  try {
    aside = setAside(path, (options.now ?? Date.now)())
    createPrivate(path)
    return openOnce(path, options, aside)
  } catch (error) {
    throw openError(path, error)
  }
}

/**
 * Whether the file exists. Missing permission is an error, not false.
 * @throws AgentError ERR_PERMISSION
 */
export function databaseExists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (cause) {
    if (sqliteProblem(cause, path) === 'permission') throw openError(path, cause)
    return false
  }
}

/** Renames a damaged file and its journal files. @returns the new name */
export function setAside(path: string, now: number): string {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  let aside = `${path}.damaged-${stamp}`
  for (let n = 2; existsSync(aside); n++) aside = `${path}.damaged-${stamp}-${n}`
  renameSync(path, aside)
  for (const suffix of ['-wal', '-shm', '-journal']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
  }
  return aside
}

/**
 * Allows one agent per state directory.
 *
 * The lock is SQLite's own lock on an empty file, held as long as the process lives and dropped by
 * the kernel when it dies, also by kill -9; so there is no stale lock to clean up.
 */
export function lockDirectory(directory: string): { release(): void } {
  const path = `${directory}/lock.db`
  let engine: Engine | undefined
  try {
    createPrivate(path)
    engine = openEngine(path, {})
    engine.exec('PRAGMA busy_timeout = 0')
    engine.exec('PRAGMA journal_mode = DELETE')
    engine.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    engine?.close()
    if (sqliteProblem(cause, path) !== 'busy') throw openError(path, cause)
    throw new AgentError(
      'ERR_STATE',
      `Cannot use state directory "${directory}": another agent uses it`,
      { hint: 'Stop that agent, or give this one a directory of its own with --state DIR', cause },
    )
  }
  const held = engine
  let released = false
  return {
    release() {
      if (released) return
      released = true
      held.close()
    },
  }
}

export function sqliteProblem(error: unknown, path: string): SqliteProblem {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return 'other'
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') return 'full'
  if (code === 'EROFS' || code === 'SQLITE_READONLY') return 'readonly'
  if (code === 'EACCES' || code === 'EPERM' || code === 'SQLITE_PERM') return 'permission'
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) return 'damaged'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy'
  if (code.startsWith('SQLITE_READONLY') || code === 'SQLITE_CANTOPEN_READONLY') return 'readonly'
  // A full disk also shows as an I/O error, when SQLite cannot grow the shared memory of the WAL.
  if (code.startsWith('SQLITE_IOERR')) return isDiskFull(path) ? 'full' : 'io'
  if (code.startsWith('SQLITE_CANTOPEN')) return isDiskFull(path) ? 'full' : 'other'
  return 'other'
}

/** Converts a database error to an AgentError; an AgentError is returned unchanged. */
export function openError(path: string, cause: unknown): AgentError {
  if (cause instanceof AgentError) return cause
  const text = cause instanceof Error ? cause.message : String(cause)
  const at = `Cannot open "${path}"`
  switch (sqliteProblem(cause, path)) {
    case 'full':
      return new AgentError('ERR_DISK', `${at}: the disk is full`, {
        hint: `Free some space under "${dirname(path)}", or give another directory with --state DIR`,
        cause,
      })
    case 'io':
      return new AgentError('ERR_DISK', `${at}: disk error: ${text}`, {
        hint: 'Check "dmesg", or give another directory with --state DIR',
        cause,
      })
    case 'readonly':
      return new AgentError('ERR_STATE', `${at}: it is read-only`, {
        hint: 'Give a directory on a writable file system with --state DIR',
        cause,
      })
    case 'permission':
      return new AgentError('ERR_PERMISSION', `${at}: permission denied`, {
        hint: 'Run as the user that the agent runs as, or give another directory with --state DIR',
        cause,
      })
    case 'busy':
      return new AgentError('ERR_STATE', `${at}: it is locked by another program`, {
        hint: 'Stop the other program, or give another directory with --state DIR',
        cause,
      })
    case 'damaged':
      return new AgentError('ERR_STATE', `${at}: it is damaged or not a database`, {
        hint: 'Start the agent, which renames a damaged file, or remove it',
        cause,
      })
    default:
      return new AgentError('ERR_STATE', `${at}: ${text}`, {
        hint: 'Give another directory with --state DIR',
        cause,
      })
  }
}

// --- Opening -------------------------------------------------------------------------------------

function openOnce(path: string, options: OpenOptions, aside: string | undefined): Database {
  const engine = openEngine(path, options)
  try {
    prepareFile(engine, path, options)
  } catch (error) {
    engine.close()
    throw error
  }
  return new OpenDatabase(path, engine, aside)
}

function prepareFile(engine: Engine, path: string, options: OpenOptions): void {
  engine.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
  const version = Number(engine.value('PRAGMA user_version'))
  if (version > options.schema.length) {
    throw new AgentError(
      'ERR_STATE',
      `Cannot open "${path}": it was written by a newer agent (format ${version}, this one knows ${options.schema.length})`,
      { hint: 'Install the newer agent again, or give another directory with --state DIR' },
    )
  }
  if (options.readOnly) {
    if (version < options.schema.length) {
      throw new AgentError(
        'ERR_STATE',
        `Cannot read "${path}": it has format ${version}, this agent reads ${options.schema.length}`,
        { hint: 'Start the agent once with this state directory, which updates the format' },
      )
    }
    return
  }
  if (options.check) {
    const found = engine.value('PRAGMA quick_check(1)')
    if (found !== 'ok') throw Object.assign(new Error(String(found)), { code: 'SQLITE_CORRUPT' })
  }
  if (options.pagesMax !== undefined) engine.exec(`PRAGMA max_page_count = ${options.pagesMax}`)
  engine.exec('PRAGMA journal_mode = WAL')
  engine.exec(`PRAGMA synchronous = ${options.synchronous ?? 'normal'}`)
  engine.exec('PRAGMA journal_size_limit = 4194304')
  engine.exec(`PRAGMA cache_size = -${options.cacheKib ?? CACHE_KIB}`)
  for (let step = version; step < options.schema.length; step++) {
    engine.exec('BEGIN IMMEDIATE')
    try {
      engine.exec(options.schema[step]!)
      engine.exec(`PRAGMA user_version = ${step + 1}`)
      engine.exec('COMMIT')
    } catch (error) {
      rollBack(engine)
      throw error
    }
  }
}

/**
 * SQLite gives the WAL and its index the mode of the file, so the file is created first with mode
 * 0600.
 */
function createPrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  try {
    closeSync(openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600))
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ELOOP') throw cause
    throw new AgentError('ERR_STATE', `Cannot open "${path}": it is a symbolic link`, {
      hint: `Remove the link "${basename(path)}", or give another directory with --state DIR`,
      cause,
    })
  }
}

/** SQLite reports a missing file and a missing permission alike. */
function checkReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'ENOENT') throw openError(path, cause)
    throw new AgentError('ERR_STATE', `Cannot read "${path}": no such file`, {
      hint: 'Give the state directory of an agent with --state DIR',
      cause,
    })
  }
}

function isDiskFull(path: string): boolean {
  try {
    const { bavail, ffree, files } = statfsSync(dirname(path))
    return bavail < 64 || (files > 0 && ffree === 0)
  } catch {
    return false
  }
}

class OpenDatabase implements Database {
  readonly path: string
  readonly engine: SqliteEngine
  readonly setAside: string | undefined
  readonly #engine: Engine
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #statements = new Map<string, Statement>()
  #open = true

  constructor(path: string, engine: Engine, aside: string | undefined) {
    this.path = path
    this.engine = engine.name
    this.setAside = aside
    this.#engine = engine
    this.#begin = engine.prepare('BEGIN IMMEDIATE')
    this.#commit = engine.prepare('COMMIT')
  }

  prepare<Row>(sql: string): Statement<Row> {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#engine.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement as Statement<Row>
  }

  transaction<T>(body: () => T): T {
    this.#begin.run()
    try {
      const result = body()
      this.#commit.run()
      return result
    } catch (error) {
      rollBack(this.#engine)
      throw error
    }
  }

  exec(sql: string): void {
    this.#engine.exec(sql)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#engine.close()
  }
}

/**
 * SQLite has rolled back by itself after some errors (full, I/O): then there is nothing left to do.
 */
function rollBack(engine: Engine): void {
  try {
    engine.exec('ROLLBACK')
  } catch {
    // No transaction is open.
  }
}

// --- The two engines -----------------------------------------------------------------------------

interface Engine {
  readonly name: SqliteEngine
  prepare<Row>(sql: string): Statement<Row>
  exec(sql: string): void
  /** First column of the first row. */
  value(sql: string): unknown
  close(): void
}

let chosen: { readonly name: SqliteEngine; readonly why: string } | undefined

/** Which SQLite is used in this process; loads the addon at the first call. */
export function sqliteEngine(): { readonly name: SqliteEngine; readonly why: string } {
  if (chosen !== undefined) return chosen
  try {
    new Better(':memory:', { nativeBinding: libraryPath('sqliteAddon') }).close()
    chosen = { name: 'better-sqlite3', why: 'its addon loads' }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    chosen = { name: 'bun:sqlite', why: `better-sqlite3 does not load here: ${text}` }
  }
  return chosen
}

function openEngine(path: string, options: Pick<OpenOptions, 'engine' | 'readOnly'>): Engine {
  const readonly = options.readOnly === true
  const name = options.engine ?? sqliteEngine().name
  return name === 'better-sqlite3' ? openBetter(path, readonly) : openBun(path, readonly)
}

function openBetter(path: string, readonly: boolean): Engine {
  const inner = new Better(path, { nativeBinding: libraryPath('sqliteAddon'), readonly })
  return {
    name: 'better-sqlite3',
    // Its statements have exactly the three calls that we name.
    prepare: <Row>(sql: string) => inner.prepare(sql) as unknown as Statement<Row>,
    exec: (sql) => void inner.exec(sql),
    value: (sql) => inner.prepare(sql).pluck().get(),
    close: () => void inner.close(),
  }
}

function openBun(path: string, readonly: boolean): Engine {
  const inner = new BunDatabase(path, readonly ? { readonly } : { readwrite: true, create: true })
  // Bun keeps the file open behind a closed database until its last statement is finalised.
  const statements: { finalize(): void }[] = []
  return {
    name: 'bun:sqlite',
    prepare: <Row>(sql: string): Statement<Row> => {
      const statement = inner.prepare(sql)
      statements.push(statement)
      return {
        run: (...values) => ({ changes: statement.run(...values).changes }),
        get: (...values) => (statement.get(...values) ?? undefined) as Row | undefined,
        all: (...values) => statement.all(...values) as Row[],
      }
    },
    exec: (sql) => void inner.run(sql),
    value: (sql) => {
      const statement = inner.prepare(sql)
      try {
        return statement.values()[0]?.[0]
      } finally {
        statement.finalize()
      }
    },
    close: () => {
      for (const statement of statements) statement.finalize()
      inner.close()
    },
  }
}
