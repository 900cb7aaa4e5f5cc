/**
 * The built binary on the kernel source: exact, without capabilities in any thread, and complete
 * when it is interrupted.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { compileCalls, refusal, run } from '../support/kernel.ts'
import { until } from '../support/until.ts'

const SKIP = refusal !== undefined
const LAB = join(import.meta.dir, '../fixtures/frames/lab-98s.frames.ndjson.zst')

let calls: ReturnType<typeof compileCalls>
beforeAll(() => {
  if (!SKIP) calls = compileCalls('ke-plain', 'ke-inside')
})
afterAll(() => calls?.remove())

interface Line {
  readonly name: string
  readonly host?: string
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
      expect(status).toMatch(/^Seccomp:\s*2$/m)
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

  test('--hosts keeps what runs in the containers of a file, each under its own name', async () => {
    const place = (name: string) => calls.path(name)
    writeFileSync(place('hosts.tsv'), '')
    const agent = Bun.spawn(
      [
        ...[agentBinary(), 'record', '--state', calls.path('.'), '--json'],
        ...['--hosts', place('hosts.tsv'), '--out', place('f.ndjson'), '--tree', place('t.tsv')],
      ],
      { stdout: 'ignore', stderr: 'pipe', cwd: '/' },
    )
    const reader = agent.stderr.getReader()
    let said = ''
    const hear = async () => {
      const { value, done } = await reader.read()
      said += new TextDecoder().decode(value)
      return done
    }
    await until('the recording to begin', async () => {
      await hear()
      return said.includes('Recording')
    })
    const container = Bun.spawn([
      ...['unshare', '--pid', '--fork', calls.path('ke-inside'), 'steady', '2'],
    ])
    const outside = readlinkSync('/proc/self/ns/pid')
    const namespace = await until('the container', () => {
      let inside: string
      try {
        inside = readlinkSync(`/proc/${container.pid}/ns/pid_for_children`)
      } catch {
        // Between unshare and its first child the namespace has no process, and the link no target.
        return undefined
      }
      return inside === outside ? undefined : /\d+/.exec(inside)?.[0]
    })
    // Named only when it runs already: its first second is kept nevertheless.
    appendFileSync(place('hosts.tsv'), `${namespace}\tbox\n`)
    await Promise.all([container.exited, run(calls.path('ke-plain'), 'plain', '500')])
    agent.kill('SIGINT')
    await until('its final messages', hear)
    expect(await agent.exited).toBe(0)
    const recorded = readFileSync(place('f.ndjson'), 'utf8').trimEnd().split('\n')
    for (const line of recorded) {
      const { host, name } = JSON.parse(line) as Line
      expect([host, name]).toEqual(['box', expect.stringMatching(/^(ke-inside|unshare)$/)])
    }
    const ledger = JSON.parse(said.trimEnd().split('\n').at(-1)!)
    expect(ledger.hosts.box.calls + ledger.notRecorded.calls).toBe(ledger.counted)
    expect(ledger.notRecorded.calls).toBeGreaterThan(500)
    // By name: in a pid namespace this test knows its own pids, and the kernel's record the host's.
    const tree = readFileSync(place('t.tsv'), 'utf8')
    const pidOf = (name: string) => new RegExp(`\\tX\\t(\\d+)\\t${name}$`, 'm').exec(tree)?.[1]
    expect(tree).toContain(`\tF\t${pidOf('unshare')}\t${pidOf('ke-inside')}\n`)
  }, 60_000)
})

test.skipIf(SKIP)(
  'agent watch --source kernel: all is counted, none of it late',
  async () => {
    const state = calls.path('watched')
    const agent = Bun.spawn([agentBinary(), 'watch', '--source', 'kernel', '--state', state], {
      ...{ stdout: 'ignore', stderr: 'pipe', cwd: '/' },
    })
    const reader = agent.stderr.getReader()
    let said = ''
    await until('the watch to begin', async () => {
      said += new TextDecoder().decode((await reader.read()).value)
      return said.includes('Watching')
    })
    reader.releaseLock()
    // Over several seconds: a second that closed too early would have lost the rest of its calls as
    // late.
    await run(calls.path('ke-plain'), 'steady', '3')
    agent.kill('SIGINT')
    expect(await agent.exited).toBe(0)
    const { stdout } = await runAgent(['status', '--state', state, '--json'])
    const { observed, counted, dropped, collector } = JSON.parse(stdout)
    expect(dropped).toEqual({})
    expect(counted).toBe(observed.calls)
    expect(collector).toMatchObject({ lost: {}, complete: true })
    expect(collector.most.keys).toBeGreaterThan(0)
    const doctor = await runAgent(['doctor', '--state', state, '--json'])
    expect(doctor.stdout).toMatch(
      /"check":"collector","state":"ok","found":"at most [^"]* nothing lost"/,
    )
  },
  60_000,
)

test.skipIf(SKIP || process.geteuid?.() !== 0)(
  "agent watch as root becomes a user of no rights, to whom root's state directory is handed over",
  async () => {
    chmodSync(calls.path('.'), 0o755)
    const state = calls.path('handed-over')
    mkdirSync(state, { mode: 0o700 })
    const watch = async (look: (pid: number) => void) => {
      const agent = Bun.spawn([agentBinary(), 'watch', '--source', 'kernel', '--state', state], {
        ...{ stdout: 'ignore', stderr: 'pipe', cwd: '/' },
      })
      const reader = agent.stderr.getReader()
      let said = ''
      await until('the watch to begin', async () => {
        said += new TextDecoder().decode((await reader.read()).value)
        return said.includes('Watching')
      })
      reader.releaseLock()
      look(agent.pid)
      await run(calls.path('ke-plain'), 'steady', '1')
      agent.kill('SIGINT')
      expect(await agent.exited).toBe(0)
      return said
    }
    let user = 0
    const said = await watch((pid) => {
      user = statSync(state).uid
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
        expect(status).toMatch(
          new RegExp(`^Uid:\\s*${user}\\s+${user}\\s+${user}\\s+${user}$`, 'm'),
        )
        expect(status).toMatch(/^Cap(Prm|Eff|Bnd):\s*0{16}$/m)
      }
    })
    if (said.includes('Stays root')) throw new Error(said)
    expect(user).toBeGreaterThan(0)
    const isUsers = () => {
      for (const name of ['', ...readdirSync(state)])
        expect({ name, uid: statSync(join(state, name)).uid }).toEqual({ name, uid: user })
    }
    isUsers()
    // Again: it is the user's already.
    await watch(() => expect(statSync(state).uid).toBe(user))
    // What root does there beside it or afterwards is the user's, too.
    for (const words of [
      ['status', '--state', state],
      ['allow', 'ke-plain', '--reason', 'test', '--state', state],
      ['replay', LAB, '--state', state],
    ])
      expect([0, 10]).toContain((await runAgent(words)).code)
    isUsers()
  },
  60_000,
)
