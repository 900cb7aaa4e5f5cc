import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { readCapture } from '../../src/collect/capture-file.ts'
import { type FileOptions, fileSource } from '../../src/collect/file.ts'
import { AgentError } from '../../src/domain/error.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { fixture, fixturePath } from '../support/fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'callsign-test-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const text = fixture('sysdig/lab.own.041.txt.gz')
const put = (name: string, bytes: Uint8Array | string) => {
  const path = join(directory, name)
  writeFileSync(path, bytes)
  return path
}

/** What was read before the end or the error, and the error. */
async function readAll(path: string, options: FileOptions = {}) {
  const chunks: Uint8Array[] = []
  let error: unknown
  try {
    for await (const chunk of fileSource(path, options).read(new AbortController().signal)) {
      chunks.push(chunk.slice())
    }
  } catch (cause) {
    error = cause
  }
  return { bytes: Buffer.concat(chunks), error: error as AgentError | undefined }
}

describe('fileSource()', () => {
  test.each([
    ['as it is', 'a.txt', (bytes: Uint8Array) => bytes],
    ['packed by gzip, whatever its name', 'b.txt', (bytes: Uint8Array) => gzipSync(bytes)],
    ['packed by zstd', 'c.zst', (bytes: Uint8Array) => zstdCompressSync(bytes)],
  ])('gives a file %s', async (_, name, pack) => {
    const { bytes, error } = await readAll(put(name, pack(text)))
    expect(error).toBeUndefined()
    expect(bytes.equals(text)).toBe(true)
  })

  const xz = findProgram('xz')
  test.skipIf(xz === undefined)('gives a file packed by xz', async () => {
    const path = put('d.txt', text)
    Bun.spawnSync([xz!, '-0', '--keep', path])
    const { bytes, error } = await readAll(`${path}.xz`)
    expect(error).toBeUndefined()
    expect(bytes.equals(text)).toBe(true)
  })

  test.each([
    ['gzip', gzipSync(text).subarray(0, -300_000)],
    ['zstd', zstdCompressSync(text).subarray(0, -100_000)],
    ...(xz === undefined ? [] : [['xz', packXz(text).subarray(0, -100_000)] as const]),
  ])('gives what comes before the break of a cut %s archive, then says so', async (kind, cut) => {
    const { bytes, error } = await readAll(put(`cut.${kind}`, cut))
    expect(bytes.length).toBeGreaterThan(10_000)
    expect(bytes.equals(text.subarray(0, bytes.length))).toBe(true)
    expect(error).toBeInstanceOf(AgentError)
    expect(error!.message).toContain('to its end')
  })

  function packXz(bytes: Uint8Array): Uint8Array {
    return Bun.spawnSync([xz!, '-0', '--stdout'], { stdin: bytes }).stdout
  }

  test('an archive of nothing but zeros costs time, not memory', async () => {
    const bomb = put('bomb.gz', gzipSync(new Uint8Array(64 * 1_048_576)))
    let total = 0
    let largest = 0
    for await (const chunk of fileSource(bomb).read(new AbortController().signal)) {
      total += chunk.length
      largest = Math.max(largest, chunk.length)
    }
    expect(total).toBe(64 * 1_048_576)
    expect(largest).toBeLessThanOrEqual(1_048_576)
  })

  test('says what cannot be read, and why', () => {
    expect(() => fileSource(join(directory, 'none'))).toThrow('no such file')
    expect(() => fileSource(directory)).toThrow('it is a directory')
    if (process.geteuid?.() !== 0) {
      const path = put('secret', 'x')
      chmodSync(path, 0)
      expect(readAll(path)).resolves.toMatchObject({ error: { code: 'ERR_PERMISSION' } })
    }
  })

  test('knows when its file was written', () => {
    const path = put('now.txt', 'x')
    expect(Math.abs(fileSource(path).endMs! - Date.now())).toBeLessThan(3_600_000)
  })

  test('stops at the signal', async () => {
    const stop = new AbortController()
    let chunks = 0
    for await (const _ of fileSource(put('long.txt', Buffer.concat([text, text, text]))).read(
      stop.signal,
    )) {
      if (++chunks === 2) stop.abort()
    }
    expect(chunks).toBe(2)
  })
})

describe('readCapture()', () => {
  const capture = async (mode: string) => {
    const sysdig = [
      process.execPath,
      fixturePath('programs/false-sysdig.ts'),
      mode,
      put('notes', ''),
    ]
    let text = ''
    let error: unknown
    try {
      const read = readCapture(
        'x.scap',
        { sysdig, stateDirectory: directory },
        new AbortController().signal,
      )
      for await (const chunk of read) text += new TextDecoder().decode(chunk)
    } catch (cause) {
      error = cause
    }
    return {
      text,
      error: error as AgentError | undefined,
      args: readFileSync(join(directory, 'notes'), 'utf8'),
    }
  }

  test('takes what is in a cut capture', async () => {
    const { text, error, args } = await capture('capture-cut')
    expect(text).toBe('@1700000000 5 L read=1 x\n@1700000000 . 0\n')
    expect(error).toBeUndefined()
    expect(args).toStartWith('-r x.scap -c ')
  })

  test('takes what came before sysdig died, then says of what', async () => {
    const { text, error } = await capture('capture-segv')
    expect(text).toStartWith('@1700000000 5 L read=1 x\n')
    expect(error!.code).toBe('ERR_COLLECTOR')
    expect(error!.message).toContain('SIGSEGV')
    expect(error!.hint).toContain('agent count')
  })

  test('the chisel lies where only we can write', async () => {
    await capture('capture-cut')
    expect(Bun.file(join(directory, 'chisels', 'callsign.lua')).size).toBeGreaterThan(1_000)
  })

  test('a capture is known by its first bytes, packed as sysdig packs it', () => {
    const start = gunzipSync(fixture('scap/idle.scap')).subarray(0, 4)
    expect([...start]).toEqual([0x0a, 0x0d, 0x0d, 0x0a])
  })
})
