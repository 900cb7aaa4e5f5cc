/**
 * A store by its name: a file is SQLite, `postgres://…` a database; and who answers the API from
 * it. SQLite is asked on a thread of its own; PostgreSQL is another process anyway.
 *
 * A database that is away is waited for at the start, as a broker is.
 */
import { AgentError } from '../../domain/error.ts'
import { STORE_PAUSE_MS } from '../../domain/limits.ts'
import type { Log } from '../../platform/log.ts'
import { answerApi } from '../api.ts'
import { PostgresStore } from './postgres-store.ts'
import { ReaderThread } from './reader-thread.ts'
import { parseRetention } from './retention.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { Retention, Store } from './store.ts'

export interface OpenedStore {
  readonly store: Store
  /** `now` in Unix seconds. JSON for an address of the API, or undefined where there is nothing of that name. */
  ask(url: URL, now: number): Promise<string | undefined>
  close(): Promise<void>
}

export interface OpenStoreOptions {
  /** As `--retain` has it. */
  readonly retain?: string
  readonly log: Log
  /** Aborted: stop waiting. */
  readonly signal?: AbortSignal
}

export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:\/\//.test(location)
}

export async function openStore(
  location: string,
  { retain = '', log, signal }: OpenStoreOptions,
): Promise<OpenedStore> {
  const retention = parseRetention(retain)
  if (!isPostgres(location)) return openSqlite(location, retention)
  const store = await openWhenUp(location, retention, log, signal)
  return { store, ask: (url, now) => answerApi(store, url, now), close: () => store.close() }
}

function openSqlite(path: string, retention: Retention): OpenedStore {
  const store = new SqliteStore(path, { retention })
  let reader = new ReaderThread(path)
  let damaged = store.setAside.length
  return {
    store,
    ask(url, now) {
      // A file that was found damaged has another name now, and the reader still holds it.
      if (store.setAside.length !== damaged) {
        damaged = store.setAside.length
        reader.close()
        reader = new ReaderThread(path)
      }
      return reader.ask(url, now)
    },
    async close() {
      reader.close()
      await store.close()
    },
  }
}

async function openWhenUp(
  url: string,
  retention: Retention,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<PostgresStore> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await PostgresStore.open(url, { retention })
    } catch (error) {
      if (!(error instanceof AgentError) || !error.retriable || signal?.aborted) throw error
      if (attempt === 0)
        log.warn('The database cannot be reached; trying again', { why: error.message })
      await Bun.sleep(STORE_PAUSE_MS)
    }
  }
}
