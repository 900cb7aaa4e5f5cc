/**
 * `agent policy push`: runs where the aggregator's store is, so that its key leaves the store no
 * further than this process.
 */
import { existsSync, readFileSync } from 'node:fs'
import { pushPolicy } from '../aggregator/push-policy.ts'
import { openStore } from '../aggregator/store/open.ts'
import { AgentError } from '../domain/error.ts'
import { FLEET_DOCUMENT_MS } from '../domain/limits.ts'
import { log } from '../platform/log.ts'
import { requireStore } from './aggregator-store.ts'
import { durationOf, note, safeText, shutdownSignal, wholeNumber, writeJson } from './common.ts'

export interface PushArgs {
  readonly file: string | undefined
  /** A file or an address of PostgreSQL. */
  readonly location: string
  readonly site: string
  readonly canary: string | undefined
  readonly expires: string | undefined
  readonly json: boolean
}

export async function pushPolicyFile(args: PushArgs): Promise<void> {
  const { location, site, file } = args
  if (file === undefined || !existsSync(file))
    throw new AgentError(
      'ERR_USAGE',
      `Cannot push a policy: there is no file "${safeText(file ?? '')}"`,
      {
        hint: 'agent policy push FILE, with {"rules":[{"behaviour":"network-scan","severity":"low"}]}',
      },
    )
  const canary = wholeNumber(args.canary, 'canary', 1, 100) ?? 100
  const lifeMs = durationOf(args.expires, 'expires') ?? FLEET_DOCUMENT_MS
  const text = readFileSync(file, 'utf8')
  requireStore(location)
  const opened = await openStore(location, { log, signal: shutdownSignal() })
  try {
    const pushed = await pushPolicy(opened.store, { text, site, canary, lifeMs, nowMs: Date.now() })
    if (args.json) await writeJson(pushed)
    else
      note(
        `Pushed policy ${pushed.version} to site ${site}: for ${canary} % of the ${pushed.accepting} hosts that accept policies, of ${pushed.hosts} in all`,
      )
  } finally {
    await opened.close()
  }
}
