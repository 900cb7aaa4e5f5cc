/**
 * Files that are larger inside, lines without end, times that jump, state directories that are
 * traps: through the built binary.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { Counter } from '../../src/count/counter.ts'
import { createParser } from '../../src/parse/create-parser.ts'
import { findProgram } from '../../src/platform/linux/child.ts'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { fixturePath } from '../support/fixture.ts'
import { ownLines } from '../support/lines.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { mutate, RUNS, randomOf } from './mutate.ts'

setDefaultTimeout(300_000)
const directory = temporaryDirectories()
const MIB = 1_048_576

/** Runs `agent count` on it. @returns its exit code and the most memory it had, MiB */
async function countOf(path: string) {
  const child = Bun.spawn([agentBinary(), 'count', path, '--json'], {
    cwd: '/',
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const said = await new Response(child.stderr).text()
  return { code: await child.exited, said, mib: child.resourceUsage()!.maxRSS / MIB }
}

describe('bombs', () => {
  const zeros = new Uint8Array(64 * MIB)
  const lines = Buffer.from(ownLines(2))
  test.each([
    ['gz', () => gzipSync(zeros, { level: 9 }), 16],
    ['zst', () => Bun.zstdCompressSync(zeros), 16],
  ])('%s that unpacks to a gigabyte and more costs time, not memory', async (name, pack, times) => {
    const path = join(directory(), `bomb.${name}`)
    writeFileSync(path, name === 'gz' ? gzipSync(lines) : Bun.zstdCompressSync(lines))
    const packed = pack()
    for (let i = 0; i < times; i++) appendFileSync(path, packed)
    const { code, mib, said } = await countOf(path)
    expect([0, 1]).toContain(code)
    expect(said).toContain('"counted":80')
    expect(mib).toBeLessThan(500)
  })

  test('a line of 300 MB is one dropped line', async () => {
    const path = join(directory(), 'line')
    writeFileSync(path, lines)
    const part = Buffer.alloc(20 * MIB, 'a')
    for (let i = 0; i < 15; i++) appendFileSync(path, part)
    appendFileSync(path, `\n${ownLines(1, 1_700_000_002)}`)
    const { code, said, mib } = await countOf(path)
    expect(code).toBe(0)
    expect(said).toContain('"counted":120')
    expect(said).toContain('"too-long":1')
    expect(mib).toBeLessThan(500)
  })

  test.each([
    ['a frames line', '{"t":1700000000,"pid":5,"name":"x","counts":'],
    ['a line of JSON', '{"evt.type":"read","proc.pid":5,"x":'],
  ])('two million brackets in %s are refused', async (_, head) => {
    const path = join(directory(), 'brackets')
    writeFileSync(path, `${head}${'['.repeat(2_000_000)}\n`)
    const { code, said } = await countOf(path)
    expect(said).not.toContain('Unexpected')
    expect(code).toBe(1)
  })
})

test('290 clock games: the ledger close, seconds only rise, nothing is made for a gap', async () => {
  const random = randomOf(5)
  const steps = [0, 1, -1, 2, 59, 61, -59, -61, 3_600, -3_600, 86_400, -86_400, 1e9, -1e9]
  const path = join(directory(), 'clock.ndjson')
  for (let game = 0; game < 290; game++) {
    let t = 1_700_000_000
    const text: string[] = []
    for (let i = 0; i < 40; i++) {
      t = Math.max(0, t + (random() < 0.7 ? 1 : steps[Math.floor(random() * steps.length)]!))
      text.push(`{"t":${t},"pid":5,"name":"x","counts":{"read":1}}`)
    }
    const counter = new Counter()
    const parser = createParser('frames', counter)
    parser.push(Buffer.from(`${text.join('\n')}\n`))
    parser.end()
    const indexes = counter.end().map(({ index }) => index)
    const { observed, counted, dropped } = counter.ledger()
    expect(observed).toBe(40)
    expect(counted + Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(40)
    expectRising(indexes)
    // One process start in ten is enough to see that the binary does as the rooms do.
    if (game % 29 !== 0) continue
    writeFileSync(path, `${text.join('\n')}\n`)
    const { code, stdout, stderr } = await runAgent(['count', path])
    expect(code).toBe(0)
    expect(stderr).toContain('40 calls observed')
    expectRising(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { t: number }).t),
    )
  }
})

function expectRising(seconds: readonly number[]): void {
  expect(seconds).toEqual([...new Set(seconds)].sort((a, b) => a - b))
  expect(seconds.length).toBeLessThanOrEqual(40)
}

describe('state directories', () => {
  const isRoot = process.geteuid?.() === 0
  const watch = (state: string) =>
    runAgent(['watch', '--source', '-', '--state', state], { stdin: ownLines(3) })

  const traps: readonly (readonly [string, (at: string) => void])[] = [
    ['a file', (at) => writeFileSync(at, 'x')],
    ['a link to nowhere', (at) => symlinkSync('/nonexistent/x', at)],
    ['a link to a device', (at) => symlinkSync('/dev/full', at)],
    [
      'writable by all',
      (at) => {
        mkdirSync(at)
        chmodSync(at, 0o777)
      },
    ],
    [
      'of another user',
      (at) => {
        mkdirSync(at)
        if (isRoot) chownSync(at, 65_534, 65_534)
      },
    ],
    [
      'with a directory for a database',
      (at) => mkdirSync(join(at, 'frames.db'), { recursive: true, mode: 0o700 }),
    ],
    [
      'with a link to a file of others for a database',
      (at) => {
        mkdirSync(at, { mode: 0o700 })
        writeFileSync(`${at}.victim`, 'keep me')
        symlinkSync(`${at}.victim`, join(at, 'local.db'))
      },
    ],
  ]
  test.each(traps.map(([name, make]) => [name, make] as const))(
    '%s: used or refused with a next step, and nothing of others is touched',
    async (_, make) => {
      const state = join(directory(), 'state')
      make(state)
      const { code, stderr } = await watch(state)
      expect([0, 1, 6]).toContain(code)
      expect(stderr).not.toMatch(/Unexpected|\.ts:\d+/)
      if (code !== 0) expect(stderr).toMatch(/^error: .*\nhint: /m)
      if (existsSync(`${state}.victim`))
        expect(readFileSync(`${state}.victim`, 'utf8')).toBe('keep me')
    },
  )
})

test.skipIf(findProgram('sysdig') === undefined)(
  'mutated captures end sysdig, not us',
  async () => {
    const seed = gunzipSync(readFileSync(fixturePath('scap/idle.scap')))
    const random = randomOf(11)
    const path = join(directory(), 'x.scap')
    for (let run = 0; run < Math.max(10, RUNS / 100); run++) {
      writeFileSync(path, mutate(seed.subarray(0, 65_536), random))
      const { code, said } = await countOf(path)
      expect(said).not.toMatch(/Unexpected|\.ts:\d+/)
      expect([0, 1, 7]).toContain(code)
    }
  },
)

test('every package that a build takes has its hash in the lock file', () => {
  const lock = readFileSync(join(import.meta.dir, '../../bun.lock'), 'utf8')
  const packages = lock.slice(lock.indexOf('"packages"')).match(/^ {4}"[^"]+": \[.*$/gm) ?? []
  expect(packages.length).toBeGreaterThan(80)
  expect(packages.filter((line) => !/"sha512-[A-Za-z0-9+/=]{86,}"\],?$/.test(line))).toEqual([])
})
