/**
 * A fleet as operators run it: the built binary as aggregator and as agents, with its own broker and
 * with mosquitto.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openIdentity } from '../../src/platform/identity.ts'
import { encodeFleetPolicy } from '../../src/wire/fleet-document.ts'
import { attachSignature } from '../../src/wire/signed.ts'
import { connectClient, until } from '../aggregator/running.ts'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { mosquitto, startMosquitto } from '../support/brokers.ts'
import { ownLines } from '../support/lines.ts'
import { namedModel } from '../support/pushed-model.ts'

const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const env = { PATH: '/usr/bin:/bin', HOME: folder, AGENT_LOG: 'info' }

interface Aggregator {
  readonly broker: string
  readonly url: string
  readonly store: string
  fleet(): Promise<Fleet>
  stop(): Promise<void>
}
interface Fleet {
  readonly documents: { readonly version: number; readonly hosts: Record<string, number> }[]
  readonly runs: { readonly fleet?: unknown; readonly hosts: number; readonly online: number }[]
}

async function aggregate(name: string, ...flags: string[]): Promise<Aggregator> {
  const store = join(folder, `${name}.db`)
  const ready = join(folder, `${name}.json`)
  rmSync(ready, { force: true })
  const child = Bun.spawn(
    [
      ...[agentBinary(), 'aggregate', '--store', store, '--http', '127.0.0.1:0'],
      ...['--ready-file', ready, '--site', 'lab', ...flags],
    ],
    { env, stdout: 'ignore', stderr: Bun.file(join(folder, `${name}.log`)) },
  )
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
  }
  ends.push(stop)
  const told = await until(
    'the ready file',
    () => {
      try {
        return JSON.parse(readFileSync(ready, 'utf8'))
      } catch {
        return undefined
      }
    },
    60_000,
  )
  return {
    ...told,
    store,
    stop,
    fleet: async () => (await (await fetch(`${told.url}/api/v1/fleet`)).json()) as Fleet,
  }
}

/** An agent over a pipe that stays open. */
let started = 0
function watch(broker: string, host: string, ...flags: string[]) {
  const log = join(folder, `${host}-${++started}.log`)
  const state = join(folder, host)
  const child = Bun.spawn(
    [
      ...[agentBinary(), 'watch', '--source', '-', '--state', state, '--broker', broker],
      ...['--site', 'lab', '--host', host, ...flags],
    ],
    { env, stdin: 'pipe', stdout: 'ignore', stderr: Bun.file(log) },
  )
  let second = Math.floor(Date.now() / 1000) - 3_600
  /** A few seconds more. */
  const feed = () => {
    child.stdin.write(ownLines(3, second))
    void child.stdin.flush()
    second += 3
  }
  feed()
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
  }
  ends.push(stop)
  return { state, feed, stop, log: () => readFileSync(log, 'utf8') }
}

const rules = [{ behaviour: 'network-scan', severity: 'low', reason: 'we scan' }]
const file = (name: string, content: unknown) => {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(content))
  return path
}
const push = (store: string, path: string, ...flags: string[]) =>
  runAgent(['policy', 'push', path, '--store', store, '--site', 'lab', ...flags])
const severity = async (state: string) =>
  (await runAgent(['policy', '--state', state])).stdout
    .split('\n')
    .find((line) => line.startsWith('network-scan'))

