/**
 * How the stores of `local.db` access their file: `read` and `write` never throw for a disk error.
 */
import type { Database } from '../platform/sqlite.ts'

export interface LocalFile {
  read<T>(body: (database: Database) => T, otherwise: T): T
  /** In one transaction. @returns false if the write failed */
  write(body: (database: Database) => void): boolean
}
