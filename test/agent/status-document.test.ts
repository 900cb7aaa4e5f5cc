import { expect, test } from 'bun:test'
import { collectorWords } from '../../src/agent/status-document.ts'

const well = {
  ...{ drainMs: 0.4, keys: 800, processes: 200, unrecorded: 0, lost: {}, complete: false },
  most: { drainMs: 1.25, keys: 1_900, processes: 312 },
}

test('collectorWords() says how much of the room was ever used', () =>
  expect(collectorWords(well)).toBe(
    'at most 1,900 keys a second (room for 32,768), 312 processes (8,192), 1.3 ms to drain, nothing lost',
  ))

test('collectorWords() says what found no room, by reason', () => {
  const words = collectorWords({ ...well, unrecorded: 7, lost: { 'no room': 4_000 } })
  expect(words).toContain('7 calls of processes without a record')
  expect(words).toContain('4,000 calls lost (no room)')
  expect(words).not.toContain('nothing lost')
})
