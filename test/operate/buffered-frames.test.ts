import { afterAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RollingBuffer } from '../../src/buffer/rolling-buffer.ts'
import { readBufferedFrames } from '../../src/operate/buffered-frames.ts'
import { makeWindows } from '../../src/train/data/dataset.ts'
import { ownProcesses } from '../../src/train/data/recording.ts'
import { ALL_TRAIN } from '../../src/train/data/split.ts'
import { frameOf } from '../support/hand-frames.ts'

const state = await mkdtemp(join(tmpdir(), 'buffered-'))
afterAll(() => rm(state, { recursive: true }))

test('readBufferedFrames() gives what the agent has buffered, and training takes it like a file', () => {
  const buffer = RollingBuffer.open(join(state, 'frames.db'))
  for (let t = 0; t < 30; t++)
    buffer.append(
      frameOf(1_000 + t, [
        { pid: 1, name: 'nginx', startMs: 5_000, counts: { read: t + 1 } },
        ...(t === 12 ? [{ pid: 2, name: 'sh', startMs: 1_012_000, counts: { execve: 1 } }] : []),
      ]),
    )
  buffer.close()
  const recording = readBufferedFrames(state, 'here')
  expect(recording.host).toBe('here')
  expect(recording.frames.map(({ index }) => index)).toEqual(
    Array.from({ length: 30 }, (_, t) => 1_000 + t),
  )
  expect(recording.vectors).toBe(31)
  const { list } = makeWindows([ownProcesses(recording)], [], ALL_TRAIN, [])
  expect(list.map(({ second }) => second)).toEqual(Array.from({ length: 21 }, (_, t) => 1_009 + t))
})

test('readBufferedFrames() says what to do where nothing is buffered', () => {
  expect(() => readBufferedFrames(join(state, 'nowhere'), 'h')).toThrow('there is no')
})
