import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { endOf, recordingOf } from '../../src/commands/demo-recording.ts'

const packed = (text: string) => Bun.zstdCompressSync(Buffer.from(text))
const LINES = `{"t":100,"host":"a","pid":1,"name":"x","counts":{"read":1}}
{"t":100,"host":"b","pid":1,"name":",\\"host\\":\\"a\\",","counts":{"read":2}}
{"t":101,"host":"a","loss":{"sysdig":3}}
{"t":107,"host":"b","pid":2,"name":"y","counts":{"read":4}}
`

test('recordingOf() takes the lines of one host, moved in time', () => {
  expect(new TextDecoder().decode(recordingOf(packed(LINES), 'a', 50))).toBe(
    '{"t":150,"host":"a","pid":1,"name":"x","counts":{"read":1}}\n{"t":151,"host":"a","loss":{"sysdig":3}}\n',
  )
})

test('endOf() is the last second', () => {
  expect(endOf(packed(LINES))).toBe(107)
})

test('every line of the recordings of the demo is of one of its hosts', () => {
  for (const name of ['baseline', 'recording']) {
    const file = readFileSync(
      join(import.meta.dir, `../../models/recordings/demo/${name}.frames.ndjson.zst`),
    )
    const lines = ['ac', 'as'].map(
      (host) =>
        new TextDecoder()
          .decode(recordingOf(file, host, 0))
          .trimEnd()
          .split('\n').length,
    )
    const all = new TextDecoder().decode(Bun.zstdDecompressSync(file)).trimEnd().split('\n').length
    expect(lines[0]! + lines[1]!).toBe(all)
  }
})