describe('agent policy push', () => {
  test('reaches the hosts that accept it, shows who runs what, and survives restarts', async () => {
    const first = await aggregate('policy', '--listen', '127.0.0.1:0')
    const web = watch(first.broker, 'web', '--accept-fleet', 'policy')
    const db = watch(first.broker, 'db')
    await until(
      'both hosts',
      async () => (await first.fleet()).runs.reduce((sum, run) => sum + run.online, 0) === 2,
      60_000,
    )
    const pushed = await push(first.store, file('policy.json', { rules }))
    expect(pushed.stderr).toMatch(
      /Pushed policy \d+ to site lab: for 100 % of the 1 hosts that accept policies, of 2 in all/,
    )
    const shown = await until(
      'the host to use it',
      async () => {
        const { documents } = await first.fleet()
        return documents[0]?.hosts.active === 1 ? documents[0] : undefined
      },
      30_000,
    )
    expect(shown).toMatchObject({ site: 'lab', canary: 100, rules, hosts: { 'not-accepting': 1 } })
    expect(await severity(web.state)).toMatch(
      /network-scan +low +T1046 +medium of the fleet, \d+: we scan/,
    )
    expect(await severity(db.state)).toMatch(/network-scan +medium +T1046\s*$/)
    const status = await until('the status', async () => {
      const { stdout } = await runAgent(['status', '--state', web.state, '--json'])
      return JSON.parse(stdout).fleet?.policy === undefined ? undefined : JSON.parse(stdout)
    })
    expect(status.fleet.policy).toEqual({ version: shown.version, state: 'active' })

    // Another aggregator process on the same store: its broker remembers nothing by itself.
    await first.stop()
    const again = await aggregate('policy', '--listen', new URL(first.broker).host)
    const late = watch(again.broker, 'late', '--accept-fleet', 'policy')
    await until(
      'the host that came later',
      async () => (await again.fleet()).documents[0]?.hosts.active === 2,
      90_000,
    )
    expect(await severity(late.state)).toContain('of the fleet')
  }, 240_000)

  test('says what is wrong with a policy, and pushes nothing', async () => {
    const { store, fleet } = await aggregate('wrong', '--listen', '127.0.0.1:0')
    const { code, stderr } = await push(store, file('wrong.json', { rules: [{ behaviour: 'x' }] }))
    expect(code).toBe(1)
    expect(stderr).toContain('Cannot push the policy')
    expect((await push(store, join(folder, 'none.json'))).code).toBe(2)
    expect((await push(join(folder, 'no-store.db'), file('ok.json', { rules }))).code).toBe(5)
    expect((await push(store, file('ok.json', { rules }), '--canary', '0')).code).toBe(2)
    expect((await fleet()).documents).toEqual([])
  }, 60_000)
})

describe('agent model push', () => {
  const running = async (state: string) =>
    (await runAgent(['model', 'ls', '--state', state])).stdout
      .split('\n')
      .find((line) => line.startsWith('*'))

  test('reaches a running host that accepts models, with its own broker, and outlives a restart', async () => {
    const model = namedModel(folder, 'pushed')
    const aggregator = await aggregate('model', '--listen', '127.0.0.1:0')
    const web = watch(aggregator.broker, 'goes-over', '--accept-fleet', 'model')
    const db = watch(aggregator.broker, 'stays', '--accept-fleet', 'policy')
    const online = async () =>
      (await aggregator.fleet()).runs.reduce((sum, run) => sum + run.online, 0)
    await until('both hosts', async () => (await online()) === 2, 60_000)
    const pushed = await runAgent([
      ...['model', 'push', model, '--store', aggregator.store, '--site', 'lab'],
    ])
    expect(pushed.stderr).toMatch(
      /Pushed model \d+ to site lab: for 100 % of the 1 hosts that accept models, of 2 in all/,
    )
    expect(pushed.stderr).toContain('It has no signature of its own')
    const shown = await until(
      'the host to use it',
      async () => {
        web.feed()
        const { documents } = await aggregator.fleet()
        return documents[0]?.hosts.active === 1 ? documents[0] : undefined
      },
      90_000,
    )
    expect(shown).toMatchObject({ what: 'model', canary: 100, hosts: { 'not-accepting': 1 } })
    expect(await running(web.state)).toMatch(/\* +[0-9a-f]{16} .* pushed$/)
    expect(await running(db.state)).toMatch(/\* +default/)
    expect(web.log()).toContain('Another model is in use')
    await web.stop()
    const again = watch(aggregator.broker, 'goes-over', '--accept-fleet', 'model')
    await until('it to be used from the start', () => again.log().includes('model=pushed'), 60_000)
    await again.stop()
    // Taken no more: the shipped model, which the host came with.
    const without = watch(aggregator.broker, 'goes-over')
    await until('it to watch', () => without.log().includes('Watching'), 60_000)
    expect(without.log()).not.toContain('model=pushed')
  }, 300_000)

  test('says what is wrong with a model, and pushes nothing', async () => {
    const { store, fleet } = await aggregate('no-model', '--listen', '127.0.0.1:0')
    const push = (directory: string) =>
      runAgent(['model', 'push', directory, '--store', store, '--site', 'lab'])
    const none = await push(join(folder, 'none'))
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('Cannot push model')])
    const damaged = namedModel(folder, 'damaged')
    writeFileSync(join(damaged, 'model.onnx'), 'x')
    expect((await push(damaged)).code).toBe(9)
    expect((await fleet()).documents).toEqual([])
  }, 60_000)
})

