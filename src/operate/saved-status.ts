/**
 * The last saved status of an agent, for `agent status`: readable while it runs and after it ended
 * in any way.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SendingStatus, StatusDocument } from '../agent/status-document.ts'
import { LocalStore } from '../buffer/local-store.ts'
import { STATUS_SAVE_EVERY_MS } from '../domain/limits.ts'
import { databaseExists } from '../platform/sqlite.ts'

export interface SavedStatus {
  /** `killed`: it did not end by itself, and is not there any more. */
  readonly state: 'running' | 'ended' | 'killed'
  readonly pid: number
  readonly savedMs: number
  readonly status: StatusDocument | SendingStatus
}

/** @returns undefined where no agent has ever written there */
export function readSavedStatus(directory: string, nowMs: number): SavedStatus | undefined {
  const path = join(directory, 'local.db')
  if (!databaseExists(path)) return undefined
  const store = LocalStore.open(path, { readOnly: true })
  try {
    const saved = store.ledger.get()
    if (saved === undefined) return undefined
    const { pid, savedAtMs, ended } = saved
    // A pid alone may be another process by now.
    const fresh = Math.abs(nowMs - savedAtMs) < 6 * STATUS_SAVE_EVERY_MS
    const state = ended ? 'ended' : fresh && existsSync(`/proc/${pid}`) ? 'running' : 'killed'
    return { state, pid, savedMs: savedAtMs, status: saved.ledger as SavedStatus['status'] }
  } catch (error) {
    // The agent is just making the file.
    if (error instanceof Error && error.message.includes('no such table')) return undefined
    throw error
  } finally {
    store.close()
  }
}
