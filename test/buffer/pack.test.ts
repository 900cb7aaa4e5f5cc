import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { packFrame, unpackFrame } from '../../src/buffer/pack.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { madeFrame } from '../support/frames.ts'

const someProcess = fc.record(
  {
    pid: fc.integer({ min: 1, max: 4_194_304 }),
    startMs: fc.oneof(
      fc.integer({ min: 0, max: 2_000_000_000 }).map((seconds) => seconds * 1000),
      fc.integer({ min: -5, max: 2_000_000_000_000 }),
    ),
    name: fc.string({ unit: 'grapheme', maxLength: 64 }),
    exe: fc.string({ unit: 'grapheme', maxLength: 200 }),
    container: fc.string({ maxLength: 64 }),
    ppid: fc.nat(4_194_304),
    uid: fc.constantFrom(0, 1000, 4_294_967_294),
  },
  { requiredKeys: ['pid', 'startMs', 'name'] },
)
const cpuMs = fc.nat(64_000)
const vector = fc.uniqueArray(
  fc.record({ syscall: fc.nat(65_535), count: fc.integer({ min: 1, max: 4_294_967_295 }) }),
  { maxLength: 20, selector: ({ syscall }) => syscall },
)

export const frames: fc.Arbitrary<Frame> = fc
  .record({
    index: fc.integer({ min: 0, max: 4_000_000_000 }),
    lost: fc.nat(),
    clockSet: fc.option(fc.integer({ min: -1e9, max: 1e9 })),
    rows: fc.array(fc.tuple(someProcess, vector, cpuMs), { maxLength: 12 }),
    unseen: fc.option(
      fc.record({
        processes: fc.array(
          fc.record({
            process: someProcess,
            reason: fc.constantFrom('many-kinds' as const, 'no-room' as const),
            kinds: fc.nat(),
            lost: fc.nat(),
          }),
          { maxLength: 3 },
        ),
        users: fc.array(fc.record({ uid: fc.nat(), lost: fc.nat() }), { maxLength: 2 }),
      }),
    ),
    silent: fc.option(fc.array(fc.record({ process: someProcess, cpuMs }), { maxLength: 4 })),
  })
  .map(({ index, lost, rows, silent, unseen, clockSet }) => {
    const calls = rows.map(([, entries]) => entries.toSorted((a, b) => a.syscall - b.syscall))
    const offsets = new Uint32Array(rows.length + 1)
    for (let i = 0; i < rows.length; i++) offsets[i + 1] = offsets[i]! + calls[i]!.length
    return {
      index,
      lost,
      processes: rows.map(([process]) => process),
      offsets,
      syscalls: Uint16Array.from(calls.flat(), ({ syscall }) => syscall),
      counts: Uint32Array.from(calls.flat(), ({ count }) => count),
      ...(silent === null ? {} : { cpuMs: Uint32Array.from(rows, ([, , ms]) => ms), silent }),
      ...(clockSet === null ? {} : { clockSetSeconds: clockSet }),
      ...(unseen === null ? {} : { unseen }),
    }
  })

describe('packFrame()', () => {
  test('is undone by unpackFrame(), for any frame', () => {
    fc.assert(fc.property(frames, (frame) => expect(unpackFrame(packFrame(frame))).toEqual(frame)))
  })

  test('takes about eleven kilobytes for 300 processes with ten calls each', () => {
    expect(packFrame(madeFrame(1_700_000_000, { processes: 300 })).byteLength).toBeLessThan(11_500)
  })

  test('packs an idle second in a dozen bytes', () => {
    expect(packFrame(madeFrame(1_700_000_000, { processes: 0 })).byteLength).toBeLessThanOrEqual(21)
  })
})

describe('unpackFrame()', () => {
  const packed = packFrame(madeFrame(1_700_000_000))

  test('refuses every flipped bit', () => {
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const flipped = packed.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => unpackFrame(flipped)).toThrow()
    }
  })

  test('refuses every cut', () => {
    for (let length = 0; length < packed.length; length++) {
      expect(() => unpackFrame(packed.subarray(0, length))).toThrow()
    }
  })

  test('refuses lengths that its bytes cannot hold, though the checksum is right', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 2), (body, version) => {
        const forged = new Uint8Array(5 + body.length)
        forged.set(body, 5)
        forged[0] = version
        new DataView(forged.buffer).setUint32(1, Bun.hash.crc32(body), true)
        try {
          expect(unpackFrame(forged).processes.length).toBeLessThanOrEqual(60)
        } catch (error) {
          expect((error as Error).message).toMatch(/^(Frame is|Bytes are) damaged/)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
