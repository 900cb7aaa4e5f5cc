/**
 * Mutated lines of every format, frames and the collector's records: no parser throws, and every
 * call is in the ledger.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { ingest } from '../../src/agent/ingest.ts'
import { isCapture } from '../../src/collect/capture-file.ts'
import { compressionOf } from '../../src/collect/decompress.ts'
import { fileSource } from '../../src/collect/file.ts'
import { RecordWriter } from '../../src/collect/kernel/records.ts'
import { Counter } from '../../src/count/counter.ts'
import { AgentError } from '../../src/domain/error.ts'
import { ACTIVITY_BYTES, COMPAT_FLAG, URING_FLAG } from '../../src/domain/kernel-stream.ts'
import { safeName } from '../../src/domain/process.ts'
import type { SourceFormat, UserInput } from '../../src/domain/source.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { refuseEntryAndExit } from '../../src/parse/entry-and-exit.ts'
import { recogniseFormat } from '../../src/parse/recognise-format.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { fixture } from '../support/fixture.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { attack, mutate, RUNS, randomOf } from './mutate.ts'

setDefaultTimeout(3_000_000)
const directory = temporaryDirectories()
/** Each is a run of sysdig, some 0.1 s. */
const CAPTURES = Number(process.env.HOSTILE_CAPTURES ?? Math.max(5, RUNS / 100))

/** Some lines of a fixture, in pieces that a mutation has a chance to matter in. */
function pieces(bytes: Uint8Array, lines = 6, most = 40): Uint8Array[] {
  const all = new TextDecoder('latin1').decode(bytes).split('\n')
  const step = Math.max(lines, Math.floor(all.length / most))
  const found: Uint8Array[] = []
  for (let from = 0; from + lines < all.length && found.length < most; from += step)
    found.push(Buffer.from(`${all.slice(from, from + lines).join('\n')}\n`, 'latin1'))
  return found
}
const text = (lines: string) => [Buffer.from(lines)]
const unzst = (name: string) => Bun.zstdDecompressSync(fixture(name))

/** Each kind of record, every second. */
function records(): Uint8Array {
  const writer = new RecordWriter()
  const name = new TextEncoder().encode('x')
  writer.hello(1)
  for (let second = 0; second < 3; second++) {
    writer.second(1_700_000_000 + second)
    writer.process(
      {
        ...{ pid: 5, start: 1_699_999_999, ppid: 1, uid: 33, pidNamespace: 7, executed: true },
        ...{ exe: '/usr/bin/x', container: 'c0ffee' },
      },
      name,
      1,
    )
    writer.command(5, 9, new TextEncoder().encode('x -q --token=***'))
    writer.cpu(5, name, 1, 1_234)
    writer.activity(
      5,
      name,
      1,
      Uint8Array.from({ length: ACTIVITY_BYTES }, (_, i) => i),
    )
    writer.beginCalls(5, name, 2)
    writer.call(0, 7)
    writer.call(1, 9)
    writer.call(COMPAT_FLAG | 3, 2)
    writer.call(URING_FLAG | 1, 2)
    writer.endCalls()
    writer.unseen(5, name, 1, { uid: 33, reason: 0, keys: 257, lost: 3 })
    writer.unseen(0, new Uint8Array(0), 0, { uid: 33, reason: 2, keys: 0, lost: 3 })
    writer.exit(5)
    writer.lost(1_700_000_000 + second, 1, 12)
    writer.endOfSecond(1, 2, 1, 0)
  }
  writer.bye()
  return writer.take().slice()
}

