/** One process among those of its name on other hosts. */
import { describe, expect, test } from 'bun:test'
import { answerApi } from '../../src/aggregator/api.ts'
import { type ComparedProcess, oddProcesses } from '../../src/aggregator/odd-processes.ts'
import { mulberry32 } from '../support/frames.ts'
import { sampleSummary } from '../wire/samples.ts'
import { storeKinds, summary } from './store-kinds.ts'

const { sqlite } = storeKinds()
const random = mulberry32(7)

/** @param load how many calls it makes; what they are varies a little */
function process(where: string, load: number, shares: Record<string, number>): ComparedProcess {
  const top = Object.entries(shares).map(([syscall, share]) => ({
    syscall,
    count: Math.round(load * share * (0.9 + 0.2 * random())),
  }))
  return { where, calls: load, top }
}
const WEB = { epoll_wait: 0.4, read: 0.3, writev: 0.2, close: 0.05 }
const REPLICA = { recvfrom: 0.6, pwrite64: 0.3 }
const SCANNER = { connect: 0.5, socket: 0.4, close: 0.1 }

describe('oddProcesses()', () => {
  test('finds the one that does other things, with the calls that say so, at any load', () => {
    const fleet = Array.from({ length: 20 }, (_, n) => process(`h-${n}`, 200 * 2 ** (n % 10), WEB))
    const found = oddProcesses([...fleet, process('odd', 5_000, SCANNER)])
    expect(found.slice(0, -1)).toEqual(fleet.map(() => undefined))
    expect(found.at(-1)!.distance).toBeGreaterThan(0.8)
    expect(
      found
        .at(-1)!
        .why.map(({ syscall }) => syscall)
        .sort(),
    ).toEqual(['connect', 'epoll_wait', 'socket'])
    expect(found.at(-1)!.why.find(({ syscall }) => syscall === 'connect')!.usual).toBe(0)
  })

  test('a role that several hosts have is none of its own, a host counts once', () => {
    const web = Array.from({ length: 12 }, (_, n) => process(`web-${n}`, 2_000, WEB))
    const replicas = Array.from({ length: 4 }, (_, n) => process(`db-${n}`, 2_000, REPLICA))
    expect(oddProcesses([...web, ...replicas]).filter(Boolean)).toEqual([])
    // Fifty of one host do not make it a role.
    const many = Array.from({ length: 50 }, () => process('one', 2_000, SCANNER))
    expect(oddProcesses([...web, ...many]).filter(Boolean)).toHaveLength(50)
  })

  test('says nothing of few hosts, nor of a process that hardly calls', () => {
    const few = Array.from({ length: 4 }, (_, n) => process(`h-${n}`, 2_000, WEB))
    expect(oddProcesses([...few, process('odd', 2_000, SCANNER)]).filter(Boolean)).toEqual([])
    const fleet = Array.from({ length: 20 }, (_, n) => process(`h-${n}`, 2_000, WEB))
    expect(oddProcesses([...fleet, process('idle', 9, SCANNER)]).filter(Boolean)).toEqual([])
    expect(oddProcesses([])).toEqual([])
  })
})

test('the API says of a program which of its processes is odd', async () => {
  const store = await sqlite.open()
  const syscalls = ['epoll_wait', 'read', 'connect', 'socket']
  const of = (host: string, top: [number, number][]) =>
    summary({ host, seq: 1 }, undefined, {
      syscalls,
      processes: [{ ...sampleSummary.processes[0]!, name: 'nginx', calls: 1_000, top }],
    })
  const hosts = Array.from({ length: 8 }, (_, n) =>
    of(`h-${n}`, [
      [0, 600],
      [1, 400],
    ]),
  )
  await store.commit(
    [
      ...hosts,
      of('odd', [
        [2, 700],
        [3, 300],
      ]),
    ],
    1_000,
  )
  const url = new URL('http://x/api/v1/programs/nginx')
  const { items } = JSON.parse((await answerApi(store, url, 0))!)
  const odd = items.filter((item: { odd?: unknown }) => item.odd !== undefined)
  expect(odd).toMatchObject([
    {
      host: 'odd',
      odd: { distance: 1, why: [{ syscall: 'connect', seen: 0.7, usual: 0 }, {}, {}] },
    },
  ])
})
