/**
 * The outbox of a host without a network, beside its agent: its rows are read while the agent runs,
 * and those that an aggregator has receipted are removed when none runs.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../domain/error.ts'
import { lockDirectory, openDatabase } from '../platform/sqlite.ts'
import type { SequenceRange } from '../wire/receipt-message.ts'
import type { KeyPin } from './aggregator-trust.ts'
import { KINDS, OUTBOX_SCHEMA, Outbox, type OutboxRow } from './outbox.ts'

/**
 * All rows, oldest first; what is in memory only, because the disk is full, is not among them.
 * @throws AgentError where there is no outbox
 */
export function readOutboxRows(state: string): OutboxRow[] {
  const database = openDatabase(requirePath(state), {
    schema: OUTBOX_SCHEMA,
    readOnly: true,
  })
  try {
    return database
      .prepare<{ boot: number; seq: number; kind: number; time: number; payload: Uint8Array }>(
        'SELECT boot, seq, kind, time, payload FROM rows ORDER BY boot, seq',
      )
      .all()
      .map(({ kind, payload, ...row }) => ({ ...row, kind: KINDS[kind]!, payload }))
  } finally {
    database.close()
  }
}

/**
 * Removes rows that are stored elsewhere, as their receipt over MQTT would.
 * @param stored reads the receipts, told whose count here
 * @returns how many they were
 * @throws AgentError where an agent is running: it has the rows in its memory
 */
export function acknowledgeOutbox(
  state: string,
  { site, host }: { readonly site: string; readonly host: string },
  stored: (pin: KeyPin) => readonly SequenceRange[],
): number {
  const path = requirePath(state)
  const lock = lockDirectory(state)
  try {
    const outbox = Outbox.open(path, { site, host })
    try {
      const ranges = stored(outbox)
      outbox.take(Number.POSITIVE_INFINITY)
      return outbox.acknowledge(ranges)
    } finally {
      outbox.close()
    }
  } finally {
    lock.release()
  }
}

function requirePath(state: string): string {
  const path = join(state, 'outbox.db')
  if (existsSync(path)) return path
  throw new AgentError('ERR_NOT_RUNNING', `No agent has run with state "${state}"`, {
    hint: 'Start it with "agent watch --delivery file", or name its directory with --state DIR',
  })
}
