/**
 * From nothing to mTLS with the built binary: a token, a certificate, a connection with it, its
 * renewal and its end.
 */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteStore } from '../../src/aggregator/store/sqlite-store.ts'
import { renewIfDue } from '../../src/operate/enrol.ts'
import { isPair, issue, makeKeyPair } from '../../src/platform/x509.ts'
import { until } from '../aggregator/running.ts'
import { agentBinary, runAgent } from '../support/agent-binary.ts'
import { mosquitto, startMosquitto } from '../support/brokers.ts'
import { ownLines } from '../support/lines.ts'

const folder = mkdtempSync(join(tmpdir(), 'enrol-'))
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const env = { PATH: '/usr/bin:/bin', HOME: folder, AGENT_LOG: 'info' }

async function aggregate(name: string, ...flags: string[]) {
  const store = join(folder, `${name}.db`)
  const ready = join(folder, `${name}.json`)
  const child = Bun.spawn(
    [
      ...[agentBinary(), 'aggregate', '--enrol', '--store', store, '--http', '127.0.0.1:0'],
      ...['--ready-file', ready, '--site', 'lab', ...flags],
    ],
    { env, stdout: 'ignore', stderr: Bun.file(join(folder, `${name}.log`)) },
  )
  ends.push(async () => {
    child.kill('SIGTERM')
    await child.exited
  })
  const told = await until(
    'the ready file',
    () => {
      try {
        return JSON.parse(readFileSync(ready, 'utf8')) as { url: string; broker: string }
      } catch {
        return undefined
      }
    },
    60_000,
  )
  return { ...told, store }
}

const store = (at: string, ...args: string[]) => runAgent(['aggregate', ...args, '--store', at])

async function tokenFor(at: string, host: string, ...flags: string[]): Promise<string> {
  const { code, stdout } = await store(at, 'token', host, ...flags)
  expect(code).toBe(0)
  const path = join(folder, `token-${crypto.randomUUID()}`)
  writeFileSync(path, stdout)
  return path
}

const stateOf = (host: string) => join(folder, `state-${host}`)

function enrol(url: string, token: string, host: string, stdin?: string) {
  const args = ['enrol', url, '--token-file', token, '--host', host, '--state', stateOf(host)]
  return runAgent(args, stdin === undefined ? {} : { stdin })
}

function watch(host: string, config: string) {
  const log = join(folder, `watch-${crypto.randomUUID()}.log`)
  const child = Bun.spawn([agentBinary(), 'watch', '--source', '-', '--state', stateOf(host)], {
    env: { ...env, AGENT_CONFIG: config },
    ...{ stdin: 'pipe' as const, stdout: 'ignore' as const, stderr: Bun.file(log) },
  })
  child.stdin.write(ownLines(3))
  void child.stdin.flush()
  const end = async () => {
    child.kill('SIGTERM')
    await child.exited
  }
  ends.push(end)
  return { end, log: () => readFileSync(log, 'utf8') }
}

/** The settings that `agent enrol` printed, as a file. */
function configFor(host: string, stdout: string): string {
  const path = join(folder, `${host}.toml`)
  writeFileSync(path, stdout, { mode: 0o600 })
  return path
}

async function connection(host: string): Promise<string> {
  const { stdout } = await runAgent(['status', '--state', stateOf(host), '--json'])
  return stdout === '' ? '' : JSON.parse(stdout).publisher?.connection
}

