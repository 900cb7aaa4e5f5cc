/** An adaptation is checked where it is read: of this model, whole, and trees for its classes. */
import { expect, test } from 'bun:test'
import { type Adaptation, decodeAdaptation, encodeAdaptation } from '../../src/model/adaptation.ts'
import type { Model } from '../../src/model/model.ts'

const manifest = {
  ...{ id: 'toy', width: 4 },
  classes: [
    { name: 'nginx', malicious: false },
    { name: 'miner', malicious: true },
  ],
} as unknown as Model['manifest']

const adaptation: Adaptation = {
  ...{ model: 'toy', baseClasses: 2, made: 1_800_000_000, added: ['backup'], weight: 0.4 },
  trees: {
    classes: 3,
    ...{ columns: Uint16Array.of(0), thresholds: Float32Array.of(0.5) },
    ...{ left: Int32Array.of(-1), right: Int32Array.of(-2), roots: Int32Array.of(0) },
    ...{ leaves: Uint32Array.of(0, 1, 2), leafClasses: Uint16Array.of(0, 2) },
    leafShares: Uint8Array.of(255, 255),
  },
  taught: [0],
  meanings: [[1, [[2, 0.5]]]],
  doubts: new Map([[2, { confusions: [[0, 0.1]], unsure: 0.05, suspect: 0.2 }]]),
  profiles: [[['read', 0.5]]],
  figures: {
    ...{ seconds: 600, names: 3, windows: 90, recall: [0.8, 0.9], malicious: [0, 0] },
    ...{ references: 0.9, quarantined: 0 },
  },
}
const decoded = (change: (written: Record<string, unknown>) => unknown = () => {}) => {
  const written = JSON.parse(new TextDecoder().decode(encodeAdaptation(adaptation)))
  change(written)
  return decodeAdaptation(new TextEncoder().encode(JSON.stringify(written)), { manifest })
}

test('decodeAdaptation() gives what was encoded', () => {
  expect(decoded()).toEqual(adaptation)
})

test.each<[string, Record<string, unknown>, string]>([
  ['another format', { format: 1 }, 'its format is 1'],
  ['another model', { model: 'other' }, 'it belongs to model other'],
  ['another number of classes', { baseClasses: 3 }, 'it belongs to model toy'],
  ['names that are none', { added: [7] }, 'its names are damaged'],
  ['no trees', { trees: undefined }, 'its trees are damaged'],
  ['trees for other classes', { added: [], profiles: [] }, 'its trees are damaged'],
  ['a weight above one', { weight: 1.5 }, 'a number is missing'],
  ['no time', { made: 'today' }, 'a number is missing'],
  ['a class that is none', { taught: [3] }, 'its classes are damaged'],
  ['no profile for a class', { profiles: [] }, 'its profiles are damaged'],
])('decodeAdaptation() refuses %s', (_, change, why) => {
  expect(() => decoded((written) => Object.assign(written, change))).toThrow(
    `Cannot use the adaptation to this host: ${why}`,
  )
})

test('decodeAdaptation() refuses bytes that are no JSON, and values that are no object', () => {
  const of = (text: string) => () => decodeAdaptation(new TextEncoder().encode(text), { manifest })
  expect(of('{')).toThrow('it is no JSON')
  expect(of('null')).toThrow('it is no object')
})
