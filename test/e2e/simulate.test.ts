/**
 * `agent simulate attack` beside a running agent: the proof that this agent on this host sees, end
 * to end.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { refusal } from '../support/kernel.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'

const SKIP = refusal !== undefined
const directory = temporaryDirectories()

describe.skipIf(SKIP)(`agent simulate attack${SKIP ? ` (skipped: ${refusal})` : ''}`, () => {
  let watch: Bun.Subprocess | undefined
  let state = ''
  beforeAll(async () => {
    state = directory()
    watch = Bun.spawn(
      [agentBinary(), 'watch', '--source', 'kernel', '--state', state, '--cpu-max', '0'],
      { env: { PATH: '/usr/bin:/bin', HOME: state }, stdout: 'ignore', stderr: 'ignore' },
    )
    await until('the agent to run', () => existsSync(join(state, 'local.db')))
    await until('its first status', async () => {
      const { code } = await runAgent(['status', '--state', state, '--json'])
      return code === 0
    })
  }, 40_000)
  afterAll(async () => {
    watch?.kill('SIGTERM')
    await watch?.exited
  })

  test('a renamed find is found, and nothing of it is left', async () => {
    const { code, stdout, stderr } = await runAgent(
      ['simulate', 'attack', 'masquerade', '--seconds', '100', '--state', state, '--json'],
      { limitMs: 110_000 },
    )
    expect(stderr).toContain('masquerade')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'masquerade',
      found: true,
      alert: { kind: 'masquerade', process: { name: 'nginx' } },
    })
    const left = readdirSync(tmpdir()).filter((name) => name.startsWith('callsign-simulate-'))
    expect(left).toEqual([])
  }, 120_000)

  test("a miner that talks a pool's protocol is found", async () => {
    const { code, stdout, stderr } = await runAgent(
      ['simulate', 'attack', 'crypto-miner', '--seconds', '150', '--state', state, '--json'],
      { limitMs: 170_000 },
    )
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ found: true, alert: { severity: 'critical' } })
  }, 180_000)

  test('the same again at once is found, though it is no alert of its own', async () => {
    const again = () =>
      runAgent(
        ['simulate', 'attack', 'reverse-shell', '--seconds', '100', '--state', state, '--json'],
        { limitMs: 110_000 },
      )
    const [first, second] = [await again(), await again()]
    expect(first.code, first.stderr).toBe(0)
    expect(second.code, second.stderr).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({ found: true, joined: true })
    expect(JSON.parse(second.stdout).alert.id).toBe(JSON.parse(first.stdout).alert.id)
  }, 240_000)
})

test('agent simulate attack says so where no agent runs, and refuses what it does not know', async () => {
  const nowhere = await runAgent(['simulate', 'attack', '--state', directory()])
  expect(nowhere.code).toBe(4)
  const unknown = await runAgent(['simulate', 'attack', 'rumour', '--state', directory()])
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toContain('it must be one of masquerade')
})
