import { describe, expect, test } from 'bun:test'
import {
  agentTopics,
  aggregatorFilters,
  fleetPartTopic,
  fleetTopic,
  isHostName,
  parseTopic,
} from '../../src/wire/topics.ts'

describe('agentTopics()', () => {
  test('puts site and host where the contract has them', () => {
    expect(agentTopics('lab', 'web-1')).toEqual({
      status: 'callsign/v1/lab/web-1/status',
      alert: 'callsign/v1/lab/web-1/alert',
      summary: 'callsign/v1/lab/web-1/summary',
      receipt: 'callsign/v1/lab/web-1/receipt',
      request: 'callsign/v1/lab/web-1/request',
      windows: 'callsign/v1/lab/web-1/windows',
      aggregatorStatus: 'callsign/v1/lab/aggregator/status',
      vectors: 'callsign/v1/lab/web-1/vectors',
      fleetPolicy: 'callsign/v1/lab/fleet/policy',
    })
  })

  // Each of these would let one host speak or listen as another.
  test.each([
    ['a slash', 'a/b'],
    ['a wildcard for one level', '+'],
    ['a wildcard for the rest', 'a#'],
    ['a NUL', 'a\u0000'],
    ['a newline', 'a\nb'],
    ['an escape sequence', '\u001b[2J'],
    ['nothing', ''],
    ['blanks at its ends', ' a '],
    ['a lone surrogate', 'a\ud800'],
    ['more than a host name holds', 'x'.repeat(254)],
    ['the name of the aggregator', 'aggregator'],
    ['the name of the fleet', 'fleet'],
  ])('refuses a host with %s', (_, host) => {
    expect(() => agentTopics('lab', host)).toThrow(/^Cannot use host/)
    expect(isHostName(host)).toBe(false)
  })

  test('refuses a site that is no level of a topic', () => {
    expect(() => agentTopics('a/b', 'h')).toThrow(/^Cannot use site/)
  })
})

describe('parseTopic()', () => {
  test('reads back what agentTopics() made', () => {
    const topics = agentTopics('lab', 'web-1')
    for (const kind of ['status', 'alert', 'summary', 'receipt', 'request', 'windows'] as const) {
      expect(parseTopic(topics[kind])).toEqual({ kind, site: 'lab', host: 'web-1' })
    }
    expect(parseTopic(topics.aggregatorStatus)).toEqual({ kind: 'aggregator-status', site: 'lab' })
    expect(parseTopic(topics.fleetPolicy)).toEqual({ kind: 'fleet', site: 'lab' })
  })

  test('knows the parts of a model', () => {
    expect(fleetPartTopic('lab', 255)).toBe('callsign/v1/lab/fleet/model-255')
    for (const topic of [fleetTopic('lab', 'model'), fleetPartTopic('lab', 255)])
      expect(parseTopic(topic)).toEqual({ kind: 'fleet', site: 'lab' })
  })

  test.each([
    '',
    'callsign/v1/lab/fleet/model-',
    'callsign/v1/lab/fleet/model-1000',
    'callsign/v1/lab/fleet/policy-1',
    'callsign/v1/lab/h',
    'callsign/v2/lab/h/alert',
    'callsign/v1/lab/h/alert/x',
    'callsign/v1//h/alert',
    'callsign/v1/lab//alert',
    'callsign/v1/lab/h/rumour',
    'callsign/v1/lab/aggregator/alert',
    'callsign/v1/lab/+/alert',
  ])('knows nothing of "%s"', (topic) => {
    expect(parseTopic(topic)).toBeUndefined()
  })
})

test('aggregatorFilters() shares work only where asked to', () => {
  expect(aggregatorFilters('lab')).toEqual([
    'callsign/v1/lab/+/status',
    'callsign/v1/lab/+/alert',
    'callsign/v1/lab/+/summary',
    'callsign/v1/lab/+/windows',
  ])
  expect(aggregatorFilters('+', true)[0]).toBe('$share/aggregators/callsign/v1/+/+/status')
})
