/** What is written is what is read back, by the pipeline's own parser. */
import { expect, test } from 'bun:test'
import { frameLines } from '../../src/count/frames-file.ts'
import type { Frame } from '../../src/domain/frame.ts'
import { syscallIndexOf } from '../../src/domain/syscalls.ts'

const frame: Frame = {
  index: 1_700_000_000,
  processes: [
    { pid: 5, startMs: 1_699_999_990_000, name: 'nginx' },
    { pid: 6, startMs: 1_699_999_991_000, name: 'cat' },
  ],
  offsets: Uint32Array.of(0, 1, 2),
  syscalls: Uint16Array.of(syscallIndexOf('read')!, syscallIndexOf('write')!),
  counts: Uint32Array.of(3, 4_294_967_295),
  cpuMs: Uint32Array.of(0, 12),
  silent: [{ process: { pid: 7, startMs: 1_699_999_992_000, name: 'miner' }, cpuMs: 998 }],
  lost: 0,
}

test('frameLines() writes CPU times, and a process without calls as a line without counts', () =>
  expect(frameLines(frame, { label: 'x' }).trimEnd().split('\n')).toEqual([
    '{"t":1700000000,"pid":5,"start":1699999990,"name":"nginx","counts":{"read":3},"label":"x"}',
    '{"t":1700000000,"pid":6,"start":1699999991,"name":"cat","counts":{"write":4294967295},"cpu":12,"label":"x"}',
    '{"t":1700000000,"pid":7,"start":1699999992,"name":"miner","counts":{},"cpu":998,"label":"x"}',
  ]))

test('frameLines() says nothing of CPU time where the source does not', () => {
  const { cpuMs: _, silent: __, ...plain } = frame
  expect(frameLines(plain)).not.toContain('cpu')
})

test('frameLines() names those who were not seen whole', () => {
  const { cpuMs: _, silent: __, ...plain } = frame
  const unseen = {
    processes: [{ process: frame.processes[0]!, reason: 'no-room' as const, kinds: 40, lost: 7 }],
    users: [{ uid: 1000, lost: 3 }],
  }
  expect(
    frameLines({ ...plain, unseen }, { host: 'a' })
      .trimEnd()
      .split('\n')
      .slice(2),
  ).toEqual([
    '{"t":1700000000,"host":"a","pid":5,"start":1699999990,"name":"nginx","unseen":{"reason":"no-room","kinds":40,"lost":7}}',
    '{"t":1700000000,"host":"a","uid":1000,"unseen":{"lost":3}}',
  ])
})
