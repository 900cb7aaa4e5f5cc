/** Hosts that cannot be trusted to tell, and where a program runs: the same in both stores. */
import { describe, expect, test } from 'bun:test'
import { answerApi } from '../../src/aggregator/api.ts'
import { status, storeKinds, summary } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const NOW_S = 1_700_000_100

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('finds silent hosts and those that lose calls', async () => {
      const store = await kind.open()
      await store.commit(
        [status({ host: 'silent' }), status({ host: 'gone', state: 'offline' })],
        (NOW_S - 151) * 1_000,
      )
      await store.commit(
        [
          // 12 of 12,412 calls are no more than 1 %.
          status({ host: 'well' }),
          summary({ host: 'well', seq: 1 }, NOW_S - 60),
          status({ host: 'losing' }),
          summary({ host: 'losing', seq: 1 }, NOW_S - 60, { dropped: { 'lost(kernel)': 200 } }),
        ],
        (NOW_S - 10) * 1_000,
      )
      const ask = async (condition: string, now = NOW_S) => {
        const url = new URL(`http://x/api/v1/hosts?condition=${condition}`)
        const { items } = JSON.parse((await answerApi(store, url, now))!)
        return (items as { host: string }[]).map(({ host }) => host)
      }
      expect(await ask('silent')).toEqual(['silent'])
      expect(await ask('losing')).toEqual(['losing'])
      expect(await ask('losing', NOW_S + 7_200)).toEqual([])
      const counts = new URL('http://x/api/v1/counts')
      expect(JSON.parse((await answerApi(store, counts, NOW_S))!)).toMatchObject({
        hosts: { online: 3, offline: 1, silent: 1, losing: 1 },
      })
    })

    test('finds a program over the hosts, by its whole name', async () => {
      const store = await kind.open()
      await store.commit([summary({ host: 'a', seq: 1 }), summary({ host: 'b', seq: 1 })], 1_000)
      const ask = async (name: string) =>
        JSON.parse((await answerApi(store, new URL(`http://x/api/v1/programs/${name}`), NOW_S))!)
      expect(await ask('nginx')).toMatchObject({
        items: [
          {
            host: expect.any(String),
            process: { pid: 812, top: [{ syscall: 'epoll_wait', count: 8_000 }, {}] },
          },
          {},
        ],
        hosts: 2,
        hostsOmitted: 0,
      })
      expect(await ask('ngin')).toMatchObject({ items: [], hosts: 2 })
    })
  })
