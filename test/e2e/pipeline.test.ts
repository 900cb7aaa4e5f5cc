/**
 * The main job, as a stranger runs it: a recording walks through the built agent, over a real
 * socket, into the aggregator's store, while one or the other is killed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { freePort } from '../support/brokers.ts'
import { until } from '../support/until.ts'

/** More for a long look: CALLSIGN_TEST_KILLS=20. */
const KILLS = Number(process.env.CALLSIGN_TEST_KILLS ?? 3)
const RECORDING = join(import.meta.dir, '../fixtures/frames/lab-98s.frames.ndjson.zst')

interface Alert {
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly process: { readonly name: string }
  readonly why: readonly { readonly syscall: string }[]
}

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const alertsOf = (ndjson: string): Alert[] =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Alert)
const idsOf = (alerts: readonly Alert[]) => [...new Set(alerts.map(({ id }) => id))].sort()

/** An aggregator that can be killed and started again on the same ports and store. */
class TestAggregator {
  readonly #name: string
  readonly #mqtt: number
  readonly #http: number
  #child: Bun.Subprocess | undefined

  private constructor(name: string, mqtt: number, http: number) {
    this.#name = name
    this.#mqtt = mqtt
    this.#http = http
  }

  static async start(name: string): Promise<TestAggregator> {
    const aggregator = new TestAggregator(name, await freePort(), await freePort())
    await aggregator.up()
    return aggregator
  }

  get broker(): string {
    return `mqtt://127.0.0.1:${this.#mqtt}`
  }

  async up(): Promise<void> {
    const ready = join(folder, `${this.#name}.ready`)
    rmSync(ready, { force: true })
    this.#child = Bun.spawn(
      [
        agentBinary(),
        'aggregate',
        ...['--listen', `127.0.0.1:${this.#mqtt}`, '--http', `127.0.0.1:${this.#http}`],
        ...['--store', join(folder, `${this.#name}.db`), '--ready-file', ready],
        ...['--state', join(folder, `${this.#name}.state`)],
      ],
      { stdout: 'ignore', stderr: 'ignore', env: { PATH: '/usr/bin:/bin', HOME: folder } },
    )
    await until('the aggregator', () => existsSync(ready), 30_000)
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal)
    await this.#child?.exited
  }

  async stored(): Promise<Alert[]> {
    const answer = await fetch(`http://127.0.0.1:${this.#http}/api/v1/alerts?limit=1000`)
    return ((await answer.json()) as { items: Alert[] }).items
  }
}

describe('agent replay', () => {
  test('the last line tells as many alerts as were shown, and apart from them what was not', async () => {
    const { stdout, stderr } = await runAgent(['replay', RECORDING])
    const [, all, low] = /, (\d+) alerts, (\d+) of them of low severity/.exec(stderr)!
    expect(new Set(stdout.match(/explain [0-9a-f]{16}/g)).size).toBe(Number(all) - Number(low))
  })

  test('raises what is in the recording, with reasons, and says so in its exit code', async () => {
    const { code, stdout, stderr } = await runAgent(['replay', RECORDING, '--json'])
    expect(code).toBe(10)
    const opened = alertsOf(stdout).filter(({ state }) => state === 'open')
    const names = opened.map(({ process }) => process.name)
    // The miner, and the encrypting script under the name of a web server.
    for (const name of ['xmrig', 'nginx']) expect(names).toContain(name)
    for (const alert of opened) expect(alert.why.length, alert.process.name).toBeGreaterThan(0)
    const ledger = JSON.parse(stderr.trim().split('\n').at(-1)!)
    expect(ledger.observed.calls).toBe(1_894_719)
    expect(ledger.counted).toBe(1_894_719)
  }, 60_000)

  test('gives the same alerts for the same input', async () => {
    const [first, second] = await Promise.all([
      runAgent(['replay', RECORDING, '--json']),
      runAgent(['replay', RECORDING, '--json']),
    ])
    const ids = ({ stdout }: { stdout: string }) =>
      alertsOf(stdout).map(({ id, state }) => `${id} ${state}`)
    expect(ids(first)).toEqual(ids(second))
  }, 60_000)

  test('without a broker that answers: exit 8, and the alerts wait in the state directory', async () => {
    const state = join(folder, 'away')
    const broker = `mqtt://127.0.0.1:${await freePort()}`
    const away = await runAgent(['replay', RECORDING, '--state', state, '--broker', broker])
    expect(away.code).toBe(8)
    expect(away.stderr).toContain('hint: They are kept in the state directory')
    const { stdout } = await runAgent(['status', '--state', state, '--json'])
    const { created, queued } = JSON.parse(stdout)
    expect(queued).toBeGreaterThan(0)
    expect(queued).toBeLessThanOrEqual(created)
  }, 60_000)
})

describe('alerts made = alerts stored, none twice', () => {
  test(
    'though the aggregator is killed again and again',
    async () => {
      const aggregator = await TestAggregator.start('aggregator-killed')
      const replay = runAgent([
        // So slow that the recording lasts as long as the kills do.
        ...['replay', RECORDING, '--pace', String(Math.max(1, 36 / KILLS)), '--json'],
        ...['--site', 't', '--host', 'h1'],
        ...['--state', join(folder, 'agent-1'), '--broker', aggregator.broker],
      ])
      for (let kills = 0; kills < KILLS; kills++) {
        await Bun.sleep(1_200)
        await aggregator.kill()
        await aggregator.up()
      }
      const made = alertsOf((await replay).stdout)
      expect((await replay).code).toBe(10)
      const stored = await aggregator.stored()
      await aggregator.kill('SIGTERM')
      expect(made.length).toBeGreaterThan(0)
      expect(stored.map(({ id }) => id).sort()).toEqual(idsOf(made))
    },
    60_000 + 15_000 * KILLS,
  )

  test(
    'though the agent is killed again and again',
    async () => {
      const aggregator = await TestAggregator.start('agent-killed')
      const state = join(folder, 'agent-2')
      const made: Alert[] = []
      for (let kills = 0; kills <= KILLS; kills++) {
        const out = join(folder, `made-${kills}.ndjson`)
        const child = Bun.spawn(
          [
            agentBinary(),
            ...['replay', RECORDING, '--pace', '40', '--json', '--site', 't', '--host', 'h1'],
            ...['--state', state, '--broker', aggregator.broker],
          ],
          { stdout: Bun.file(out), stderr: 'ignore', env: { PATH: '/usr/bin:/bin', HOME: folder } },
        )
        // The last one is let live to its end, and delivers what the killed ones left behind.
        if (kills < KILLS) {
          await until('an alert', () => existsSync(out) && readFileSync(out).includes(10), 30_000)
          child.kill('SIGKILL')
        }
        await child.exited
        // A line that the kill cut is no alert that anybody was told of.
        const text = readFileSync(out, 'utf8')
        made.push(...alertsOf(text.slice(0, text.lastIndexOf('\n') + 1)))
      }
      const stored = await aggregator.stored()
      await aggregator.kill('SIGTERM')
      expect(stored.map(({ id }) => id).sort()).toEqual(idsOf(made))
    },
    60_000 + 15_000 * KILLS,
  )
})
