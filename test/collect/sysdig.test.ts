/**
 * sysdig live, by a program that behaves like it: real drivers are not to be had where tests run.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SysdigOptions, sysdigSource } from '../../src/collect/sysdig.ts'
import { AgentError } from '../../src/domain/error.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { fixturePath } from '../support/fixture.ts'
import { TallyRecorder } from '../support/tally-recorder.ts'

const directory = mkdtempSync(join(tmpdir(), 'callsign-test-'))
afterEach(() => rmSync(join(directory, 'notes'), { force: true }))
// In a test run the process's own `exit` is never heard.
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function start(mode: string, options: SysdigOptions = {}) {
  const notes = join(directory, 'notes')
  writeFileSync(notes, '')
  const source = sysdigSource({
    program: [process.execPath, fixturePath('programs/false-sysdig.ts'), mode, notes],
    stateDirectory: directory,
    restartMinMs: 20,
    graceMs: 200,
    ...options,
  })
  const sink = new TallyRecorder()
  /** Reads until what was read satisfies `enough`, then asks it to stop, and reads to the end. */
  const readUntil = async (enough: () => boolean) => {
    const stop = new AbortController()
    const parser = createParser(source.format!, sink)
    for await (const chunk of source.read(stop.signal, sink)) {
      parser.push(chunk)
      if (enough()) stop.abort()
    }
    parser.end()
    return readFileSync(notes, 'utf8').trim().split('\n')
  }
  return { source, sink, readUntil }
}

const has = (sink: TallyRecorder, second: number) => () =>
  sink.calls[`${1_700_000_000 + second} 5 x read`] !== undefined

describe('sysdigSource()', () => {
  test('gives what sysdig prints, its final output after SIGTERM, and its losses', async () => {
    const { source, sink, readUntil } = start('streams')
    const [args] = await readUntil(has(sink, 1))
    expect(sink.calls).toEqual({
      '1700000000 5 x read': 1,
      '1700000001 5 x read': 2,
      '1700000009 5 x read': 10,
    })
    // Seven events of both ends are four calls at most.
    expect(Object.values(sink.losses)).toEqual([4])
    expect(args).toContain('callsign.lua')
    expect(args).toContain(`not proc.pid=${process.pid}`)
    expect(source).toMatchObject({ name: 'sysdig', live: true, format: 'chisel' })
  })

  test('starts it again when it dies; half a line runs into nothing, the gap is marked', async () => {
    const { sink, readUntil } = start('dies')
    const starts = await readUntil(has(sink, 2))
    expect(starts).toHaveLength(2)
    expect(sink.calls).toMatchObject({ '1700000001 5 x read': 2, '1700000002 5 x read': 3 })
    expect(sink.drops).toEqual({ malformed: 1 })
    expect(Object.keys(sink.losses).length).toBeGreaterThan(0)
  })

  test('stops one that hangs, though it ignores SIGTERM, and starts another', async () => {
    const { sink, readUntil } = start('hangs', { silentMaxMs: 1_000 })
    const starts = await readUntil(has(sink, 2))
    expect(starts.length).toBeGreaterThanOrEqual(2)
  })

  test('is not held up by one that shouts on stderr', async () => {
    const { sink, readUntil } = start('shouts')
    await readUntil(has(sink, 0))
    expect(sink.calls['1700000000 5 x read']).toBe(1)
  })

  test('tries without modern eBPF where the build has none', async () => {
    const { sink, readUntil } = start('modern')
    const starts = await readUntil(has(sink, 0))
    expect(starts.map((args) => args.includes('--modern-bpf'))).toEqual([true, false])
  })

  test('says what to do when sysdig is refused', async () => {
    const { readUntil } = start('refuses')
    const error = await readUntil(() => false).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(AgentError)
    const { exitCode, message, hint } = error as AgentError
    expect(exitCode).toBe(process.geteuid?.() === 0 ? 7 : 6)
    expect(message).toContain('/dev/scap0')
    expect(hint).toMatch(/root|--source kernel/)
  })

  test('filters out its own processes and counts exits only in line mode', async () => {
    const { sink, source, readUntil } = start('streams', { mode: 'lines', ownPids: [77] })
    expect(source.format).toBe('sysdig-text')
    const [args] = await readUntil(() => Object.keys(sink.drops).length > 0)
    expect(args).toContain('evt.dir=<')
    expect(args).toContain('not proc.pid=77')
  })
})
