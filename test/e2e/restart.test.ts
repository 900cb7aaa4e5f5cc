/**
 * `agent watch` is killed again and again while a masquerade goes on, on one state directory: the
 * alert keeps its id, is opened once and closed once, on stdout and in the local store. Once with
 * recorded seconds from a pipe, once with a live process on the kernel source.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AlertMessage } from '../../src/wire/alert-message.ts'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { refusal } from '../support/kernel.ts'
import { LAB } from '../support/open-agent.ts'
import { until } from '../support/until.ts'

/** More for a long look: CALLSIGN_TEST_KILLS=20. */
const KILLS = Number(process.env.CALLSIGN_TEST_KILLS ?? 3)
const T = Math.floor(Date.now() / 1000) - 36_000

let folder = ''
/** Of each recorded second what the masquerade called. */
let calls: string[] = []
let pid = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'restart-'))
  const first = await runAgent(['replay', LAB, '--json'])
  const alerts = first.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as AlertMessage)
  const subject = alerts.find(({ process }) => process.name === 'nginx')!
  pid = subject.process.pid
  const lines = new TextDecoder().decode(Bun.zstdDecompressSync(await Bun.file(LAB).bytes()))
  calls = lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((vector) => vector.pid === pid && vector.t >= subject.first)
    .map(({ counts }) => JSON.stringify(counts))
}, 180_000)
const leftOvers: Bun.Subprocess[] = []
afterAll(() => {
  for (const child of leftOvers) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** The masquerade's seconds from..to, over and over. */
function seconds(from: number, to: number): string {
  let text = ''
  for (let t = from; t < to; t++)
    text += `{"t":${T + t},"pid":${pid},"start":${T - 60},"name":"nginx","counts":${calls[t % calls.length]}}\n`
  return text
}

/** @returns the agent, and the alerts that it prints, as they come */
function startWatch(state: string, source: string) {
  const agent = Bun.spawn(
    [agentBinary(), 'watch', '--source', source, '--state', state, '--json', '--learn', '0s'],
    {
      env: { PATH: '/usr/bin:/bin', HOME: folder, AGENT_LOG: 'error' },
      ...{ stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' },
    },
  )
  leftOvers.push(agent)
  const printed: AlertMessage[] = []
  const reading = (async () => {
    let rest = ''
    for await (const chunk of agent.stdout) {
      const lines = (rest + new TextDecoder().decode(chunk)).split('\n')
      rest = lines.pop()!
      for (const line of lines) printed.push(JSON.parse(line))
    }
  })()
  return { agent, printed, reading }
}

test(
  'one id, one opening, one close over kill -9',
  async () => {
    expect(calls.length).toBeGreaterThan(5)
    const state = join(folder, 'state')
    const told: AlertMessage[] = []
    const start = () => startWatch(state, '-')
    // Each run sees more than the minute after which an open alert is told again.
    const RUN_SECONDS = 80
    for (let kill = 0; kill < KILLS; kill++) {
      const { agent, printed, reading } = start()
      agent.stdin.write(seconds(kill * RUN_SECONDS, (kill + 1) * RUN_SECONDS))
      await agent.stdin.flush()
      await until('an alert', () => printed.length > 0, 60_000)
      agent.kill('SIGKILL')
      await agent.exited
      await reading
      told.push(...printed)
    }
    const { agent, printed, reading } = start()
    agent.stdin.write(seconds(KILLS * RUN_SECONDS, KILLS * RUN_SECONDS + 20))
    agent.stdin.end()
    expect(await agent.exited).toBe(0)
    await reading
    told.push(...printed)

    const states = told.filter(({ process }) => process.pid === pid).map(({ state: of }) => of)
    expect(new Set(told.map(({ id }) => id)).size).toBe(1)
    expect(states.filter((of) => of === 'open')).toHaveLength(1)
    expect(states.filter((of) => of === 'closed')).toHaveLength(1)
    expect([states[0], states.at(-1)]).toEqual(['open', 'closed'])
    expect(told.at(-1)!.first).toBe(told[0]!.first)

    const kept = (await runAgent(['alerts', '--state', state, '--json'])).stdout.trim().split('\n')
    expect(kept).toHaveLength(1)
    expect(JSON.parse(kept[0]!)).toMatchObject({ id: told[0]!.id, state: 'closed' })
    const { stdout } = await runAgent(['status', '--state', state, '--json'])
    const { opened, open, closed } = JSON.parse(stdout).detection.alerts
    expect({ opened, open, closed }).toEqual({ opened: 1, open: 0, closed: 1 })
  },
  120_000 + 30_000 * KILLS,
)

test.skipIf(refusal !== undefined)(
  `the same of a live process${refusal === undefined ? '' : ` (skipped: ${refusal})`}`,
  async () => {
    const state = join(folder, 'live')
    const copy = join(folder, 'haproxy')
    copyFileSync('/usr/bin/tail', copy)
    // It polls: a process that makes no call is not looked at.
    const masquerade = Bun.spawn(
      [copy, '-f', '---disable-inotify', '--sleep-interval=0.2', '/etc/hostname'],
      { stdout: 'ignore', stderr: 'ignore' },
    )
    leftOvers.push(masquerade)
    const told: AlertMessage[] = []
    /** Alerts about it that this state directory holds. */
    const kept = async () => {
      const { stdout } = await runAgent(['alerts', '--state', state, '--json'])
      const alerts = stdout.split('\n').filter((line) => line !== '')
      return alerts
        .map((line) => JSON.parse(line) as AlertMessage)
        .filter(({ process }) => process.pid === masquerade.pid)
    }
    /** Waits until a run that began after `sinceMs` has judged some seconds. */
    const judgedSeconds = (sinceMs: number) =>
      until(
        'some seconds of this run',
        async () => {
          const { stdout } = await runAgent(['status', '--state', state, '--json'])
          const { startedMs = 0, observed } = stdout === '' ? {} : JSON.parse(stdout)
          return startedMs >= sinceMs && observed.frames >= 3
        },
        60_000,
      )
    for (let kill = 0; kill < KILLS; kill++) {
      const startedMs = Date.now()
      const { agent, printed, reading } = startWatch(state, 'kernel')
      if (kill === 0) await until('the alert', () => printed.some(about(masquerade.pid)), 60_000)
      else await judgedSeconds(startedMs)
      agent.kill('SIGKILL')
      await agent.exited
      await reading
      told.push(...printed.filter(about(masquerade.pid)))
      expect((await kept()).map(({ state: of }) => of)).toEqual(['open'])
    }
    masquerade.kill()
    await masquerade.exited
    const { agent, printed, reading } = startWatch(state, 'kernel')
    const isClosed = () =>
      printed.some((one) => one.state === 'closed' && about(masquerade.pid)(one))
    await until('the close', isClosed, 60_000)
    agent.kill('SIGTERM')
    expect(await agent.exited).toBe(0)
    await reading
    told.push(...printed.filter(about(masquerade.pid)))
    const states = told.map(({ state: of }) => of)
    expect(new Set(told.map(({ id }) => id)).size).toBe(1)
    expect(states.filter((of) => of === 'open')).toHaveLength(1)
    expect(states.filter((of) => of === 'closed')).toHaveLength(1)
    expect(told.at(-1)).toMatchObject({ state: 'closed', ended: 'gone' })
    expect((await kept()).map(({ state: of }) => of)).toEqual(['closed'])
  },
  180_000 + 60_000 * KILLS,
)

function about(pid: number): (alert: AlertMessage) => boolean {
  return ({ process }) => process?.pid === pid
}
