/** How the stores of `local.db` reach their file: `read` and `write` never throw for what the disk does. */
import type { Database } from '../platform/sqlite.ts'

export interface LocalFile {
  read<T>(body: (database: Database) => T, otherwise: T): T
  /** In one transaction. @returns false where the disk refused */
  write(body: (database: Database) => void): boolean
}
