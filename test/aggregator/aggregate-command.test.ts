/**
 * `agent aggregate` as a process of its own, because only a process can be killed without warning.
 */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAddress } from '../../src/commands/aggregate.ts'
import { type Identity, openIdentity } from '../../src/platform/identity.ts'
import { createLog } from '../../src/platform/log.ts'
import { parseBrokerUrl } from '../../src/platform/mqtt/client.ts'
import { Outbox } from '../../src/publish/outbox.ts'
import { Publisher } from '../../src/publish/publisher.ts'
import { encodeAlert } from '../../src/wire/alert-message.ts'
import { agentTopics } from '../../src/wire/topics.ts'
import { sampleAlert } from '../wire/samples.ts'
import { connectClient, until } from './running.ts'

const cli = join(import.meta.dir, '../../src/cli.ts')
let directory: string
const children: Bun.Subprocess[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aggregate-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL')
    await child.exited
  }
  rmSync(directory, { recursive: true, force: true })
})

interface Ready {
  broker: string
  url: string
  pid: number
  key: string
}

function spawn(...args: string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'> {
  const child = Bun.spawn([process.execPath, cli, 'aggregate', '--state', directory, ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  children.push(child)
  return child
}

async function start(...args: string[]): Promise<{ child: Bun.Subprocess; ready: Ready }> {
  const file = join(directory, 'ready')
  rmSync(file, { force: true })
  const child = spawn('--ready-file', file, ...args)
  await until('the ready file', () => {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`)
    return existsSync(file)
  })
  return { child, ready: JSON.parse(readFileSync(file, 'utf8')) }
}

const free = ['--listen', '127.0.0.1:0', '--http', '127.0.0.1:0']

test('the ready file holds addresses that answer, and goes at the end', async () => {
  const { child, ready } = await start(...free)
  expect(ready).toEqual({
    broker: expect.stringMatching(/^mqtt:\/\/127\.0\.0\.1:\d+$/),
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    pid: child.pid,
    key: expect.stringMatching(/^[\w-]{43}$/),
  })
  expect(await (await fetch(`${ready.url}/healthz`)).json()).toEqual({ status: 'ok' })
  // Calls that it never makes are refused, in every thread.
  for (const thread of readdirSync(`/proc/${child.pid}/task`))
    expect(readFileSync(`/proc/${child.pid}/task/${thread}/status`, 'utf8')).toMatch(
      /^Seccomp:\s*2$/m,
    )
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
  expect(existsSync(join(directory, 'ready'))).toBe(false)
  expect(existsSync(join(directory, 'aggregate.db'))).toBe(true)
})

test('migrate moves one store into another and says how much; a wrong call says what is missing', async () => {
  const first = await start(...free)
  const client = await connectClient(first.ready.broker, 'web-1')
  await client.alert({ id: 'to-be-moved' }, 1)
  await client.end()
  first.child.kill('SIGTERM')
  await first.child.exited
  const to = join(directory, 'moved.db')
  const migrating = spawn('migrate', '--to', to, '--json')
  expect(await migrating.exited).toBe(0)
  expect(JSON.parse(await new Response(migrating.stdout).text())).toEqual({
    hosts: 1,
    alerts: 1,
    skipped: 0,
  })
  const { ready } = await start(...free, '--store', to)
  expect((await fetch(`${ready.url}/api/v1/alerts/to-be-moved`)).status).toBe(200)
  for (const wrong of [
    ['migrate'],
    ['move', '--to', to],
    ['--store', 'postgres://me:secret@127.0.0.1/x'],
    ['--retain', 'forever'],
    ['--absent-after', '30s'],
  ]) {
    const child = spawn(...wrong)
    expect(await child.exited).toBe(2)
    expect(await new Response(child.stderr).text()).not.toContain('secret@')
  }
}, 60_000)

test('accept takes the new key of a host beside a running aggregator; keys lists it', async () => {
  const { ready } = await start(...free)
  const [old, renewed] = ['1', '2'].map((digit) => openIdentity(digit.repeat(64)))
  const client = await connectClient(ready.broker, 'web-1')
  const topics = agentTopics('lab', 'web-1')
  const send = (seq: number, { sign }: Identity) => {
    const payload = encodeAlert(
      { ...sampleAlert, id: `${seq}` },
      { site: 'lab', host: 'web-1', boot: 1, seq },
    )
    return client.publish(topics.alert, payload, { signature: sign(payload) })
  }
  await send(1, old!)
  await expect(send(2, renewed!)).rejects.toThrow()
  await until('the refusal', async () =>
    (await (await fetch(`${ready.url}/metrics`)).text()).includes('callsign_hosts_key_changed 1'),
  )
  const listing = spawn('keys', '--json')
  expect(await listing.exited).toBe(0)
  const listed = (await new Response(listing.stdout).text()).trim().split('\n')
  expect(listed.map((line) => JSON.parse(line))).toMatchObject([
    { aggregator: ready.key },
    {
      ...{ site: 'lab', host: 'web-1', key: { key: old!.publicKey } },
      refusedKey: { key: renewed!.publicKey },
    },
  ])
  for (const [wrong, code] of [
    [['lab/web-1'], 2],
    [['lab/nobody', renewed!.publicKey], 1],
  ] as const)
    expect(await spawn('accept', ...wrong).exited).toBe(code)
  expect(await spawn('accept', 'lab/web-1', renewed!.publicKey).exited).toBe(0)
  await send(3, renewed!)
  await expect(send(4, old!)).rejects.toThrow()
  expect((await fetch(`${ready.url}/api/v1/alerts/3`)).status).toBe(200)
  await client.end()
}, 60_000)

test('config show gives the address of a database without its password', async () => {
  const child = Bun.spawn([process.execPath, cli, 'config', 'show'], {
    env: { ...process.env, AGENT_AGGREGATE_STORE: 'postgres://me:hidden@db/x' },
    stdout: 'pipe',
  })
  const shown = await new Response(child.stdout).text()
  expect(shown).toContain('postgres://me:…@db/x')
  expect(shown).not.toContain('hidden')
})

test('a port that is in use ends it with exit code 5 and no ready file', async () => {
  const { ready } = await start(...free)
  const port = new URL(ready.broker).port
  const file = join(directory, 'second')
  const second = spawn(
    '--listen',
    `127.0.0.1:${port}`,
    '--http',
    '127.0.0.1:0',
    '--ready-file',
    file,
    '--store',
    join(directory, 'second.db'),
  )
  expect(await second.exited).toBe(5)
  expect(await new Response(second.stderr).text()).toContain(
    `error: Cannot listen for MQTT at 127.0.0.1:${port}: the port is in use\nhint: Find its owner`,
  )
  expect(existsSync(file)).toBe(false)
})

test.each([
  [['--listen', 'nonsense'], 2, 'it is not HOST:PORT'],
  [
    ['--listen', '127.0.0.1:0', '--broker', 'mqtt://127.0.0.1:1'],
    2,
    'Cannot use --listen together',
  ],
  [['--tls-cert', 'c.pem', ...free], 2, '--tls-cert and --tls-key go together'],
  [['--password-file', '/nowhere', ...free], 5, 'Cannot read password file'],
])('%p ends with exit code %p and says why', async (args, code, words) => {
  const child = spawn(...args)
  expect(await child.exited).toBe(code)
  expect(await new Response(child.stderr).text()).toContain(words)
})

test('killed again and again, it has every alert once that an agent made', async () => {
  let { child, ready } = await start(...free)
  const { port } = new URL(ready.broker)
  const outbox = Outbox.open(join(directory, 'outbox.db'), { site: 'lab', host: 'web-1' })
  const publisher = new Publisher({
    broker: parseBrokerUrl(ready.broker),
    site: 'lab',
    host: 'web-1',
    outbox,
    presence: { version: 'test', model: '', source: 'memory' },
    log: createLog({ write: () => {} }),
    reconnectMs: [20, 100],
    resendAfterMs: 300,
    settleMs: 100,
  })
  publisher.start()
  let made = 0
  const make = (count: number): void => {
    outbox.put(Array.from({ length: count }, () => ({ ...sampleAlert, id: `alert-${++made}` })))
    outbox.flush()
  }
  make(1)
  await until('the first receipt', () => outbox.queued === 0)
  for (let kill = 0; kill < 4; kill++) {
    // In the middle of a stream of messages, at no moment that we choose.
    for (let i = 0; i < 30; i++) {
      make(10)
      await Bun.sleep(1)
    }
    child.kill('SIGKILL')
    await child.exited
    make(10)
    ;({ child, ready } = await start('--listen', `127.0.0.1:${port}`, '--http', '127.0.0.1:0'))
  }
  expect(await publisher.end(20_000)).toBe(true)
  expect(outbox.ledger()).toMatchObject({ created: made, acknowledged: made, queued: 0 })
  outbox.close()
  const stored: string[] = []
  let after = ''
  do {
    const page = await fetch(`${ready.url}/api/v1/alerts?limit=1000${after && `&after=${after}`}`)
    const { items, next } = (await page.json()) as { items: { id: string }[]; next: string | null }
    stored.push(...items.map(({ id }) => id))
    after = next ?? ''
  } while (after !== '')
  expect(stored).toHaveLength(made)
  expect(new Set(stored).size).toBe(made)
}, 60_000)

test.each([
  ['127.0.0.1:1883', '127.0.0.1', 1883],
  ['[::1]:0', '::1', 0],
  ['broker.lab:65535', 'broker.lab', 65_535],
])('parseAddress() reads %p', (text, host, port) => {
  expect(parseAddress(text, 'listen')).toEqual({ host, port })
})

test.each(['', ':1883', '127.0.0.1', '::1:1883', 'a:b', 'host:65536', 'a b:1'])(
  'parseAddress() refuses %p',
  (text) => {
    expect(() => parseAddress(text, 'listen')).toThrow('it is not HOST:PORT')
  },
)
