/** Wherever the bytes are cut, the tallies are the same: a read ends where the kernel likes. */
import { describe, expect, test } from 'bun:test'
import type { SourceFormat } from '../../src/domain/source.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { everyCut } from '../support/every-cut.ts'
import { fixture } from '../support/fixture.ts'
import { TallyRecorder } from '../support/tally-recorder.ts'

const encoder = new TextEncoder()
const head = (name: string, bytes: number) => fixture(name).subarray(0, bytes)
const joined = (...parts: (string | Uint8Array)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part)))

const line = '1700000000123456789 5 5 read x\n'
const damage = joined(
  line,
  'half a li\n\n\r\n',
  '1700000000123456789 5 6 write y\r\n',
  Uint8Array.of(0, 1, 2, 0xff, 0xfe, 10, 0xc3, 10),
  `1700000001123456789 5 5 read ${'n'.repeat(300)}\n`,
  '1700000001123456789 <NA> <NA> read <NA>\n',
  '1 10:00:00.5 0 a (1) < read (545) < read res=1 \n',
  line,
  '1700000002123456789 5 5 read no newline at the end',
)

const cases: [string, SourceFormat, Uint8Array][] = [
  ['our own line', 'sysdig-text', head('sysdig/odd-names.own.txt.gz', 6_000)],
  ["sysdig's default line", 'sysdig-text', head('sysdig/odd-names.default.txt.gz', 6_000)],
  ['sysdig -j', 'sysdig-json', head('sysdig/odd-names.jsonl.gz', 6_000)],
  ['strace', 'strace-text', head('strace/bash.strace.gz', 6_000)],
  ['damage', 'sysdig-text', damage],
  ['damage read as JSON', 'sysdig-json', damage],
  ['damage read as the chisel’s', 'chisel', joined(damage, '\n@1700000000 5 L read=1 x\n', damage)],
  ['damage read as frames', 'frames', damage],
  ['nothing', 'sysdig-text', new Uint8Array(0)],
  ['one newline', 'sysdig-text', encoder.encode('\n')],
]

describe('createParser()', () => {
  test.each(cases)('reads %s alike wherever it is cut', (_, format, bytes) => {
    const [whole, ...cut] = everyCut(bytes, () => {
      const sink = new TallyRecorder()
      const parser = createParser(format, sink, { endMs: 1_795_440_000_000 })
      return { parser, result: () => sink.ledger }
    })
    for (const ledger of cut) expect(ledger).toEqual(whole)
  })

  test('skips a line over the bound alike, however it comes', () => {
    const bytes = joined(
      line,
      'x'.repeat(65_536),
      '\n',
      'x'.repeat(65_537),
      '\n',
      'x'.repeat(200_000),
      '\n',
      line,
    )
    const read = (size: number) => {
      const sink = new TallyRecorder()
      const parser = createParser('sysdig-text', sink)
      for (let at = 0; at < bytes.length; at += size) parser.push(bytes.subarray(at, at + size))
      parser.end()
      return sink.ledger
    }
    const whole = read(bytes.length)
    expect(whole).toMatchObject({
      drops: { malformed: 1, 'too-long': 2 },
      calls: { '1700000000 5 x read': 2 },
    })
    for (const size of [1_000, 65_536, 65_537, 65_538, 100_000]) expect(read(size)).toEqual(whole)
  })
})
