import { describe, expect, test } from 'bun:test'
import { phaseOf } from '../../src/publish/summariser.ts'
import { VectorsQueue, type VectorsQueueOptions } from '../../src/publish/vectors-queue.ts'
import { decodeVectors } from '../../src/wire/vectors-message.ts'
import { madeFrame } from '../support/frames.ts'

const site = 'lab'
const host = 'web-1'
/** The first second of a span of this host. */
const FIRST = 1_700_000_000 + phaseOf(site, host, 10)

function queue(options: Partial<VectorsQueueOptions> = {}): VectorsQueue {
  return new VectorsQueue({ site, host, boot: 5, ...options })
}

/** Seconds of each message that waits. */
function seconds(from: VectorsQueue): number[][] {
  const spans: number[][] = []
  for (let row = from.take(); row !== undefined; row = from.take()) {
    const message = decodeVectors(row.payload)
    if (message.ok) spans.push(message.value.frames.map(({ index }) => index - FIRST))
  }
  return spans
}

describe('VectorsQueue', () => {
  test('makes a message of ten seconds as soon as the tenth is there', () => {
    const vectors = queue()
    let put = 0
    vectors.onPut = () => put++
    for (let i = 0; i < 9; i++) vectors.push(madeFrame(FIRST + i))
    expect(put).toBe(0)
    vectors.push(madeFrame(FIRST + 9))
    expect(put).toBe(1)
    expect(seconds(vectors)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
  })

  test('cuts at the host phase, where the clock was set, and where it went back', () => {
    const vectors = queue()
    for (const i of [-2, -1, 0, 1]) vectors.push(madeFrame(FIRST + i))
    vectors.push({ ...madeFrame(FIRST + 4), clockSetSeconds: 2 })
    vectors.push(madeFrame(FIRST + 3))
    vectors.push(madeFrame(FIRST + 25))
    vectors.flush()
    expect(seconds(vectors)).toEqual([[-2, -1], [0, 1], [4], [3], [25]])
  })

  test('spreads hosts over the ten seconds', () => {
    const phases = new Set(Array.from({ length: 100 }, (_, i) => phaseOf(site, `h${i}`, 10)))
    expect(phases.size).toBe(10)
  })

  test('drops the oldest message at the bound; every second is in one column of the ledger', () => {
    const vectors = queue({ waitingBytesMax: 20_000 })
    for (let i = 0; i < 100; i++) vectors.push(madeFrame(FIRST + i, { processes: 20 }))
    const first = vectors.take()!
    vectors.sent(first)
    vectors.push(madeFrame(FIRST + 100))
    const { created, sent, queued, dropped } = vectors.ledger()
    expect(dropped).toBeGreaterThan(0)
    expect(created).toBe(101)
    expect(created).toBe(sent + queued + dropped)
    // The newest are there.
    expect(seconds(vectors).at(-1)!.at(-1)).toBe(99)
  })

  test('what the broker did not acknowledge is taken again', () => {
    const vectors = queue()
    for (let i = 0; i < 20; i++) vectors.push(madeFrame(FIRST + i))
    const [one, two] = [vectors.take()!, vectors.take()!]
    expect(vectors.take()).toBeUndefined()
    vectors.sent(one)
    vectors.takeBack()
    expect(vectors.take()).toEqual(two)
    vectors.sent(two)
    vectors.sent(two)
    expect(vectors.ledger()).toMatchObject({ created: 20, sent: 20, queued: 0, dropped: 0 })
  })
})
