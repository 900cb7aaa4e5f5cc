/** Programs that are new to a whole site, in both stores. */
import { describe, expect, test } from 'bun:test'
import { answerApi } from '../../src/aggregator/api.ts'
import { ProgramNames } from '../../src/aggregator/program-names.ts'
import { createLog } from '../../src/platform/log.ts'
import { manualClock } from '../support/clock.ts'
import { sampleSummary } from '../wire/samples.ts'
import { alert, storeKinds, summary } from './store-kinds.ts'

const { sqlite, postgres } = storeKinds()
const NOW_MS = 1_700_000_000_000
const log = createLog({ write: () => {} })
const [process] = sampleSummary.processes

for (const kind of [sqlite, postgres])
  describe.skipIf(kind.skip)(kind.name, () => {
    test('tells the first host of each name, of alerts at once and of summaries once an hour', async () => {
      const store = await kind.open()
      const clock = manualClock(NOW_MS)
      const names = new ProgramNames({ store, clock, log }, 2 ** 30)
      const store_ = async (...arrivals: Parameters<typeof store.commit>[0]) => {
        for (const change of await store.commit(arrivals, clock.now())) names.push(change)
        await names.look()
      }
      const from = NOW_MS / 1000
      const runs = (host: string, seq: number, ...programs: string[]) =>
        summary({ host, seq }, from, { processes: programs.map((name) => ({ ...process!, name })) })
      await store_(runs('a', 1, 'nginx', 'cron'), runs('b', 1, 'nginx'))
      clock.advance(60_000)
      // Within the hour: not looked at.
      await store_(runs('a', 2, 'nginx', 'xmrig'))
      clock.advance(60_000)
      await store_(
        alert({ id: 'a1', process: { pid: 1, start: 1, name: 'nc' } }, { host: 'b', seq: 2 }),
      )
      clock.advance(3_600_000)
      await store_(runs('b', 3, 'xmrig', 'nginx'))
      await store_(runs('c', 1, 'xmrig'), { ...runs('c', 1, 'nginx') })
      await names.close()
      const { items, since } = JSON.parse(
        (await answerApi(store, new URL('http://x/api/v1/programs'), 0))!,
      )
      const at = (minutes: number) => NOW_MS / 1000 + 60 * minutes
      expect(items).toEqual([
        { site: 'lab', name: 'xmrig', host: 'b', first: at(62) },
        { site: 'lab', name: 'nc', host: 'b', first: at(2) },
        { site: 'lab', name: 'cron', host: 'a', first: at(0) },
        { site: 'lab', name: 'nginx', host: 'a', first: at(0) },
      ])
      expect(since).toBe(at(0))
      // Another aggregator, or this one again, knows what is there.
      const again = new ProgramNames({ store, clock, log }, 2 ** 30)
      for (const change of await store.commit([runs('d', 1, 'cron')], clock.now()))
        again.push(change)
      await again.look()
      await again.close()
      expect(await store.programs.newest(9)).toEqual(items)
    }, 120_000)

    test('a host that invents names has a quota', async () => {
      const store = await kind.open()
      const clock = manualClock(NOW_MS)
      const names = new ProgramNames({ store, clock, log }, 2 ** 30)
      const invented = (n: number) => ({ ...process!, name: `x${n}`, pid: n + 1 })
      const processes = Array.from({ length: 260 }, (_, n) => invented(n))
      for (const change of await store.commit(
        [summary({ seq: 1 }, NOW_MS / 1000, { processes })],
        NOW_MS,
      ))
        names.push(change)
      await names.look()
      await names.close()
      expect(await store.programs.newest(1_000)).toHaveLength(200)
      expect(names.omitted).toBe(60)
    }, 120_000)
  })
