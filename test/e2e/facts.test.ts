/** The built binary on this host: a process that calls itself a thread of the kernel is proven, by a reader with two rights. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { refusal } from '../support/kernel.ts'
import { until } from '../support/until.ts'

const SKIP = refusal !== undefined || !existsSync('/usr/bin/python3')

interface Facts {
  readonly proofs: number
  readonly reader?: { readonly pid: number; readonly asked: number; readonly answered: number }
}

describe.skipIf(SKIP)('facts in agent watch', () => {
  let state: string
  let agent: Bun.Subprocess
  let hidden: Bun.Subprocess

  beforeAll(() => {
    state = mkdtempSync(join(tmpdir(), 'callsign-facts-e2e-'))
    agent = Bun.spawn([agentBinary(), 'watch', '--source', 'kernel', '--state', state, '--json'], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
    const rename =
      'import ctypes,time;ctypes.CDLL(None).prctl(15,b"kworker/u4:2",0,0,0)\nwhile 1: time.sleep(.2)'
    hidden = Bun.spawn(['/usr/bin/python3', '-c', rename], { stdout: 'ignore', stderr: 'ignore' })
  })
  afterAll(async () => {
    hidden.kill()
    agent.kill()
    await agent.exited
    rmSync(state, { recursive: true, force: true })
  })

  test('a proof is in the books, and the reader holds nothing but what it reads with', async () => {
    const facts = await until(
      'a proof',
      async () => {
        const { stdout } = await runAgent(['status', '--state', state, '--json'])
        const found = (stdout === '' ? {} : JSON.parse(stdout)) as { facts?: Facts }
        return found.facts !== undefined && found.facts.proofs > 0 ? found.facts : undefined
      },
      40_000,
    )
    expect(facts.reader?.answered).toBeGreaterThan(0)
    const status = readFileSync(`/proc/${facts.reader?.pid}/status`, 'utf8')
    expect(status).toMatch(/^CapPrm:\s*0*80004$/m)
    expect(readFileSync(`/proc/${agent.pid}/status`, 'utf8')).toMatch(/^CapPrm:\s*0{16}$/m)
  }, 60_000)

  test('the reader ends with its agent', async () => {
    const { stdout } = await runAgent(['status', '--state', state, '--json'])
    const { facts } = JSON.parse(stdout) as { facts: Facts }
    agent.kill('SIGKILL')
    await until('the end of the reader', () => !existsSync(`/proc/${facts.reader?.pid}/fd/0`))
  }, 30_000)
})
