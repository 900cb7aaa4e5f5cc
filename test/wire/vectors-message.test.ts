import { describe, expect, test } from 'bun:test'
import { deflateRawSync } from 'node:zlib'
import { encode } from 'cborg'
import fc from 'fast-check'
import type { Frame } from '../../src/domain/frame.ts'
import { VECTORS_UNPACKED_BYTES_MAX } from '../../src/domain/limits.ts'
import { decodeVectors, encodeVectors } from '../../src/wire/vectors-message.ts'
import { madeFrame, mulberry32 } from '../support/frames.ts'

const FIRST = 1_700_000_000
const origin = { site: 'lab', host: 'web-1', boot: 3, seq: 7 }

function decoded(frames: readonly Frame[], bytesMax?: number): readonly Frame[] {
  const message = decodeVectors(encodeVectors(frames, origin, bytesMax).payload)
  if (!message.ok) throw new Error(message.reason)
  return message.value.frames
}

/** Processes that come and go, seconds that are missing. */
function span(seed: number): Frame[] {
  const random = mulberry32(seed)
  const frames: Frame[] = []
  for (let second = 0; second < 10; second++) {
    if (second > 0 && random() < 0.2) continue
    const made = { processes: Math.floor(random() * 30), calls: 1 + Math.floor(random() * 12) }
    frames.push(madeFrame(FIRST + second, { ...made, lost: random() < 0.1 ? 5 : 0 }))
  }
  return frames
}

describe('encodeVectors()', () => {
  test('decodeVectors() gives the frames that went in', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const frames = span(seed)
        expect(decoded(frames)).toEqual(frames)
      }),
      { numRuns: 50 },
    )
  })

  test('carries what was not seen whole, and that the clock was set', () => {
    const [first, second] = [madeFrame(FIRST), madeFrame(FIRST + 1)]
    const process = { pid: 999, startMs: 1_699_990_000_000, name: 'a\u{1f600}b', uid: 33 }
    const unseen = {
      processes: [{ process, reason: 'many-kinds' as const, kinds: 300, lost: 12 }],
      users: [{ uid: 33, lost: 4 }],
    }
    const frames = [
      { ...first, clockSetSeconds: -3_600 },
      { ...second, unseen },
    ]
    expect(decoded(frames)).toEqual(frames)
  })

  test('leaves CPU times out: nothing that judges vectors reads them', () => {
    const frame = madeFrame(FIRST)
    expect(decoded([{ ...frame, cpuMs: new Uint32Array(3), silent: [] }])).toEqual([frame])
  })

  test('leaves out the processes with the fewest calls where there is no room, and names them', () => {
    const frames = Array.from({ length: 10 }, (_, i) =>
      madeFrame(FIRST + i, { processes: 200, calls: 12 }),
    )
    const { payload, omitted } = encodeVectors(frames, origin, 8_000)
    expect(payload.byteLength).toBeLessThanOrEqual(8_000)
    expect(omitted).toBeGreaterThan(0)
    const message = decodeVectors(payload)
    const got = message.ok ? message.value.frames : []
    const calls = new Map<number, number>()
    for (const { processes, offsets, counts } of frames)
      processes.forEach(({ pid }, i) => {
        for (let k = offsets[i]!; k < offsets[i + 1]!; k++)
          calls.set(pid, (calls.get(pid) ?? 0) + counts[k]!)
      })
    const kept = new Set(got[0]!.processes.map(({ pid }) => pid))
    const left = [...calls.keys()].filter((pid) => !kept.has(pid))
    expect(left).toHaveLength(omitted)
    const least = Math.min(...[...kept].map((pid) => calls.get(pid)!))
    for (const pid of left) expect(calls.get(pid)!).toBeLessThanOrEqual(least)
    // They were not silent: nothing is to be concluded of them, in any of the seconds.
    for (const { unseen } of got)
      expect(unseen!.processes.map(({ process }) => process.pid)).toEqual(
        left.sort((a, b) => a - b),
      )
  })

  test('a host with more than can be named counts as incomplete', () => {
    const frame = madeFrame(FIRST, { processes: 3_000, calls: 4 })
    const [got] = decoded([frame], 4_000)
    expect(got!.lost).toBeGreaterThan(0)
  })
})

describe('decodeVectors()', () => {
  const { payload } = encodeVectors(span(1), origin)

  test('refuses every beginning of a message, and never throws', () => {
    for (let length = 0; length < payload.length; length += 7)
      expect(decodeVectors(payload.subarray(0, length)).ok).toBe(false)
  })

  test('never throws at changed bytes', () => {
    const random = mulberry32(5)
    for (let i = 0; i < 2_000; i++) {
      const changed = payload.slice()
      changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256)
      expect(typeof decodeVectors(changed).ok).toBe('boolean')
    }
  })

  const message = (frames: Uint8Array, more: object = {}) =>
    encode({ v: 1, ...origin, from: FIRST, seconds: 1, omitted: 0, frames, ...more })

  test.each([
    ['too-long', new Uint8Array(70_000)],
    ['not-deflate', message(deflateRawSync(new Uint8Array(2 * VECTORS_UNPACKED_BYTES_MAX)))],
    ['not-deflate', message(new Uint8Array([255, 255]))],
    ['not-readable', message(deflateRawSync(new Uint8Array([200])))],
    ['bad-field(frames)', message(deflateRawSync(new Uint8Array(11)))],
    ['unknown-version', message(new Uint8Array(0), { v: 2 })],
    ['bad-field(host)', message(new Uint8Array(0), { host: 'a/b' })],
  ])('refuses with %s', (reason, bytes) => {
    expect(decodeVectors(bytes)).toMatchObject({ ok: false, reason })
  })
})
