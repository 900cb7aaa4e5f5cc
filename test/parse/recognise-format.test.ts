import { expect, test } from 'bun:test'
import type { SourceFormat } from '../../src/domain/source.ts'
import { recogniseFormat } from '../../src/parse/recognise-format.ts'
import { fixture } from '../support/fixture.ts'

const of = (text: string) => recogniseFormat(new TextEncoder().encode(text))

test.each<[SourceFormat, string]>([
  ['sysdig-text', 'sysdig/idle.own.029.txt.gz'],
  ['sysdig-text', 'sysdig/idle.own.041.txt.gz'],
  ['sysdig-text', 'sysdig/idle.default.029.txt.gz'],
  ['sysdig-text', 'sysdig/odd-names.default.txt.gz'],
  ['sysdig-json', 'sysdig/idle.041.jsonl.gz'],
  ['strace-text', 'strace/bash.strace.gz'],
])('recogniseFormat() says %s of %s, also when its first line is cut', (format, name) => {
  const bytes = fixture(name)
  expect(recogniseFormat(bytes)).toBe(format)
  expect(recogniseFormat(bytes.subarray(7))).toBe(format)
})

test.each<[SourceFormat | undefined, string]>([
  ['chisel', '@1700000000 . 0\n@1700000001 5 L read=1 x\n'],
  ['frames', '{"t":1,"host":"a","pid":5,"name":"x","counts":{"read":1}}\n'],
  ['frames', '{"t":1,"loss":{"sysdig":4}}\n'],
  ['bpftrace-json', '{"type": "attached_probes", "data": {"probes": 3}}\n'],
  ['sysdig-json', '{"evt.cpu":0,"evt.dir":"<","evt.info":"","evt.num":1}\n'],
  ['sysdig-text', '1795426328000096320 <NA> <NA> <NA> <NA>\n'],
  [undefined, 'hello\nworld\n'],
  [undefined, '{"a":1}\n'],
  [undefined, ''],
])('recogniseFormat() says %s of %j', (format, text) => {
  expect(of(text)).toBe(format!)
})