const INPUTS: readonly (readonly [string, SourceFormat, readonly Uint8Array[], UserInput?])[] = [
  ['our line', 'sysdig-text', pieces(fixture('sysdig/lab.own.041.txt.gz'))],
  ["sysdig's default line", 'sysdig-text', pieces(fixture('sysdig/idle.default.029.txt.gz'))],
  ['odd names', 'sysdig-text', pieces(fixture('sysdig/odd-names.default.txt.gz'))],
  [
    '-pc',
    'sysdig-text',
    text('21 00:44:21.900617765 1 web (9dbcbd0c435f) nginx (843:7) < read res=10 \n'),
  ],
  [
    'a format of the user',
    'sysdig-text',
    text('2026-11-23 09:38:16.582343241 5 < read a b fd=3\n'),
    { format: '%evt.datetime %proc.pid %evt.dir %evt.type %proc.name %evt.args' },
  ],
  ['sysdig -j', 'sysdig-json', pieces(fixture('sysdig/idle.029.jsonl.gz'))],
  ['strace', 'strace-text', pieces(fixture('strace/bash.strace.gz'))],
  [
    'strace on a terminal',
    'strace-text',
    text(
      '[pid 7<a b>] 22:13:20.12 clone(child_stack=NULL, flags=CLONE_THREAD) = 8\n1700000000.1 read(3, "", 1) = 0\n',
    ),
    { pid: 7, name: 'x' },
  ],
  [
    'bpftrace',
    'bpftrace-json',
    text(
      '{"type": "printf", "data": "T 1700000000\\n"}\n{"type": "map", "data": {"@c0": {"5,0": 3}}}\n{"type": "printf", "data": "E\\n"}\n',
    ),
  ],
  [
    'the chisel',
    'chisel',
    text('@1700000000 5 L read=3,write=1 x y\n@1700000000 5 X\n@1700000000 . 0\n@1700000001 ! 7\n'),
  ],
  ['frames', 'frames', pieces(unzst('frames/lab-98s.frames.ndjson.zst'), 4)],
  ['records of the collector', 'kernel-records', [records()]],
]

describe.each(INPUTS)('%s', (_, format, seeds, input = {}) => {
  test(`${RUNS} mutants: none throws, the ledger close, nothing outlives its bounds`, () => {
    const made = attack(seeds, (bytes) => {
      const counter = new Counter()
      const parser = createParser(format, counter, { endMs: 1_800_000_000_000, ...input })
      const cut = Math.floor(bytes.length / 2)
      parser.push(bytes.subarray(0, cut))
      parser.push(bytes.subarray(cut))
      parser.end()
      const frames = counter.end()
      const { observed, counted, dropped } = counter.ledger()
      const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0)
      if (observed !== counted + lost) throw new Error(`${observed} = ${counted} + ${lost}`)
      for (const { name, pid } of frames.flatMap(({ processes }) => processes))
        if (safeName(name) !== name || !(pid > 0)) throw new Error(`${pid} ${name}`)
    })
    expect(made).toBe(RUNS)
  })
})

test(`${RUNS} heads of files are recognised or not, and none throws`, () => {
  const capture = fixture('scap/idle.scap').subarray(0, 512)
  const seeds = [...INPUTS.flatMap(([, , pieces]) => pieces.slice(0, 3)), capture]
  const made = attack(seeds, (bytes) => {
    const format = recogniseFormat(bytes)
    isCapture(bytes)
    compressionOf(bytes)
    if (format === 'sysdig-text' || format === 'sysdig-json')
      refuseEntryAndExit(bytes, format, 'x', {})
  })
  expect(made).toBe(RUNS)
})

test.skipIf(findProgram('sysdig') === undefined)(
  `${CAPTURES} captures end sysdig, and what it had read is in the ledger`,
  async () => {
    const seed = gunzipSync(fixture('scap/idle.scap'))
    const random = randomOf(11)
    const place = directory()
    let [read, refused] = [0, 0]
    const one = async (run: number) => {
      const path = join(place, `${run}.scap`)
      writeFileSync(path, mutate(seed.subarray(0, 65_536), random))
      const counter = new Counter()
      try {
        const source = fileSource(path, { stateDirectory: place })
        await ingest(source, counter, { afterChunk() {} }, new AbortController().signal)
        read++
      } catch (error) {
        if (!(error instanceof AgentError)) throw error
        refused++
      }
      counter.end()
      const { observed, counted, dropped } = counter.ledger()
      const lost = Object.values(dropped).reduce((sum, count) => sum + count, 0)
      if (observed !== counted + lost) throw new Error(`${run}: ${observed} = ${counted} + ${lost}`)
      rmSync(path)
    }
    let next = 0
    const worker = async () => {
      while (next < CAPTURES) await one(next++)
    }
    await Promise.all([worker(), worker(), worker()])
    expect(read + refused).toBe(CAPTURES)
  },
  3_000_000,
)
