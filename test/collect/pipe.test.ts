import { describe, expect, test } from 'bun:test'
import { closeSync, openSync, writeSync } from 'node:fs'
import { pipeSource, readPipe } from '../../src/collect/pipe.ts'
import { startChild } from '../../src/platform/linux/child.ts'
import { makePipe } from '../../src/platform/linux/libc.ts'
import { fixture, fixturePath } from '../support/fixture.ts'

const never = new AbortController().signal
const gather = async (stream: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk.slice())
  return Buffer.concat(chunks)
}

describe('pipeSource()', () => {
  test('reads a pipe to its end and leaves its description as it was', async () => {
    const { readEnd, writeEnd } = makePipe()
    writeSync(writeEnd, 'one\n')
    const reading = gather(pipeSource(readEnd, { everyMs: 1 }).read(never))
    writeSync(writeEnd, 'two\n')
    closeSync(writeEnd)
    expect((await reading).toString()).toBe('one\ntwo\n')
    const flags = /flags:\s*(\d+)/.exec(await Bun.file(`/proc/self/fdinfo/${readEnd}`).text())![1]!
    expect(Number.parseInt(flags, 8) & 0o4000).toBe(0)
    closeSync(readEnd)
  })

  test('reads a file from where its descriptor stands, and is not live', async () => {
    const descriptor = openSync(fixturePath('strace/bash.strace.gz'), 'r')
    const source = pipeSource(descriptor)
    expect(source.live).toBe(false)
    expect((await gather(source.read(never))).length).toBeGreaterThan(1_000)
    closeSync(descriptor)
  })

  test('reads a socket', async () => {
    const child = Bun.spawn([process.execPath, fixturePath('programs/copy-stdin.ts')], {
      stdin: 'pipe',
      stdout: 'pipe',
    })
    child.stdin.write('one\n')
    await child.stdin.flush()
    child.stdin.write('two\n')
    child.stdin.end()
    expect(await new Response(child.stdout).text()).toBe('socket\none\ntwo\n')
  })

  test('ends at the signal though the writer goes on', async () => {
    const { readEnd, writeEnd } = makePipe()
    const stop = new AbortController()
    const reading = gather(pipeSource(readEnd, { everyMs: 1 }).read(stop.signal))
    writeSync(writeEnd, 'x\n')
    stop.abort()
    await reading
    closeSync(writeEnd)
    closeSync(readEnd)
  })
})

describe('startChild()', () => {
  test('gives all of a child’s output, however large, and its end', async () => {
    const bytes = fixture('sysdig/lab.own.041.txt.gz')
    const child = startChild(['zcat', fixturePath('sysdig/lab.own.041.txt.gz')])
    const got = await gather(readPipe(child.stdout, never, 1))
    expect(got.equals(bytes)).toBe(true)
    expect(await child.exited).toEqual({ code: 0, signal: undefined })
  })

  test('kills one that ignores SIGTERM after the grace', async () => {
    const child = startChild(['sh', '-c', 'trap "" TERM; echo x; while :; do sleep 1; done'], {
      graceMs: 50,
    })
    for await (const _ of readPipe(child.stdout, never, 1)) break
    expect((await child.stop()).signal).toBe('SIGKILL')
  })

  test('says which program cannot be started', () => {
    expect(() => startChild(['/nonexistent/program'])).toThrow(
      'Cannot start "/nonexistent/program"',
    )
  })
})
