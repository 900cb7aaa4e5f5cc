/** `agent watch --send vectors` as a user calls it. */
import { afterEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type AedesBroker, startAedes } from '../support/brokers.ts'
import { agentFromSource } from '../support/cli-from-source.ts'
import { LAB } from '../support/open-agent.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const brokers: AedesBroker[] = []
afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
})

test('sends every second of its input without a model, and status says what became of them', async () => {
  const broker = await startAedes()
  brokers.push(broker)
  const state = join(directory(), 'state')
  const names = ['--state', state, '--site', 'lab', '--host', 'tiny']
  // A model that is not there is not asked for.
  const model = ['--model', '/nonexistent']
  const how = ['--source', LAB, '--send', 'vectors', '--broker', broker.url, ...names, ...model]
  const watched = await agentFromSource('watch', ...how, '--json')
  expect(watched.code).toBe(0)
  const ledger = JSON.parse(watched.err.trim().split('\n').at(-1)!)
  expect(ledger.vectors).toEqual({ created: 99, sent: 99, queued: 0, dropped: 0, omitted: 0 })
  const topic = 'callsign/v1/lab/tiny/vectors'
  const sent = broker.published.filter((message) => message.topic === topic)
  expect(sent.length).toBeGreaterThanOrEqual(10)
  expect(sent.every(({ retain }) => !retain)).toBe(true)
  const status = await agentFromSource('status', '--state', state)
  expect(status.out).toContain('99 seconds = 99 sent + 0 queued + 0 dropped')
  expect(status.out).toContain('none: an aggregator classifies')
}, 90_000)

test('needs a broker, and nothing but a broker', async () => {
  const how = ['--source', LAB, '--send', 'vectors', '--state', join(directory(), 'state')]
  const watched = await agentFromSource('watch', ...how)
  expect(watched.code).toBe(2)
  expect(watched.err).toContain('Cannot send vectors: no broker is given')
  const kept = await agentFromSource('watch', ...how, '--delivery', 'file', '--broker', 'mqtt://a')
  expect(kept.code).toBe(5)
}, 60_000)
