import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OutboxLedger } from '../../src/domain/ledger.ts'
import { openDatabase } from '../../src/platform/sqlite.ts'
import { type Mosquitto, mosquitto, startMosquitto } from '../support/brokers.ts'
import { mulberry32 } from '../support/frames.ts'
import { temporaryDirectories } from '../support/temporary.ts'
import { until } from '../support/until.ts'

const directory = temporaryDirectories()
const program = (name: string) =>
  new URL(`../fixtures/programs/${name}.ts`, import.meta.url).pathname
const KILLS = Number(process.env.CALLSIGN_TEST_KILLS ?? 15)

/** A child that is started again each time it is killed. */
class Mortal {
  readonly #args: string[]
  #child: Bun.Subprocess | undefined

  constructor(...args: string[]) {
    this.#args = args
    this.start()
  }

  start(): void {
    this.#child = Bun.spawn([process.execPath, ...this.#args], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#child?.exited
  }
}

// scripts/test.sh installs mosquitto: a broker that can be killed apart from the other two.
describe.skipIf(mosquitto === null)('kill -9 of agent, broker and aggregator in turn', () => {
  const mortals: { kill(): Promise<void> }[] = []
  afterAll(async () => {
    for (const mortal of mortals) await mortal.kill()
  })

  test('what was made is stored, once', async () => {
    const home = directory()
    const store = join(home, 'store.db')
    const made = join(home, 'made')
    const broker: Mosquitto = await startMosquitto(home)
    const aggregator = new Mortal(program('storing-aggregator'), store, broker.url)
    const agent = new Mortal(program('publishing-agent'), home, broker.url, 'make', 'receipt')
    mortals.push(broker, aggregator, agent)
    const linesMade = () =>
      existsSync(made)
        ? readFileSync(made, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
        : []

    const next = mulberry32(20_261_123)
    let killed = 0
    while (killed < KILLS) {
      // Each life lasts until it has made something, and a little of chance.
      const before = linesMade().length
      const more = 5 + Math.floor(next() * 150)
      await until('more alerts', () => linesMade().length > before + more)
      const victim = [agent, broker, aggregator][killed % 3]!
      await victim.kill()
      await victim.start()
      killed++
    }
    await agent.kill()
    mortals.splice(mortals.indexOf(agent), 1)
    const drain = Bun.spawn(
      [process.execPath, program('publishing-agent'), home, broker.url, 'drain', 'receipt'],
      { stdout: 'pipe', stderr: 'ignore' },
    )
    const ledger: OutboxLedger = JSON.parse(await new Response(drain.stdout).text())
    await aggregator.kill()

    const database = openDatabase(store, { schema: [''], readOnly: true })
    const one = <T>(sql: string) => database.prepare<T>(sql).get()!
    const { stored } = one<{ stored: number }>('SELECT count(*) AS stored FROM stored')
    const { repeats } = one<{ repeats: number }>('SELECT count(*) AS repeats FROM repeats')
    const ids = database
      .prepare<{ alert: string }>("SELECT alert FROM stored WHERE kind = 'alert'")
      .all()
      .map(({ alert }) => alert)
    database.close()

    expect(ledger).toEqual({
      created: stored,
      acknowledged: stored,
      queued: 0,
      merged: 0,
      dropped: {},
    })
    expect(new Set(ids).size).toBe(ids.length)
    const present = new Set(ids)
    expect(linesMade().filter((id) => !present.has(id))).toEqual([])
    console.info(
      `${killed} kills: ${ledger.created} made, ${stored} stored, ${repeats} repeats dropped, 0 lost`,
    )
  }, 120_000)
})
