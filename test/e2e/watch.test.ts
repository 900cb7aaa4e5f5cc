/**
 * `agent watch` over a pipe, as a stranger runs it: its signals, its ledger, and what it leaves
 * alone.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent, runProgram } from '../support/agent-binary.ts'
import { ownLines } from '../support/lines.ts'
import { canTrace } from '../support/privileges.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Status {
  readonly state: string
  readonly observed: { readonly calls: number }
  readonly counted: number
  readonly dropped: Record<string, number>
  readonly created: number
  readonly acknowledged: number
  readonly queued: number
  readonly merged: number
  readonly undelivered: Record<string, number>
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)

async function statusOf(state: string): Promise<{ code: number; status: Status }> {
  const { code, stdout } = await runAgent(['status', '--state', state, '--json'])
  return { code, status: JSON.parse(stdout) }
}

describe('agent watch --source -', () => {
  test('ends with its pipe, and its ledger balances', async () => {
    const state = join(folder, 'ledger')
    const input = `${ownLines(8)}not a line\n`
    const { code } = await runAgent(['watch', '--source', '-', '--state', state], { stdin: input })
    expect(code).toBe(0)
    const { code: ended, status } = await statusOf(state)
    expect(ended).toBe(0)
    expect(status.state).toBe('ended')
    expect(status.counted).toBe(8 * 40)
    expect(status.dropped).toEqual({ malformed: 1 })
    expect(status.observed.calls).toBe(status.counted + sum(status.dropped))
    const { created, acknowledged, queued, merged, undelivered } = status
    expect(created).toBe(acknowledged + queued + merged + sum(undelivered))
  })

  test.each([['SIGINT'], ['SIGTERM']] as const)(
    '%s ends it cleanly, what it saw counted',
    async (signal) => {
      const state = join(folder, signal)
      const child = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', state], {
        env: { PATH: '/usr/bin:/bin', HOME: folder, AGENT_LOG: 'info' },
        stdin: 'pipe',
        stdout: 'ignore',
        stderr: 'pipe',
      })
      child.stdin.write(ownLines(8))
      await child.stdin.flush()
      // The first frames have walked when the ledger were written for the first time.
      await eventually(async () => (await runAgent(['status', '--state', state])).code === 0)
      expect((await statusOf(state)).status.state).toBe('running')
      child.kill(signal)
      expect(await child.exited).toBe(0)
      const { status } = await statusOf(state)
      expect(status.state).toBe('ended')
      expect(status.counted).toBe(8 * 40)
    },
  )

  test('killed, its status says so with exit code 3', async () => {
    const state = join(folder, 'killed')
    const child = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', state], {
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'ignore',
    })
    child.stdin.write(ownLines(8))
    await child.stdin.flush()
    await eventually(async () => (await runAgent(['status', '--state', state])).code === 0)
    child.kill('SIGKILL')
    await child.exited
    const { code, status } = await statusOf(state)
    expect(code).toBe(3)
    expect(status.state).toBe('killed')
  })
})

test('agent status without an agent ends with 4 and says what to do', async () => {
  const { code, stderr } = await runAgent(['status', '--state', join(folder, 'none')])
  expect(code).toBe(4)
  expect(stderr).toContain('agent watch')
})

test.skipIf(!canTrace)(
  'the agent writes below its state only, and connects to its broker only',
  async () => {
    const ready = join(folder, 'ready.json')
    const aggregator = Bun.spawn(
      [
        ...[agentBinary(), 'aggregate', '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0'],
        ...['--state', join(folder, 'aggregate'), '--ready-file', ready],
      ],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    )
    try {
      await eventually(async () => Bun.file(ready).exists())
      const { broker } = JSON.parse(readFileSync(ready, 'utf8')) as { broker: string }
      const state = join(folder, 'traced')
      const trace = join(folder, 'trace')
      const { code, stderr } = await runProgram(
        [
          ...['strace', '-f', '-qq', '-o', trace],
          ...[
            '-e',
            'trace=openat,open,creat,mkdir,mkdirat,rename,renameat2,link,symlink,connect,sendto',
          ],
          ...[agentBinary(), 'watch', '--source', '-', '--state', state, '--broker', broker],
        ],
        { stdin: ownLines(30), cwd: '/' },
      )
      expect(code, stderr).toBe(0)
      const lines = readFileSync(trace, 'utf8').split('\n')
      const written = lines
        .filter((line) =>
          /O_WRONLY|O_RDWR|O_CREAT|\b(mkdir|mkdirat|rename|renameat2|link|symlink|creat)\(/.test(
            line,
          ),
        )
        .flatMap((line) => [...line.matchAll(/"([^"]*)"/g)].map(([, path]) => path!))
      expect(written.length).toBeGreaterThan(0)
      expect(
        written.filter(
          (path) => !path.startsWith(state) && !/^\/(dev\/null|proc\/self)/.test(path),
        ),
      ).toEqual([])
      const port = new URL(broker).port
      const connections = lines.filter((line) => /connect\(.*AF_INET/.test(line))
      expect(connections.length).toBeGreaterThan(0)
      for (const line of connections) expect(line).toContain(`htons(${port})`)
    } finally {
      aggregator.kill('SIGTERM')
      await aggregator.exited
    }
  },
)

/** Asks again until it is true; a real process is at work. */
async function eventually(ask: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error('it never came true')
    await Bun.sleep(50)
  }
}
