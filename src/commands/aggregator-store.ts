/**
 * What `agent aggregate ACTION` does with a store, beside a running aggregator or without one:
 * `migrate` moves everything to another store, `keys` lists the keys of its hosts, `accept` takes a
 * new key of a host. An accepted key is used from the next message that it signs.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { makeToken, revokedList } from '../aggregator/enrolment.ts'
import { moveStore } from '../aggregator/store/move.ts'
import { isPostgres, type OpenedStore, openStore } from '../aggregator/store/open.ts'
import type { ListedHost, Store } from '../aggregator/store/store.ts'
import { AgentError } from '../domain/error.ts'
import { CRL_MS, TOKEN_MS, TOKEN_USES_MAX } from '../domain/limits.ts'
import { isPublicKey, openIdentity } from '../platform/identity.ts'
import { log } from '../platform/log.ts'
import type { Settings } from '../settings/keys.ts'
import { columns, durationOf, note, safeText, wholeNumber, writeJson, writeOut } from './common.ts'

export interface StoreArgs {
  readonly to?: string | undefined
  readonly of?: string | undefined
  readonly publicKey?: string | undefined
  readonly uses?: string | undefined
  readonly expires?: string | undefined
  readonly json: boolean
}

const HOSTS_A_PAGE = 500

/** @param location a file or an address of PostgreSQL, which must be there */
export async function onStore(
  location: string,
  action: string,
  args: StoreArgs,
  signal: AbortSignal,
): Promise<void> {
  const act = actions[action]
  if (act === undefined)
    throw new AgentError('ERR_USAGE', `Cannot do "${safeText(action)}"`, {
      hint: `The actions are ${Object.keys(actions).join(', ')}`,
    })
  requireStore(location)
  const opened = await openStore(location, { log, signal })
  try {
    await act(opened, args, signal)
  } finally {
    await opened.close()
  }
}

/** @throws AgentError where there is no such file: a misspelt name must not make a new store */
export function requireStore(location: string): void {
  if (!isPostgres(location) && !existsSync(location))
    throw new AgentError('ERR_CONFIG', `Cannot open store "${location}": there is no such file`, {
      hint: 'Name the store with --store FILE, or its directory with --state DIR',
    })
}

/**
 * @param given on the command line, where other users see it
 * @throws AgentError where a password is
 */
export function storeOf(
  { store, state }: Pick<Settings, 'store' | 'state'>,
  given: boolean,
): string {
  if (given && store !== undefined && isPostgres(store) && URL.parse(store)?.password)
    throw new AgentError(
      'ERR_USAGE',
      'Cannot use --store with a password in it: other users see the flags of a process',
      {
        hint: 'Give the address by AGENT_AGGREGATE_STORE or the settings file, or the password by PGPASSWORD',
      },
    )
  return store ?? join(state, 'aggregate.db')
}

const actions: Readonly<
  Record<string, (opened: OpenedStore, args: StoreArgs, signal: AbortSignal) => Promise<void>>
> = {
  async migrate({ store }, { to, json }, signal) {
    if (to === undefined)
      throw new AgentError('ERR_USAGE', 'Cannot migrate without the store that takes everything', {
        hint: 'agent aggregate migrate --store FILE|URL --to FILE|URL',
      })
    const target = await openStore(to, { log, signal })
    try {
      const moved = await moveStore(store, target.store)
      if (json) await writeJson(moved)
      else
        note(
          `Moved ${moved.hosts} hosts with ${moved.alerts} alerts; ${moved.skipped} hosts were there already`,
        )
    } finally {
      await target.close()
    }
  },

  async keys({ store }, { json }) {
    const { publicKey } = openIdentity(await store.identity())
    const rows = [['aggregator', publicKey, '']]
    if (json) await writeJson({ aggregator: publicKey })
    for await (const { site, host, key, refusedKey } of allHosts(store)) {
      if (json) await writeJson({ site, host, key, refusedKey })
      else
        rows.push([
          safeText(`${site}/${host}`),
          key?.key ?? 'unsigned',
          refusedKey === undefined ? '' : `refused: ${refusedKey.key}`,
        ])
    }
    if (!json) await writeOut(columns(rows))
  },

  async token({ store }, { of = '', uses, expires }) {
    const [site = '', host = ''] = of.split('/')
    const most = wholeNumber(uses, 'uses', 1, TOKEN_USES_MAX) ?? 1
    const lifeMs = durationOf(expires, 'expires') ?? TOKEN_MS
    await writeOut(`${await makeToken(store, { site, host }, most, lifeMs, Date.now())}\n`)
  },

  async revoke({ store }, { of = '' }) {
    const [site = '', host = ''] = of.split('/')
    const count = await store.enrolment.revoke({ site, host }, Math.floor(Date.now() / 1000))
    if (count === 0)
      throw new AgentError(
        'ERR_INPUT',
        `Cannot revoke: "${safeText(of)}" has no certificate that is not revoked`,
        {
          hint: 'agent aggregate revoke SITE/HOST',
        },
      )
    note(`Revoked ${count} certificates of ${of}: the embedded broker refuses them within seconds`)
  },

  async crl({ store }, { expires }) {
    await writeOut(await revokedList(store, Date.now(), durationOf(expires, 'expires') ?? CRL_MS))
  },

  async accept({ store }, { of = '', publicKey = '' }) {
    const [site = '', host = ''] = of.split('/')
    if (host === '' || !isPublicKey(publicKey))
      throw new AgentError('ERR_USAGE', 'Cannot accept a key without the host and the key', {
        hint: 'agent aggregate accept SITE/HOST KEY, with the key that "agent status" on that host shows',
      })
    if (!(await store.acceptKey({ site, host }, publicKey)))
      throw new AgentError('ERR_INPUT', `Cannot accept a key of "${safeText(of)}": unknown host`, {
        hint: 'agent aggregate keys lists the hosts of this store',
      })
    note(`Accepted: the next message of ${of} that this key signs is stored, and no other key's`)
  },
}

async function* allHosts(store: Store): AsyncGenerator<ListedHost> {
  let after: string | undefined
  do {
    const page = await store.hosts({
      limit: HOSTS_A_PAGE,
      order: 'name',
      ...(after === undefined ? {} : { after }),
    })
    yield* page.items
    after = page.next ?? undefined
  } while (after !== undefined)
}
