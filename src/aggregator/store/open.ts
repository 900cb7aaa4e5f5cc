/** A store by its name: a file is SQLite, `postgres://…` a database; and who answers the API from it. */
import { ReaderThread } from './reader-thread.ts'
import { parseRetention } from './retention.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { Store } from './store.ts'

export interface OpenedStore {
  readonly store: Store
  /** JSON for an address of the API, or undefined where there is nothing of that name. */
  ask(url: URL): Promise<string | undefined>
  close(): Promise<void>
}

/** @param retain as `--retain` has it */
export async function openStore(location: string, retain = ''): Promise<OpenedStore> {
  const store = new SqliteStore(location, { retention: parseRetention(retain) })
  let reader = new ReaderThread(store.path)
  let damaged = store.setAside.length
  return {
    store,
    ask(url) {
      // A file that was found damaged has another name now, and the reader still holds it.
      if (store.setAside.length !== damaged) {
        damaged = store.setAside.length
        reader.close()
        reader = new ReaderThread(store.path)
      }
      return reader.ask(url)
    },
    async close() {
      reader.close()
      await store.close()
    },
  }
}
