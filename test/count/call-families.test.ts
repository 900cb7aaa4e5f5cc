import { describe, expect, test } from 'bun:test'
import { CallFamilies } from '../../src/count/call-families.ts'
import { Counter } from '../../src/count/counter.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { fixture } from '../support/fixture.ts'
import { frameOf } from '../support/hand-frames.ts'

interface Line {
  counts?: Record<string, number>
}
const lines = new TextDecoder()
  .decode(Bun.zstdDecompressSync(fixture('frames/lab-98s.frames.ndjson.zst')))
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Line)

/**
 * Whether each second of the recording is taken for filtered, when of each process only these calls
 * were kept.
 */
function seconds(keep: (call: string) => boolean, from = 0): boolean[] {
  const counter = new Counter()
  const parser = createParser('frames', counter)
  for (const line of lines) {
    const kept = Object.entries(line.counts ?? {}).filter(([call]) => keep(call))
    if (kept.length === 0) continue
    parser.push(Buffer.from(`${JSON.stringify({ ...line, counts: Object.fromEntries(kept) })}\n`))
  }
  const families = new CallFamilies()
  return counter
    .end()
    .slice(from)
    .map((frame) => families.isFiltered(frame))
}
const only = (calls: string) => (call: string) => calls.split(' ').includes(call)

describe('CallFamilies.isFiltered()', () => {
  test.each([
    'read readv write writev fcntl accept accept4 execve clone pipe pipe2 rename sendmsg recvmsg',
    'open openat read write close execve',
    'execve connect accept accept4 bind listen socket',
  ])('knows a capture of %s alone before anything in it can be judged', (calls) => {
    expect(seconds(only(calls)).slice(3)).not.toContain(false)
  })

  test.each([0, 10, 50, 90])('takes a whole recording for whole, from second %d on', (from) => {
    expect(seconds(() => true, from)).not.toContain(true)
  })

  test('a capture that leaves out the loudest calls is judged', () => {
    const loud = only('read write futex clock_nanosleep')
    expect(seconds((call) => !loud(call))).not.toContain(true)
  })

  test('one program that does little is no filtered host', () => {
    const families = new CallFamilies()
    const counter = new Counter()
    const parser = createParser('frames', counter)
    parser.push(
      Buffer.from('{"t":1700000000,"pid":5,"name":"dd","counts":{"read":9000,"write":9000}}\n'),
    )
    expect(counter.end().map((frame) => families.isFiltered(frame))).toEqual([false])
  })

  // Each bound by itself: one less, and nothing can be said yet.
  test.each([
    [6, 500, true],
    [6, 499, false],
    [5, 500, false],
  ])('%d names and %d calls of few families: filtered %p', (names, calls, filtered) => {
    const each = Math.floor(calls / names)
    const frame = frameOf(
      1_700_000_000,
      Array.from({ length: names }, (_, i) => ({
        pid: 10 + i,
        name: `name ${i}`,
        counts: { read: i === 0 ? calls - each * (names - 1) : each },
      })),
    )
    expect(new CallFamilies().isFiltered(frame)).toBe(filtered)
  })
})
