/** The authority's certificates, as openssl and Node read them. */
import { describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  fingerprint,
  isPublicKeyInfo,
  issue,
  makeAuthority,
  makeKeyPair,
  revocationList,
  validityOf,
} from '../../src/platform/x509.ts'
import { hasOpenssl } from '../support/certificates.ts'
import { temporaryDirectories } from '../support/temporary.ts'

const directory = temporaryDirectories()
const DAY_MS = 86_400_000
const now = Math.floor(Date.now() / 1000) * 1000
const authority = makeAuthority('Callsign fleet', now - DAY_MS, now + 3_650 * DAY_MS)
const host = makeKeyPair()
const server = makeKeyPair()
const span = { from: now - DAY_MS, until: now + 90 * DAY_MS }
const client = issue(authority, { ...span, commonName: 'lab/web-1', publicKey: host.publicKey })
const names = ['fleet.example', '127.0.0.1', '2001:db8::1', '::1']
const served = issue(authority, {
  ...{ ...span, commonName: 'fleet.example', publicKey: server.publicKey, names },
})

describe('issue()', () => {
  test('makes what Node reads: issuer, subject, names, time', () => {
    const read = new X509Certificate(client.certificate)
    const root = new X509Certificate(authority.certificate)
    expect(read.subject).toBe('CN=lab/web-1')
    expect(read.checkIssued(root)).toBe(true)
    expect(read.verify(root.publicKey)).toBe(true)
    expect(read.ca).toBe(false)
    expect(root.ca).toBe(true)
    expect(read.serialNumber.toLowerCase()).toBe(client.serial)
    expect(validityOf(client.certificate)).toEqual(span)
    const other = new X509Certificate(served.certificate)
    expect(other.checkHost('fleet.example')).toBe('fleet.example')
    for (const address of names.slice(1)) expect(other.checkIP(address)).toBe(address)
    expect(fingerprint(authority.certificate)).toBe(
      root.fingerprint256.replaceAll(':', '').toLowerCase(),
    )
    const late = makeAuthority('x', now, Date.UTC(2060, 0, 1))
    expect(validityOf(late.certificate).until).toBe(Date.UTC(2060, 0, 1))
  })

  test('isPublicKeyInfo() knows a key of the curve from anything else', () => {
    expect(isPublicKeyInfo(host.publicKey)).toBe(true)
    expect(isPublicKeyInfo(host.publicKey.subarray(1))).toBe(false)
    expect(isPublicKeyInfo(new Uint8Array(91))).toBe(false)
    // Fields of a certificate that a client would like to have in it.
    const more = Buffer.from('a30d300b30090603551d1304023000', 'hex')
    expect(isPublicKeyInfo(Buffer.concat([host.publicKey, more]))).toBe(false)
    const off = Buffer.from(host.publicKey)
    off[90]! ^= 1
    expect(isPublicKeyInfo(off)).toBe(false)
  })
})

describe.skipIf(!hasOpenssl)('openssl', () => {
  const path = join(directory(), '')
  const files = {
    'ca.pem': authority.certificate,
    'client.pem': client.certificate,
    'server.pem': served.certificate,
    'none.crl': revocationList(authority, [], now - 1_000, now + DAY_MS),
    'one.crl': revocationList(
      authority,
      [{ serial: client.serial, at: now - 1_000 }],
      ...([now - 1_000, now + DAY_MS] as const),
    ),
  }
  const openssl = (...args: string[]) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
    const { stdout, stderr, exitCode } = Bun.spawnSync(['openssl', ...args], { cwd: path })
    return { text: `${stdout}${stderr}`, exitCode }
  }
  const strict = ['verify', '-x509_strict', '-CAfile', 'ca.pem']

  test('verifies the chain strictly, for its purpose only', () => {
    expect(openssl(...strict, '-purpose', 'sslclient', 'client.pem').text).toContain('OK')
    expect(openssl(...strict, '-purpose', 'sslserver', 'server.pem').text).toContain('OK')
    expect(openssl(...strict, '-purpose', 'sslserver', 'client.pem').exitCode).not.toBe(0)
    expect(openssl(...strict, '-CAfile', 'server.pem', 'client.pem').exitCode).not.toBe(0)
  })

  test('reads the revocation list, and refuses what is on it', () => {
    const check = (list: string) =>
      openssl(...strict, '-crl_check', '-CRLfile', list, 'client.pem').text
    expect(check('none.crl')).toContain('OK')
    expect(check('one.crl')).toContain('certificate revoked')
  })
})