describe('agent enrol', () => {
  test('a token becomes a certificate, the certificate a connection, until it is revoked', async () => {
    const { url, store: at } = await aggregate('own', '--listen', '127.0.0.1:0')
    const token = await tokenFor(at, 'lab/web-1')
    // The token of one host is none for another, and holds once.
    const wrong = await enrol(url, token, 'web-2')
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(wrong.stderr).toContain('unknown-token')
    const { code, stdout, stderr } = await enrol(url, token, 'web-1')
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stderr).toContain('Enrolled as lab/web-1 until')
    expect((await enrol(url, token, 'web-1')).stderr).toContain('unknown-token')
    const certificate = new X509Certificate(readFileSync(join(stateOf('web-1'), 'tls/cert.pem')))
    expect(certificate.subject).toBe('CN=lab/web-1')

    const running = watch('web-1', configFor('web-1', stdout))
    await until('the connection', async () => (await connection('web-1')) === 'connected', 60_000)
    const hosts = async () => {
      const { stdout: keys } = await store(at, 'keys', '--json')
      return keys
    }
    await until(
      'the host to be known',
      async () => (await hosts()).includes('"host":"web-1"'),
      20_000,
    )

    // Its certificate is for itself: not for another name.
    const config = configFor('other', stdout.replace('host = "web-1"', 'host = "web-9"'))
    await running.end()
    const other = watch('web-1', config)
    await until('the refusal', () => other.log().match(/Not authorized|refuse/i), 30_000)
    await other.end()
    expect(await hosts()).not.toContain('web-9')

    const again = watch('web-1', configFor('web-1', stdout))
    await until('the connection', async () => (await connection('web-1')) === 'connected', 60_000)
    expect((await store(at, 'revoke', 'lab/web-1')).code).toBe(0)
    expect((await store(at, 'revoke', 'lab/web-1')).code).toBe(1)
    await until(
      'the connection to be refused',
      async () => ['refused', 'waiting'].includes(await connection('web-1')),
      120_000,
    )
    await until('the reason', () => /not authori[sz]ed/i.test(again.log()), 60_000)
    await again.end()
  }, 300_000)

  test('the token may come on standard input, as the service user cannot read the file', async () => {
    const { url, store: at } = await aggregate('stdin', '--listen', '127.0.0.1:0')
    const token = readFileSync(await tokenFor(at, 'lab/web-7'), 'utf8')
    const { code, stdout } = await enrol(url, '-', 'web-7', token)
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('web-7') })
  }, 120_000)

  test('without a certificate nobody connects, and another aggregator gets no token', async () => {
    const one = await aggregate('one', '--listen', '127.0.0.1:0')
    const two = await aggregate('two', '--listen', '127.0.0.1:0')
    const token = await tokenFor(one.store, 'lab/web-3')
    const wrong = await enrol(two.url, token, 'web-3')
    expect(wrong.code).toBe(9)
    expect(wrong.stderr).toContain('it is not the aggregator that made the token')
    const plain = await enrol(one.url.replace('https', 'http'), token, 'web-3')
    expect(plain.code).toBe(2)
    const rejected = await runAgent(
      [
        ...['watch', '--source', '-', '--state', join(folder, 'none'), '--broker', one.broker],
        ...['--ca', '/etc/hosts', '--host', 'web-3', '--duration', '3s'],
      ],
      { stdin: ownLines(2) },
    )
    expect(rejected.stderr).toContain('Cannot reach broker')
    // A token for any new host of a site is none for a reader, nor for every host at once.
    const many = await tokenFor(one.store, 'lab/*', '--uses', '9')
    expect((await enrol(one.url, many, 'web-4')).code).toBe(0)
    expect((await enrol(one.url, many, '@all')).stderr).toContain('needs-own-token')
    expect((await enrol(one.url, many, '*')).stderr).toContain('bad-field(host)')
    const short = await tokenFor(one.store, 'lab/web-5', '--expires', '1ms')
    expect((await enrol(one.url, short, 'web-5')).stderr).toContain('unknown-token')
    expect((await store(one.store, 'token', 'nothing')).code).toBe(2)
  }, 120_000)

  test('a certificate is renewed with the key of the host when a third of its time is left', async () => {
    const { url, store: at } = await aggregate('renew', '--listen', '127.0.0.1:0')
    const { stdout } = await enrol(url, await tokenFor(at, 'lab/web-6'), 'web-6')
    const state = stateOf('web-6')
    const files = { cert: join(state, 'tls/cert.pem'), key: join(state, 'tls/key.pem') }
    const before = readFileSync(files.cert, 'utf8')
    expect(await renewIfDue(state, Date.now())).toBe(false)
    const key = readFileSync(files.key, 'utf8')
    // Its key is pinned with its first message.
    const first = watch('web-6', configFor('web-6', stdout))
    await until('the connection', async () => (await connection('web-6')) === 'connected', 60_000)
    await until(
      'the key',
      async () => /"web-6","key":\{/.test((await store(at, 'keys', '--json')).stdout),
      20_000,
    )
    await first.end()
    // A key without its certificate, as a crash between the two leaves it.
    writeFileSync(files.key, makeKeyPair().key)
    expect(await renewIfDue(state, Date.now())).toBe(true)
    expect(isPair(readFileSync(files.cert, 'utf8'), readFileSync(files.key, 'utf8'))).toBe(true)
    writeFileSync(files.key, key)
    // One of the same authority that ends in an hour stands in its place.
    const open = new SqliteStore(at)
    const authority = await open.enrolment.authority(() => {
      throw new Error('there is one')
    })
    await open.close()
    const publicKey = new X509Certificate(before).publicKey.export({ format: 'der', type: 'spki' })
    const soon = { from: Date.now() - 9e7, until: Date.now() + 3_600_000 }
    const old = issue(authority, { commonName: 'lab/web-6', publicKey, ...soon }).certificate
    writeFileSync(files.cert, old)
    const second = watch('web-6', configFor('web-6', stdout))
    await until('the renewal', () => readFileSync(files.cert, 'utf8') !== old, 30_000)
    const said = () => second.log().includes('The certificate of this host was renewed')
    await until('what is said of it', said, 30_000)
    const renewed = new X509Certificate(readFileSync(files.cert))
    expect(renewed.subject).toBe('CN=lab/web-6')
    expect(Date.parse(renewed.validTo)).toBeGreaterThan(Date.now() + 80 * 86_400_000)
    await second.end()
    const third = watch('web-6', configFor('web-6', stdout))
    await until(
      'a connection with it',
      async () => (await connection('web-6')) === 'connected',
      60_000,
    )
    await third.end()
    // After a revocation nothing is renewed.
    await store(at, 'revoke', 'lab/web-6')
    writeFileSync(files.cert, old)
    await expect(renewIfDue(state, Date.now())).rejects.toThrow('not-enrolled')
  }, 240_000)
})