describe.skipIf(mosquitto === null)('agent model push beside mosquitto', () => {
  test('parts that somebody else publishes there are not used, and the true ones come through', async () => {
    const broker = await startMosquitto(folder)
    ends.push(() => broker.close())
    const { store, fleet } = await aggregate('shared-model', '--broker', broker.url)
    const web = watch(broker.url, 'lied-to', '--accept-fleet', 'model,policy')
    await until(
      'the host',
      async () => (await fleet()).runs.some(({ online }) => online === 1),
      60_000,
    )
    const stranger = await connectClient(broker.url, 'stranger')
    ends.push(() => stranger.end())
    await runAgent([
      ...['model', 'push', namedModel(folder, 'true'), '--store', store, '--site', 'lab'],
    ])
    // Whatever of it is retained already.
    for (let i = 0; i < 60; i++)
      await stranger.publish(`callsign/v1/lab/fleet/model-${i}`, new Uint8Array(65_536), {
        retain: true,
      })
    await until(
      'a part to be refused or the model to be there',
      async () => {
        web.feed()
        const { stdout } = await runAgent(['status', '--state', web.state, '--json'])
        const { publisher, fleet } = stdout === '' ? {} : JSON.parse(stdout)
        return fleet?.model.state === 'active' || publisher?.ignored['part: bad-part'] > 0
      },
      60_000,
    )
    await runAgent([
      ...['model', 'push', namedModel(folder, 'newer'), '--store', store, '--site', 'lab'],
    ])
    await until(
      'the newer one',
      async () => {
        web.feed()
        const { documents } = await fleet()
        return documents.some(({ hosts }) => hosts.active === 1)
      },
      90_000,
    )
    expect(await runAgent(['model', 'ls', '--state', web.state])).toMatchObject({
      stdout: expect.stringMatching(/\* .* newer$/m),
    })
  }, 240_000)
})

describe.skipIf(mosquitto === null)('agent policy push beside mosquitto', () => {
  test('what anybody else publishes there is not used, and the true one comes through', async () => {
    const broker = await startMosquitto(folder)
    ends.push(() => broker.close())
    const { store, fleet } = await aggregate('shared', '--broker', broker.url)
    const web = watch(broker.url, 'target', '--accept-fleet', 'policy')
    await until(
      'the key to be pinned',
      async () => {
        const { stdout } = await runAgent(['status', '--state', web.state, '--json'])
        return stdout !== '' && JSON.parse(stdout).publisher?.aggregatorKeys?.trusted.length === 1
      },
      60_000,
    )
    const stranger = await connectClient(broker.url, 'stranger')
    ends.push(() => stranger.end())
    const forged = encodeFleetPolicy({
      ...{ v: 1, what: 'policy', site: 'lab', version: 2 ** 50, made: 0, expires: 2 ** 40 },
      ...{ canary: 100, allow: [], rules: [{ behaviour: 'reverse-shell', severity: 'low' }] },
    })
    const other = openIdentity('22'.repeat(32))
    for (const payload of [forged, attachSignature(forged, other.sign(forged))])
      await stranger.publish('callsign/v1/lab/fleet/policy', payload, { retain: true })
    await until('both to be refused', () => {
      const log = web.log()
      return log.includes('reason=unsigned') && log.includes('reason=other-key')
    })
    await push(store, file('true.json', { rules }))
    await until(
      'the true one',
      async () => (await fleet()).documents[0]?.hosts.active === 1,
      30_000,
    )
    expect((await runAgent(['policy', '--state', web.state])).stdout).toMatch(
      /reverse-shell +critical/,
    )
  }, 180_000)
})
