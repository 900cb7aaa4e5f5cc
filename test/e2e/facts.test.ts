/**
 * The built binary on this host: a process that calls itself a thread of the kernel is proven, by a
 * reader with two rights.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
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

interface AlertLine {
  readonly process?: { readonly pid: number; readonly name: string; readonly exe?: string }
  readonly behaviour?: string
  readonly because?: readonly string[]
}

describe.skipIf(SKIP)('facts in agent watch', () => {
  const alerts: AlertLine[] = []
  let state: string
  let agent: Bun.Subprocess
  let hidden: Bun.Subprocess

  const collect = async (stream: ReadableStream<Uint8Array>) => {
    let text = ''
    for await (const chunk of stream) {
      const lines = (text + new TextDecoder().decode(chunk)).split('\n')
      text = lines.pop()!
      alerts.push(...lines.map((line) => JSON.parse(line) as AlertLine))
    }
  }

  beforeAll(() => {
    state = mkdtempSync(join(tmpdir(), 'callsign-facts-e2e-'))
    agent = Bun.spawn([agentBinary(), 'watch', '--source', 'kernel', '--state', state, '--json'], {
      stdout: 'pipe',
      stderr: 'ignore',
    })
    void collect(agent.stdout as ReadableStream<Uint8Array>)
    const rename =
      'import ctypes,time;ctypes.CDLL(None).prctl(15,b"kworker/u4:2",0,0,0)\nwhile 1: time.sleep(.2)'
    hidden = Bun.spawn(['/usr/bin/python3', '-c', rename], { stdout: 'ignore', stderr: 'ignore' })
    // The binary may have to be built first.
  }, 180_000)
  afterAll(async () => {
    hidden.kill()
    agent.kill()
    await agent.exited
    rmSync(state, { recursive: true, force: true })
  })

  test('a proof is in the ledger, and the reader holds nothing but what it reads with', async () => {
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

  test('a program that was started by a relative path is looked up', async () => {
    const copy = join(state, 'haproxy')
    copyFileSync('/usr/bin/sleep', copy)
    const child = Bun.spawn(['./haproxy', '300'], { cwd: state })
    const found = await until(
      'the alert',
      () => alerts.find(({ process }) => process?.name === 'haproxy'),
      30_000,
    )
    child.kill()
    expect(found.because).toEqual([expect.stringContaining('is a copy of /bin/sleep')])
    // Nor does the reader accuse itself, who reads files all day.
    expect(alerts.filter(({ process }) => process?.exe === agentBinary())).toEqual([])
  }, 40_000)

  test('who is refused one password after the other is told by what servers say', async () => {
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: (socket) => void socket.write('-WRONGPASS invalid username-password pair\r\n'),
      },
    })
    const script = `import socket,time
while True:
    s=socket.create_connection(("127.0.0.1",${server.port})); s.sendall(b"AUTH %d\\r\\n"%time.time_ns()); got=s.recv(999); s.close(); time.sleep(.1)`
    const client = Bun.spawn(['/usr/bin/python3', '-c', script])
    try {
      const found = await until(
        'the alert',
        () =>
          alerts.find(
            ({ behaviour, process }) =>
              behaviour === 'password-guessing' && process?.pid === client.pid,
          ),
        60_000,
      )
      expect(found.because?.join()).toContain(`127.0.0.1:${server.port}`)
    } finally {
      client.kill()
      server.stop(true)
    }
  }, 90_000)

  test('the reader ends with its agent', async () => {
    const { stdout } = await runAgent(['status', '--state', state, '--json'])
    const { facts } = JSON.parse(stdout) as { facts: Facts }
    agent.kill('SIGKILL')
    await until('the end of the reader', () => !existsSync(`/proc/${facts.reader?.pid}/fd/0`))
  }, 30_000)
})
