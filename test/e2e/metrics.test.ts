/** `agent watch --metrics` and `--metrics-file` in the built binary, and what they refuse. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { ownLines } from '../support/lines.ts'
import { until } from '../support/until.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('agent watch --metrics', () => {
  test('serves them on loopback, writes the file, and takes the file away at its end', async () => {
    const file = join(folder, 'callsign.prom')
    const child = Bun.spawn(
      [
        ...[agentBinary(), 'watch', '--source', '-', '--state', join(folder, 'state')],
        ...['--metrics', '127.0.0.1:0', '--metrics-file', file],
      ],
      { stdin: 'pipe', stdout: 'ignore', stderr: 'pipe', env: { PATH: '/usr/bin:/bin' } },
    )
    try {
      let log = ''
      void (async () => {
        for await (const bytes of child.stderr) log += new TextDecoder().decode(bytes)
      })()
      const url = await until('an address', () => /url=(http:\S+)/.exec(log)?.[1])
      child.stdin.write(ownLines(8))
      await child.stdin.flush()
      const text = await until('metrics', async () => {
        const text = await (await fetch(url)).text()
        return text.includes('callsign_agent_info{') ? text : undefined
      })
      expect(text).toContain('source="pipe"')
      const foreign = await fetch(url, { headers: { host: 'attacker.example' } })
      expect(foreign.status).toBe(421)
      expect((await fetch(new URL('/', url))).status).toBe(404)
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(405)
      await until('the file', () => existsSync(file))
      expect(readFileSync(file, 'utf8')).toContain('callsign_agent_calls_total ')
      expect(statSync(file).mode & 0o777).toBe(0o644)
      child.stdin.end()
      expect(await child.exited).toBe(0)
      expect(existsSync(file)).toBe(false)
    } finally {
      child.kill('SIGKILL')
    }
  }, 60_000)

  test.each([
    [['--metrics', '0.0.0.0:8471'], 'loopback'],
    [['--metrics', 'example.org:8471'], 'loopback'],
    [['--metrics', '127.0.0.1:99999'], 'loopback'],
    [['--metrics-file', '/tmp/callsign.txt'], '.prom'],
  ])('%j is refused as wrong usage', async (flags, words) => {
    const { code, stderr } = await runAgent(['watch', '--source', '-', ...flags], { stdin: '' })
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })

  test('an address that is in use is an error of configuration', async () => {
    const other = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
    try {
      const { code, stderr } = await runAgent(
        [
          ...['watch', '--source', '-', '--state', join(folder, 'used')],
          ...['--metrics', `127.0.0.1:${other.port}`],
        ],
        { stdin: ownLines(1) },
      )
      expect(code).toBe(5)
      expect(stderr).toContain('Cannot listen for metrics')
    } finally {
      await other.stop(true)
    }
  })
})
