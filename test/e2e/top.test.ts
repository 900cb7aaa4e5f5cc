/**
 * `agent top` through the binary: what a pipe gets, what a terminal gets, and what is said where no
 * agent runs.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { until } from '../support/until.ts'

const LEAVE = '\x1b[?25h\x1b[?1049l'

let folder = ''
let state = ''
let watching: Bun.Subprocess<'pipe', 'ignore', 'ignore'>
let feeding: Timer
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'top-'))
  state = join(folder, 'state')
  watching = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', state], {
    ...{ stdin: 'pipe', stdout: 'ignore', stderr: 'ignore' },
    env: { PATH: '/usr/bin:/bin', HOME: folder },
  })
  // A second of a host, ten times as fast.
  let second = 1_700_000_000
  feeding = setInterval(() => {
    const rows = [
      { t: second, pid: 812, start: 1, name: 'nginx', counts: { epoll_wait: 12, read: 3 } },
      { t: second, pid: 900, start: 1, name: '\x1b[31mred', counts: { read: 3 } },
    ]
    watching.stdin.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
    watching.stdin.flush()
    second += 1
  }, 100)
  await until('an agent that shows itself', async () => {
    return (await runAgent(['top', '--once', '--state', state])).code === 0
  })
}, 60_000)
afterAll(async () => {
  clearInterval(feeding)
  watching.kill('SIGTERM')
  await watching.exited
  rmSync(folder, { recursive: true, force: true })
})

describe('agent top', () => {
  test('off a terminal prints one table, without an escape sequence', async () => {
    const { code, stdout, stderr } = await runAgent(['top', '--state', state])
    expect(code, stderr).toBe(0)
    expect(stdout).toContain('PROCESS')
    expect(stdout).toMatch(/812 +nginx .* 15( {2}#|\n)/)
    expect(stdout).toContain('?[31mred')
    expect(stdout).not.toContain('\x1b')
  })

  test('--once --json gives one document', async () => {
    const { code, stdout } = await runAgent(['top', '--once', '--json', '--state', state])
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(1)
    const { v, processes, agent } = JSON.parse(lines[0]!)
    expect(v).toBe(1)
    expect(processes).toContainEqual(expect.objectContaining({ pid: 812, name: 'nginx' }))
    expect(agent.rssBytes).toBeGreaterThan(1e7)
  })

  test('--json gives one each second until its reader has seen enough', async () => {
    const child = Bun.spawn([agentBinary(), 'top', '--json', '--state', state], {
      ...{ stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' },
    })
    let text = ''
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk)
      if (text.split('\n').length > 3) break
    }
    child.kill('SIGINT')
    expect(await child.exited).toBe(0)
    const times = text.split('\n').slice(0, 3)
    expect(new Set(times.map((line) => JSON.parse(line).time)).size).toBe(3)
  })

  test.each([
    ['q', { TERM: 'xterm' }, true],
    ['\x03', { TERM: 'xterm', NO_COLOR: '1' }, false],
  ] as const)('on a terminal draws until %j, and gives the screen back', async (key, env, bold) => {
    let screen = ''
    const child = Bun.spawn([agentBinary(), 'top', '--state', state], {
      env: { PATH: '/usr/bin:/bin', HOME: folder, ...env },
      terminal: {
        ...{ cols: 60, rows: 12 },
        data(_terminal, bytes) {
          screen += new TextDecoder().decode(bytes)
        },
      },
    })
    await until('two pictures', () => screen.split('\x1b[H').length > 2)
    child.terminal!.resize(40, 10)
    await until('one that had to be cut', () => screen.includes('…\x1b[K'))
    child.terminal!.write(key)
    expect(await child.exited).toBe(0)
    await until('the old screen', () => screen.includes(LEAVE))
    expect(screen.startsWith('\x1b[?1049h')).toBe(true)
    expect(screen.includes('\x1b[1m')).toBe(bold)
    expect(screen).not.toContain('\x1b[31mred')
    child.terminal!.close()
  })

  test('says that it waits where the agent has not lived through a second', async () => {
    const quiet = join(folder, 'quiet')
    const agent = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', quiet], {
      ...{ stdin: 'pipe', stdout: 'ignore', stderr: 'ignore' },
      env: { PATH: '/usr/bin:/bin', HOME: folder },
    })
    await until('its socket', () => existsSync(join(quiet, 'live.sock')))
    let screen = ''
    const child = Bun.spawn([agentBinary(), 'top', '--state', quiet], {
      env: { PATH: '/usr/bin:/bin', HOME: folder, TERM: 'xterm' },
      terminal: {
        ...{ cols: 60, rows: 12 },
        data(_terminal, bytes) {
          screen += new TextDecoder().decode(bytes)
        },
      },
    })
    await until('a word', () => screen.includes('Waiting for'))
    child.terminal!.write('q')
    expect(await child.exited).toBe(0)
    child.terminal!.close()
    agent.kill('SIGTERM')
    await agent.exited
  })

  test('without an agent: exit code 4, and what to do', async () => {
    const { code, stderr } = await runAgent(['top', '--state', join(folder, 'none')])
    expect(code).toBe(4)
    expect(stderr).toContain('agent watch')
  })

  test('its help names every flag', async () => {
    const { stdout } = await runAgent(['top', '--help'])
    for (const flag of ['--once', '--json', '--state']) expect(stdout).toContain(flag)
    expect((await runAgent(['watch', '--help'])).stdout).toContain('--cpu-max')
  })
})
