/** Windows that are asked for, in both stores: who may answer, and what becomes of it. */
import { describe, expect, test } from 'bun:test'
import { fetchWindows } from '../../src/aggregator/fetch-windows.ts'
import { Subscriber } from '../../src/aggregator/subscriber.ts'
import { openIdentity, signerOf } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { detachSignature } from '../../src/wire/signed.ts'
import { encodeWindowsAnswer, type WindowsRequest } from '../../src/wire/windows-message.ts'
import { manualClock } from '../support/clock.ts'
import { until } from '../support/until.ts'
import { alert, storeKinds } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const log = createLog({ write: () => {} })
const host = openIdentity('31'.repeat(32))
const stranger = openIdentity('32'.repeat(32))
const never = new AbortController().signal

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('an answer counts if it was asked for, once, and signed as the host signs', async () => {
      const store = await kind.open()
      const clock = manualClock(Date.now())
      const now = clock.now()
      await store.commit([{ ...alert({ id: 'a1' }, { seq: 1 }), key: host.publicKey }], now)
      const { site, host: name } = alert({ id: 'a1' }, { seq: 1 }).message
      const subscriber = new Subscriber({
        ...{ store, clock, log, onChange: () => {}, signer: openIdentity(await store.identity()) },
      })
      const where = { site, host: name, id: 'a1', waitMs: 30_000 }
      const fetching = fetchWindows(store, where, never)
      const [open] = await until('the question', async () => {
        const all = await store.requests.open(Math.floor(now / 1000))
        return all.length > 0 ? all : undefined
      })
      const { payload, signature } = detachSignature(
        new TextEncoder().encode(open!.body),
        undefined,
      )
      expect(signerOf(payload, signature!)).toBe(openIdentity(await store.identity()).publicKey)
      const question = JSON.parse(new TextDecoder().decode(payload)) as WindowsRequest
      const take = (by: typeof host, changes: object = {}, topic = name) =>
        new Promise((resolve) => {
          const answer = encodeWindowsAnswer({
            ...{ ...question, process: { pid: 1, start: 1, name: 'x' }, omitted: 0 },
            ...{ rows: [{ t: 5, counts: { read: 1 } }], ...changes },
          })
          subscriber.take(
            {
              topic: `callsign/v1/${site}/${topic}/windows`,
              ...{ payload: answer, signature: by.sign(answer) },
            },
            resolve,
          )
        })
      expect(await take(stranger)).toBe('refused')
      expect(await take(host, {}, 'other')).toBe('refused')
      expect(await take(host, { nonce: 'ff'.repeat(16) })).toBe('refused')
      expect(await take(host)).toBeUndefined()
      expect(await take(host)).toBe('refused')
      const { answer, alert: accused } = await fetching
      expect(answer.rows).toEqual([{ t: 5, counts: { read: 1 } }])
      expect(accused.id).toBe('a1')
      expect([...subscriber.counts().refused]).toEqual([
        ['bad-signature', 1],
        ['host-mismatch', 1],
        ['unasked-windows', 2],
      ])
      expect(await store.requests.open(Math.floor(now / 1000))).toEqual([])
    }, 120_000)

    test('says that there is no such alert, and that no host answers', async () => {
      const store = await kind.open()
      const { site, host: name } = alert({ id: 'a1' }, { seq: 1 }).message
      const where = { site, host: name, id: 'a1', waitMs: 1 }
      await expect(fetchWindows(store, where, never)).rejects.toThrow(/has no alert "a1"/)
      await store.commit([alert({ id: 'a1' }, { seq: 1 })], Date.now())
      await expect(fetchWindows(store, where, never)).rejects.toThrow(/has not answered/)
      expect(await store.requests.open(0)).toEqual([])
      for (let n = 0; n < 256; n++)
        await store.requests.put({ nonce: `${n}`, site, host: name, body: '{}' }, 1_000)
      const one = { nonce: 'x', site, host: name, body: '{}' }
      expect(await store.requests.put(one, 1_600)).toBe(false)
      expect(await store.requests.put(one, 1_601)).toBe(true)
      expect(await store.requests.open(1_601)).toHaveLength(1)
    }, 120_000)
  })
