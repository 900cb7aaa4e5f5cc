/**
 * The host's own alerts and what was allowed, for the commands that look at them or change them:
 * beside a running agent or after it ended. The store is opened for one look and closed again, so
 * nothing is held up.
 */
import { join } from 'node:path'
import { LocalStore } from '../buffer/local-store.ts'
import { AgentError } from '../domain/error.ts'
import { databaseExists } from '../platform/sqlite.ts'
import { actAsOwner, requireOwnState } from '../settings/state-directory.ts'

/** @throws AgentError (ERR_NOT_RUNNING) where no agent has ever written there */
export function lookLocal<T>(directory: string, look: (store: LocalStore) => T): T {
  if (!databaseExists(join(directory, 'local.db'))) {
    throw new AgentError('ERR_NOT_RUNNING', `No agent has run with state "${directory}"`, {
      hint: 'Start it with "agent watch", or name its directory with --state DIR',
    })
  }
  return using(directory, { readOnly: true }, look)
}

/** As `lookLocal`, but may write, and makes the store where there is none yet. */
export function changeLocal<T>(directory: string, change: (store: LocalStore) => T): T {
  actAsOwner(directory)
  requireOwnState(directory)
  return using(directory, {}, change)
}

function using<T>(
  directory: string,
  options: { readOnly?: boolean },
  body: (store: LocalStore) => T,
): T {
  const store = LocalStore.open(join(directory, 'local.db'), options)
  try {
    return body(store)
  } finally {
    store.close()
  }
}
