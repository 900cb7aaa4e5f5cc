/**
 * The one door to PostgreSQL: Bun's own client behind four calls.
 *
 * Whole numbers come back as text where the column is a bigint, so queries cast them to `float8`,
 * which holds all that we write. Many rows go in as one JSON text (`$1::text::json`): one statement
 * a batch, whatever its size.
 *
 * Errors are AgentErrors: ERR_BROKER-like waiting helps where the server is away, and is what the
 * caller does; a database that is not there or refuses us is ERR_CONFIG or ERR_PERMISSION.
 */
import { SQL } from 'bun'
import { AgentError } from '../domain/error.ts'

export type PostgresValue = string | number | Uint8Array | null

export interface PostgresQueries {
  query<Row = unknown>(text: string, values?: readonly PostgresValue[]): Promise<Row[]>
}

export interface Postgres extends PostgresQueries {
  /** Without user and password: for messages. */
  readonly shown: string
  /**
   * All or nothing, and on disk when it resolves. Tried again where it met another transaction
   * (deadlock).
   */
  transaction<T>(body: (inside: PostgresQueries) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const STATEMENT_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_S = 10
const CONNECTIONS = 8
const ATTEMPTS = 5
/** serialization_failure, deadlock_detected */
const MET_ANOTHER = new Set(['40001', '40P01'])

/** Resolves when the server has answered once. */
export async function openPostgres(url: string): Promise<Postgres> {
  const shown = showUrl(url)
  const sql = new SQL({
    url,
    max: CONNECTIONS,
    idleTimeout: 0,
    connectionTimeout: CONNECT_TIMEOUT_S,
    connection: {
      application_name: 'callsign',
      statement_timeout: STATEMENT_TIMEOUT_MS,
      synchronous_commit: 'on',
    },
  })
  const queriesOf = (inner: Pick<SQL, 'unsafe'>): PostgresQueries => ({
    async query<Row>(text: string, values: readonly PostgresValue[] = []) {
      return (await inner.unsafe(text, [...values])) as Row[]
    },
  })
  try {
    await sql.unsafe('SELECT 1')
  } catch (cause) {
    await sql.close({ timeout: 0 }).catch(() => {})
    throw openError(shown, cause)
  }
  return {
    shown,
    ...queriesOf(sql),
    async transaction(body) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await sql.begin((inner) => body(queriesOf(inner)))
        } catch (error) {
          if (attempt === ATTEMPTS || !MET_ANOTHER.has(stateOf(error))) throw error
        }
      }
    },
    close: () => sql.close({ timeout: 5 }),
  }
}

/** Whether an error says that something of that name is there already. */
export function isDuplicate(error: unknown): boolean {
  return ['42P07', '23505', '42P06', '42710'].includes(stateOf(error))
}

/** The five characters by which PostgreSQL names an error. */
function stateOf(error: unknown): string {
  const { errno } = (error ?? {}) as { errno?: unknown }
  return typeof errno === 'string' ? errno : ''
}

function showUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url)
    return `${protocol}//${host}${pathname}`
  } catch {
    throw new AgentError('ERR_CONFIG', 'Cannot use the store: its address is no URL', {
      hint: 'Give it as postgres://USER@HOST:PORT/DATABASE',
    })
  }
}

function openError(shown: string, cause: unknown): AgentError {
  const text = cause instanceof Error ? cause.message : String(cause)
  const state = stateOf(cause)
  if (state === '3D000')
    return new AgentError('ERR_CONFIG', `Cannot open "${shown}": there is no such database`, {
      hint: 'Make it with "createdb", and give its name at the end of the address',
      cause,
    })
  if (state.startsWith('28'))
    return new AgentError('ERR_PERMISSION', `Cannot open "${shown}": ${text}`, {
      hint: 'Give user and password by AGENT_AGGREGATE_STORE or PGPASSWORD',
      cause,
    })
  return new AgentError('ERR_BROKER', `Cannot reach "${shown}": ${text}`, {
    hint: 'Check that PostgreSQL runs there and accepts connections from this host',
    cause,
  })
}
