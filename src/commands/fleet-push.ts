/**
 * `agent policy push` and `agent model push`: run where the aggregator's store is, so that its key
 * leaves the store no further than this process.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { Push, Pushed } from '../aggregator/push-document.ts'
import { pushModel } from '../aggregator/push-model.ts'
import { pushPolicy } from '../aggregator/push-policy.ts'
import { openStore } from '../aggregator/store/open.ts'
import type { Store } from '../aggregator/store/store.ts'
import { AgentError } from '../domain/error.ts'
import { FLEET_DOCUMENT_MS } from '../domain/limits.ts'
import { log } from '../platform/log.ts'
import { requireStore } from './aggregator-store.ts'
import { durationOf, note, safeText, shutdownSignal, wholeNumber, writeJson } from './common.ts'

export interface PushArgs {
  /** A file or an address of PostgreSQL. */
  readonly location: string
  readonly site: string
  readonly canary: string | undefined
  readonly expires: string | undefined
  readonly json: boolean
}

/** @param when before each description */
export function pushArgs(when = '') {
  return {
    canary: {
      type: 'string',
      description: `${when}percent of the hosts that use it; default 100`,
      valueHint: 'PERCENT',
    },
    expires: {
      type: 'string',
      description: `${when}how long it holds; default 90d`,
      valueHint: 'DURATION',
    },
  } as const
}

export async function pushPolicyFile(
  file: string | undefined,
  { json, ...args }: PushArgs,
): Promise<void> {
  if (file === undefined || !existsSync(file))
    throw new AgentError(
      'ERR_USAGE',
      `Cannot push a policy: there is no file "${safeText(file ?? '')}"`,
      {
        hint: 'agent policy push FILE, with {"rules":[{"behaviour":"network-scan","severity":"low"}]}',
      },
    )
  const text = readFileSync(file, 'utf8')
  const pushed = await onFleet(args, (store, push) => pushPolicy(store, { ...push, text }))
  if (json) await writeJson(pushed)
  else note(`Pushed policy ${wordsOf(pushed, 'policies')}`)
}

export async function pushModelDirectory(
  directory: string,
  { json, ...args }: PushArgs,
): Promise<void> {
  const pushed = await onFleet(args, (store, push) => pushModel(store, { ...push, directory }))
  if (json) {
    await writeJson(pushed)
    return
  }
  note(`Pushed model ${wordsOf(pushed, 'models')}`)
  const { digest, bytes, spread, isSigned } = pushed
  note(
    `${digest.slice(0, 16)}, ${(bytes / 1e6).toFixed(1)} MB, fetched over ${Math.ceil(spread / 60)} minutes`,
  )
  if (!isSigned)
    note('It has no signature of its own ("agent model sign"): hosts with model_key refuse it')
}

async function onFleet<T>(
  args: Omit<PushArgs, 'json'>,
  push: (store: Store, push: Push) => Promise<T>,
): Promise<T> {
  const { location, site } = args
  const canary = wholeNumber(args.canary, 'canary', 1, 100) ?? 100
  const lifeMs = durationOf(args.expires, 'expires') ?? FLEET_DOCUMENT_MS
  requireStore(location)
  const opened = await openStore(location, { log, signal: shutdownSignal() })
  try {
    return await push(opened.store, { site, canary, lifeMs, nowMs: Date.now() })
  } finally {
    await opened.close()
  }
}

function wordsOf({ version, site, canary, accepting, hosts }: Pushed, what: string): string {
  return `${version} to site ${site}: for ${canary} % of the ${accepting} hosts that accept ${what}, of ${hosts} in all`
}
