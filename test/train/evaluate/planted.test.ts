import { expect, test } from 'bun:test'
import { ownProcesses } from '../../../src/train/data/recording.ts'
import { plantMasquerades } from '../../../src/train/evaluate/planted.ts'
import { frameOf } from '../../support/hand-frames.ts'

const T = 1_800_000_000

/** Two daemons that last, a shell that promises nothing, and a tool that is gone in a moment. */
const recording = ownProcesses({
  ...{ file: 'f', sha256: '0'.repeat(64), host: 'h', refusedLines: 0, vectors: 0 },
  frames: Array.from({ length: 500 }, (_, t) =>
    frameOf(T + t, [
      { pid: 1, name: 'nginx', counts: { read: 1 + (t % 7) } },
      { pid: 2, name: 'postgres', counts: { futex: 3, write: 1 + (t % 5) } },
      { pid: 3, name: 'bash', counts: { wait4: 1 } },
      ...(t < 30 ? [{ pid: 4, name: 'ls', counts: { getdents64: 2 } }] : []),
    ]),
  ),
})
const promiseOf = (name: string) => (name === 'bash' ? undefined : name)

test('plantMasquerades() runs programs again for a minute under names that promise another', () => {
  const { recording: planted, happenings } = plantMasquerades(recording, {
    ...{ count: 10, seed: 1, promiseOf },
  })
  expect(happenings.map(({ scenario }) => scenario).sort()).toEqual([
    'bash-as-nginx',
    'bash-as-postgres',
    'nginx-as-postgres',
    'postgres-as-nginx',
  ])
  // Two under one name in quick succession would be one alert.
  for (const a of happenings)
    for (const b of happenings)
      if (a !== b && a.claimed === b.claimed)
        expect(Math.abs(a.from - b.from)).toBeGreaterThanOrEqual(100)
  for (const { pids, program, claimed, from, to } of happenings) {
    const [pid] = pids
    for (const [at, frame] of planted.frames.entries()) {
      const row = frame.processes.findIndex((process) => process.pid === pid)
      expect(row >= 0).toBe(frame.index >= from && frame.index <= to)
      if (row < 0) continue
      expect(frame.processes[row]!.name).toBe(claimed!)
      const vector = (of: typeof frame, row: number) => [
        of.syscalls.slice(of.offsets[row]!, of.offsets[row + 1]!),
        of.counts.slice(of.offsets[row]!, of.offsets[row + 1]!),
      ]
      const original = recording.frames[at]!
      const source = original.processes.findIndex(({ name }) => name === program)
      expect(vector(frame, row)).toEqual(vector(original, source))
    }
  }
})

test('plantMasquerades() draws the same for the same seed, and leaves a recording as it is where nothing lasts', () => {
  const drawn = (seed: number) =>
    plantMasquerades(recording, { count: 2, seed, promiseOf }).happenings.map(
      ({ scenario, from }) => `${scenario} ${from}`,
    )
  expect(drawn(5)).toEqual(drawn(5))
  const seeds = Array.from({ length: 6 }, (_, seed) => drawn(seed).join())
  expect(new Set(seeds).size).toBeGreaterThan(1)
  const short = { ...recording, frames: recording.frames.slice(0, 40) }
  const none = plantMasquerades(short, { count: 2, seed: 1, promiseOf })
  expect(none.happenings).toEqual([])
  expect(none.recording.frames).toEqual(short.frames)
})
