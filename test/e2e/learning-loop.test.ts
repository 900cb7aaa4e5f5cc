/**
 * From an alert to a better model: an operator fetches its windows from the host, trains the shipped
 * model with them, and pushes it; the host goes over to it. Built binary, mosquitto.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../aggregator/running.ts'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { mosquitto, startMosquitto } from '../support/brokers.ts'
import { LONG_MINER, longMiner } from '../support/long-miner.ts'

const folder = mkdtempSync(join(tmpdir(), 'learning-'))
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function spawn(log: string, args: string[], stdin: 'ignore' | 'pipe' = 'ignore') {
  const child = Bun.spawn([agentBinary(), ...args], {
    env: { PATH: '/usr/bin:/bin', HOME: folder },
    ...{ stdin, stdout: 'ignore', stderr: Bun.file(join(folder, log)) },
  })
  ends.push(async () => {
    child.kill('SIGTERM')
    await child.exited
  })
  return { child, log: () => readFileSync(join(folder, log), 'utf8') }
}

describe.skipIf(mosquitto === null)('the learning loop', () => {
  test('fetches windows of an alert, trains with them, pushes, and the host uses it', async () => {
    const broker = await startMosquitto(folder)
    ends.push(() => broker.close())
    const store = join(folder, 'aggregate.db')
    const ready = join(folder, 'ready.json')
    spawn('aggregate.log', [
      ...['aggregate', '--broker', broker.url, '--store', store, '--http', '127.0.0.1:0'],
      ...['--ready-file', ready, '--site', 'lab'],
    ])
    const { url } = await until(
      'the aggregator',
      async () => {
        const file = Bun.file(ready)
        return (await file.exists()) ? ((await file.json()) as { url: string }) : undefined
      },
      60_000,
    )
    const watch = (host: string, accepts: string) =>
      spawn(
        `${host}.log`,
        [
          ...['watch', '--source', '-', '--state', join(folder, host), '--broker', broker.url],
          ...['--site', 'lab', '--host', host, '--accept-fleet', accepts],
        ],
        'pipe',
      )
    const web = watch('web', 'windows,model')
    const { text, last } = longMiner()
    const stdin = web.child.stdin as Exclude<typeof web.child.stdin, number | undefined>
    stdin.write(text)
    stdin.flush()
    const alerts = async () =>
      (await (await fetch(`${url}/api/v1/alerts`)).json()) as {
        items: { id: string; first: number; last: number; process: { name: string } }[]
      }
    const alert = await until(
      'an alert that goes on',
      async () => {
        const { items } = await alerts()
        return items.find(
          ({ first, last, process }) => process.name === LONG_MINER && last - first > 100,
        )
      },
      90_000,
    )
    const fetched = join(folder, 'fetched.frames.ndjson')
    const fetchWindows = (host: string, id: string, ...more: string[]) =>
      runAgent([
        ...['fetch-windows', `lab/${host}`, id, '--store', store, '--out', fetched, ...more],
      ])
    const none = await fetchWindows('web', alert.id, '--wait', '60s')
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('without a label')])
    const got = await fetchWindows('web', alert.id, '--label', 'prover', '--wait', '60s')
    expect(got.stderr).toMatch(/Kept \d\d\d seconds of prove9 on lab\/web as "prover"/)
    expect(got.code).toBe(0)
    const lines = readFileSync(fetched, 'utf8').trim().split('\n')
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ host: 'web', name: LONG_MINER, label: 'prover' })
    // A host that did not say that it may be asked does not answer.
    expect((await fetchWindows('web', 'nosuch', '--label', 'x')).stderr).toContain('has no alert')

    const model = join(folder, 'model')
    const train = ['train', fetched, '--base', 'default', '--out', model, '--epochs', '2']
    const { child } = spawn('train.log', train)
    expect(await child.exited).toBe(0)
    const pushed = await runAgent(['model', 'push', model, '--store', store, '--site', 'lab'])
    expect(pushed.stderr).toContain('for 100 % of the 1 hosts that accept models')
    let second = last
    await until(
      'the host to use it',
      () => {
        second++
        stdin.write(
          `${JSON.stringify({ t: second, pid: 9, start: 1, name: 'cron', counts: { read: 1 } })}\n`,
        )
        stdin.flush()
        return web.log().includes('Model of the fleet in use')
      },
      120_000,
    )
    const classes = await runAgent(['model', 'ls', '--state', join(folder, 'web'), '--json'])
    const used = classes.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .find(({ inUse }) => inUse)
    expect(used.classes.map((one: { name: string }) => one.name)).toContain('prover')
  }, 400_000)
})
