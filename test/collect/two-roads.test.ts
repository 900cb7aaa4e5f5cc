/**
 * Two roads, one place: a capture counted by sysdig with our chisel, as text, as JSON and as frames
 * gives the same frames.
 */
import { describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { fileSource } from '../../src/collect/file.ts'
import { memorySource } from '../../src/collect/memory.ts'
import { Counter } from '../../src/count/counter.ts'
import { frameLines } from '../../src/count/frames-file.ts'
import type { Frame } from '../../src/domain/frame.ts'
import type { Source, SourceFormat } from '../../src/domain/source.ts'
import { SYSCALLS, syscallIndexOf } from '../../src/domain/syscalls.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { fixture, fixturePath } from '../support/fixture.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const sysdig = findProgram('sysdig')
const directory = temporaryDirectories()
const END_MS = 1_795_430_000_000

async function framesOf(source: Source, format: SourceFormat): Promise<Frame[]> {
  const counter = new Counter()
  const parser = createParser(format, counter, { endMs: END_MS })
  const frames: Frame[] = []
  for await (const chunk of source.read(new AbortController().signal)) {
    parser.push(chunk)
    frames.push(...counter.closeReady())
  }
  parser.end()
  frames.push(...counter.end())
  const { observed, counted } = counter.ledger()
  expect(observed).toBe(counted)
  return frames
}

/** By our chisel, in a place of the test's. */
const capture = (name: string) =>
  fileSource(fixturePath(`scap/${name}.scap`), { stateDirectory: directory() })

const lines = (frames: readonly Frame[]) => frames.map((frame) => frameLines(frame)).join('')
const asFrames = async (text: string) =>
  lines(await framesOf(memorySource(new TextEncoder().encode(text), 'frames'), 'frames'))

describe.skipIf(sysdig === undefined)('with the sysdig that is installed', () => {
  const print = (name: string, ...args: string[]) =>
    memorySource(
      Bun.spawnSync([sysdig!, '-r', fixturePath(`scap/${name}.scap`), ...args], {
        env: { TZ: 'UTC', PATH: process.env.PATH },
      }).stdout,
      'sysdig-text',
    )
  const own = ['-p', '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name']
  const old = ['-p', '*%evt.rawtime %proc.pid %thread.tid %syscall.type %proc.name']

  test.each(['idle'])(
    '%s gives the same frames by every road',
    async (name) => {
      const chisel = lines(await framesOf(capture(name), 'chisel'))
      expect(chisel.length).toBeGreaterThan(100)
      expect(lines(await framesOf(print(name, ...own), 'sysdig-text'))).toBe(chisel)
      expect(lines(await framesOf(print(name, ...old), 'sysdig-text'))).toBe(chisel)
      expect(lines(await framesOf(print(name, '-j', ...own), 'sysdig-json'))).toBe(chisel)
      expect(lines(await framesOf(print(name), 'sysdig-text'))).toBe(chisel)
      expect(lines(await framesOf(print(name, '-j'), 'sysdig-json'))).toBe(chisel)
      expect(await asFrames(chisel)).toBe(chisel)
    },
    60_000,
  )

  test.each(['idle', 'busy', 'storm'])(
    '%s: each cell is what counting lines gives',
    async (name) => {
      const text = print(name, '-p', '*%evt.rawtime.s %proc.pid %evt.dir %syscall.type %evt.rawres')
      const want = new Map<string, number>()
      for await (const chunk of text.read(new AbortController().signal)) remember(chunk)
      function remember(chunk: Uint8Array): void {
        tail += new TextDecoder().decode(chunk)
        const whole = tail.split('\n')
        tail = whole.pop()!
        for (const line of whole) {
          const [second, pid, direction, type, result] = line.split(' ')
          if (direction !== '<' || pid === '<NA>' || syscallIndexOf(type!) === undefined) continue
          // A clone's end in the child; the call was the parent's.
          if (/^(clone3?|v?fork)$/.test(type!) && result === '0') continue
          const key = `${second} ${pid} ${SYSCALLS[syscallIndexOf(type!)!]}`
          want.set(key, (want.get(key) ?? 0) + 1)
        }
      }
      const got = new Map<string, number>()
      for (const frame of await framesOf(capture(name), 'chisel')) {
        frame.processes.forEach(({ pid }, i) => {
          for (let k = frame.offsets[i]!; k < frame.offsets[i + 1]!; k++) {
            const key = `${frame.index} ${pid} ${SYSCALLS[frame.syscalls[k]!]}`
            got.set(key, (got.get(key) ?? 0) + frame.counts[k]!)
          }
        })
      }
      expect(new Map([...got].sort())).toEqual(new Map([...want].sort()))
    },
    60_000,
  )
  let tail = ''

  test('a capture packed by zstd is read, and one that is cut gives what came before', async () => {
    const bytes = gunzipSync(readFileSync(fixturePath('scap/idle.scap')))
    const home = directory()
    const read = (name: string, packed: Uint8Array) => {
      writeFileSync(join(home, name), packed)
      return framesOf(fileSource(join(home, name), { stateDirectory: home }), 'chisel')
    }
    const packed = Bun.zstdCompressSync(bytes)
    const whole = lines(await framesOf(capture('idle'), 'chisel'))
    expect(lines(await read('idle.scap.zst', packed))).toBe(whole)
    await expect(read('cut.scap.zst', packed.subarray(0, packed.length / 2))).rejects.toThrow(
      'to its end',
    )
    expect(readdirSync(home).filter((name) => name.startsWith('capture-'))).toEqual([])
  })
})

test.each(['029', '041'])('text and JSON of sysdig 0.%s give the same frames', async (version) => {
  const source = (name: string) =>
    memorySource(fixture(`sysdig/idle.${name}.gz`), 'sysdig-text', 1_000)
  const text = lines(await framesOf(source(`own.${version}.txt`), 'sysdig-text'))
  expect(lines(await framesOf(source(`${version}.jsonl`), 'sysdig-json'))).toBe(text)
  expect(await asFrames(text)).toBe(text)
})
