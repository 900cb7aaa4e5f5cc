import { describe, expect, test } from 'bun:test'
import { openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { packFrame } from '../../src/buffer/pack.ts'
import { RollingBuffer, type RollingBufferOptions } from '../../src/buffer/rolling-buffer.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { createLog } from '../../src/platform/log.ts'
import type { SqliteEngine } from '../../src/platform/sqlite.ts'
import { madeFrame } from '../support/frames.ts'
import { canMount, smallDisks } from '../support/small-disk.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const disk = smallDisks()

function silent() {
  const lines: string[] = []
  return { lines, log: createLog({ write: (line) => lines.push(line) }) }
}

function open(options: RollingBufferOptions = {}, path = join(directory(), 'buffer.db')) {
  return RollingBuffer.open(path, { log: silent().log, ...options })
}

const indexes = (frames: Iterable<Frame>) => [...frames].map(({ index }) => index)

/** The buffer as a plain array: what it must do, without a disk. */
class Model {
  frames: Frame[] = []
  readonly #framesMax: number
  readonly #bytesMax: number

  constructor(framesMax: number, bytesMax: number) {
    this.#framesMax = framesMax
    this.#bytesMax = bytesMax
  }

  append(frame: Frame): void {
    this.frames = this.frames.filter(
      ({ index }) => index < frame.index && index > frame.index - this.#framesMax,
    )
    this.frames.push(frame)
    while (this.frames.length > 1 && this.bytes > this.#bytesMax) this.frames.shift()
  }

  get bytes(): number {
    return this.frames.reduce((sum, frame) => sum + packFrame(frame).byteLength, 0)
  }
}

describe('RollingBuffer.append()', () => {
  // Small bounds, so that wrap-around comes after five frames and not after an hour.
  test.each<SqliteEngine>(['better-sqlite3', 'bun:sqlite'])(
    'keeps what a plain array would, over gaps, clocks going back and restarts (%s)',
    (engine) => {
      const step = fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({
            kind: fc.constant('append' as const),
            by: fc.constant(1),
            processes: fc.nat(6),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({
            kind: fc.constant('append' as const),
            by: fc.integer({ min: -9, max: 12 }),
            processes: fc.nat(6),
          }),
        },
        { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
        {
          weight: 1,
          arbitrary: fc.record({ kind: fc.constant('read' as const), count: fc.nat(7) }),
        },
      )
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
          const bounds = { framesMax: 5, bytesMax: 900 }
          const path = join(directory(), 'buffer.db')
          const model = new Model(bounds.framesMax, bounds.bytesMax)
          let buffer = open({ ...bounds, engine }, path)
          let now = 1_000
          for (const step of steps) {
            if (step.kind === 'append') {
              now = Math.max(0, now + step.by)
              const frame = madeFrame(now, { processes: step.processes })
              buffer.append(frame)
              model.append(frame)
            } else if (step.kind === 'restart') {
              buffer.close()
              buffer = open({ ...bounds, engine }, path)
            } else {
              const count = step.count
              expect(buffer.readLast(count)).toEqual(count === 0 ? [] : model.frames.slice(-count))
            }
            expect(buffer.count).toBe(model.frames.length)
            expect(buffer.size().bytes).toBe(model.bytes)
          }
          expect(buffer.readLast(9)).toEqual(model.frames)
          const ends = { from: model.frames[0]?.index, to: model.frames.at(-1)?.index }
          expect(buffer.span()).toEqual(model.frames.length === 0 ? undefined : (ends as never))
          buffer.close()
        }),
        { numRuns: 40 },
      )
    },
    20_000,
  )

  test('evicts exactly one frame when full', () => {
    const buffer = open({ framesMax: 3 })
    for (let t = 10; t < 13; t++) buffer.append(madeFrame(t))
    expect(buffer.ledger().evicted).toBe(0)
    buffer.append(madeFrame(13))
    expect(indexes(buffer.readLast(9))).toEqual([11, 12, 13])
    expect(buffer.ledger()).toMatchObject({ appended: 4, evicted: 1, overtaken: 0 })
    buffer.close()
  })

  test('gives up what a clock that went back has made the future', () => {
    const buffer = open({ framesMax: 10 })
    for (let t = 100; t < 105; t++) buffer.append(madeFrame(t))
    buffer.append(madeFrame(102))
    expect(indexes(buffer.readLast(9))).toEqual([100, 101, 102])
    buffer.append(madeFrame(7))
    expect(indexes(buffer.readLast(9))).toEqual([7])
    expect(buffer.ledger()).toMatchObject({ overtaken: 6 })
    buffer.close()
  })

  test('jumps a day without a day of work, and keeps nothing from before', () => {
    const buffer = open({ framesMax: 10 })
    for (let t = 0; t < 5; t++) buffer.append(madeFrame(t))
    buffer.append(madeFrame(86_400))
    expect(indexes(buffer.readLast(9))).toEqual([86_400])
    buffer.close()
  })

  test('keeps its file within its bounds, lap after lap', () => {
    const path = join(directory(), 'buffer.db')
    const buffer = open({ framesMax: 20 }, path)
    const sizes: number[] = []
    for (let t = 0; t < 200; t++) {
      buffer.append(madeFrame(t, { processes: 50 }))
      if (t % 40 === 39) sizes.push(statSync(path).size)
    }
    buffer.close()
    expect(Math.max(...sizes)).toBeLessThan(20 * 2_000 * 4)
  })
})