describe.skipIf(mosquitto === null)('agent enrol beside mosquitto', () => {
  test('mosquitto takes the authority and the list of revoked certificates', async () => {
    const at = join(folder, 'shared.db')
    const made = new SqliteStore(at)
    const { makeToken } = await import('../../src/aggregator/enrolment.ts')
    await makeToken(made, { site: 'lab', host: 'x' }, 1, 1_000, Date.now())
    const authority = await made.enrolment.authority(() => {
      throw new Error('there is one')
    })
    const server = makeKeyPair()
    const span = { from: Date.now() - 9e7, until: Date.now() + 9e7 }
    const served = issue(authority, {
      ...{ ...span, commonName: 'mq', names: ['127.0.0.1'], publicKey: server.publicKey },
    })
    await made.close()
    const path = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const ca = path('mq-ca.pem', authority.certificate)
    const crl = async () => path('mq.crl', (await store(at, 'crl')).stdout)
    const settings = async () => [
      `cafile ${ca}`,
      `certfile ${path('mq-cert.pem', served.certificate)}`,
      `keyfile ${path('mq-key.pem', server.key)}`,
      `crlfile ${await crl()}`,
      ...['require_certificate true', 'use_identity_as_username true'],
    ]
    const broker = await startMosquitto(folder, await settings())
    ends.push(() => broker.close())
    const host = makeKeyPair()
    const { serial, certificate } = issue(authority, {
      ...{ ...span, commonName: 'lab/web-7', publicKey: host.publicKey },
    })
    const pub = () =>
      Bun.spawn(
        [
          ...['mosquitto_pub', '-h', '127.0.0.1', '-p', String(broker.port), '-t', 'x', '-m', 'y'],
          ...[
            '--cafile',
            ca,
            '--cert',
            path('h.pem', certificate),
            '--key',
            path('h.key', host.key),
          ],
        ],
        { stdout: 'ignore', stderr: 'ignore' },
      ).exited
    if (Bun.which('mosquitto_pub') === null) return
    expect(await pub()).toBe(0)
    const open = new SqliteStore(at)
    const expires = Math.floor(span.until / 1000)
    await open.enrolment.putCertificate({ serial, site: 'lab', host: 'web-7', expires })
    await open.close()
    expect((await store(at, 'revoke', 'lab/web-7')).code).toBe(0)
    await crl()
    await broker.kill()
    await broker.start()
    expect(await pub()).not.toBe(0)
  }, 60_000)
})
