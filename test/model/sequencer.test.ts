import { describe, expect, test } from 'bun:test'
import type { Frame } from '../../src/domain/frame.ts'
import { JUDGED_AGE_FRAMES } from '../../src/domain/limits.ts'
import { Normaliser } from '../../src/model/normalise.ts'
import { RECIPES } from '../../src/model/recipe.ts'
import { Sequencer } from '../../src/model/sequencer.ts'
import { type Calls, frameOf } from '../support/hand-frames.ts'

const normaliser = new Normaliser(['other', 'read', 'write'], RECIPES.frequency!)
const reads = (pid: number, more: Partial<Calls> = {}): Calls => ({
  pid,
  counts: { read: 1 },
  ...more,
})

function run(sequencer: Sequencer, frames: readonly Frame[]) {
  return frames.map((frame) => {
    const batch = sequencer.push(frame)
    return { ...batch, rows: batch.rows.slice(), pids: batch.processes.map(({ pid }) => pid) }
  })
}

const seconds = (from: number, to: number, vectors: (second: number) => Calls[]) =>
  Array.from({ length: to - from + 1 }, (_, i) => frameOf(from + i, vectors(from + i)))

describe('Sequencer.push()', () => {
  test('judges nobody before ten seconds have been watched', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 110, () => [reads(1)]),
    )
    expect(batches.map(({ pids }) => pids.length)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
  })

  test('judges a new process once it has lived for as long as it must', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 130, (t) => (t < 115 ? [reads(1)] : [reads(1), reads(2, { startMs: 115_000 })])),
    )
    const first = batches.find(({ pids }) => pids.includes(2))
    expect(first?.frameIndex).toBe(115 + JUDGED_AGE_FRAMES - 1)
  })

  test('asks for three active seconds, the present one among them', () => {
    const active = (t: number) => [101, 105, 109, 114].includes(t)
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 116, (t) => (active(t) ? [reads(1), reads(9)] : [reads(9)])),
    )
    const judged = batches
      .filter(({ pids }) => pids.includes(1))
      .map(({ frameIndex }) => frameIndex)
    expect(judged).toEqual([109, 114])
    expect(batches[9]!.activeFrames[batches[9]!.pids.indexOf(1)]).toBe(3)
  })

  test('marks who did nothing but wait in all of the sequence', () => {
    const waits = (pid: number): Calls => ({ pid, counts: { epoll_wait: 3, futex: 1 } })
    const frames = seconds(100, 130, (t) => [waits(1), t === 112 ? reads(2) : waits(2), reads(3)])
    const batches = run(new Sequencer(normaliser), frames)
    const marked = (t: number) => [...batches[t - 100]!.waiting]
    expect([marked(111), marked(112), marked(121), marked(122)]).toEqual([
      [1, 1, 0],
      [1, 0, 0],
      [1, 0, 0],
      [1, 1, 0],
    ])
  })

  test('writes ten consecutive seconds, oldest first, a silent one as zeros', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 109, (t) =>
        t % 2 === 1 ? [{ pid: 1, counts: { read: t - 100, write: 1 } }] : [],
      ),
    )
    const rows = batches.at(-1)!.rows
    for (let t = 0; t < 10; t++) {
      const row = [...rows.subarray(t * 3, (t + 1) * 3)]
      const share = t / (t + 1)
      if (t % 2 === 0) expect(row).toEqual([0, 0, 0])
      else expect(row).toEqual([0, Math.fround(share), Math.fround(1 / (t + 1))])
    }
  })

  test('adds up the seconds of a longer frame, and ends a sequence with every second all the same', () => {
    const calls: Record<number, Record<string, number>> = {
      100: { read: 1 },
      101: { write: 3 },
      104: { read: 2 },
      105: { read: 1, write: 1 },
      106: { write: 1 },
    }
    const sequencer = new Sequencer(normaliser, {
      sequenceFrames: 3,
      frameSeconds: 2,
      activeMin: 2,
    })
    const batches = run(
      sequencer,
      seconds(100, 106, (t) => (calls[t] === undefined ? [] : [{ pid: 1, counts: calls[t] }])),
    )
    expect(batches.map(({ pids }) => pids.length)).toEqual([0, 0, 0, 0, 0, 1, 1])
    expect([...batches[5]!.rows]).toEqual([0, 0.25, 0.75, 0, 0, 0, 0, 0.75, 0.25])
    // 101 and 102, 103 and 104, 105 and 106.
    const next = [0, 0, 1, 0, 1, 0, 0, 1 / 3, 2 / 3].map(Math.fround)
    expect([...batches[6]!.rows]).toEqual(next)
    expect([...batches[6]!.activeFrames]).toEqual([3])
    const rows = sequencer.vectorsOf({ pid: 1, startMs: 0, name: 'p1' })
    expect(rows.map((row) => [...(row?.counts ?? [])])).toEqual([[3], [2], [1, 1, 1]])
  })

  test('takes seconds without a frame for silent ones', () => {
    const frames = [...seconds(100, 109, () => [reads(1)]), ...seconds(116, 118, () => [reads(1)])]
    const last = run(new Sequencer(normaliser), frames).at(-1)!
    expect(last.activeFrames[0]).toBe(4) // 109, 116, 117, 118
    expect([...last.rows].filter((share) => share > 0)).toHaveLength(4)
  })

  test('forgets nothing of a process that is silent for long and returns', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 200, (t) => (t < 112 || t > 150 ? [reads(1), reads(9)] : [reads(9)])),
    )
    const back = batches.find(({ frameIndex, pids }) => frameIndex > 150 && pids.includes(1))
    expect(back?.frameIndex).toBe(153) // three active seconds, its start is long ago
  })

  test('takes a pid with another start for another process', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 130, (t) => [reads(1, { startMs: t < 115 ? 0 : 115_000 })]),
    )
    expect(
      batches.filter(({ pids }) => pids.length === 0).map(({ frameIndex }) => frameIndex),
    ).toEqual([
      ...[100, 101, 102, 103, 104, 105, 106, 107, 108],
      ...Array.from({ length: JUDGED_AGE_FRAMES - 1 }, (_, i) => 115 + i),
    ])
  })

  test('keeps the past of a process that takes another name', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 112, (t) => [reads(1, { name: t < 111 ? 'sh' : 'nginx' })]),
    )
    expect(batches.at(-1)!.processes[0]!.name).toBe('nginx')
    expect(batches.at(-1)!.activeFrames[0]).toBe(10)
  })

  test('marks sequences that hold a second with losses as incomplete, as long as they hold it', () => {
    const frames = seconds(100, 125, () => [reads(1)])
    frames[11] = frameOf(111, [reads(1)], 5)
    const marked = run(new Sequencer(normaliser), frames)
      .filter(({ incomplete }) => incomplete[0] === 1)
      .map(({ frameIndex }) => frameIndex)
    expect(marked).toEqual([111, 112, 113, 114, 115, 116, 117, 118, 119, 120])
  })

  test('marks only the process whose calls are lost, or those of its user', () => {
    const frames: Frame[] = seconds(100, 125, () => [reads(1), reads(2), reads(3)]).map(
      (frame) => ({
        ...frame,
        processes: frame.processes.map((p) => (p.pid === 3 ? { ...p, uid: 1000 } : p)),
      }),
    )
    const process = frames[11]!.processes[1]!
    const unseen = {
      processes: [{ process, reason: 'no-room' as const, kinds: 9, lost: 4 }],
      users: [{ uid: 1000, lost: 1 }],
    }
    frames[11] = { ...frames[11]!, unseen }
    const last = run(new Sequencer(normaliser), frames).filter(({ frameIndex }) =>
      [112, 121].includes(frameIndex),
    )
    expect(last.map(({ incomplete }) => [...incomplete])).toEqual([
      [0, 1, 1],
      [0, 0, 0],
    ])
  })

  test('holds only who was active in the last sequence, and at its bound the latest', () => {
    const sequencer = new Sequencer(normaliser, { processesMax: 20 })
    let pid = 1
    for (let t = 100; t < 160; t++) {
      sequencer.push(
        frameOf(
          t,
          Array.from({ length: 7 }, () => reads(pid++, { startMs: t * 1000 })),
        ),
      )
      expect(sequencer.size).toBeLessThanOrEqual(20)
    }
    sequencer.push(frameOf(200, []))
    expect(sequencer.size).toBe(0)
  })

  test.each([
    ['is not after the last', {}, 105],
    ['lies a day back', {}, 105 - 86_400],
    ['comes after the clock was set', { clockSetSeconds: 600 }, 111],
  ])('begins anew with a frame that %s', (_, more, from) => {
    const sequencer = new Sequencer(normaliser)
    run(
      sequencer,
      seconds(100, 110, () => [reads(1)]),
    )
    const frames = seconds(from, from + 9, () => [reads(1)])
    const batches = run(sequencer, [{ ...frames[0]!, ...more }, ...frames.slice(1)])
    expect(batches.map(({ pids }) => pids.length)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    expect(sequencer.size).toBe(1)
  })

  test('judges a process whose start lies ahead: its clock has been set since', () => {
    const batches = run(
      new Sequencer(normaliser),
      seconds(100, 109, () => [reads(1, { startMs: 9e8 })]),
    )
    expect(batches.at(-1)!.pids).toEqual([1])
  })
})

test('Sequencer.warm() makes the next push what it would have been without a restart', () => {
  const frames = seconds(100, 120, (t) => [
    reads(1),
    ...(t % 2 === 0 ? [{ pid: 2, counts: { write: 2 } }] : []),
  ])
  const whole = run(new Sequencer(normaliser), frames).at(-1)!
  const restarted = new Sequencer(normaliser)
  restarted.warm(frames.slice(-10, -1))
  const batch = restarted.push(frames.at(-1)!)
  expect(batch.processes).toEqual(whole.processes)
  expect([...batch.rows]).toEqual([...whole.rows])
})