describe('RollingBuffer.read()', () => {
  test('gives a range one by one, oldest first', () => {
    const buffer = open({ framesMax: 20 })
    for (let t = 0; t < 9; t++) buffer.append(madeFrame(t))
    expect(indexes(buffer.read({ from: 3, to: 5 }))).toEqual([3, 4, 5])
    expect(indexes(buffer.read({ from: 90, to: 99 }))).toEqual([])
    buffer.close()
  })

  test('reads beside a running agent what that has written', () => {
    const path = join(directory(), 'buffer.db')
    const writer = open({ framesMax: 3 }, path)
    for (let t = 0; t < 3; t++) writer.append(madeFrame(t))
    const reader = open({ framesMax: 3, readOnly: true }, path)
    writer.append(madeFrame(3))
    // Second 0 has been replaced since the reader looked: it is missing, not wrong.
    expect(indexes(reader.readLast(3))).toEqual([1, 2])
    reader.close()
    writer.close()
  })

  test('passes over a frame whose bytes have changed on disk, and counts it', () => {
    const path = join(directory(), 'buffer.db')
    const buffer = open({ framesMax: 10 }, path)
    for (let t = 0; t < 3; t++) {
      buffer.append({
        ...madeFrame(t, { processes: 1 }),
        processes: [{ pid: 7, startMs: 0, name: `marker-${t}` }],
      })
    }
    buffer.close()
    const at = readFileSync(path).indexOf('marker-1')
    writeSync(openSync(path, 'r+'), 'MARKER', at)
    const again = open({ framesMax: 10 }, path)
    expect(indexes(again.readLast(9))).toEqual([0, 2])
    expect(again.ledger().unreadable).toBe(1)
    again.close()
  })
})

describe('RollingBuffer.open()', () => {
  test('fits what another ring size has left into its own', () => {
    const path = join(directory(), 'buffer.db')
    const wide = open({ framesMax: 10 }, path)
    for (let t = 0; t < 10; t++) wide.append(madeFrame(t))
    wide.close()
    const narrow = open({ framesMax: 4 }, path)
    for (let t = 10; t < 14; t++) narrow.append(madeFrame(t))
    expect(indexes(narrow.readLast(9))).toEqual([10, 11, 12, 13])
    expect(narrow.count).toBe(4)
    narrow.close()
  })

  test('sets a damaged file aside, says so, and starts anew', () => {
    const path = join(directory(), 'buffer.db')
    writeFileSync(path, 'rubbish '.repeat(2_000))
    const { log, lines } = silent()
    const buffer = RollingBuffer.open(path, { log })
    buffer.append(madeFrame(1))
    expect(buffer.count).toBe(1)
    expect(buffer.ledger().setAside).toBe(1)
    expect(lines.join()).toContain('renamed')
    buffer.close()
  })

  test('refuses a state directory that cannot be', () => {
    const state = directory()
    writeFileSync(join(state, 'file'), '')
    expect(() => open({}, join(state, 'file', 'buffer.db'))).toThrow(/^Cannot open/)
  })
})

