/**
 * Both stores behind one interface, and arrivals to put into them. A test file calls
 * `storeKinds()` once; its hooks close what was opened and end the database server.
 */
import { afterAll, afterEach } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PostgresStore } from '../../src/aggregator/store/postgres-store.ts'
import { RETENTION } from '../../src/aggregator/store/retention.ts'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import type { Received, Retention, Store, StoreBounds } from '../../src/aggregator/store/store.ts'
import type { Alert } from '../../src/domain/alert.ts'
import type { Summary } from '../../src/domain/summary.ts'
import { toMessage } from '../../src/wire/alert-message.ts'
import type { StatusMessage } from '../../src/wire/status-message.ts'
import { readSummaryHead } from '../../src/wire/summary-head.ts'
import { encodeSummary } from '../../src/wire/summary-message.ts'
import { postgresBin, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { sampleAlert, sampleSummary } from '../wire/samples.ts'
import { sampleStatus } from './running.ts'

export interface StoreKind {
  readonly name: string
  readonly skip: boolean
  /** A place that nothing has been stored at. */
  place(): Promise<string>
  /** Closed after the test. */
  open(bounds?: Partial<StoreBounds>, place?: string): Promise<Store>
}

export interface StoreKinds {
  readonly directory: string
  readonly sqlite: StoreKind
  readonly postgres: StoreKind
  /** Closes a store after the test. */
  track<S extends Store>(store: S): S
}

export function storeKinds(): StoreKinds {
  const directory = mkdtempSync(join(tmpdir(), 'store-'))
  const opened: Store[] = []
  let files = 0
  let server: TestPostgres | undefined
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
  })
  afterAll(async () => {
    await server?.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const track = <S extends Store>(store: S): S => {
    opened.push(store)
    return store
  }
  const place = {
    sqlite: async () => join(directory, `${files++}.db`),
    async postgres() {
      server ??= await startPostgres()
      return server.database()
    },
  }
  return {
    directory,
    track,
    sqlite: {
      name: 'SqliteStore',
      skip: false,
      place: place.sqlite,
      open: async (bounds, at) => track(new SqliteStore(at ?? (await place.sqlite()), bounds)),
    },
    postgres: {
      name: 'PostgresStore',
      skip: postgresBin === undefined,
      place: place.postgres,
      open: async (bounds, at) =>
        track(await PostgresStore.open(at ?? (await place.postgres()), bounds)),
    },
  }
}

export type Where = { host?: string; site?: string; boot?: number; seq: number }

export function alert(
  changes: Partial<Alert>,
  { host = 'a', site = 'lab', boot = 1, seq }: Where,
): Received {
  return {
    kind: 'alert',
    message: toMessage({ ...sampleAlert, ...changes }, { site, host, boot, seq }),
  }
}

export function summary(
  { host = 'a', site = 'lab', boot = 1, seq }: Where,
  from = 1_700_000_000,
  changes: Partial<Summary> = {},
): Received {
  const payload = encodeSummary(
    { ...sampleSummary, from, to: from + 59, ...changes },
    { site, host, boot, seq },
  )
  const head = readSummaryHead(payload)
  if (!head.ok) throw new Error(head.reason)
  return { kind: 'summary', message: head.value, payload }
}

export function status(changes: Partial<StatusMessage>): Received {
  return { kind: 'status', message: { ...sampleStatus, host: 'a', ...changes } }
}

export const retain = (changes: Partial<Retention>): { retention: Retention } => ({
  retention: { ...RETENTION, ...changes },
})
