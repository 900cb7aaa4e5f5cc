/**
 * Asks a host for the windows of one of its alerts, by way of the store and of the aggregator that
 * runs on it, and waits for the answer.
 */
import { randomBytes } from 'node:crypto'
import type { Alert } from '../domain/alert.ts'
import { AgentError } from '../domain/error.ts'
import { openIdentity } from '../platform/identity.ts'
import { attachSignature } from '../wire/signed.ts'
import {
  decodeWindowsAnswer,
  encodeWindowsRequest,
  type WindowsAnswer,
} from '../wire/windows-message.ts'
import type { Store } from './store/store.ts'

export interface Fetched {
  readonly answer: WindowsAnswer
  readonly alert: Alert
  /** What an operator said on the page that it was. */
  readonly label: string | undefined
}

export interface WindowsToFetch {
  readonly site: string
  readonly host: string
  readonly id: string
  readonly waitMs: number
}

const LOOK_EVERY_MS = 500

/** @throws AgentError where the store has no such alert, or the host does not answer */
export async function fetchWindows(
  store: Store,
  { site, host, id, waitMs }: WindowsToFetch,
  signal: AbortSignal,
): Promise<Fetched> {
  const found = await store.alert(id, { site, host })
  if (found === undefined)
    throw new AgentError(
      'ERR_INPUT',
      `Cannot fetch windows: ${site}/${host} has no alert "${id}"`,
      {
        hint: 'The page lists its alerts with their ids; the site is given with --site or as SITE/HOST',
      },
    )
  const nonce = randomBytes(16).toString('hex')
  const payload = encodeWindowsRequest({ v: 1, site, host, id, nonce })
  const identity = openIdentity(await store.identity())
  const body = new TextDecoder().decode(attachSignature(payload, identity.sign(payload)))
  if (!(await store.requests.put({ nonce, site, host, body }, Math.floor(Date.now() / 1000))))
    throw new AgentError('ERR_INPUT', 'Cannot fetch windows: too many requests wait already', {
      hint: 'They are given up after ten minutes',
    })
  const until = Date.now() + waitMs
  try {
    while (!signal.aborted && Date.now() < until) {
      const text = await store.requests.take(nonce)
      if (text !== undefined) return await complete(store, text, found.body)
      await Bun.sleep(LOOK_EVERY_MS)
    }
  } finally {
    await store.requests.drop(nonce)
  }
  throw new AgentError('ERR_FAILED', `Cannot fetch windows: ${site}/${host} has not answered`, {
    hint: 'It answers where it is online and set accept_fleet = "windows", and an aggregator runs on this store',
  })
}

async function complete(store: Store, text: string, body: string): Promise<Fetched> {
  const decoded = decodeWindowsAnswer(new TextEncoder().encode(text))
  if (!decoded.ok)
    throw new AgentError('ERR_FAILED', `Cannot use the answer of the host: it is ${decoded.reason}`)
  const alert = JSON.parse(body) as Alert
  const { site, host } = decoded.value
  const now = Math.floor(Date.now() / 1000)
  const found = await store.incidents.find(alert.incident ?? alert.id, { site, host, now }, 1)
  return { answer: decoded.value, alert, label: found?.incident.triage.label }
}
