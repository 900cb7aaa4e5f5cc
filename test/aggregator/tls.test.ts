/** Both listeners behind TLS, with certificates that are made for the test. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectClient, type Running, startRunning } from './running.ts'

const openssl = Bun.which('openssl')
const directory = mkdtempSync(join(tmpdir(), 'tls-'))
const at = (name: string) => join(directory, name)
const pem = (name: string) => readFileSync(at(name), 'utf8')

function run(...args: string[]): void {
  const { success, stderr } = Bun.spawnSync([openssl!, ...args], { cwd: directory })
  if (!success) throw new Error(String(stderr))
}

function makeAuthority(name: string): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  run(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-subj',
    `/CN=${name}`,
  )
}

function makeCertificate(name: string, authority: string, extension = ''): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  run('req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
  writeFileSync(at(`${name}.ext`), extension)
  run(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${authority}.pem`,
    '-CAkey',
    `${authority}.key`,
    '-CAcreateserial',
    '-out',
    `${name}.pem`,
    '-extfile',
    `${name}.ext`,
  )
}

describe.skipIf(openssl === null)('behind TLS', () => {
  let running: Running
  beforeAll(async () => {
    makeAuthority('ours')
    makeAuthority('theirs')
    makeCertificate('server', 'ours', 'subjectAltName=IP:127.0.0.1,DNS:localhost')
    makeCertificate('web-1', 'ours')
    makeCertificate('stranger', 'theirs')
    const tls = { cert: pem('server.pem'), key: pem('server.key') }
    running = await startRunning({
      broker: {
        kind: 'embedded',
        host: '127.0.0.1',
        port: 0,
        tls: { ...tls, clientCa: pem('ours.pem') },
      },
      http: { host: '127.0.0.1', port: 0, tls },
      site: 'lab',
    })
  })
  afterAll(async () => {
    await running?.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const files = (name: string) => ({
    ca: at('ours.pem'),
    cert: at(`${name}.pem`),
    key: at(`${name}.key`),
  })

  test('a certificate of our authority lets its name speak for itself, and for nobody else', async () => {
    expect(running.brokerUrl).toStartWith('mqtts://')
    const client = await connectClient(running.brokerUrl, 'web-1', { tls: files('web-1') })
    await client.alert({ id: 'sealed' }, 1)
    await client.end()
    const thief = await connectClient(running.brokerUrl, 'web-2', { tls: files('web-1') })
    await expect(thief.alert({ id: 'stolen' }, 1)).rejects.toThrow()
    const response = await running.get('/api/v1/alerts', {
      tls: { ca: pem('ours.pem') },
    } as RequestInit)
    const { items } = (await response.json()) as { items: { id: string }[] }
    expect(items.map(({ id }) => id)).toEqual(['sealed'])
  })

  test('no certificate and one of another authority are refused', async () => {
    const { ca } = files('web-1')
    const timeoutMs = 1_500
    await expect(
      connectClient(running.brokerUrl, 'web-1', { tls: { ca }, timeoutMs }),
    ).rejects.toThrow()
    await expect(
      connectClient(running.brokerUrl, 'web-1', { tls: { ...files('stranger'), ca }, timeoutMs }),
    ).rejects.toThrow()
  })

  test('the page is served by HTTPS', async () => {
    expect(running.url).toStartWith('https://')
    const response = await running.get('/healthz', { tls: { ca: pem('ours.pem') } } as RequestInit)
    expect(await response.json()).toEqual({ status: 'ok' })
  })
})
