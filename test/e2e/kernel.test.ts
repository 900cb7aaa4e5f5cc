/** The built binary on the kernel source: exact, without capabilities in any thread, and complete when it is interrupted. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { agentBinary } from '../support/agent-binary.ts'
import { compileCalls, refusal, run } from '../support/kernel.ts'
import { until } from '../support/until.ts'

const SKIP = refusal !== undefined

let calls: ReturnType<typeof compileCalls>
beforeAll(() => {
  if (!SKIP) calls = compileCalls('ke-plain')
})
afterAll(() => calls?.remove())

interface Line {
  readonly name: string
  readonly counts?: Readonly<Record<string, number>>
}

describe.skipIf(SKIP)(`agent record --source kernel${SKIP ? ` (skipped: ${refusal})` : ''}`, () => {
  test('interrupted, it has counted to the end, as a process that may nothing', async () => {
    chmodSync(calls.path('.'), 0o755)
    const home = calls.path('home')
    mkdirSync(home)
    chownSync(home, 65_534, 65_534)
    const out = `${home}/frames.ndjson`
    const agent = Bun.spawn(
      [agentBinary(), 'record', '--source', 'kernel', '--state', home, '--out', out],
      { stdout: 'ignore', stderr: 'pipe', cwd: '/' },
    )
    const reader = agent.stderr.getReader()
    let said = ''
    await until('the recording to begin', async () => {
      said += new TextDecoder().decode((await reader.read()).value)
      return said.includes('Recording')
    })
    for (const thread of readdirSync(`/proc/${agent.pid}/task`)) {
      const status = readFileSync(`/proc/${agent.pid}/task/${thread}/status`, 'utf8')
      expect(status).toMatch(/^CapPrm:\s*0{16}$/m)
      expect(status).toMatch(/^Uid:\s*65534\s/m)
    }
    await run(calls.path('ke-plain'), 'storm', '100000', '2', '1')
    agent.kill('SIGINT')
    expect(await agent.exited).toBe(0)
    expect(statSync(out).uid).toBe(65_534)
    const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
    const counted = lines
      .map((line) => JSON.parse(line) as Line)
      .filter(({ name }) => name === 'ke-plain')
      .reduce((sum, { counts }) => sum + (counts?.getppid ?? 0), 0)
    expect(counted).toBe(200_000)
  }, 60_000)
})
