import { describe, expect, test } from 'bun:test'
import { HostCosts } from '../../src/aggregator/host-costs.ts'
import type { SummaryMessage } from '../../src/wire/summary-message.ts'
import { sampleOrigin, sampleSummary } from '../wire/samples.ts'

const summaryOf = (more: Partial<SummaryMessage> = {}): SummaryMessage => ({
  v: 1,
  ...sampleOrigin,
  ...sampleSummary,
  ...more,
})

describe('HostCosts', () => {
  test('adds up what is of a span, and keeps the newest of what is a state', () => {
    const costs = new HostCosts()
    costs.add(summaryOf(), 0)
    const agent = { ...sampleSummary.agent, cpuSeconds: 1, rssBytes: 5, lagMs: 7 }
    const reduced = { seconds: [3, 2, 1] as const, windows: 50 }
    const unjudged = { error: 2 }
    const missed = { 'alerts-held': 75 }
    const changes = { dropped: { late: 1 }, unjudged, missed, agent: { ...agent, reduced } }
    costs.add(summaryOf(changes), 60_000)
    const [cost] = [...costs.all]
    expect(cost).toMatchObject({
      site: 'lab',
      host: 'web-1',
      cpuSeconds: 1.25,
      rssBytes: 5,
      lagMs: 7,
    })
    expect(cost!.calls).toBe(24_800)
    expect([...cost!.dropped]).toEqual([
      ['late', 3],
      ['lost(sysdig)', 10],
    ])
    expect(cost).toMatchObject({ reducedSeconds: [3, 2, 1], unjudged: 50 })
    expect([...cost!.secondsUnjudged]).toEqual([['error', 2]])
    expect([...cost!.missed]).toEqual([['alerts-held', 75]])
  })

  test('has places for so many hosts; one that is silent for an hour gives up its own', () => {
    const costs = new HostCosts(2)
    for (const host of ['a', 'b', 'c']) costs.add(summaryOf({ host }), 0)
    expect([...costs.all].map(({ host }) => host)).toEqual(['a', 'b'])
    expect(costs.omitted).toBe(1)
    costs.add(summaryOf({ host: 'b' }), 3_000_000)
    costs.add(summaryOf({ host: 'c' }), 3_700_000)
    expect([...costs.all].map(({ host }) => host)).toEqual(['b', 'c'])
  })

  test('a host that makes up reasons makes no more series than its bound', () => {
    const costs = new HostCosts()
    for (let i = 0; i < 1_000; i++) costs.add(summaryOf({ dropped: { [`r${i}`]: 1 } }), 0)
    const [cost] = [...costs.all]
    expect(cost!.dropped.size).toBe(32)
    expect([...cost!.dropped.values()].reduce((sum, n) => sum + n, 0)).toBe(1_000)
  })
})
