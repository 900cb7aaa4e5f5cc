import { expect, test } from 'bun:test'
import type { Frame } from '../../../src/domain/frame.ts'
import {
  type Happening,
  HappeningIndex,
  MaliciousPrograms,
  ordinaryFrames,
} from '../../../src/train/data/scenarios.ts'

const frame: Frame = {
  index: 100,
  processes: [1, 2, 3].map((pid) => ({ pid, name: `p${pid}`, startMs: 0 })),
  offsets: Uint32Array.of(0, 1, 3, 4),
  syscalls: Uint16Array.of(7, 1, 2, 9),
  counts: Uint32Array.of(70, 10, 20, 90),
  lost: 0,
}
const happening: Happening = {
  from: 90,
  to: 95,
  host: 'h',
  kind: 'masquerade',
  scenario: 's',
  claimed: 'p2',
  program: 'x',
  names: new Set(['p2']),
  pids: new Set([2]),
}

test('ordinaryFrames() leaves out the processes of happenings and what their windows still hold, on their host only', () => {
  const index = new HappeningIndex([happening])
  expect(ordinaryFrames([frame], 'h', index)).toEqual([
    {
      index: 100,
      processes: [frame.processes[0]!, frame.processes[2]!],
      offsets: Uint32Array.of(0, 1, 2),
      syscalls: Uint16Array.of(7, 9),
      counts: Uint32Array.of(70, 90),
      lost: 0,
    },
  ])
  expect(ordinaryFrames([frame], 'another', index)).toEqual([frame])
  const later = { ...frame, index: 106 }
  expect(ordinaryFrames([later], 'h', index)).toEqual([later])
})

test('MaliciousPrograms.at() takes a masquerade for its behaviour where its program is one, under the claimed name alone', () => {
  const programs = new MaliciousPrograms(new Set(['p2']), () => false)
  const disguised = { ...happening, program: 'file-encryption' }
  expect(programs.at(disguised, 'p2', 92)).toBe('file-encryption')
  expect(programs.at(disguised, 'cp', 92)).toBeUndefined()
  expect(programs.at(disguised, 'p2', 96)).toBeUndefined()
  expect(programs.at(happening, 'p2', 92)).toBeUndefined()
})

test('HappeningIndex.within() knows of each host alone when something happened', () => {
  const index = new HappeningIndex([happening])
  expect([
    index.within('h', 0, 90),
    index.within('h', 95, 99),
    index.within('h', 0, 89),
    index.within('h', 96, 99),
    index.within('another', 90, 95),
  ]).toEqual([true, true, false, false, false])
})
