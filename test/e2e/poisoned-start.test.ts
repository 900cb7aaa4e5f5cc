/**
 * A host on which a miner and a web shell were there first: adapting to it learns its programs and
 * neither of the two, and both are accused after it as before. By the built binary, on recordings
 * (models/recordings): a strange host's own life, and the two attacks of a test host over and over.
 */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AdaptationFiles } from '../../src/agent/adaptation-files.ts'
import { agentBinary } from '../support/agent-binary.ts'

const folder = mkdtempSync(join(tmpdir(), 'poisoned-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const RECORDINGS = join(import.meta.dir, '../../models/recordings')
const T = 1_800_000_000
/** Seconds that teach, and seconds in all. */
const LEARNT = 660
const SECONDS = 840

interface Line {
  t: number
  host: string
  pid: number
  start?: number
  name: string
}

function linesOf(path: string): Line[] {
  const bytes = Bun.zstdDecompressSync(readFileSync(join(RECORDINGS, path)))
  const lines = new TextDecoder().decode(bytes).split('\n')
  return lines.flatMap((line) => (line.includes('"pid"') ? [JSON.parse(line) as Line] : []))
}

function ordinaryLife(): Line[] {
  const own = linesOf('standing/strange-1.frames.ndjson.zst').filter(({ host }) => host === 'queue')
  const by = T - own[0]!.t
  return own
    .filter(({ t }) => t + by < T + SECONDS)
    .map((line) => ({ ...line, t: line.t + by, start: (line.start ?? T) + by }))
}

/** A happening of test host E, again and again; its own process lives on under another name. */
function goingOn(attacks: readonly Line[], scenario: string, own: string, as: string): Line[] {
  const scenarios = readFileSync(join(RECORDINGS, 'lab-e/lab-e-attacks.scenarios.ndjson'), 'utf8')
  const { host, from, to, pids } = scenarios
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
    .find((of) => of.scenario === scenario)
  const seconds = to - from - 10
  const part = attacks.filter(
    (line) =>
      line.host === host &&
      pids.includes(line.pid) &&
      line.t >= from + 5 &&
      line.t < from + 5 + seconds,
  )
  const pid = 900_000 + scenario.length
  return Array.from({ length: Math.ceil(SECONDS / seconds) }, (_, round) =>
    part.flatMap((line): Line[] => {
      const t = T + round * seconds + line.t - from - 5
      if (t >= T + SECONDS) return []
      return line.name === own
        ? [{ ...line, t, pid, start: T - 3_600, name: as }]
        : [{ ...line, t, pid: 1_000_000 + 100 * line.pid + (round % 100), start: t }]
    }),
  ).flat()
}

test('adapt after a poisoned start: neither the miner nor the web shell becomes ordinary', async () => {
  const attacks = linesOf('lab-e/lab-e-attacks.frames.ndjson.zst')
  const all = [
    ...ordinaryLife(),
    ...goingOn(attacks, 'miner-renamed', 'kdevtmpfsi', 'updater'),
    ...goingOn(attacks, 'webshell', 'php', 'portal'),
  ].toSorted((a, b) => a.t - b.t)
  const text = (from: number, to: number) =>
    all
      .filter(({ t }) => t >= T + from && t < T + to)
      .map((line) => `${JSON.stringify({ ...line, host: 'h' })}\n`)
      .join('')

  const before = await accused(text(0, LEARNT))
  expect(before).toEqual(new Set(['portal', 'updater']))

  const adapted = await run(['adapt', '--now', '--state', folder, '--json'])
  expect(adapted.stderr).toContain('Not learnt, for it behaves like something malicious: updater')
  expect(adapted.stderr).toContain('Not learnt, for it behaves like something malicious: portal')
  expect(JSON.parse(adapted.stdout)).toMatchObject({ adapted: true })
  const written = new TextDecoder().decode(new AdaptationFiles(folder).adaptation())
  const { added } = JSON.parse(written) as { added: string[] }
  expect(added).toContain('nats-server')
  expect(added).not.toContain('updater')
  expect(added).not.toContain('portal')

  // Also `helper`, maybe: the recording has an encryption of files in these minutes.
  const after = await accused(text(LEARNT, SECONDS))
  expect([...after]).toEqual(expect.arrayContaining(['portal', 'updater']))
}, 900_000)

/** Names with an alert for malice, of an agent that reads these seconds. */
async function accused(frames: string): Promise<Set<string>> {
  const words = ['watch', '--source', '-', '--host', 'h', '--adapt', 'off', '--state', folder]
  const { stdout } = await run([...words, '--json'], frames)
  const alerts = stdout.split('\n').flatMap((line) => {
    const value = line === '' ? {} : JSON.parse(line)
    return value.kind === 'non-grata' ? [value.process.name as string] : []
  })
  return new Set(alerts)
}

/** Without a time of its own: a busy machine takes minutes for it. */
async function run(words: readonly string[], stdin = '') {
  const child = Bun.spawn([agentBinary(), ...words], {
    ...{ stdin: new Blob([stdin]), stdout: 'pipe', stderr: 'pipe' },
    env: { PATH: '/usr/bin:/bin', HOME: folder },
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  return { stdout, stderr }
}
