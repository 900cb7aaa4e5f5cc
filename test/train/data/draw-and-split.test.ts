import { afterAll, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Recording } from '../../../src/train/data/recording.ts'
import { type Happening, readHappenings } from '../../../src/train/data/scenarios.ts'
import { readSplit } from '../../../src/train/data/split.ts'
import { drawEpoch } from '../../../src/train/net/fit.ts'
import { Random } from '../../../src/train/random.ts'

const directory = await mkdtemp(join(tmpdir(), 'split-'))
afterAll(() => rm(directory, { recursive: true }))

/** Windows of class 0: 1,000 of recording 0 and 30 of recording 1; of class 1: 5. */
const labels = Int32Array.from({ length: 1_035 }, (_, i) => (i < 1_030 ? 0 : 1))
const sources = Int32Array.from(labels, (_, i) => (i >= 1_000 && i < 1_030 ? 1 : 0))
const training = Int32Array.from(labels, (_, i) => i)
const options = { perClassMin: 40, perClassMax: 200, repeatMax: 4 }

test('drawEpoch() gives each class its number, rare ones several times, and each recording its share', () => {
  const draw = drawEpoch({ labels, sources, training }, options, new Random(1))
  const of = (label: number, source: number) =>
    draw.filter((id) => labels[id] === label && sources[id] === source).length
  expect(of(0, 1)).toBe(100) // half of 200, though it has 30 windows only
  expect(of(0, 0)).toBe(100)
  expect(of(1, 0)).toBe(20) // 5 windows, at most four times each
  const again = drawEpoch({ labels, sources, training }, options, new Random(1))
  expect([...again]).toEqual([...draw])
})

test('drawEpoch() without repeats, as a forest wants it, gives no window twice', () => {
  const once = { perClassMin: 0, perClassMax: 200, repeatMax: 1 }
  const draw = drawEpoch({ labels, sources, training }, once, new Random(1))
  expect(new Set(draw).size).toBe(draw.length)
  expect(draw.filter((id) => sources[id] === 1)).toHaveLength(30)
  expect(draw).toHaveLength(205)
})

test('readSplit() keeps recordings apart by host and happenings by host and time', async () => {
  const path = join(directory, 'split.json')
  const split = {
    normal: {
      train: [
        { from: 0, to: 99 },
        { from: 500, to: 599, hosts: ['b'] },
      ],
      calibration: { from: 110, to: 150 },
    },
    nonGrata: { train: [{ host: 'a', from: 5 }], heldOut: [{ host: 'a', from: 50 }] },
  }
  await writeFile(path, JSON.stringify(split))
  const { partOf, partOfHappening } = await readSplit(path)
  const recording = (host: string) => ({ host }) as Recording
  expect(partOf(recording('a'), 90, 99)).toBe('train')
  expect(partOf(recording('a'), 91, 100)).toBeUndefined()
  expect(partOf(recording('a'), 120, 129)).toBe('calibration')
  expect(partOf(recording('a'), 510, 519)).toBeUndefined()
  expect(partOf(recording('b'), 510, 519)).toBe('train')
  const happening = (host: string, from: number) => ({ host, from }) as Happening
  expect(partOfHappening(happening('a', 5))).toBe('train')
  expect(partOfHappening(happening('a', 50))).toBe('test')
  expect(partOfHappening(happening('b', 5))).toBeUndefined()
})

test.each(['{}', 'no json', '{"normal":{}}'])('readSplit() refuses %p', async (text) => {
  const path = join(directory, 'bad.json')
  await writeFile(path, text)
  await expect(readSplit(path)).rejects.toMatchObject({ code: 'ERR_INPUT' })
})

test('readHappenings() names the line that is none', async () => {
  const path = join(directory, 'scenarios.ndjson')
  const good = {
    from: 1,
    to: 2,
    host: 'a',
    kind: 'novelty',
    scenario: 's',
    program: 'p',
    names: ['p'],
    pids: [3],
  }
  await writeFile(path, `${JSON.stringify(good)}\n\n${JSON.stringify({ ...good, kind: 'odd' })}\n`)
  await expect(readHappenings(path)).rejects.toThrow('Cannot use line 3 of scenarios')
  await writeFile(path, JSON.stringify(good))
  expect((await readHappenings(path))[0]).toMatchObject({ kind: 'novelty', pids: new Set([3]) })
  await expect(readHappenings('/nowhere')).rejects.toMatchObject({ code: 'ERR_INPUT' })
})
