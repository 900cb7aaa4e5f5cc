/**
 * A simulated fleet against a real aggregator: what it sent is what is stored, whatever else comes.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { singlePassword } from '../../src/aggregator/access.ts'
import { simulateFleet } from '../../src/simulate/fleet.ts'
import { readSummaryTemplates } from '../../src/simulate/summary-templates.ts'
import { decodeSummary } from '../../src/wire/summary-message.ts'
import { type Running, startRunning } from '../aggregator/running.ts'

let running: Running
beforeAll(async () => {
  running = await startRunning({
    broker: {
      kind: 'embedded',
      host: '127.0.0.1',
      port: 0,
      authenticate: singlePassword('site0000/*', 'secret'),
    },
  })
})
afterAll(() => running.close())

test('simulateFleet() loses no alert among hosts that drop, stall and lie, and the store has each once', async () => {
  const { hostname, port } = new URL(running.brokerUrl)
  const result = await simulateFleet({
    ...{ hostname, port: Number(port), username: 'site0000/*', password: 'secret' },
    ...{ hosts: 60, seconds: 3, summaryEverySeconds: 2, alertsPerSecond: 40 },
    ...{ storm: true, slow: 3, hostile: 5, seed: 7 },
    signal: new AbortController().signal,
    onPhase: () => {},
  })
  expect(result).toMatchObject({ hosts: 60, alertsLost: 0, connectionsLost: 0 })
  expect(result.storm?.refused).toBe(0)
  expect(result.sent.alert).toBeGreaterThan(100)
  const counts = await running.json<{ alerts: { total: number } }>('/api/v1/counts')
  expect(counts.alerts.total).toBe(result.sent.alert)
  const { summary, items } = await running.json<{ summary: unknown; items: unknown[] }>(
    '/api/v1/hosts/h00000042/processes',
  )
  expect(summary).not.toBeNull()
  expect(items.length).toBeGreaterThan(50)
  // Every host signs, in a storm with the same key as before.
  const { items: hosts } = await running.json<{ items: { key?: object; refusedKey?: object }[] }>(
    '/api/v1/hosts?limit=100',
  )
  expect(hosts.filter(({ key, refusedKey }) => key === undefined || refusedKey)).toEqual([])
}, 120_000)

test('recorded summaries are whole ones of a real size, and are told apart by what is put in', () => {
  const templates = readSummaryTemplates()
  const sizes = templates.map(({ bytes }) => bytes.length).sort((a, b) => a - b)
  expect(sizes[sizes.length >> 1]).toBeGreaterThan(5_000)
  const origin = { site: 'site0001', host: 'h00000007', boot: 1_796_000_000_000, seq: 70_001 }
  for (const template of templates) {
    const decoded = decodeSummary(template.fill(origin, 1_796_000_060))
    expect(decoded).toMatchObject({ ok: true, value: { ...origin, to: 1_796_000_060 } })
  }
})