describe('RollingBuffer on a bad disk', () => {
  test('goes on without frames that the disk has no room for, and keeps the others', () => {
    const { log, lines } = silent()
    const buffer = open({ pagesMax: 40, framesMax: 1000, log })
    for (let t = 0; t < 100; t++) buffer.append(madeFrame(t, { processes: 60 }))
    const { appended, notKept } = buffer.ledger()
    expect(notKept.full).toBeGreaterThan(0)
    expect(appended).toBe(buffer.count + notKept.full!)
    expect(buffer.problem).toBe('full')
    expect(lines.filter((line) => line.includes('Cannot write frames'))).toHaveLength(1)
    expect(buffer.readLast(buffer.count)).toHaveLength(buffer.count)
    buffer.close()
  })

  test.skipIf(!canMount)('takes up again when space returns', () => {
    const { log, lines } = silent()
    const { path, fill, free } = disk(2_048)
    const buffer = open({ log, framesMax: 30 }, join(path, 'buffer.db'))
    for (let t = 0; t < 5; t++) buffer.append(madeFrame(t, { processes: 60 }))
    fill()
    // Far more than the pages of the WAL that are already there can hold.
    for (let t = 5; t < 900; t++) buffer.append(madeFrame(t, { processes: 60 }))
    const lostAmount = Object.values(buffer.ledger().notKept).reduce((sum, n) => sum + n, 0)
    expect(lostAmount).toBeGreaterThan(0)
    expect(buffer.problem).toBe('full')
    free()
    for (let t = 900; t < 910; t++) buffer.append(madeFrame(t, { processes: 60 }))
    expect(buffer.problem).toBeUndefined()
    expect(indexes(buffer.readLast(10))).toEqual([900, 901, 902, 903, 904, 905, 906, 907, 908, 909])
    expect(lines.at(-1)).toContain('Buffer is written to disk again')
    buffer.close()
    const again = open({ framesMax: 30 }, join(path, 'buffer.db'))
    expect(again.span()?.to).toBe(909)
    again.close()
  })

  test.skipIf(!canMount)('goes on when the disk turns read-only', () => {
    const { path, remount } = disk(2_048)
    const buffer = open({ framesMax: 30 }, join(path, 'buffer.db'))
    for (let t = 0; t < 5; t++) buffer.append(madeFrame(t))
    // Refused by the kernel while the file is open for writing; then nothing has changed.
    remount('ro')
    for (let t = 5; t < 10; t++) buffer.append(madeFrame(t))
    const { appended, notKept } = buffer.ledger()
    expect(appended).toBe(buffer.count + Object.values(notKept).reduce((sum, n) => sum + n, 0))
    remount('rw')
    buffer.close()
  })

  test('starts anew when the file turns to rubbish under it', () => {
    const path = join(directory(), 'buffer.db')
    const full = open({ framesMax: 50 }, path)
    for (let t = 0; t < 50; t++) full.append(madeFrame(t, { processes: 300 }))
    full.close()
    const buffer = open({ framesMax: 50 }, path)
    // Everything but the first page, which SQLite has read already.
    const { size } = statSync(path)
    writeSync(openSync(path, 'r+'), Buffer.alloc(size - 4096, 0xa5), 0, size - 4096, 4096)
    for (let t = 50; t < 60; t++) buffer.append(madeFrame(t, { processes: 300 }))
    expect(buffer.ledger()).toMatchObject({ setAside: 1, notKept: { damaged: 1 } })
    expect(buffer.span()).toEqual({ from: 51, to: 59 })
    buffer.close()
  })
})
