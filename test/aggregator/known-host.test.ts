import { describe, expect, test } from 'bun:test'
import {
  decodeKnownHost,
  encodeKnownHost,
  type KnownHost,
} from '../../src/aggregator/central/known-host.ts'
import { HostMemory } from '../../src/detect/memory.ts'
import { sampleAlert } from '../wire/samples.ts'

function known(): KnownHost {
  const memory = new HostMemory('m', 4)
  memory.observe('nginx', Float32Array.of(1, 0, -1, 2), 1_700_000_000, true)
  const alert = { ...sampleAlert }
  return {
    place: { boot: 1_700_000_000_000, seq: 812, last: 1_700_000_009 },
    model: 'm',
    knowledge: {
      memory: memory.snapshot(),
      hostLevel: { hours: [[1, 0.5, 3_600]], factor: 1, day: 7, dayFactor: 1 },
      causes: [{ alert, likeness: 'x', open: true, owners: ['812@1699999990'] }],
      counts: { opened: 3, reopened: 1, updated: 2, merged: 0, held: 0, observed: 0, withheld: 0 },
    },
    payload: Uint8Array.of(1, 2, 3),
  }
}

describe('decodeKnownHost()', () => {
  test('gives back what was encoded, the memory with it', () => {
    const decoded = decodeKnownHost(encodeKnownHost(known()))!
    expect(decoded).toEqual(known())
    const memory = new HostMemory('m', 4)
    expect(memory.restore(decoded.knowledge.memory)).toBe(true)
    expect(memory.known('nginx')).toMatchObject({ seconds: 1 })
  })

  test('takes what was cut off, or written by another version, for nothing', () => {
    const bytes = encodeKnownHost(known())
    for (let length = 0; length < bytes.length; length += 5)
      expect(decodeKnownHost(bytes.subarray(0, length))).toBeUndefined()
    const newer = bytes.slice()
    newer[0] = 2
    expect(decodeKnownHost(newer)).toBeUndefined()
  })
})
