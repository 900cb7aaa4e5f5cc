/** What both stores hold about the keys of hosts, and the key of the aggregator itself. */
import { describe, expect, test } from 'bun:test'
import { moveStore } from '../../src/aggregator/store/move.ts'
import type { Arrival, Store, StoreChange } from '../../src/aggregator/store/store.ts'
import { defined } from '../../src/domain/defined.ts'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { alert, status, storeKinds } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const OLD_KEY = 'o'.repeat(43)
const NEW_KEY = 'n'.repeat(43)

const idsOf = async (store: Store): Promise<string[]> =>
  (await store.alerts({ limit: 100 })).bodies.map((body) => (JSON.parse(body) as AlertMessage).id)

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('commit() pins the first key of a host; other keys and none are refused, until one is accepted', async () => {
      const place = await kind.place()
      const store = await kind.open({}, place)
      const by = (key: string | undefined, seq: number): Arrival => ({
        ...alert({ id: `${seq}` }, { seq }),
        ...defined({ key }),
      })
      const refusals = (changes: readonly StoreChange[]) =>
        changes.flatMap((change) => (change.kind === 'refused' ? [change.reason] : []))
      // Before it has ever signed, a host of an earlier version sends unsigned.
      expect(refusals(await store.commit([by(undefined, 1)], 1_000))).toEqual([])
      expect(refusals(await store.commit([by(OLD_KEY, 2)], 2_000))).toEqual([])
      const batch = [by(NEW_KEY, 3), by(undefined, 4), by(OLD_KEY, 5)]
      expect(refusals(await store.commit(batch, 3_000))).toEqual(['key-changed', 'unsigned'])
      expect((await idsOf(store)).sort()).toEqual(['1', '2', '5'])
      expect((await store.hosts({ limit: 9 })).items).toMatchObject([
        { key: { key: OLD_KEY, since: 2 }, refusedKey: { key: NEW_KEY, since: 3 } },
      ])
      expect((await store.counts()).hosts.keyChanged).toBe(1)
      // By another process, as the command is.
      const beside = await kind.open({}, place)
      expect(await beside.acceptKey({ site: 'lab', host: 'nobody' }, NEW_KEY)).toBe(false)
      expect(await beside.acceptKey({ site: 'lab', host: 'a' }, NEW_KEY)).toBe(true)
      expect(refusals(await store.commit([by(NEW_KEY, 6), by(OLD_KEY, 7)], 4_000))).toEqual([
        'key-changed',
      ])
      const again = await kind.open({}, place)
      expect((await again.hosts({ limit: 9 })).items[0]?.key).toEqual({ key: NEW_KEY, since: 4 })
    })

    test('commit() tells once that another key signs for a host', async () => {
      const store = await kind.open()
      await store.commit([{ ...status({}), key: OLD_KEY }], 1_000)
      const other = { ...alert({ id: 'x' }, { seq: 1 }), key: NEW_KEY }
      const kinds = async () => (await store.commit([other], 2_000)).map((change) => change.kind)
      expect(await kinds()).toEqual(['host', 'refused'])
      expect(await kinds()).toEqual(['refused'])
    })

    test('identity() is the same for all who open the store', async () => {
      const place = await kind.place()
      const [one, two] = [await kind.open({}, place), await kind.open({}, place)]
      const identity = await one.identity()
      expect(identity).toMatch(/^[0-9a-f]{64}$/)
      expect(await two.identity('b'.repeat(64))).toBe(identity)
      expect(await (await kind.open()).identity('b'.repeat(64))).toBe('b'.repeat(64))
    })

    test('a move takes the keys of hosts and the aggregator along', async () => {
      const [from, to] = [await kind.open(), await kind.open()]
      await from.commit([{ ...status({}), key: OLD_KEY }], 1_000)
      await moveStore(from, to)
      expect((await to.hosts({ limit: 9 })).items[0]?.key).toEqual({ key: OLD_KEY, since: 1 })
      expect(await to.identity()).toBe(await from.identity())
    })
  })
